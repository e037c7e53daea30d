"""Pages of a list by keyset, and what the filters of the lists find."""

import re
from datetime import timedelta

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import listing
from recycle.lifecycle import State
from recycle.listing import Count, Cursor, paginate
from recycle.models import Event, Instance, Region, Zone
from recycle.policy import BillingMode

pytestmark = [pytest.mark.django_db, pytest.mark.both]


def names(rows):
    return [row.name for row in rows]


def read(cursor, sort):
    """A cursor as it comes back in a page link."""
    return Cursor.read(str(cursor), sort)


def walk(rows, sort, size, narrowed=False):
    """Every page from the first to the last, and back again."""

    def page(cursor=None):
        cursor = read(cursor, sort) if cursor else None
        return paginate(rows, sort=sort, size=size, cursor=cursor, narrowed=narrowed)

    pages = [page()]
    while pages[-1].next and len(pages) < 9:
        pages.append(page(pages[-1].next))
    back = [pages[-1]]
    while back[-1].previous and len(back) < 9:
        back.append(page(back[-1].previous))
    return [page.rows for page in pages], [page.rows for page in reversed(back)]


@pytest.mark.parametrize("narrowed", [False, True], ids=["walked", "put in order"])
@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
def test_pages_show_every_row_once_and_in_order_also_with_ties(make_instance, now, sort, narrowed):
    for number in range(11):
        tied = now - timedelta(days=number // 4)
        make_instance(name=f"web-{number // 4}", created_at=tied, changed_at=tied)
    sign = "-" if sort.startswith("-") else ""
    ordered = list(Instance.objects.order_by(sort, f"{sign}pk"))

    there, back = walk(Instance.objects.all(), sort, size=3, narrowed=narrowed)

    assert [row for page in there for row in page] == ordered
    assert [len(page) for page in there] == [3, 3, 3, 2]
    assert back == there


def test_what_nothing_matches_costs_its_count_and_no_more(account, django_assert_num_queries):
    with django_assert_num_queries(1):
        page = paginate(Instance.objects.all(), sort="name", size=10, narrowed=True)

    assert (page.rows, page.previous, page.next, page.count) == ([], None, None, Count(0, False))


def test_few_are_found_by_what_narrows_them_and_many_along_the_order(make_instance, monkeypatch):
    for number in range(4):
        make_instance(name=f"web-{number}")
    asked = []
    for most in (4, 3):
        monkeypatch.setattr(listing, "COUNTED", most)
        with CaptureQueriesContext(connection) as queries:
            page = paginate(Instance.objects.all(), sort="name", size=2, narrowed=True)
        assert names(page.rows) == ["web-0", "web-1"]
        asked.append(queries[-1]["sql"].partition("ORDER BY")[2])

    by_itself = '"recycle_instance"."name" ASC'
    assert [order.strip().startswith(by_itself) for order in asked] == [False, True]


def test_a_name_of_any_script_and_length_has_a_next_page(client, alice, make_instance):
    for _ in range(11):
        make_instance(name="𠮷" * 64)
    client.force_login(alice)
    first = client.get(reverse("recycle:instances"), {"size": "10", "sort": "name"})

    response = client.get(reverse("recycle:instances"), page_query(first, "next"))

    assert response.status_code == 200
    assert len(response.context["page"].rows) == 1


def page_query(response, name):
    """The query of the link Previous or Next."""
    query = response.wsgi_request.GET.copy()
    query["cursor"] = str(getattr(response.context["page"], name))
    return query


def test_a_row_that_arrives_or_leaves_does_not_shift_the_next_page(make_instance, now):
    rows = [make_instance(created_at=now - timedelta(days=number)) for number in range(6)]
    first = paginate(Instance.objects.all(), sort="-created_at", size=2)
    make_instance(created_at=now)
    rows[0].delete()

    second = paginate(Instance.objects.all(), sort="-created_at", size=2, cursor=first.next)

    assert second.rows == rows[2:4]


@pytest.fixture
def numbered(make_instance):
    """So many instances, and a function that says which of them a page shows."""

    def make(count):
        rows = [make_instance(name=f"web-{number:02}") for number in range(count)]

        def show(cursor=None, size=10):
            page = paginate(Instance.objects.all(), sort="name", size=size, cursor=cursor)
            numbers = [int(row.name.removeprefix("web-")) for row in page.rows]
            return numbers, page.previous, page.next

        return rows, show

    return make


def remove(rows):
    Instance.objects.filter(pk__in=[row.pk for row in rows]).delete()


@pytest.mark.parametrize("left", [0, 1, 9])
def test_previous_fills_the_first_page_where_rows_have_gone(numbered, left):
    rows, show = numbered(28)
    _, _, onward = show()
    _, back, _ = show(onward)

    remove(rows[left:10])
    numbers, previous, onward = show(back)

    assert numbers == [*range(left), *range(10, 20 - left)]
    assert previous is None
    assert show(onward)[0] == list(range(20 - left, 28))[:10]


def test_previous_in_the_middle_shows_a_full_page_with_both_neighbours(numbered):
    rows, show = numbered(45)
    cursor = None
    for _ in range(3):
        _, _, cursor = show(cursor)
    _, back, _ = show(cursor)

    remove(rows[22:28])
    numbers, previous, onward = show(back)

    assert numbers == [*range(14, 22), 28, 29]
    assert show(previous)[0] == list(range(4, 14))
    assert show(onward)[0] == list(range(30, 40))


def test_where_everything_before_a_page_has_gone_there_is_no_previous(numbered):
    rows, show = numbered(28)
    _, _, onward = show()

    remove(rows[:10])

    assert show(onward)[:2] == (list(range(10, 20)), None)


def test_where_everything_after_a_page_has_gone_there_is_no_next(numbered):
    rows, show = numbered(28)
    _, _, second = show()
    _, _, third = show(second)
    _, back, _ = show(third)

    remove(rows[20:])
    numbers, previous, onward = show(back)

    assert numbers == list(range(10, 20))
    assert previous is not None
    assert onward is None


@pytest.mark.parametrize("left", [20, 14, 3, 0])
def test_where_the_last_page_has_gone_the_one_before_it_is_shown_in_full(numbered, left):
    rows, show = numbered(28)
    _, _, second = show()
    _, _, third = show(second)

    remove(rows[left:])
    numbers, previous, onward = show(third)

    assert numbers == list(range(max(0, left - 10), left))
    assert (previous is not None) is (left > 10)
    assert onward is None


def test_counting_stops_where_it_would_slow_the_page(make_instance, monkeypatch):
    monkeypatch.setattr(listing, "COUNTED", 3)
    for _ in range(3):
        make_instance()

    exact = paginate(Instance.objects.all(), sort="name", size=10)
    make_instance()
    capped = paginate(Instance.objects.all(), sort="name", size=10)

    assert exact.count == Count(3, capped=False)
    assert capped.count == Count(3, capped=True)


def test_a_capped_list_says_so(client, alice, make_instance, monkeypatch):
    monkeypatch.setattr(listing, "COUNTED", 3)
    for _ in range(11):
        make_instance(State.RECYCLED)
    client.force_login(alice)

    response = client.get(reverse("recycle:bin"), {"size": "10"})

    assert "3+ items" in response.text
    assert 'data-select-all="3+"' in response.text


FORGED = {
    "nonsense": "nonsense",
    "not signed": "WyItbmFtZSIsZmFsc2UsIngiLCJ5Il0:1abc:def",
    "signed for something else": signing.dumps(["-created_at", False, "x", "y"], salt="other"),
    "of another order": str(Cursor("name", False, "web", "0" * 32)),
    "of another shape": signing.dumps(["-created_at"], salt="cursor"),
    "not even a list": signing.dumps(7, salt="cursor"),
    "not of this alphabet": "é☃",
    "NUL": "a\0b",
}


@pytest.mark.alike
@pytest.mark.parametrize("cursor", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "partial"])
def test_a_forged_page_link_is_refused_with_a_sentence(
    client, alice, make_instance, cursor, headers
):
    instance = make_instance()
    client.force_login(alice)

    response = client.get(reverse("recycle:instances"), {"cursor": cursor}, headers=headers)

    assert response.status_code == 400
    assert "This page link is not valid." in response.text or "Null characters" in response.text
    assert instance.name not in response.text


