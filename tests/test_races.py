"""Two at once, with real threads and real row locks. Gates, not sleeps, see to it that
they meet.
"""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from recycle import actions
from recycle.actions import claim
from recycle.actions import move as moving
from recycle.lifecycle import State
from recycle.models import Event, Instance, RealServer, Sweep, User, Volume
from recycle.policy import BillingMode, Refusal
from tests.conftest import SUBNET, acting
from tests.threads import PATIENCE, done, held, nobody_writes_events, refusals, result

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
]

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


# --- Restore against purge ------------------------------------------------------------------------


def test_a_sweep_that_came_first_wins_over_a_restore_that_read_before(threads, alice, recycled):
    end = recycled.purge_at
    with nobody_writes_events():
        sweep = threads.go(actions.purge_due, context=acting(None, end))
        threads.wait_until_blocked(1)
        restore = threads.go(actions.restore, only(recycled), context=acting(alice, end - MOMENT))
        threads.wait_until_blocked(2)

    swept, restored = result(sweep, restore)

    assert (done(swept), done(restored), refusals(restored)) == ([recycled.pk], [], [Refusal.GONE])
    assert only(recycled).get().state == State.PURGED
    assert Event.objects.get().action == "purge"


def test_a_restore_that_came_first_wins_and_the_sweep_passes_over(threads, alice, recycled):
    end = recycled.purge_at
    with nobody_writes_events():
        restore = threads.go(actions.restore, only(recycled), context=acting(alice, end - MOMENT))
        threads.wait_until_blocked(1)
        [swept] = result(threads.go(actions.purge_due, context=acting(None, end)))

    [restored] = result(restore)

    assert (done(swept), done(restored)) == ([], [recycled.pk])
    assert only(recycled).get().state == State.STOPPED
    assert actions.purge_due(context=acting(None, end + HOUR)).done == []
    assert Event.objects.get().action == "restore"


def test_a_restore_against_a_purge_by_hand_has_one_winner(threads, alice, recycled):
    with held(recycled):
        purge = threads.go(actions.purge, only(recycled), context=acting(alice))
        restore = threads.go(actions.restore, only(recycled), context=acting(alice))
        threads.wait_until_blocked(2)

    outcomes = result(purge, restore)

    assert done(*outcomes) == [recycled.pk]
    assert refusals(*outcomes) in ([Refusal.GONE], [Refusal.STOPPED])
    assert Event.objects.get().to_state == only(recycled).get().state


def test_many_restores_and_sweeps_let_loose_at_the_deadline_have_one_winner_each(
    threads, alice, make_instance, now
):
    end = now + HOUR
    rows = [
        make_instance(State.RECYCLED, recycled_at=end - 2 * HOUR, purge_at=end) for _ in range(40)
    ]
    start = threading.Barrier(4)

    def at_once(call, **options):
        start.wait(PATIENCE)
        return call(**options)

    def restore(half):
        named = Instance.objects.filter(pk__in=[row.pk for row in rows[half::2]])
        start.wait(PATIENCE)
        return actions.restore(named, context=acting(User.objects.get(pk=alice.pk), end - MOMENT))

    outcomes = result(
        threads.go(restore, 0),
        threads.go(at_once, actions.purge_due, context=acting(None, end)),
        threads.go(restore, 1),
        threads.go(at_once, actions.purge_due, context=acting(None, end)),
    )

    assert sorted(done(*outcomes)) == sorted(row.pk for row in rows)
    assert sorted(Event.objects.values_list("instance_id", "to_state")) == sorted(
        Instance.objects.values_list("pk", "state")
    )


# --- Delete and start -----------------------------------------------------------------------------


def test_a_start_that_read_before_a_delete_is_refused(threads, alice, make_instance, bind):
    stopped = make_instance(State.STOPPED)
    bind(stopped)
    with nobody_writes_events():
        delete = threads.go(actions.delete, only(stopped), may_release=False, context=acting(alice))
        threads.wait_until_blocked(1)
        start = threads.go(actions.start, only(stopped), context=acting(alice))
        threads.wait_until_blocked(2)

    deleted, started = result(delete, start)

    assert (done(deleted), done(started), refusals(started)) == ([stopped.pk], [], [Refusal.IN_BIN])
    assert only(stopped).get().state == State.RECYCLED
    assert Event.objects.get().action == "recycle"


def test_a_delete_that_read_before_a_start_says_from_where_it_took_it(
    threads, alice, make_instance
):
    stopped = make_instance(State.STOPPED)
    with nobody_writes_events():
        start = threads.go(actions.start, only(stopped), context=acting(alice))
        threads.wait_until_blocked(1)
        delete = threads.go(actions.delete, only(stopped), may_release=False, context=acting(alice))
        threads.wait_until_blocked(2)

    result(start, delete)

    assert list(Event.objects.order_by("id").values_list("from_state", "to_state")) == [
        ("stopped", "active"), ("active", "recycled"),
    ]  # fmt: skip


