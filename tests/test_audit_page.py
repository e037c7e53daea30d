"""The Audit Log: for superusers, like every other list, and nothing that anybody could change
there.
"""

import uuid
from datetime import timedelta

import pytest
from django.contrib import admin
from django.urls import get_resolver, reverse

from recycle import actions
from recycle.models import AuditAction, AuditEvent, Event, Instance, Origin, User
from tests.conftest import HTMX, acting
from tests.test_export import rows_of

pytestmark = [pytest.mark.django_db, pytest.mark.both]

FROM = "203.0.113.7"


@pytest.fixture
def root(client, account):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    AuditEvent.objects.all().delete()
    return user


@pytest.fixture
def add(now):
    def add(action="update", name="bob", **fields):
        defaults = {
            "at": now,
            "kind": "user",
            "subject_id": "7",
            "by_name": "root",
            "address": FROM,
        }
        return AuditEvent.objects.create(action=action, subject_name=name, **{**defaults, **fields})

    return add


@pytest.fixture
def page(client, root):
    return lambda **query: client.get(reverse("recycle:audit"), query)


def test_an_event_tells_what_was_done_to_whom_by_whom_and_from_where(page, add):
    request_id = uuid.uuid4()
    add(detail={"changes": {"is_superuser": [False, True]}}, request_id=request_id)

    text = page().text

    for words in (
        "Change",
        "bob",
        "User",
        "superuser status: no → yes",
        "root",
        FROM,
        f"?request_id={request_id}",
    ):
        assert words in text


def test_failures_that_add_up_say_how_many_and_when_the_last_was(page, add, now):
    add("login_failed", "", subject_id="", by_name="", count=12, last_at=now)

    text = page().text

    assert f"12 times, last at {now:%H:%M:%S}" in text
    assert "a name that nobody has" in text
    assert "<td>–</td>" in text


def test_what_was_logged_of_something_that_is_no_more_can_be_read(page, add):
    add(kind="group", name="staff", detail={"changes": {"gone": [1, None]}})

    assert "group" in page().text
    assert "gone: 1 → –" in page().text


@pytest.mark.parametrize("name", ["audit", "export_audit"])
@pytest.mark.parametrize("who", ["alice", "victor", "mallory"])
def test_for_anybody_else_there_is_no_such_page(client, request, add, name, who):
    add(name="secret-name")
    client.force_login(request.getfixturevalue(who))

    for headers in ({}, HTMX):
        response = client.get(reverse(f"recycle:{name}"), headers=headers)
        assert response.status_code == 404
        assert "secret-name" not in response.text
    assert reverse("recycle:audit") not in client.get(reverse("recycle:log")).text


def test_who_is_not_logged_in_is_sent_to_the_login(client, db):
    assert client.get(reverse("recycle:audit")).status_code == 302


def test_a_superuser_without_any_account_finds_it_in_the_navigation(client, root):
    text = client.get(reverse("recycle:log")).text

    assert f'href="{reverse("recycle:audit")}"' in text
    assert 'aria-current="page"' in client.get(reverse("recycle:audit")).text


def test_the_piece_is_the_list_alone(page, client, add):
    add()

    text = client.get(reverse("recycle:audit"), headers=HTMX).text

    assert text.lstrip().startswith('<div id="audit"')
    assert "<html" not in text


def test_the_filters(page, add, now):
    request_id = uuid.uuid4()
    add(name="bob")
    add(
        "login",
        name="carol",
        subject_id="8",
        by_name="carol",
        address="2001:db8::1",
        request_id=request_id,
    )
    add("login_failed", name="", subject_id="", by_name="", at=now - timedelta(days=3))

    def found(**query):
        return sorted(event.subject_name for event in page(**query).context["page"].rows)

    assert found() == ["", "bob", "carol"]
    assert found(q="BO") == found(q="7") == found(by="ROO") == ["bob"]
    assert found(action="login") == found(request_id=str(request_id)) == ["carol"]
    assert found(ip="2001:DB8:0:0::1") == ["carol"]
    assert found(until=f"{now - timedelta(days=2):%Y-%m-%d}") == [""]
    assert found(since=f"{now - timedelta(days=2):%Y-%m-%d}", ip=FROM) == ["bob"]


