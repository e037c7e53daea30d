"""What happens by itself: run twice, late, and over rows that the database rejects."""

import inspect
import logging
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection, transaction

from recycle import actions, tasks
from recycle.actions import claim, schedule
from recycle.actions import move as moving
from recycle.lifecycle import State
from recycle.models import ElasticIP, Event, Instance, InstanceTag, RealServer, Sweep, Tag, Volume
from recycle.policy import BillingMode
from tests.conftest import acting
from tests.poison import Poison

pytestmark = [pytest.mark.django_db, pytest.mark.both]

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def make_due(make_instance, now):
    """An instance in the bin whose time is over for so long."""

    def make(overdue=timedelta(0), **fields):
        return make_instance(
            State.RECYCLED, recycled_at=now - overdue - 2 * HOUR, purge_at=now - overdue, **fields
        )

    return make


@pytest.fixture
def make_run_out(make_instance, now):
    """A subscription that ran out so long ago."""

    def make(overdue=timedelta(0), **fields):
        return make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now - overdue, **fields)

    return make


@pytest.fixture
def quiet(caplog):
    """The log of a failure is wanted, but not on the screen."""
    caplog.set_level(logging.CRITICAL, logger="recycle")
    return caplog


def state_of(instance):
    return Instance.objects.get(pk=instance.pk).state