def test_of_a_delete_and_a_start_let_loose_together_the_log_tells_one_story(
    threads, alice, make_instance
):
    stopped = make_instance(State.STOPPED)
    with held(stopped):
        start = threads.go(actions.start, only(stopped), context=acting(alice))
        delete = threads.go(actions.delete, only(stopped), may_release=False, context=acting(alice))
        threads.wait_until_blocked(2)

    result(start, delete)

    moves = list(Event.objects.order_by("id").values_list("from_state", "to_state"))
    assert moves in ([("stopped", "recycled")], [("stopped", "active"), ("active", "recycled")])
    assert only(stopped).get().state == State.RECYCLED


@pytest.mark.parametrize("billing_mode", [BillingMode.DAILY, BillingMode.HOURLY])
def test_of_two_deletes_one_wins_and_cancels_once(
    threads, alice, make_instance, bind, billing_mode
):
    instance = make_instance(billing_mode=billing_mode)
    bind(instance)
    with held(instance):
        deletes = [
            threads.go(actions.delete, only(instance), may_release=True, context=acting(alice))
            for _ in range(2)
        ]
        threads.wait_until_blocked(2)

    outcomes = result(*deletes)

    assert done(*outcomes) == [instance.pk]
    assert refusals(*outcomes) == [
        Refusal.IN_BIN if billing_mode == BillingMode.DAILY else Refusal.GONE
    ]
    assert len(Event.objects.get().detail["volumes"]) == 2
    assert not RealServer.objects.exists()


def test_of_two_restores_one_wins(threads, alice, recycled):
    with held(recycled):
        restores = [
            threads.go(actions.restore, only(recycled), context=acting(alice)) for _ in range(2)
        ]
        threads.wait_until_blocked(2)

    outcomes = result(*restores)

    assert done(*outcomes) == [recycled.pk]
    assert refusals(*outcomes) == [Refusal.STOPPED]
    assert Event.objects.count() == 1


def test_what_left_the_question_meanwhile_is_refused_as_changed(threads, alice, recycled):
    """The caller asked for what is in the bin; under the lock it no longer is."""
    in_bin = Instance.objects.in_bin()
    with nobody_writes_events():
        restore = threads.go(actions.restore, only(recycled), context=acting(alice))
        threads.wait_until_blocked(1)
        purge = threads.go(actions.purge, in_bin, context=acting(alice))
        threads.wait_until_blocked(2)

    restored, purged = result(restore, purge)

    assert (done(restored), done(purged), refusals(purged)) == (
        [recycled.pk],
        [],
        [Refusal.CHANGED],
    )
    assert only(recycled).get().state == State.STOPPED


# --- Renew against expiry -------------------------------------------------------------------------


def test_a_renewal_that_came_first_keeps_a_subscription_from_expiring(
    threads, alice, make_instance, now
):
    subscription = make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now)
    with nobody_writes_events():
        renew = threads.go(actions.renew, only(subscription), months=1, context=acting(alice, now))
        threads.wait_until_blocked(1)
        [expired] = result(threads.go(actions.expire_due, context=acting(None, now)))

    result(renew)

    assert done(expired) == []
    assert actions.expire_due(context=acting(None, now)).done == []
    assert only(subscription).get().state == State.ACTIVE


# --- Batches --------------------------------------------------------------------------------------


def test_two_batches_that_name_the_same_in_opposite_order_do_not_deadlock(
    threads, alice, make_instance, bind
):
    rows = [make_instance(name=f"row-{number:03}") for number in range(60)]
    for row in rows[::10]:
        bind(row)
    middle = sorted(rows, key=lambda row: row.pk)[30]
    with held(middle):
        # Each would hold its half and wait for the middle, then want the other's half.
        forward = threads.go(
            actions.delete,
            Instance.objects.order_by("pk"),
            may_release=False,
            context=acting(alice),
        )
        backward = threads.go(
            actions.delete,
            Instance.objects.order_by("-pk"),
            may_release=False,
            context=acting(alice),
        )
        threads.wait_until_blocked(2)

    outcomes = result(forward, backward)

    assert sorted(done(*outcomes)) == sorted(row.pk for row in rows)
    assert Counter(refusals(*outcomes)) == {Refusal.IN_BIN: len(rows)}
    assert Event.objects.count() == len(rows)


def test_two_batches_in_small_chunks_and_opposite_order_do_not_deadlock(
    threads, monkeypatch, alice, make_instance
):
    monkeypatch.setattr(moving, "CHUNK", 7)
    rows = [make_instance() for _ in range(40)]
    start = threading.Barrier(2)

    def delete(order):
        start.wait(PATIENCE)
        return actions.delete(
            Instance.objects.order_by(order), may_release=False, context=acting(alice)
        )

    outcomes = result(threads.go(delete, "pk"), threads.go(delete, "-pk"))

    assert sorted(done(*outcomes)) == sorted(row.pk for row in rows)
    assert Event.objects.count() == len(rows)


