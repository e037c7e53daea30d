"""Protection, legal hold and longer times as the pages show them."""

from datetime import timedelta

import pytest
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Event, Instance
from recycle.policy import Refusal
from tests.conftest import HTMX, acting

pytestmark = pytest.mark.django_db

HOLD = {"held_by": "alice", "hold_reason": "Case 7", "hold_review_on": "2099-01-31"}


@pytest.fixture
def alices(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def held(make_instance, now):
    return make_instance(State.RECYCLED, name="evidence", held_at=now, **HOLD)


def row(response, instance):
    """The list's line of this instance."""
    return response.text.partition(f'id="instance-{instance.pk}"')[2].partition("</tr>")[0]


def url(name, instance):
    return f"{reverse(f'recycle:{name}')}?ids={instance.pk}"


def menu(client, instance):
    return client.get(reverse("recycle:instance_menu", args=[instance.pk]), headers=HTMX).text


def test_a_protected_instance_wears_a_badge_and_can_be_unprotected(alices, make_instance):
    protected, free = make_instance(protected=True), make_instance()

    page = alices.get(reverse("recycle:instances"))

    assert ">Protected</span>" in row(page, protected)
    assert url("unprotect", protected) in menu(alices, protected)
    assert 'title="It is protected. Switch the protection off first."' in menu(alices, protected)
    assert ">Protected</span>" not in row(page, free)
    assert url("protect", free) in menu(alices, free)


def test_its_own_page_says_so_too(alices, make_instance):
    protected = make_instance(protected=True)

    text = alices.get(reverse("recycle:instance", args=[protected.pk])).text

    assert ">Protected</span>" in text
    assert url("unprotect", protected) in text
    assert url("protect", protected) not in text


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "piece"])
def test_protection_is_switched_from_the_list_and_the_log_tells_who(alices, make_instance, headers):
    first, second = make_instance(), make_instance()
    ids = {"ids": [first.pk, second.pk]}

    asked = alices.post(reverse("recycle:protect"), ids, headers=headers)
    alices.post(reverse("recycle:protect"), {**ids, "confirmed": "1"}, headers=headers)

    assert "Protect 2 instances" in asked.text
    assert Instance.objects.filter(protected=True).count() == 2
    assert set(Event.objects.values_list("action", "by_name")) == {("protect", "alice")}


def test_the_menu_over_the_list_offers_it_for_many(alices, oscar, make_instance):
    make_instance()
    offered = {}
    for name, who in (("alice", None), ("oscar", oscar)):
        if who:
            alices.force_login(who)
        page = alices.get(reverse("recycle:instances")).text
        offered[name] = [
            verb
            for verb in ("protect", "unprotect", "hold", "unhold")
            if f'/instances/{verb}/" hx-post' in page
        ]

    assert offered == {
        "alice": ["protect", "unprotect", "hold", "unhold"],
        "oscar": ["protect", "unprotect"],
    }


def test_an_expired_subscription_that_is_protected_has_no_countdown(alices, make_instance):
    protected, free = make_instance(State.EXPIRED, protected=True), make_instance(State.EXPIRED)

    page = alices.get(reverse("recycle:expired"))
    text = alices.get(reverse("recycle:instance", args=[protected.pk])).text

    assert "data-ends" not in row(page, protected)
    assert ">Protected</span>" in row(page, protected)
    assert "data-ends" in row(page, free)
    assert "It is protected, so it is not deleted" in text


def test_a_held_entry_shows_the_hold_instead_of_a_countdown(alices, held, recycled):
    page = alices.get(reverse("recycle:bin"))

    assert "data-ends" not in row(page, held)
    assert ">Legal hold</span>" in row(page, held)
    assert "Case 7" in row(page, held)
    assert url("unhold", held) in menu(alices, held)
    assert "data-ends" in row(page, recycled)
    assert url("hold", recycled) in menu(alices, recycled)


