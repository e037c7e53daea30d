"""What the schedule fails to do so often that a person has to look: how it gets there, how it is
seen, and how it comes out.
"""

import logging
import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

from recycle import actions
from recycle.actions import claim
from recycle.lifecycle import Action, State
from recycle.models import Event, Instance
from recycle.policy import BillingMode, Refusal
from tests.conftest import HTMX, acting
from tests.poison import Poison

pytestmark = [pytest.mark.django_db, pytest.mark.both]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def quiet(caplog):
    """The log of a failure is wanted, but not on the screen."""
    caplog.set_level(logging.CRITICAL, logger="recycle")


@pytest.fixture
def make_due(make_instance, now):
    def make(**fields):
        return make_instance(
            State.RECYCLED, recycled_at=now - 3 * HOUR, purge_at=now - HOUR, **fields
        )

    return make


@pytest.fixture
def quarantined(make_due, now):
    return make_due(name="stuck", attempts=8, last_error="<no disk>", quarantined_at=now - 2 * HOUR)


def in_quarantine():
    return set(Instance.objects.in_quarantine())


# --- How it gets there ----------------------------------------------------------------------------


def test_after_so_many_tries_it_waits_for_a_person_and_the_log_says_why(settings, make_due, now):
    settings.PURGE_ATTEMPTS = 3
    bad = make_due()
    Poison([bad])
    for _try in range(2):
        actions.purge_due(context=acting(None, now))
        assert in_quarantine() == set()
        now += 2 * MINUTE

    actions.purge_due(context=acting(None, now))
    again = actions.purge_due(context=acting(None, now + 30 * DAY))

    bad.refresh_from_db()
    event = Event.objects.get()
    assert in_quarantine() == {bad}
    assert (bad.state, bad.attempts, bad.quarantined_at, bad.retry_at) == (
        State.RECYCLED,
        3,
        now,
        None,
    )
    assert (event.action, event.from_state, event.to_state, event.by) == (
        Action.QUARANTINE,
        State.RECYCLED,
        State.RECYCLED,
        None,
    )
    assert "poisoned" in event.reason
    assert (again.done, again.failed) == ([], [])


def test_a_subscription_that_cannot_expire_gets_there_as_well(settings, make_instance, now):
    settings.PURGE_ATTEMPTS = 1
    bad = make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now - HOUR)
    Poison([bad])

    actions.expire_due(context=acting(None, now))
    again = actions.expire_due(context=acting(None, now + DAY))

    assert in_quarantine() == {bad}
    assert again.failed == []


def test_a_tombstone_is_tried_for_ever(settings, make_instance, now):
    settings.PURGE_ATTEMPTS = 1
    bad = make_instance(State.PURGED, purged_at=now - 100 * DAY)
    Poison([bad], event="DELETE")

    actions.forget_tombstones(context=acting(None, now))
    again = actions.forget_tombstones(context=acting(None, now + DAY))

    assert in_quarantine() == set()
    assert [failed.id for failed in again.failed] == [bad.pk]


def test_nothing_gets_there_that_has_not_failed_alone(settings, monkeypatch, make_due, now):
    """One good row among so many bad ones that a sample nearly always misses it."""
    settings.PURGE_ATTEMPTS = 1
    monkeypatch.setattr(claim, "SAMPLE", 1)
    good, *bad = [make_due() for _ in range(12)]
    Poison(bad)

    outcome = actions.purge_due(context=acting(None, now))

    assert in_quarantine() == set(bad)
    assert [done.id for done in outcome.done] == [good.pk]


def test_a_pass_tries_so_many_alone_and_the_others_wait_a_minute(
    settings, monkeypatch, make_due, now
):
    settings.PURGE_ATTEMPTS = 1
    monkeypatch.setattr(claim, "TRIES", 5)
    bad = [make_due() for _ in range(12)]
    Poison(bad)

    actions.purge_due(context=acting(None, now))
    waiting = Instance.objects.filter(quarantined_at=None)
    assert len(in_quarantine()) == 5
    assert not waiting.exclude(attempts=0, retry_at=now + MINUTE).exists()

    for minutes in (1, 2):
        actions.purge_due(context=acting(None, now + minutes * MINUTE))
    assert in_quarantine() == set(bad)
    assert Event.objects.filter(action=Action.QUARANTINE).count() == 12


# --- How it comes out -----------------------------------------------------------------------------


def test_tried_again_it_is_deleted_once_the_cause_is_gone(alice, quarantined, now):
    outcome = actions.retry(Instance.objects.all(), context=acting(alice, now, reason="fixed"))

    swept = actions.purge_due(context=acting(None, now))

    assert [done.id for done in outcome.done] == [quarantined.pk]
    assert [done.id for done in swept.done] == [quarantined.pk]
    assert list(Event.objects.order_by("id").values_list("action", "reason")) == [
        ("retry", "fixed"), ("purge", ""),
    ]  # fmt: skip