@pytest.mark.parametrize(
    "query", [{"ip": "10.0.0"}, {"request_id": "x"}, {"action": "start"}, {"sort": "name"}]
)
def test_a_filter_that_makes_no_sense_finds_nothing(page, client, add, query):
    add()

    response = page(**query)

    assert response.status_code == 400
    assert response.context["page"].rows == []
    assert client.get(reverse("recycle:export_audit"), query).status_code == 400


def test_the_export_has_what_the_list_has(page, client, add, now):
    add(detail={"changes": {"is_active": [True, False]}})
    add("login_failed", "", subject_id="", by_name="", count=3, last_at=now)

    failed, changed = rows_of(client.get(reverse("recycle:export_audit")))

    assert (changed["Action"], changed["Resource"], changed["Name"]) == ("Change", "User", "bob")
    assert (changed["Changes"], changed["By"], changed["Address"]) == (
        "active: yes → no",
        "root",
        FROM,
    )
    assert (failed["Count"], failed["Last"], failed["By"]) == (
        "3",
        now.isoformat(sep=" ", timespec="seconds"),
        "",
    )


def test_a_page_costs_the_same_however_long_it_is(page, add, django_assert_max_num_queries):
    for number in range(60):
        add(AuditAction.UPDATE, f"u{number}", detail={"changes": {"is_active": [True, False]}})

    with django_assert_max_num_queries(8):
        response = page(size="50")

    assert len(response.context["page"].rows) == 50
    assert response.context["page"].count.number == 60


def test_an_empty_log_and_an_empty_answer_say_different_things(page):
    assert "Nothing has been done yet." in page().text
    assert "No event matches this filter." in page(q="x").text


@pytest.mark.parametrize("model", [Event, AuditEvent])
def test_nobody_adds_changes_or_deletes_what_is_logged(client, root, alice, rf, model):
    registered = admin.site._registry.get(model)
    request = rf.get("/")
    request.user = root

    if registered:
        assert not registered.has_add_permission(request)
        assert not registered.has_change_permission(request)
        assert not registered.has_delete_permission(request)
    for name in ("audit", "export_audit", "log", "export_log"):
        assert client.post(reverse(f"recycle:{name}"), {"action": "delete"}).status_code == 405


def test_no_address_is_for_changing_what_is_logged():
    names = {name for name in get_resolver("recycle.urls").reverse_dict if isinstance(name, str)}

    assert {name for name in names if "log" in name or "audit" in name} == {
        "log",
        "export_log",
        "audit",
        "export_audit",
    }


# --- The Operation Log ----------------------------------------------------------------------------


def test_the_operation_log_tells_members_and_settings_as_well(
    client, root, alice, oscar, account, now
):
    Event.objects.create(
        account=account,
        at=now,
        batch=uuid.uuid4(),
        action="update",
        kind="member",
        resource_id=oscar.pk,
        resource_name="oscar",
        by=root,
        by_name="root",
        address=FROM,
        detail={"changes": {"role": [10, 20]}},
    )
    client.force_login(alice)

    text = client.get(reverse("recycle:log")).text
    (row,) = rows_of(client.get(reverse("recycle:export_log")))

    for words in ("Member: oscar", "role: Viewer → Operator", "root", FROM):
        assert words in text
    assert (row["Resource"], row["Resource name"], row["Changes"]) == (
        "Member",
        "oscar",
        "role: Viewer → Operator",
    )
    assert row["Address"] == FROM
    assert [
        event.by_name
        for event in client.get(reverse("recycle:log"), {"q": "osc"}).context["page"].rows
    ] == ["root"]


def test_the_operation_log_is_found_by_the_request(client, alice, make_instance):
    for name in ("web", "db"):
        make_instance(name=name)
        origin = Origin(FROM, uuid.uuid4())
        actions.stop(Instance.objects.filter(name=name), context=acting(alice, origin=origin))
    client.force_login(alice)

    response = client.get(
        reverse("recycle:log"),
        {"request_id": str(Event.objects.get(instance_name="db").request_id)},
    )

    assert [event.instance_name for event in response.context["page"].rows] == ["db"]
