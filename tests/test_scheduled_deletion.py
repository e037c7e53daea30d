"""A moment at which the schedule deletes an instance as its owner would."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recycle import actions
from recycle.lifecycle import Action, State
from recycle.models import Event, Instance
from recycle.policy import GRACE, BillingMode, Refusal
from tests.conftest import HTMX, acting, send
from tests.faketime import wait_until
from tests.poison import Poison
from tests.threads import done, nobody_writes_events, refusals, result

pytestmark = [pytest.mark.django_db, pytest.mark.both]

HOUR = timedelta(hours=1)
ALL = Instance.objects.all()


def sweep(at):
    return actions.delete_due(context=acting(None, at))


def the_one():
    return Instance.objects.get()


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (BillingMode.DAILY, State.RECYCLED),
        (BillingMode.HOURLY, State.PURGED),
        (BillingMode.SPOT, State.PURGED),
    ],
)
def test_it_is_deleted_at_that_moment_and_not_before_as_its_billing_mode_has_it(
    alice, make_instance, bind, now, mode, state
):
    bind(make_instance(State.ACTIVE, mode))
    actions.schedule_deletion(ALL, delete_at=now + HOUR, context=acting(alice, now))

    early = sweep(now + HOUR - timedelta(seconds=1))
    outcome = sweep(now + HOUR)

    assert (early.done, len(outcome.done)) == ([], 1)
    instance = the_one()
    assert (instance.state, instance.delete_at, instance.recycled_by) == (state, None, None)
    assert Event.objects.latest("id").detail["eips"]


def test_it_can_be_changed_and_cancelled_and_the_log_says_so(alice, make_instance, now):
    make_instance()
    for hours in (1, 5):
        actions.schedule_deletion(ALL, delete_at=now + hours * HOUR, context=acting(alice, now))
    assert sweep(now + HOUR).done == []

    actions.cancel_deletion(ALL, context=acting(alice, now))

    assert sweep(now + 9 * HOUR).done == []
    assert the_one().delete_at is None
    assert [event.changes[0].count("–") for event in Event.objects.order_by("id")] == [1, 0, 1]
    again = actions.cancel_deletion(ALL, context=acting(alice, now))
    assert refusals(again) == [Refusal.NOT_SCHEDULED]


@pytest.mark.parametrize(
    ("fields", "hours", "why"),
    [
        ({"billing_mode": BillingMode.MONTHLY}, 1, Refusal.SUBSCRIPTION),
        ({"protected": True}, 1, Refusal.PROTECTED),
        ({"held_at": "now", "hold_reason": "case 11"}, 1, Refusal.HELD),
        ({"created_at": "now"}, 1, Refusal.TOO_YOUNG),
        ({"created_at": "now", "billing_mode": BillingMode.SPOT}, 1, Refusal.TOO_YOUNG),
        ({}, 0, Refusal.PASSED),
    ],
)
def test_why_not_is_said_as_of_any_delete(alice, make_instance, now, fields, hours, why):
    make_instance(**{name: now if value == "now" else value for name, value in fields.items()})

    outcome = actions.schedule_deletion(
        ALL, delete_at=now + hours * HOUR, context=acting(alice, now)
    )

    assert refusals(outcome) == [why]


@pytest.mark.parametrize("verb", ["protect", "hold"])
def test_a_protection_or_a_hold_suspends_it_and_leaves_some_time_when_it_ends(
    alice, make_instance, now, verb
):
    make_instance(delete_at=now + HOUR)
    getattr(actions, verb)(ALL, context=acting(alice, now, reason="case 11"))
    assert sweep(now + 2 * HOUR).done == []

    later = now + 2 * HOUR
    getattr(actions, f"un{verb}")(ALL, context=acting(alice, later))

    assert sweep(later + GRACE - timedelta(seconds=1)).done == []
    assert len(sweep(later + GRACE).done) == 1


def test_what_fails_waits_aside_and_after_many_tries_for_a_person(
    settings, caplog, make_instance, now
):
    caplog.set_level("CRITICAL", logger="recycle")
    settings.PURGE_ATTEMPTS = 2
    bad, good = (make_instance(delete_at=now - HOUR) for _ in range(2))
    Poison([bad])

    sweep(now)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.attempts, bad.retry_at, good.state) == (1, now + HOUR / 60, State.RECYCLED)
    sweep(now + HOUR)

    bad.refresh_from_db()
    assert bad.quarantined_at == now + HOUR
    assert Event.objects.filter(action=Action.QUARANTINE, instance_id=bad.pk).exists()


def test_a_restored_one_is_not_deleted_again(alice, make_instance, now):
    make_instance(State.RECYCLED, delete_at=now - HOUR)

    actions.restore(ALL, context=acting(alice, now))

    assert sweep(now).done == []


def test_a_pass_with_nothing_to_do_asks_once_for_instances(make_instance, now):
    make_instance()
    make_instance(delete_at=now + HOUR)

    with CaptureQueriesContext(connection) as queries:
        sweep(now)

    asked = [each["sql"] for each in queries if "recycle_instance" in each["sql"]]
    assert len(asked) == 1


# --- Pages ----------------------------------------------------------------------------------------


def test_the_dialog_sets_it_in_the_zone_of_who_asks_and_list_and_page_count_down(
    client, oscar, make_instance
):
    client.force_login(oscar)
    client.cookies["tz"] = "Asia/Shanghai"
    instance = make_instance()
    moment = timezone.now() + timedelta(days=2)
    typed = moment.astimezone(timezone.get_fixed_timezone(480)).strftime("%Y-%m-%dT%H:%M")

    asked = client.get(reverse("recycle:schedule"), {"ids": [instance.pk]}, headers=HTMX)
    send(client, "schedule", instance, delete_at=typed)

    assert "Will be deleted at that moment" in asked.text
    instance.refresh_from_db()
    assert instance.delete_at == moment.replace(second=0, microsecond=0)
    for page in (reverse("recycle:instances"), reverse("recycle:instance", args=[instance.pk])):
        shown = client.get(page).text
        assert "Scheduled deletion" in shown
        assert "data-ends" in shown
    send(client, "unschedule", instance)
    instance.refresh_from_db()
    assert instance.delete_at is None


@pytest.mark.parametrize("typed", ["", "yesterday", "2020-01-01T00:00", "2999-01-01T00:00"])
def test_a_moment_that_cannot_be_is_told_in_the_dialog(client, oscar, make_instance, typed):
    client.force_login(oscar)
    instance = make_instance()

    answer = send(client, "schedule", instance, delete_at=typed)

    assert answer.status_code == 422
    assert 'class="errorlist"' in answer.text
    assert the_one().delete_at is None


# --- Races, and real processes --------------------------------------------------------------------

on_postgres = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
]


def marked(test):
    for mark in on_postgres:
        test = mark(test)
    return test


@marked
def test_a_cancellation_that_came_first_keeps_it_and_the_schedule_passes_over(
    threads, alice, make_instance, now
):
    make_instance(delete_at=now)
    with nobody_writes_events():
        cancel = threads.go(actions.cancel_deletion, ALL, context=acting(alice, now))
        threads.wait_until_blocked(1)
        [swept] = result(threads.go(sweep, now))

    [cancelled] = result(cancel)

    assert (len(cancelled.done), swept.done, sweep(now).done) == (1, [], [])
    assert the_one().state == State.ACTIVE


@marked
def test_a_cancellation_that_comes_second_is_told_that_it_lies_in_the_bin(
    threads, alice, make_instance, now
):
    instance = make_instance(delete_at=now)
    with nobody_writes_events():
        swept = threads.go(sweep, now)
        threads.wait_until_blocked(1)
        cancel = threads.go(actions.cancel_deletion, ALL, context=acting(alice, now))
        threads.wait_until_blocked(2)

    swept, cancelled = result(swept, cancel)

    assert (done(swept), refusals(cancelled)) == ([instance.pk], [Refusal.IN_BIN])
    assert the_one().state == State.RECYCLED


@marked
@pytest.mark.slow
def test_a_real_worker_and_beat_carry_it_out(start_at, make_instance, tmp_path):
    binned = make_instance(delete_at=timezone.now() - HOUR)
    spot = make_instance(State.ACTIVE, BillingMode.SPOT, delete_at=timezone.now() - HOUR)
    later = make_instance(delete_at=timezone.now() + HOUR)

    start_at(0, "worker", "--pool", "solo")
    start_at(0, "beat", "--schedule", str(tmp_path / "schedule"), "--pidfile=")

    ended = {binned.pk: State.RECYCLED, spot.pk: State.PURGED, later.pk: State.ACTIVE}
    wait_until(
        lambda: dict(Instance.objects.values_list("pk", "state")) == ended,
        (tmp_path / "worker.log").read_text,
    )
