"""How passes share a queue, and get past what fails: told in chunks and statements, never in
time.
"""

import logging
import random
import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from recycle import actions
from recycle.actions import claim
from recycle.lifecycle import Action, State
from recycle.models import Event, Instance
from recycle.policy import BillingMode, Role, why_not
from tests.conftest import SUBNET, acting
from tests.poison import Poison

pytestmark = [pytest.mark.django_db, pytest.mark.both]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# What is said once for each chunk that is taken, marked or written.
TAKEN = re.compile(r'^SELECT .*"recycle_instance"."name".* ORDER BY COALESCE')
MARKED = re.compile(r'^UPDATE "recycle_instance" SET .*"attempts" = \("recycle_instance"')
MOVED = re.compile(r'^UPDATE "recycle_instance" SET "state"')
EVENTS = re.compile(r'^INSERT INTO "recycle_event"')
HEARTBEAT = re.compile(r'^INSERT INTO "recycle_sweep"')


@pytest.fixture
def make_due(account, zone, instance_type, now):
    """So many instances in the bin, their time over for so long, one second after the other."""

    def make(count, overdue=HOUR):
        return Instance.objects.bulk_create(
            Instance(
                account=account,
                zone=zone,
                instance_type=instance_type,
                name=f"due-{overdue}-{number}",
                state=State.RECYCLED,
                billing_mode=BillingMode.DAILY,
                private_ip=f"10.30.{int(overdue.total_seconds()) % 250}.{number}",
                subnet_id=SUBNET,
                created_at=now - 90 * HOUR,
                changed_at=now - 80 * HOUR,
                recycled_at=now - 80 * HOUR,
                purge_at=now - overdue + timedelta(seconds=number),
            )
            for number in range(count)
        )

    return make


@pytest.fixture
def quiet(caplog):
    """The log of a failure is wanted, but not on the screen."""
    caplog.set_level(logging.CRITICAL, logger="recycle")
    return caplog


def captured():
    return CaptureQueriesContext(connection)


def said(queries, what):
    return [query["sql"] for query in queries if what.search(query["sql"])]


def states():
    return list(Instance.objects.order_by("purge_at").values_list("state", flat=True))


def test_what_is_due_is_what_the_rules_let_the_schedule_delete(make_instance, now):
    for state in State:
        if state not in (State.RECYCLED, State.EXPIRED):
            make_instance(state)
            continue
        for purge_at in (now - MINUTE, now, now + MINUTE):
            times = {"purge_at": purge_at}
            if state == State.RECYCLED:
                times["recycled_at"] = now - HOUR
            make_instance(state, **times)
            make_instance(state, held_at=now, hold_reason="case", **times)
    make_instance(State.EXPIRED, purge_at=now, protected=True)

    due = set(Instance.objects.due_for_purge(now))

    allowed = {
        instance
        for instance in Instance.objects.all()
        if why_not(Action.PURGE, instance, role=Role.SYSTEM, now=now) is None
    }
    assert due == allowed
    assert len(due) == 4


def test_a_chunk_is_read_once_under_its_locks_and_written_with_one_statement_of_each_kind(
    monkeypatch, make_due, now
):
    monkeypatch.setattr(claim, "CHUNK", 5)
    make_due(15)

    with captured() as queries:
        actions.purge_due(context=acting(None, now))

    # The last finds nothing.
    taken = said(queries, TAKEN)
    assert len(taken) == 4
    if connection.vendor == "postgresql":
        assert all("FOR NO KEY UPDATE" in sql and "SKIP LOCKED" in sql for sql in taken)
    assert len(said(queries, EVENTS)) == 3
    instances = [q["sql"] for q in queries if '"recycle_instance"' in q["sql"]]
    # Taken, moved, and told of in an event, which reads them.
    assert len(instances) == 4 + 3 + 3


def test_every_chunk_is_a_heartbeat(monkeypatch, make_due, now):
    monkeypatch.setattr(claim, "CHUNK", 5)
    monkeypatch.setattr(claim, "BEAT_EVERY", 0)
    make_due(15)

    with captured() as queries:
        actions.purge_due(context=acting(None, now))

    assert len(said(queries, HEARTBEAT)) == 3 + 1


def test_chunks_that_follow_each_other_within_a_second_share_a_heartbeat(
    monkeypatch, make_due, now
):
    monkeypatch.setattr(claim, "CHUNK", 5)
    monkeypatch.setattr(claim, "BEAT_EVERY", 1_000)
    make_due(15)

    with captured() as queries:
        actions.purge_due(context=acting(None, now))

    assert len(said(queries, HEARTBEAT)) == 1