# --- Filters --------------------------------------------------------------------------------------


def found(client, name, **query):
    response = client.get(reverse(f"recycle:{name}"), query)
    assert response.status_code == 200, response.context["form"].errors
    return names(response.context["page"].rows)


@pytest.fixture
def lists(client, alice):
    """What Alice finds in a list."""
    client.force_login(alice)
    return lambda name, **query: sorted(found(client, name, **query))


def test_the_search_finds_part_of_a_name_in_any_case(lists, make_instance):
    make_instance(name="Web-Front")
    make_instance(name="database")

    assert lists("instances", q="web-f") == ["Web-Front"]


@pytest.mark.parametrize("text", ["10.9.8.7", "10.9.8", "10.9.8."])
def test_the_search_finds_a_private_ip_by_its_beginning(lists, make_instance, text):
    make_instance(name="web", private_ip="10.9.8.7")
    make_instance(name="other", private_ip="10.9.7.8")

    assert lists("instances", q=text) == ["web"]


@pytest.mark.parametrize("most", [1_000, 0], ids=["few", "many"])
def test_the_search_finds_an_eip_by_its_beginning(lists, make_instance, bind, monkeypatch, most):
    monkeypatch.setattr("recycle.forms.lists.MOST_BOUND", most)
    bound = make_instance(name="bound")
    make_instance(name="other")
    bind(bound)
    address = str(bound.elastic_ips.get().address)

    assert lists("instances", q=address) == ["bound"]
    assert lists("instances", q=address.rpartition(".")[0]) == ["bound"]