def test_what_is_tried_again_is_not_in_front_of_what_is_due(alice, quarantined, make_due, now):
    first = make_due()
    actions.retry(Instance.objects.filter(pk=quarantined.pk), context=acting(alice, now))

    outcome = actions.purge_due(limit=1, context=acting(None, now))

    assert [done.id for done in outcome.done] == [first.pk]


@pytest.mark.parametrize(
    ("verb", "options", "state"),
    [("hold", {"reason": "case 12"}, State.RECYCLED), ("purge", {}, State.PURGED)],
)
def test_a_person_who_decides_takes_it_out(alice, quarantined, now, verb, options, state):
    getattr(actions, verb)(Instance.objects.all(), context=acting(alice, now, **options))

    quarantined.refresh_from_db()
    assert in_quarantine() == set()
    assert (quarantined.state, quarantined.attempts, quarantined.last_error) == (state, 0, "")


def test_what_is_not_there_is_not_tried_again(alice, make_due, now):
    make_due(attempts=3, retry_at=now + HOUR)

    outcome = actions.retry(Instance.objects.all(), context=acting(alice, now))

    assert [refused.refusal for refused in outcome.refused] == [Refusal.NOT_QUARANTINED]


# --- How it is seen -------------------------------------------------------------------------------


def test_the_page_tells_the_last_error_the_tries_and_since_when(client, alice, quarantined):
    client.force_login(alice)

    text = client.get(reverse("recycle:quarantine")).text

    assert "stuck" in text
    assert "&lt;no disk&gt;" in text
    assert quarantined.quarantined_at.isoformat() in text
    assert '<td class="num">8</td>' in text


def test_nobody_sees_what_of_another_account_is_there(client, mallory, quarantined):
    client.force_login(mallory)

    for name in ("quarantine", "export_quarantine", "overview", "bin"):
        response = client.get(reverse(f"recycle:{name}"))
        text = response.getvalue().decode() if response.streaming else response.text
        assert "stuck" not in text
        assert "no disk" not in text
        assert "is in quarantine: the schedule failed" not in text


def test_somebody_with_the_role_lets_it_out_through_the_dialog(client, alice, quarantined):
    client.force_login(alice)
    address = reverse("recycle:retry")
    asked = client.get(address, {"ids": quarantined.pk}, headers=HTMX)
    assert "Let 1 instance out of quarantine" in asked.text

    response = client.post(address, {"ids": [quarantined.pk], "confirmed": "1"}, follow=True)

    assert "1 instance will be tried again." in response.text
    assert in_quarantine() == set()


def test_a_viewer_is_told_why_not(client, victor, quarantined):
    client.force_login(victor)

    page = client.get(reverse("recycle:quarantine"))
    client.post(reverse("recycle:retry"), {"ids": [quarantined.pk], "confirmed": "1"})

    assert str(Refusal.ROLE.label) in page.text
    assert in_quarantine() == {quarantined}


def test_all_that_match_a_filter_are_tried_again_together(client, alice, make_due, now):
    for name in ("web-1", "web-2", "db-1"):
        make_due(name=name, attempts=8, quarantined_at=now)
    client.force_login(alice)

    page = client.get(reverse("recycle:quarantine"), {"q": "web"})
    hidden = re.findall(
        r'<input type="hidden" name="(as_of|scope|back)" value="([^"]*)"', page.text
    )
    sent = {name: unescape(value) for name, value in hidden}

    client.post(reverse("recycle:retry"), {**sent, "all": "1", "confirmed": "1"})
    actions.carry_out_jobs(context=acting(None))

    assert {row.name for row in in_quarantine()} == {"db-1"}


def test_the_overview_is_red_and_leads_there(client, alice, quarantined):
    client.force_login(alice)
    page = client.get(reverse("recycle:overview")).text
    assert "1 instance is in quarantine:" in page
    assert f'<a href="{reverse("recycle:quarantine")}">' in page

    Instance.objects.update(quarantined_at=None)
    assert "in quarantine:" not in client.get(reverse("recycle:overview")).text


def test_its_row_in_the_bin_says_so(client, alice, quarantined):
    client.force_login(alice)

    text = client.get(reverse("recycle:bin")).text

    assert ">in quarantine</a>" in text
    assert "next try" not in text


def test_the_file_tells_what_the_page_tells(client, alice, quarantined):
    client.force_login(alice)

    text = client.get(reverse("recycle:export_quarantine")).getvalue().decode()

    assert '"stuck"' in text
    assert '"8","<no disk>"' in text