def test_many_rows_that_fail_in_front_are_leapt_over_and_cost_a_few_tries(
    quiet, monkeypatch, make_due, now
):
    monkeypatch.setattr(claim, "CHUNK", 10)
    bad, good = make_due(100, overdue=2 * HOUR), make_due(50)
    Poison(bad)

    with captured() as queries:
        outcome = actions.purge_due(limit=50, context=acting(None, now))

    assert {done.id for done in outcome.done} == {row.pk for row in good}
    # Two chunks are marked, each with one statement and three tries of a single row; the other
    # eight cost one failing statement each.
    assert len(said(queries, MARKED)) == claim.SET_ASIDE
    assert len(outcome.failed) == claim.SET_ASIDE * 10
    assert len(said(queries, TAKEN)) == 10 + 5
    assert Instance.objects.filter(attempts=1, retry_at=now + MINUTE).count() == 20


def test_what_was_set_aside_is_no_longer_in_front(quiet, monkeypatch, make_due, now):
    monkeypatch.setattr(claim, "CHUNK", 10)
    bad = make_due(20, overdue=2 * HOUR)
    Poison(bad)
    actions.purge_due(context=acting(None, now))
    good = make_due(10)

    with captured() as queries:
        outcome = actions.purge_due(context=acting(None, now))

    assert {done.id for done in outcome.done} == {row.pk for row in good}
    assert len(said(queries, TAKEN)) == 2
    assert outcome.failed == []


@pytest.mark.parametrize("where", [[0], [99], [50], [10, 11, 80]])
def test_a_few_bad_rows_are_told_from_the_good_ones_in_a_few_tries(quiet, make_due, now, where):
    rows = make_due(100)
    bad = [rows[number] for number in where]
    Poison(bad)

    with captured() as queries:
        outcome = actions.purge_due(context=acting(None, now))

    assert {failed.id for failed in outcome.failed} == {row.pk for row in bad}
    assert len(outcome.done) == 100 - len(bad)
    assert Instance.objects.filter(attempts__gt=0).count() == len(bad)
    assert len(said(queries, MOVED)) <= 30 * len(bad)


def test_a_pass_tries_no_more_than_it_may_and_the_next_one_goes_on(
    quiet, monkeypatch, make_due, now
):
    monkeypatch.setattr(claim, "TRIES", 3)
    # The first sample has both, good and bad.
    random.seed(3)
    rows = make_due(40)
    Poison(rows[1::2])

    outcome = actions.purge_due(context=acting(None, now))

    waiting = Instance.objects.filter(state=State.RECYCLED)
    assert 0 < len(outcome.done) < 20
    # All that was not done waits for its next try. Good ones are among them: what has not failed
    # for itself is not counted as failed.
    assert not waiting.exclude(retry_at=now + MINUTE).exists()
    assert waiting.filter(attempts=1).count() == len(outcome.failed) < len(waiting)
    for number in range(1, 150):
        actions.purge_due(context=acting(None, now + number * DAY))
    gone = Instance.objects.filter(state=State.PURGED)
    assert {row.pk for row in rows[::2]} == set(gone.values_list("pk", flat=True))


def test_a_pass_takes_no_row_twice_even_where_a_rule_refuses_what_the_query_found(
    monkeypatch, make_due, now
):
    monkeypatch.setattr(claim, "CHUNK", 5)
    make_due(12)
    # As a verb would leave it that forgot what had failed before.
    Instance.objects.update(retry_at=now - MINUTE, purge_at=now + HOUR)

    outcome = actions.purge_due(context=acting(None, now))

    assert (outcome.done, len(outcome.refused), Event.objects.count()) == ([], 12, 0)
    assert states() == [State.RECYCLED] * 12


def test_what_fails_together_is_not_told_of_a_single_row(make_due, now):
    [row] = make_due(1)
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL tells what the failing row holds")

    with pytest.raises(IntegrityError) as caught:
        Instance.objects.filter(pk=row.pk).update(purge_at=None)

    assert row.name in str(caught.value)
    assert row.name not in claim.in_short(caught.value)
    assert "instance_bin_times_follow_state" in claim.in_short(caught.value)


@pytest.mark.parametrize(
    "verb",
    [
        lambda rows, context: actions.extend(rows, longer=HOUR, context=context),
        lambda rows, context: actions.purge(rows, context=context),
    ],
    ids=["extend", "purge"],
)
def test_a_verb_that_moves_a_time_takes_the_failed_tries_away(alice, make_instance, now, verb):
    row = make_instance(State.RECYCLED, attempts=3, retry_at=now, last_error="poisoned")

    verb(Instance.objects.all(), acting(alice, now))

    row.refresh_from_db()
    assert (row.attempts, row.retry_at, row.last_error) == (0, None, "")