# --- Sweeps ---------------------------------------------------------------------------------------


@pytest.fixture
def three_thousand_due(account, zone, instance_type, now):
    times = {
        "created_at": now - 9 * HOUR,
        "changed_at": now - 3 * HOUR,
        "recycled_at": now - 3 * HOUR,
    }
    Instance.objects.bulk_create(
        Instance(
            account=account,
            zone=zone,
            instance_type=instance_type,
            name=f"due-{number}",
            state=State.RECYCLED,
            billing_mode=BillingMode.DAILY,
            private_ip=f"10.30.{number >> 8}.{number & 255}",
            subnet_id=SUBNET,
            purge_at=now - HOUR + timedelta(seconds=number),
            **times,
        )
        for number in range(3_000)
    )


def test_three_sweeps_at_once_share_three_thousand_and_purge_each_once(
    threads, three_thousand_due, now
):
    with nobody_writes_events():
        # Each has locked rows of its own, passing over those of the others, before any has written.
        sweeps = [threads.go(actions.purge_due, context=acting(None, now)) for _ in range(3)]
        threads.wait_until_blocked(3)

    outcomes = result(*sweeps)

    assert all(outcome.done for outcome in outcomes)
    assert len(done(*outcomes)) == len(set(done(*outcomes))) == 3_000
    assert (refusals(*outcomes), [outcome.failed for outcome in outcomes]) == ([], [[], [], []])
    assert Instance.objects.filter(state=State.PURGED).count() == 3_000
    assert Event.objects.values("instance_id").distinct().count() == Event.objects.count() == 3_000


def test_three_sweeps_let_loose_together_purge_each_once(
    threads, monkeypatch, three_thousand_due, now
):
    monkeypatch.setattr(claim, "CHUNK", 100)
    start = threading.Barrier(3)

    def sweep():
        start.wait(PATIENCE)
        return actions.purge_due(context=acting(None, now))

    outcomes = result(*(threads.go(sweep) for _ in range(3)))

    assert len(done(*outcomes)) == len(set(done(*outcomes))) == 3_000
    assert Event.objects.values("instance_id").distinct().count() == Event.objects.count() == 3_000
    assert Sweep.objects.filter(name="purge_due").count() == 1


def test_of_a_sweep_that_dies_in_a_chunk_nothing_is_left_and_another_goes_on(
    threads, three_thousand_due, now
):
    actions.purge_due(context=acting(None, now), limit=1_000)
    with nobody_writes_events():
        dying = threads.go(actions.purge_due, context=acting(None, now))
        threads.wait_until_blocked(1)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
    with pytest.raises(OperationalError):
        result(dying)

    [other] = result(threads.go(actions.purge_due, context=acting(None, now)))

    assert len(done(other)) == 2_000
    assert Event.objects.values("instance_id").distinct().count() == Event.objects.count() == 3_000
    assert Instance.objects.filter(state=State.PURGED, attempts=0).count() == 3_000


def test_a_sweep_passes_over_a_row_that_somebody_holds_and_takes_it_the_next_time(
    threads, make_instance, now
):
    due = {"recycled_at": now - 3 * HOUR, "purge_at": now - HOUR}
    taken, free = make_instance(State.RECYCLED, **due), make_instance(State.RECYCLED, **due)
    with held(taken):
        [first] = result(threads.go(actions.purge_due, context=acting(None, now)))

    second = actions.purge_due(context=acting(None, now))

    assert (done(first), refusals(first), first.failed) == ([free.pk], [], [])
    assert done(second) == [taken.pk]
    assert Instance.objects.get(pk=taken.pk).attempts == 0


def test_two_passes_over_the_tombstones_do_not_stand_in_each_others_way(
    threads, make_instance, now
):
    taken, free = (
        make_instance(State.PURGED, purged_at=now - timedelta(days=100)) for _ in range(2)
    )
    with held(taken):
        first = threads.go(actions.forget_tombstones, context=acting(None, now))
        assert [done.id for done in result(first)[0].done] == [free.pk]
        assert not Instance.objects.filter(pk=free.pk).exists()

    second = actions.forget_tombstones(context=acting(None, now))

    assert [done.id for done in second.done] == [taken.pk]
    assert not Instance.objects.exists()


def test_two_sweeps_over_an_expired_subscription_cancel_what_it_had_once(
    threads, make_instance, bind, now
):
    end = {"expires_at": now - timedelta(days=8), "purge_at": now - timedelta(days=1)}
    expired = make_instance(State.EXPIRED, **end)
    bind(expired)
    with nobody_writes_events():
        first = threads.go(actions.purge_due, context=acting(None, now))
        threads.wait_until_blocked(1)
        [second] = result(threads.go(actions.purge_due, context=acting(None, now)))

    outcomes = [*result(first), second]

    assert done(*outcomes) == [expired.pk]
    assert {volume["name"] for volume in Event.objects.get().detail["volumes"]} == {
        "data",
        "scratch",
    }
    assert Volume.objects.get().name == "data"