def test_the_page_of_a_held_instance_says_why_since_when_by_whom_and_until_when(alices, held, now):
    text = alices.get(reverse("recycle:instance", args=[held.pk])).text

    for words in (
        "Legal hold",
        "Case 7",
        f"Since {now:%Y-%m-%d}",
        "by alice",
        "To be reviewed on 2099-01-31",
        "suspended",
    ):
        assert words in text
    assert url("unhold", held) in text


def test_an_operator_sees_a_hold_but_no_button_for_it(client, oscar, held):
    client.force_login(oscar)

    for page in (reverse("recycle:bin"), reverse("recycle:instance", args=[held.pk])):
        text = client.get(page).text
        assert "Legal hold" in text
        assert url("unhold", held) not in text
        assert "/instances/hold/" not in text
    answer = client.post(reverse("recycle:unhold"), {"ids": held.pk, "confirmed": "1"})
    assert answer.status_code == 403
    assert Instance.objects.get(pk=held.pk).held_at


def test_a_viewer_reads_why_they_may_not(client, victor, held, make_instance):
    protected = make_instance(protected=True)
    client.force_login(victor)

    text = row(client.get(reverse("recycle:instances")), protected) + row(
        client.get(reverse("recycle:bin")), held
    )

    assert "?ids=" not in text
    assert str(Refusal.ROLE.label) in text


def test_held_and_protected_ones_are_not_announced_as_next_to_go(
    alices, held, recycled, make_instance, now
):
    make_instance(State.EXPIRED, name="kept", protected=True)

    page = alices.get(reverse("recycle:overview"))
    soon = alices.get(reverse("recycle:bin"), {"ends": "1440"})

    assert [each.pk for each in page.context["next"]] == [recycled.pk]
    assert page.context["total"].number == 1
    assert [each.pk for each in soon.context["page"].rows] == [recycled.pk]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"retention_kind": "standard"}, "standard, 2 hours"),
        (
            {"retention_kind": "rule", "retention_subject": "env\nprod", "days": 7},
            "rule env=prod, 7 days",
        ),
        ({"retention_kind": "account", "days": 1}, "set for the account, 1 day"),
    ],
)
def test_the_countdown_says_where_the_time_comes_from(alices, make_instance, now, fields, words):
    start = now - timedelta(minutes=10)
    kept = timedelta(days=fields.pop("days", 0)) or timedelta(hours=2)
    entry = make_instance(State.RECYCLED, recycled_at=start, purge_at=start + kept, **fields)

    in_list = row(alices.get(reverse("recycle:bin")), entry)
    on_page = alices.get(reverse("recycle:instance", args=[entry.pk])).text

    assert f"{words}</small>" in in_list
    assert words in on_page


def test_extending_one_entry_is_offered_and_says_who(alices, recycled):
    offered = menu(alices, recycled)

    alices.post(reverse("recycle:extend"), {"ids": recycled.pk, "hours": "24", "confirmed": "1"})

    assert url("extend", recycled) in offered
    assert "extended by alice, 1 day 2 hours" in row(alices.get(reverse("recycle:bin")), recycled)


def test_a_hold_outlives_the_sweep_and_leaves_time_when_it_ends(alices, alice, held):
    late = held.purge_at + timedelta(hours=1)

    actions.purge_due(context=acting(None, late))
    actions.unhold(Instance.objects.filter(pk=held.pk), context=acting(alice, late))

    held.refresh_from_db()
    assert (held.state, held.purge_at) == (State.RECYCLED, late + timedelta(minutes=15))


def test_a_stranger_sees_nothing_of_it(client, mallory, held):
    client.force_login(mallory)

    for verb in ("hold", "unhold", "extend", "protect", "unprotect"):
        answer = client.post(
            reverse(f"recycle:{verb}"), {"ids": held.pk, "confirmed": "1", "reason": "x"}
        )
        assert answer.status_code == 404
    assert client.get(reverse("recycle:instance", args=[held.pk])).status_code == 404