def everything():
    """All that the schedule could change, but for its heartbeat."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Instance, Event, ElasticIP, Volume, RealServer, InstanceTag)
    ]


# --- Twice, late, in order ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheduled",
    [actions.purge_due, actions.expire_due, actions.delete_due, actions.forget_tombstones],
)
def test_a_second_pass_changes_nothing(scheduled, make_instance, make_due, make_run_out, bind, now):
    for make in (make_due, make_run_out):
        bind(make())
    bind(make_instance(State.EXPIRED, expires_at=now - 8 * DAY, purge_at=now - DAY))
    make_instance(State.PURGED, purged_at=now - 91 * DAY)
    bind(make_instance(delete_at=now - DAY))
    before = everything()
    scheduled(context=acting(None, now))
    once = everything()

    scheduled(context=acting(None, now))

    assert once != before
    assert everything() == once


def test_a_purge_of_an_expired_subscription_lets_its_relationships_go(make_instance, bind, now):
    expired = make_instance(State.EXPIRED, expires_at=now - 8 * DAY, purge_at=now - DAY)
    bind(expired)

    outcome = actions.purge_due(context=acting(None, now))

    assert [done.id for done in outcome.done] == [expired.pk]
    assert not RealServer.objects.exists()
    assert not InstanceTag.objects.exists()
    assert ElasticIP.objects.get().instance is None
    assert [(volume.name, volume.instance) for volume in Volume.objects.all()] == [("data", None)]
    assert {kind: len(listed) for kind, listed in Event.objects.get().detail.items()} == {
        "eips": 1, "volumes": 2, "real_servers": 1, "tags": 1,
    }  # fmt: skip


def test_an_expiry_stops_it_keeps_its_relationships_and_counts_seven_days_from_expiry(
    make_run_out, bind, now
):
    late = make_run_out(overdue=2 * DAY)
    bind(late)
    bound = everything()[2:]

    actions.expire_due(context=acting(None, now))

    late.refresh_from_db()
    assert (late.state, late.purge_at) == (State.EXPIRED, now + 5 * DAY)
    assert everything()[2:] == bound


def test_a_backlog_is_worked_off_in_bounded_batches_longest_overdue_first(
    monkeypatch, make_due, now
):
    monkeypatch.setattr(claim, "CHUNK", 2)
    backlog = [make_due(overdue=HOUR * hours) for hours in (3, 9, 1, 7, 5, 8, 2, 6, 4)]
    order = [instance.pk for instance in sorted(backlog, key=lambda instance: instance.purge_at)]

    passes = [
        {done.id for done in actions.purge_due(limit=4, context=acting(None, now)).done}
        for _ in range(4)
    ]

    assert passes == [set(order[:4]), set(order[4:8]), set(order[8:]), set()]
    assert Event.objects.count() == len(backlog)


def test_subscriptions_expire_in_bounded_batches_longest_overdue_first(make_run_out, now):
    backlog = [make_run_out(overdue=HOUR * hours) for hours in (2, 3, 1)]
    order = [instance.pk for instance in sorted(backlog, key=lambda instance: instance.expires_at)]

    passes = [
        {done.id for done in actions.expire_due(limit=2, context=acting(None, now)).done}
        for _ in range(3)
    ]

    assert passes == [set(order[:2]), set(order[2:]), set()]


@pytest.mark.parametrize(
    "scheduled",
    [actions.purge_due, actions.expire_due, actions.delete_due, actions.forget_tombstones],
)
def test_no_pass_is_without_bounds(scheduled):
    limit = inspect.signature(scheduled).parameters["limit"].default

    assert 0 < limit <= 100_000


def test_a_pass_over_many_chunks_does_all_of_them_once(monkeypatch, make_due, now):
    monkeypatch.setattr(claim, "CHUNK", 3)
    due = [make_due() for _ in range(8)]

    outcome = actions.purge_due(context=acting(None, now))

    assert sorted(done.id for done in outcome.done) == sorted(instance.pk for instance in due)
    assert set(Event.objects.values_list("batch", flat=True)) == {outcome.batch}


def test_a_moment_before_its_end_nothing_is_due(make_due, make_run_out, now):
    due, run_out = make_due(), make_run_out()

    actions.purge_due(context=acting(None, now - timedelta(microseconds=1)))
    actions.expire_due(context=acting(None, now - timedelta(microseconds=1)))

    assert (state_of(due), state_of(run_out)) == (State.RECYCLED, State.ACTIVE)


@pytest.fixture
def unchecked(db):
    """The rule that ties times to states is off, as if it had never been."""

    def lift():
        connection.check_constraints()
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "ALTER TABLE recycle_instance DROP CONSTRAINT instance_bin_times_follow_state"
                )
            else:
                cursor.execute("PRAGMA ignore_check_constraints = ON")

    yield lift
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA ignore_check_constraints = OFF")


@pytest.mark.parametrize("state", [State.RECYCLED, State.EXPIRED])
def test_a_missing_deadline_means_never(unchecked, make_instance, now, state):
    instance = make_instance(state)
    unchecked()
    Instance.objects.update(purge_at=None)

    outcome = actions.purge_due(context=acting(None, now + 1000 * DAY))

    assert (outcome.done, outcome.failed) == ([], [])
    assert state_of(instance) == state


# --- A row that the database rejects --------------------------------------------------------------


def test_a_poisoned_row_waits_and_neither_holds_up_nor_rolls_back_its_neighbours(
    quiet, make_due, bind, now
):
    first, bad, last = (make_due(overdue=hours * HOUR) for hours in (3, 2, 1))
    Poison([bad])

    outcome = actions.purge_due(context=acting(None, now))

    bad.refresh_from_db()
    assert {done.id for done in outcome.done} == {first.pk, last.pk}
    assert [failed.id for failed in outcome.failed] == [bad.pk]
    assert (state_of(first), state_of(last)) == (State.PURGED, State.PURGED)
    assert (bad.state, bad.attempts, bad.retry_at, bad.last_error) == (
        State.RECYCLED,
        1,
        now + MINUTE,
        bad.last_error,
    )
    assert "poisoned" in bad.last_error
    assert Event.objects.count() == 2
    assert set(Event.objects.values_list("instance_id", flat=True)) == {first.pk, last.pk}


def test_a_poisoned_subscription_waits_as_well(quiet, make_run_out, now):
    bad, good = make_run_out(overdue=HOUR), make_run_out()
    Poison([bad])

    outcome = actions.expire_due(context=acting(None, now))

    bad.refresh_from_db()
    assert [done.id for done in outcome.done] == [good.pk]
    assert (bad.state, bad.attempts, bad.retry_at) == (State.ACTIVE, 1, now + MINUTE)


def test_what_failed_keeps_what_is_bound_to_it(quiet, make_instance, bind, now):
    expired = make_instance(State.EXPIRED, expires_at=now - 8 * DAY, purge_at=now - DAY)
    bind(expired)
    before = everything()[1:]
    Poison([expired])

    actions.purge_due(context=acting(None, now))

    assert everything()[1:] == before


def test_the_wait_doubles_from_a_minute_to_a_day(quiet, settings, make_due, now):
    settings.PURGE_ATTEMPTS = 100
    bad = make_due()
    Poison([bad])
    waits = []
    for attempt in range(1, 15):
        actions.purge_due(context=acting(None, now))
        bad.refresh_from_db()
        assert bad.attempts == attempt
        waits.append(bad.retry_at - now)
        now = bad.retry_at

    assert waits == [min(MINUTE * 2**power, DAY) for power in range(14)]
    assert waits[-1] == DAY


def test_a_row_that_waits_is_left_alone_until_its_next_try(quiet, make_due, now):
    bad = make_due()
    Poison([bad])
    actions.purge_due(context=acting(None, now))

    outcome = actions.purge_due(context=acting(None, now + MINUTE - timedelta(microseconds=1)))

    assert (outcome.done, outcome.failed) == ([], [])
    assert Instance.objects.get().attempts == 1


def test_a_retry_succeeds_once_the_trouble_is_over(quiet, make_due, now):
    bad = make_due()
    poison = Poison([bad])
    actions.purge_due(context=acting(None, now))
    poison.lift()

    outcome = actions.purge_due(context=acting(None, now + MINUTE))

    bad.refresh_from_db()
    assert [done.id for done in outcome.done] == [bad.pk]
    assert (bad.state, bad.retry_at) == (State.PURGED, None)
    assert Event.objects.get().instance_id == bad.pk


def test_many_poisoned_rows_in_front_do_not_starve_the_rest(quiet, make_due, now):
    bad = [make_due(overdue=HOUR) for _ in range(5)]
    good = [make_due() for _ in range(5)]
    Poison(bad)

    passes = [actions.purge_due(limit=3, context=acting(None, now)) for _ in range(4)]

    assert sum(len(each.failed) for each in passes) == len(bad)
    assert {done.id for each in passes for done in each.done} == {instance.pk for instance in good}


def test_a_row_that_cannot_even_be_marked_holds_up_nobody(quiet, make_due, now):
    bad, good = make_due(overdue=HOUR), make_due()
    Poison([bad], event="UPDATE")

    outcome = actions.purge_due(context=acting(None, now))

    assert [done.id for done in outcome.done] == [good.pk]
    assert [failed.id for failed in outcome.failed] == [bad.pk]
    assert Sweep.objects.get(name="purge_due").failed == 1


def test_what_is_asked_for_by_a_person_fails_for_the_poisoned_row_alone(
    quiet, alice, make_instance, bind, now
):
    bad, good = make_instance(), make_instance()
    for instance in (bad, good):
        bind(instance)
    Poison([bad])

    outcome = actions.delete(Instance.objects.all(), may_release=False, context=acting(alice, now))

    bad.refresh_from_db()
    assert [failed.id for failed in outcome.failed] == [bad.pk]
    assert [done.id for done in outcome.done] == [good.pk]
    assert (bad.state, bad.attempts, bad.elastic_ips.count(), bad.volumes.count()) == (
        State.ACTIVE,
        0,
        1,
        2,
    )


# --- Tombstones -----------------------------------------------------------------------------------


def test_tombstones_are_forgotten_and_their_events_stay_with_name_and_id(make_due, now):
    instance = make_due(name="db-primary")
    actions.purge_due(context=acting(None, now))

    forgotten = actions.forget_tombstones(context=acting(None, now + 91 * DAY))

    event = Event.objects.get()
    assert [each.id for each in forgotten.done] == [instance.pk]
    assert not Instance.objects.exists()
    assert (event.instance_id, event.instance_name, event.action) == (
        instance.pk,
        "db-primary",
        "purge",
    )


@pytest.mark.parametrize(("days", "left"), [(30, 0), (31, 1)])
def test_a_tombstone_is_kept_for_as_long_as_it_is_set(settings, make_instance, now, days, left):
    settings.TOMBSTONE_DAYS = days
    make_instance(State.PURGED, purged_at=now - timedelta(days=30, seconds=1))

    actions.forget_tombstones(context=acting(None, now))

    assert Instance.objects.count() == left


def test_only_tombstones_are_forgotten(make_instance, make_due, now):
    for state in (State.ACTIVE, State.STOPPED, State.EXPIRED, State.RECYCLED):
        make_instance(state, now=now - 400 * DAY)

    assert actions.forget_tombstones(context=acting(None, now)).done == []
    assert Instance.objects.count() == 4


def test_tombstones_are_forgotten_in_bounded_batches_oldest_first(monkeypatch, make_instance, now):
    monkeypatch.setattr(claim, "CHUNK", 2)
    stones = [
        make_instance(State.PURGED, purged_at=now - DAY * days) for days in (95, 93, 97, 94, 96)
    ]
    oldest = sorted(stones, key=lambda stone: stone.purged_at)

    forgotten = actions.forget_tombstones(limit=3, context=acting(None, now))

    assert len(forgotten.done) == 3
    assert set(Instance.objects.values_list("pk", flat=True)) == {stone.pk for stone in oldest[3:]}


def test_a_tombstone_that_cannot_be_forgotten_waits_and_holds_up_nobody(quiet, make_instance, now):
    bad, *good = (make_instance(State.PURGED, purged_at=now - DAY * days) for days in (97, 96, 95))
    Poison([bad], event="DELETE")

    forgotten = actions.forget_tombstones(context=acting(None, now))

    left = Instance.objects.get()
    assert len(forgotten.done) == len(good)
    assert (left, left.attempts, left.retry_at) == (bad, 1, now + MINUTE)
    assert Sweep.objects.get(name="forget_tombstones").failed == 1


# --- Heartbeat, tasks, schedule -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["purge_due", "expire_due", "delete_due", "forget_tombstones"])
def test_every_pass_says_that_it_came_by_even_with_nothing_to_do(name, now):
    scheduled = getattr(actions, name)
    scheduled(context=acting(None, now - MINUTE))

    scheduled(context=acting(None, now))

    heartbeat = Sweep.objects.get()
    assert (heartbeat.name, heartbeat.ran_at, heartbeat.done, heartbeat.failed) == (name, now, 0, 0)


def test_the_heartbeat_counts_what_was_done_and_what_failed(quiet, make_due, now):
    bad = make_due()
    make_due()
    make_due()
    Poison([bad])

    actions.purge_due(context=acting(None, now))

    heartbeat = Sweep.objects.get(name="purge_due")
    assert (heartbeat.done, heartbeat.failed) == (2, 1)


def test_a_sweep_is_late_when_it_has_not_come_by_for_a_while(settings, now):
    settings.SWEEP_LATE_AFTER = 60
    sweep = Sweep(name="purge_due", ran_at=now)

    assert not sweep.is_late(now + timedelta(seconds=60))
    assert sweep.is_late(now + timedelta(seconds=61))


def test_a_pass_that_breaks_off_leaves_no_heartbeat(monkeypatch, make_due, now):
    make_due()

    def broken(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(schedule, "work_off", broken)

    with pytest.raises(RuntimeError):
        actions.purge_due(context=acting(None, now))

    assert not Sweep.objects.exists()


@pytest.mark.parametrize(
    ("task", "before", "after"),
    [
        (tasks.purge_due, State.RECYCLED, State.PURGED),
        (tasks.expire_due, State.ACTIVE, State.EXPIRED),
        (tasks.delete_due, State.STOPPED, State.RECYCLED),
        (tasks.forget_tombstones, State.PURGED, None),
    ],
)
def test_a_task_run_twice_is_a_task_run_once(task, before, after, make_instance, now):
    times = {
        State.RECYCLED: {"recycled_at": now - 3 * HOUR, "purge_at": now - HOUR},
        State.ACTIVE: {"billing_mode": BillingMode.MONTHLY, "expires_at": now - HOUR},
        State.STOPPED: {"delete_at": now - HOUR},
        State.PURGED: {"purged_at": now - 100 * DAY},
    }
    instance = make_instance(before, **times[before])

    task()
    task()

    assert list(Instance.objects.values_list("pk", "state")) == (
        [(instance.pk, after)] if after else []
    )
    assert Event.objects.count() == (1 if after else 0)


def test_every_schedule_entry_names_a_task_there_is_and_its_rhythm():
    entries: dict[str, dict[str, Any]] = dict(settings.CELERY_BEAT_SCHEDULE)

    assert {entry["task"] for entry in entries.values()} == {
        "recycle.tasks.purge_due", "recycle.tasks.expire_due", "recycle.tasks.forget_tombstones",
        "recycle.tasks.delete_due",
        "recycle.tasks.clear_sessions", "recycle.tasks.carry_out_jobs",
    }  # fmt: skip
    for name, entry in entries.items():
        module, _, task = entry["task"].rpartition(".")
        assert getattr(import_module(module), task).name == entry["task"]
        # Somebody is waiting for a job.
        assert entry["schedule"] == (2 if task == "carry_out_jobs" else 10)
        # When something expires, a machine says by its clock and another one asks by its own.
        assert "options" not in entry
        assert name == f"every-{entry['schedule']:.0f}-seconds-{task.replace('_', '-')}"


def test_a_lost_task_comes_back_only_after_the_time_it_may_take():
    assert settings.CELERY_TASK_ACKS_LATE
    assert settings.CELERY_TASK_REJECT_ON_WORKER_LOST
    assert (
        settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
        > settings.CELERY_TASK_TIME_LIMIT
    )


# --- SQL of our own -------------------------------------------------------------------------------


def test_among_takes_none_one_and_very_many_ids(make_instance):
    instance = make_instance()
    strangers = [UUID(int=number) for number in range(1, 40_000)]

    assert not Instance.objects.filter(pk__among=[]).exists()
    assert Instance.objects.get(pk__among=[instance.pk]) == instance
    assert Instance.objects.get(pk__among=[*strangers, instance.pk]) == instance


def test_a_batch_that_changes_each_row_in_its_own_way_still_writes_all(
    alice, make_run_out, make_instance, now
):
    """More different new values than are written with an UPDATE each."""
    expired = [
        make_instance(
            State.ACTIVE, BillingMode.MONTHLY, expires_at=now + DAY * days, name=f"s-{days}"
        )
        for days in range(moving.ALIKE + 4)
    ]

    with transaction.atomic():
        outcome = actions.renew(Instance.objects.all(), months=1, context=acting(alice, now))

    assert len(outcome.done) == len(expired)
    ends = list(Instance.objects.order_by("expires_at").values_list("expires_at", flat=True))
    assert len(set(ends)) == len(expired)
    assert all(end > now + 27 * DAY for end in ends)


def test_an_instance_that_a_join_names_twice_is_worked_on_once(alice, account, make_instance, now):
    instance = make_instance()
    for key in ("env", "team"):
        InstanceTag.objects.create(
            instance=instance, tag=Tag.objects.create(account=account, key=key)
        )
    named_twice = Instance.objects.filter(instance_tags__tag__key__in=["env", "team"])

    outcome = actions.stop(named_twice, context=acting(alice, now))

    assert [done.id for done in outcome.done] == [instance.pk]
    assert Event.objects.count() == 1


def test_an_event_tells_of_relationships_in_one_way_on_either_database(
    alice, make_instance, bind, now
):
    instance = make_instance()
    bind(instance)
    ids = {
        str(pk)
        for model in (ElasticIP, RealServer, Volume)
        for pk in model.objects.values_list("pk", flat=True)
    }
    behind = RealServer.objects.select_related("listener").get().listener

    actions.delete(Instance.objects.all(), may_release=False, context=acting(alice, now))

    told = Event.objects.get().detail
    assert {row["id"] for kind in ("eips", "volumes", "real_servers") for row in told[kind]} == ids
    assert told["real_servers"][0]["listener"] == str(behind.pk)
    assert told["real_servers"][0]["load_balancer"] == str(behind.load_balancer_id)
    goes = {volume["name"]: volume["delete_with_instance"] for volume in told["volumes"]}
    assert goes["scratch"] is True
    assert goes["data"] is False