@pytest.mark.parametrize(
    "text",
    [
        "3f2a9c1e-77aa-4b0c-9d55-1234567890ab",
        "3F2A9C1E-77AA-4B0C-9D55-1234567890AB",
        "3f2a9c1e77aa4b0c9d551234567890ab",
        "3f2a9c1e",
        "3f2a9c1e-77aa-4b0c-9d55",
        "3F2A9C1E-77",
        "3f2a9c1e77aa4b0c",
    ],
)
def test_the_search_finds_an_id_by_its_beginning_however_it_is_spelled(lists, make_instance, text):
    make_instance(name="web", id="3f2a9c1e-77aa-4b0c-9d55-1234567890ab")
    make_instance(name="other", id="11111111-2222-4333-8444-555555555555")

    assert lists("instances", q=text) == ["web"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", '"; DROP TABLE', "-", "<b>", "٣٢"])
def test_what_is_special_to_a_database_is_only_text(lists, make_instance, text):
    make_instance(name="web")

    assert lists("instances", q=text) == []


def test_the_filters_of_the_instance_page(lists, make_instance, bind):
    bind(make_instance(name="running"))
    make_instance(State.STOPPED, name="stopped")
    make_instance(State.STOPPED, BillingMode.HOURLY, name="free", no_fees=True)
    make_instance(State.EXPIRED, name="expired")
    make_instance(State.RECYCLED, name="recycled")
    make_instance(State.PURGED, name="purged")

    assert lists("instances") == ["expired", "free", "running", "stopped"]
    assert lists("instances", status="active") == ["running"]
    assert lists("instances", status="stopped") == ["stopped"]
    assert lists("instances", status="no_fees") == ["free"]
    assert lists("instances", status="expired") == ["expired"]
    assert lists("instances", billing="Monthly") == ["expired"]
    assert lists("instances", tag="env=prod") == lists("instances", tag="env") == ["running"]
    assert lists("instances", tag="env=test") == lists("instances", tag="pro") == []


def test_zone_and_region_narrow_a_list(lists, make_instance):
    shanghai = Region.objects.create(code="cn-shanghai-2", name="Shanghai")
    make_instance(name="beijing")
    make_instance(name="shanghai", zone=Zone.objects.create(code="cn-shanghai-2a", region=shanghai))

    assert lists("instances", zone="cn-shanghai-2a") == ["shanghai"]
    assert lists("instances", region="cn-beijing-6") == ["beijing"]
    assert lists("bin") == []  # the region is remembered ...
    assert lists("instances") == ["beijing"]
    assert lists("instances", region="") == ["beijing", "shanghai"]  # ... until another is chosen


def test_the_filters_of_the_recycle_bin(lists, make_instance, alice, oscar, now):
    yesterday = now - timedelta(days=1)
    times = {"recycled_at": yesterday, "purge_at": now + timedelta(minutes=14)}
    make_instance(State.RECYCLED, name="soon", recycled_by=oscar, **times)
    later = {"recycled_at": now, "purge_at": now + timedelta(minutes=110)}
    make_instance(State.RECYCLED, name="later", recycled_by=alice, **later)

    assert lists("bin", ends="15") == ["soon"]
    assert lists("bin", ends="1440") == ["later", "soon"]
    assert lists("bin", deleted_by="OSC") == ["soon"]
    assert lists("bin", deleted_to=f"{yesterday:%Y-%m-%d}") == ["soon"]
    assert lists("bin", deleted_from=f"{now:%Y-%m-%d}") == ["later"]
    assert lists("bin", q="soon", billing="Daily") == ["soon"]


def test_the_days_of_a_filter_are_those_of_the_browser(client, lists, make_instance, now):
    late = now.replace(hour=23, minute=30) - timedelta(days=2)
    make_instance(State.RECYCLED, name="late", recycled_at=late)
    next_day = f"{late + timedelta(hours=1):%Y-%m-%d}"

    assert lists("bin", deleted_from=next_day) == []
    client.cookies["tz"] = "Asia/Shanghai"
    assert lists("bin", deleted_from=next_day) == ["late"]


def test_the_filters_of_the_log(client, alice, account, now):
    def add(name, **fields):
        defaults = {"at": now, "batch": "0" * 32, "action": "start", "instance_id": "1" * 32}
        states = {"from_state": "stopped", "to_state": "active"}
        Event.objects.create(
            account=account, instance_name=name, **{**defaults, **states, **fields}
        )

    add("web", by_name="alice")
    add("db", action="stop", batch="2" * 32, instance_id="3" * 32)
    add("old", at=now - timedelta(days=3))
    client.force_login(alice)

    def found(**query):
        response = client.get(reverse("recycle:log"), query)
        return sorted(event.instance_name for event in response.context["page"].rows)

    assert found() == ["db", "old", "web"]
    assert found(q="WE") == found(by="ali") == ["web"]
    assert found(q="3" * 32) == found(action="stop") == found(batch="2" * 32) == ["db"]
    assert found(until=f"{now - timedelta(days=2):%Y-%m-%d}") == ["old"]
    assert found(since=f"{now - timedelta(days=2):%Y-%m-%d}") == ["db", "web"]


WRONG = [
    ("instances", {"status": "recycled"}),
    ("instances", {"status": "purged"}),
    ("instances", {"billing": "Weekly"}),
    ("instances", {"zone": "cn-mars-1a"}),
    ("instances", {"region": "cn-mars-1"}),
    ("instances", {"size": "1000000000"}),
    ("instances", {"size": "-1"}),
    ("instances", {"size": "²"}),
    ("instances", {"sort": "account__name"}),
    ("instances", {"sort": "-purge_at"}),
    ("instances", {"q": "a\0b"}),
    ("instances", {"q": "a" * 65}),
    ("instances", {"tag": "a" * 385}),
    ("instances", {"batch": "7"}),
    ("bin", {"ends": "16"}),
    ("bin", {"deleted_from": "yesterday"}),
    ("bin", {"deleted_from": "2026-02-30"}),
    ("bin", {"deleted_from": "2026-03-02", "deleted_to": "2026-03-01"}),
    ("bin", {"deleted_by": "a" * 151}),
    ("bin", {"deleted_by": "\0"}),
    ("expired", {"billing": "\0"}),
    ("log", {"action": "format"}),
    ("log", {"since": "2026-03-02", "until": "2026-03-01"}),
    ("log", {"batch": "x"}),
    ("log", {"q": "\0"}),
]


@pytest.mark.alike
@pytest.mark.parametrize(("name", "query"), WRONG)
def test_a_filter_that_makes_no_sense_shows_nothing_and_says_why(
    client, alice, make_instance, name, query
):
    rows = [make_instance(state) for state in (State.ACTIVE, State.RECYCLED, State.EXPIRED)]
    client.force_login(alice)

    for headers in ({}, {"HX-Request": "true"}):
        response = client.get(reverse(f"recycle:{name}"), query, headers=headers)

        assert response.status_code == 400
        assert re.search(r'class="toast error".*?<div>[^<]+</div>', response.text, re.DOTALL)
        assert not any(str(row.pk) in response.text for row in rows)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_day_there_are_do_no_harm(client, alice, recycled, day):
    client.force_login(alice)

    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Niue"):
        client.cookies["tz"] = zone
        for name, fields in (("bin", ("deleted_from", "deleted_to")), ("log", ("since", "until"))):
            for field in fields:
                assert client.get(reverse(f"recycle:{name}"), {field: day}).status_code == 200


@pytest.mark.parametrize("most", [1_000, 0], ids=["few", "many"])
def test_no_way_of_the_search_leads_to_another_account(
    lists, mallory, make_instance, make_address, monkeypatch, most
):
    monkeypatch.setattr("recycle.forms.lists.MOST_BOUND", most)
    hers = mallory.memberships.get().account
    for number, account in enumerate((None, hers)):
        alike = {
            "id": f"3f2a9c1e-0000-4000-8000-00000000000{number}",
            "name": f"web-{number}",
            "private_ip": f"10.9.8.{number}",
        } | ({"account": account} if account else {})
        instance = make_instance(**alike)
        make_address(account=instance.account, instance=instance, address=f"120.94.1.{number}")

    for text in ("web", "3f2a", "10.9.8", "120.94", str(instance.pk)):
        mine = [] if text == str(instance.pk) else ["web-0"]
        assert lists("instances", q=text) == mine, text


def test_a_stranger_finds_nothing_whatever_is_asked_for(
    client, mallory, make_instance, recycled, bind
):
    instance = make_instance()
    bind(instance)
    client.force_login(mallory)

    for text in (instance.name, str(instance.pk), instance.private_ip, "", "120.92"):
        for name in ("instances", "bin", "expired"):
            assert found(client, name, q=text) == []
