"""Batch jobs: asked for once, carried out in chunks, each instance once."""

from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from recycle import actions
from recycle.actions import JobOrder, jobs
from recycle.actions.jobs import MOVES
from recycle.forms import VERBS
from recycle.lifecycle import Action, ResourceAction, State
from recycle.models import (
    Account,
    BatchJob,
    Event,
    Instance,
    InstanceType,
    JobItem,
    JobState,
    Kind,
    Membership,
    Sweep,
)
from recycle.models.job import ItemOutcome
from recycle.policy import BillingMode, Refusal, Role
from tests.conftest import acting
from tests.poison import Poison

pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture
def ask(account, alice, now):
    """Alice, or somebody else, asks for a job about all instances of the account."""

    def ask(action, by=alice, instances=None, reason="", account=account, **parameters):
        rows = Instance.objects.filter(account=account) if instances is None else instances
        order = JobOrder(account=account, action=action, parameters=parameters)
        outcome = actions.request_job(
            rows.order_by("name", "pk"), order, context=acting(by, now, reason=reason)
        )
        [done] = outcome.done
        return BatchJob.objects.get(pk=str(done.id))

    return ask


def work(limit=jobs.TURNS, now=None):
    return actions.carry_out_jobs(context=acting(None, now), limit=limit)


@contextmanager
def poisoned(instances):
    poison = Poison(instances)
    yield
    poison.lift()


def counts(job):
    job.refresh_from_db()
    return job.done, job.refused, job.failed


def became(job):
    return list(job.items.order_by("pk").values_list("outcome", "detail"))


def test_a_job_is_done_and_its_events_are_of_who_asked_for_it(ask, alice, make_instance, now):
    instances = [make_instance() for _ in range(3)]
    job = ask(Action.DELETE, reason="wrong stack", may_release=False)
    assert not Event.objects.exclude(kind=Kind.JOB).exists()

    work()

    assert counts(job) == (3, 0, 0)
    assert (job.state, job.percent, job.total) == (JobState.FINISHED, 100, 3)
    assert became(job) == [("done", "recycle")] * 3
    events = Event.objects.filter(action=Action.RECYCLE)
    assert {event.instance_id for event in events} == {each.pk for each in instances}
    assert {(event.by, event.reason, event.batch, event.edge) for event in events} == {
        (alice, "wrong stack", job.pk, "page")
    }


def test_the_log_says_that_a_job_was_asked_for(ask, make_instance, account, alice):
    make_instance()

    job = ask(Action.STOP, no_fees=False, reason="night")

    event = Event.objects.get()
    assert (event.action, event.kind, event.resource_id) == ("create", "job", str(job.pk))
    assert (event.account, event.by, event.batch, event.reason) == (account, alice, job.pk, "night")
    assert event.resource_name == "stop (1)"


def test_a_job_is_about_what_was_there_when_it_was_asked_for(ask, make_instance):
    old = make_instance()
    job = ask(Action.STOP, no_fees=False)
    new = make_instance()

    work()

    assert counts(job) == (1, 0, 0)
    assert Instance.objects.get(pk=old.pk).state == State.STOPPED
    assert Instance.objects.get(pk=new.pk).state == State.ACTIVE


def test_a_job_about_nothing_is_none(account, alice, now):
    order = JobOrder(account=account, action=Action.STOP, parameters={"no_fees": False})

    outcome = actions.request_job(Instance.objects.all(), order, context=acting(alice, now))

    assert outcome.items == []
    assert not BatchJob.objects.exists()
    assert not Event.objects.exists()


def test_whoever_may_not_do_it_may_not_ask_for_it(account, oscar, recycled, now):
    order = JobOrder(account=account, action=Action.PURGE, parameters={})

    outcome = actions.request_job(Instance.objects.all(), order, context=acting(oscar, now))

    assert [refused.refusal for refused in outcome.refused] == [Refusal.ROLE]
    assert not BatchJob.objects.exists()


@pytest.mark.parametrize("left", ["demoted", "removed", "deactivated"])
def test_rights_are_asked_again_when_a_chunk_runs(ask, oscar, make_instance, left, monkeypatch):
    monkeypatch.setattr(jobs, "CHUNK", 1)
    instances = [make_instance(name=f"web-{number}") for number in range(2)]
    job = ask(Action.STOP, by=oscar, no_fees=False)
    work(limit=1)

    if left == "demoted":
        Membership.objects.filter(user=oscar).update(role=Role.VIEWER)
    elif left == "removed":
        Membership.objects.filter(user=oscar).delete()
    else:
        oscar.is_active = False
        oscar.save()
    work()

    assert counts(job) == (1, 1, 0)
    assert became(job)[1] == ("refused", "role")
    assert Instance.objects.get(pk=instances[1].pk).state == State.ACTIVE


def test_two_jobs_over_the_same_instances_act_on_each_once(ask, make_instance):
    for _ in range(3):
        make_instance()
    first, second = (ask(Action.DELETE, may_release=False) for _ in range(2))

    work()

    assert {counts(first), counts(second)} == {(3, 0, 0), (0, 3, 0)}
    refused = first if first.refused else second
    assert set(became(refused)) == {("refused", "in_bin")}
    assert Event.objects.filter(action=Action.RECYCLE).count() == 3


def test_an_action_that_leaves_the_state_alone_is_done_once_as_well(ask, make_instance, now):
    """Or two jobs would pay for two terms."""
    instance = make_instance(billing_mode=BillingMode.MONTHLY)
    first, second = (ask(Action.RENEW, months=1) for _ in range(2))

    work()

    assert {counts(first), counts(second)} == {(1, 0, 0), (0, 1, 0)}
    assert JobItem.objects.get(outcome=ItemOutcome.REFUSED).detail == Refusal.CHANGED
    assert Instance.objects.get(pk=instance.pk).expires_at < now + timedelta(days=60)


def test_what_is_gone_by_then_is_refused_for_that(ask, make_instance):
    instance = make_instance()
    job = ask(Action.STOP, no_fees=False)
    Instance.objects.filter(pk=instance.pk).delete()

    work()

    assert became(job) == [("refused", "gone")]


PARAMETERS: dict[Action, dict[str, Any]] = {
    Action.STOP: {"no_fees": False},
    Action.DELETE: {"may_release": True},
    Action.RENEW: {"months": 1},
    Action.EXTEND: {"longer": timedelta(hours=1)},
    Action.RENAME: {"name": "db", "number": 1, "count": 1},
    Action.RESIZE: {"instance_type": "N3.4B"},
    Action.SCHEDULE: {"delete_at": datetime(2030, 1, 1, tzinfo=UTC)},
    Action.HOLD: {"review_on": date(2030, 1, 1)},
}


@pytest.mark.parametrize("action", VERBS)
def test_every_verb_can_be_a_job(ask, make_instance, action, now):
    InstanceType.objects.create(name="N3.4B", family="N3", vcpu=4, memory_gb=8)
    at_work = dict.fromkeys((Action.START, Action.RESIZE), State.STOPPED)
    in_bin = dict.fromkeys((Action.RESTORE, Action.PURGE, Action.EXTEND), State.RECYCLED)
    mode = BillingMode.MONTHLY if action is Action.RENEW else BillingMode.DAILY
    held = {"held_at": now, "held_by": "alice", "hold_reason": "case 11"}
    before: dict[Action, dict[str, Any]] = {
        Action.UNPROTECT: {"protected": True},
        Action.UNSCHEDULE: {"delete_at": now},
        Action.UNHOLD: held,
        Action.RETRY: {"quarantined_at": now},
    }
    fields = before.get(action, {})
    state = {**at_work, **in_bin}.get(action, State.ACTIVE)
    instance = make_instance(state, mode, now=now, **fields)

    job = ask(action, reason="case 12", **PARAMETERS.get(action, {}))
    work()

    assert counts(job) == (1, 0, 0)
    instance.refresh_from_db()
    if action is Action.HOLD:
        assert (instance.hold_review_on, instance.hold_reason) == (date(2030, 1, 1), "case 12")
    if action is Action.EXTEND:
        assert instance.purge_at == now + timedelta(minutes=170)


def test_the_table_of_moves_has_every_verb():
    moves: dict[Action, Any] = dict(MOVES)

    assert moves.keys() == VERBS.keys()
    assert all(move.action is action for action, move in moves.items())


# --- Chunks ---------------------------------------------------------------------------------------


def test_jobs_take_turns(ask, make_instance, monkeypatch):
    monkeypatch.setattr(jobs, "CHUNK", 2)
    for _ in range(6):
        make_instance()
    large = ask(Action.STOP, no_fees=False)
    work(limit=1)
    small = ask(Action.PROTECT)

    work(limit=2)

    assert counts(large) == (4, 0, 0)
    assert small.items.exclude(outcome=ItemOutcome.PENDING).count() == 2


@pytest.mark.parametrize("count", [3, 30])
def test_a_chunk_costs_the_same_number_of_statements_whatever_its_size(
    ask, make_instance, bind, count
):
    for _ in range(count):
        bind(make_instance())
    job = ask(Action.DELETE, may_release=False)

    with CaptureQueriesContext(connection) as queries:
        work(limit=1)

    assert counts(job) == (count, 0, 0)
    said = [each["sql"] for each in queries]
    assert len([sql for sql in said if not sql.startswith(("SAVEPOINT", "RELEASE"))]) <= 21, said


def test_asking_costs_the_same_whatever_is_asked_for(make_instance, account, alice, now):
    costs = set()
    assert alice.roles
    for number in (1, 20):
        for _ in range(number):
            make_instance()
        order = JobOrder(account=account, action=Action.STOP, parameters={"no_fees": False})
        with CaptureQueriesContext(connection) as queries:
            actions.request_job(Instance.objects.all(), order, context=acting(alice, now))
        costs.add(len(queries))

    [cost] = costs
    assert cost <= 8


def test_an_idle_pass_looks_and_writes_only_every_so_often_that_it_came_by(ask, make_instance, now):
    make_instance()
    ask(Action.STOP, no_fees=False)
    work(now=now)

    with CaptureQueriesContext(connection) as queries:
        work(now=now + timedelta(seconds=2))
    written = Sweep.objects.get(name="carry_out_jobs").ran_at
    work(now=now + timedelta(seconds=12))

    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "SELECT"]
    assert written == now
    assert Sweep.objects.get(name="carry_out_jobs").ran_at == now + timedelta(seconds=12)


def test_a_pass_reads_no_more_than_a_chunk_at_once(ask, make_instance, monkeypatch):
    """However many instances a job has, their ids are never in memory together."""
    monkeypatch.setattr(jobs, "CHUNK", 5)
    for _ in range(23):
        make_instance()
    job = ask(Action.STOP, no_fees=False)
    read: list[int] = []
    next_items = jobs._next_items

    def noted(*args):
        items = next_items(*args)
        read.append(len(items))
        return items

    monkeypatch.setattr(jobs, "_next_items", noted)

    outcome = work()

    assert counts(job) == (23, 0, 0)
    assert read == [5, 5, 5, 5, 3]
    assert [done.id for done in outcome.done] == [job.pk]


# --- What fails -----------------------------------------------------------------------------------


def test_what_the_database_rejects_is_counted_and_the_others_are_done(ask, make_instance):
    instances = [make_instance(name=f"web-{number:02}") for number in range(20)]
    job = ask(Action.STOP, no_fees=False)

    with poisoned([instances[7], instances[8], instances[19]]):
        work()

    assert counts(job) == (17, 0, 3)
    assert job.state == JobState.FINISHED
    failed = job.items.filter(outcome=ItemOutcome.FAILED).values_list("name", flat=True)
    assert sorted(failed) == ["web-07", "web-08", "web-19"]
    assert Event.objects.filter(action=Action.STOP).count() == 17


def test_a_job_that_fails_altogether_ends_as_well_and_keeps_no_other_waiting(
    ask, make_instance, monkeypatch
):
    monkeypatch.setattr(jobs, "TRIES", 4)
    monkeypatch.setattr(jobs.Tries, "left", 4)
    instances = [make_instance() for _ in range(8)]
    bad = ask(Action.STOP, no_fees=False)
    good = ask(Action.PROTECT, instances=Instance.objects.filter(pk=make_instance().pk))

    with poisoned(instances):
        for _ in range(6):
            work()

    assert counts(bad) == (0, 0, 8)
    assert bad.state == JobState.FINISHED
    assert counts(good) == (1, 0, 0)


def test_a_job_to_which_nothing_can_be_written_keeps_no_other_waiting(ask, make_instance):
    make_instance()
    stuck, other = ask(Action.STOP, no_fees=False), ask(Action.PROTECT)

    def reject(execute, sql, params, many, context):
        first = str(stuck.pk) in str(params) or stuck.pk.hex in str(params)
        if sql.startswith('UPDATE "recycle_batchjob"') and first:
            raise DatabaseError("impossible")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(reject):
        work()

    assert counts(stuck) == (0, 0, 0)
    assert counts(other) == (1, 0, 0)


def test_what_failed_is_tried_again_once(ask, make_instance, alice, now):
    instances = [make_instance(name=f"web-{number}") for number in range(3)]
    job = ask(Action.STOP, no_fees=False, reason="night")
    with poisoned([instances[1]]):
        work()
    job.refresh_from_db()

    outcome = actions.retry_failed(job, context=acting(alice, now))
    work()

    again = BatchJob.objects.get(pk=str(outcome.done[0].id))
    assert (counts(again), again.reason, again.retry_of) == ((1, 0, 0), "night", job)
    assert again.items.get().name == "web-1"
    twice = actions.retry_failed(job, context=acting(alice, now))
    assert [refused.refusal for refused in twice.refused] == [Refusal.RETRIED]


def test_only_what_failed_and_is_over_is_tried_again(ask, make_instance, alice, now):
    make_instance()
    job = ask(Action.STOP, no_fees=False)

    early = actions.retry_failed(job, context=acting(alice, now))
    work()
    needless = actions.retry_failed(job, context=acting(alice, now))

    assert [early.refused[0].refusal, needless.refused[0].refusal] == [
        Refusal.NOT_OVER,
        Refusal.NOTHING_FAILED,
    ]


# --- Cancelled ------------------------------------------------------------------------------------


def test_a_cancelled_job_goes_no_further(ask, make_instance, alice, now, monkeypatch):
    monkeypatch.setattr(jobs, "CHUNK", 2)
    for _ in range(5):
        make_instance()
    job = ask(Action.STOP, no_fees=False)
    work(limit=1)

    actions.cancel(job, context=acting(alice, now))
    work()

    assert (counts(job), job.state, job.percent) == ((2, 0, 0), JobState.CANCELLED, 40)
    assert Instance.objects.filter(state=State.STOPPED).count() == 2
    event = Event.objects.get(action=ResourceAction.CANCEL)
    assert (event.kind, event.resource_id, event.batch) == (Kind.JOB, str(job.pk), job.pk)


def test_what_is_over_is_not_cancelled(ask, make_instance, alice, now):
    make_instance()
    job = ask(Action.STOP, no_fees=False)
    work()

    outcome = actions.cancel(job, context=acting(alice, now))

    assert [refused.refusal for refused in outcome.refused] == [Refusal.OVER]
    assert counts(job) == (1, 0, 0)


@pytest.mark.parametrize(("who", "may"), [("alice", True), ("victor", False), ("mallory", False)])
def test_a_job_of_somebody_else_is_an_administrators_to_cancel(
    request, ask, oscar, make_instance, now, who, may
):
    make_instance()
    job = ask(Action.STOP, by=oscar, no_fees=False)

    outcome = actions.cancel(job, context=acting(request.getfixturevalue(who), now))

    assert bool(outcome.done) is may
    job.refresh_from_db()
    assert (job.state == JobState.CANCELLED) is may


def test_whoever_asked_for_a_job_may_stop_it_though_they_may_not_ask_any_more(
    ask, oscar, make_instance, now
):
    make_instance()
    job = ask(Action.STOP, by=oscar, no_fees=False)
    Membership.objects.filter(user=oscar).update(role=Role.VIEWER)
    del oscar.roles

    assert actions.cancel(job, context=acting(oscar, now)).done


# --- Forgotten ------------------------------------------------------------------------------------


def test_the_items_of_old_jobs_are_forgotten_and_the_jobs_stay(
    ask, make_instance, now, monkeypatch
):
    monkeypatch.setattr(jobs, "CHUNK", 2)
    for _ in range(3):
        make_instance()
    old, young = ask(Action.STOP, no_fees=False), ask(Action.PROTECT)
    work()
    BatchJob.objects.filter(pk=old.pk).update(finished_at=now - timedelta(days=91))

    actions.forget_job_items(context=acting(None, now))

    assert (old.items.count(), young.items.count()) == (0, 3)
    assert sum(counts(old)) == 3
    with CaptureQueriesContext(connection) as queries:
        actions.forget_job_items(context=acting(None, now))
    assert len(queries) == 1


def test_what_is_not_over_is_never_forgotten(ask, make_instance, now):
    make_instance()
    job = ask(Action.STOP, no_fees=False)

    actions.forget_job_items(context=acting(None, now + timedelta(days=1_000)))

    assert job.items.count() == 1


# --- Plans ----------------------------------------------------------------------------------------


@pytest.fixture
def many(ask, make_instance, alice, now):
    """As many jobs and items as the planner needs to have a choice."""
    make_instance()
    job = ask(Action.STOP, no_fees=False)
    other = Account.objects.create(name="Other")
    rows = []
    for number in range(6_000):
        row = BatchJob(
            account=job.account if number % 3 else other,
            action=Action.STOP,
            by=alice,
            by_name="alice",
            by_name_folded="alice",
            edge="page",
            created_at=now - timedelta(seconds=number),
            turn_at=now - timedelta(seconds=number % 77),
        )
        if number % 50:
            row.state, row.started_at, row.finished_at = JobState.FINISHED, now, now
        rows.append(row)
    BatchJob.objects.bulk_create(rows, batch_size=400)
    items = [
        JobItem(
            job=rows[number % 60],
            instance_id=job.pk,
            name="web",
            changed_at=now,
            outcome=ItemOutcome.FAILED if number % 100 < 10 else ItemOutcome.DONE,
            detail="stopped" if number % 100 < 10 else "stop",
        )
        for number in range(6_000)
    ]
    JobItem.objects.bulk_create(items, batch_size=400)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return rows[1]


@pytest.mark.slow
def test_everything_that_is_asked_often_is_found_by_an_index_and_in_order(many):
    jobs_of = BatchJob.objects.of(many.account)
    asked = {
        "job_turn": BatchJob.objects.unfinished().by_turn()[:1],
        "job_unfinished": jobs_of.unfinished().order_by("created_at", "pk")[:5],
        "job_newest": jobs_of.order_by("-created_at", "-pk")[:20],
        "job_item_in_order": many.items.filter(pk__gt=100).order_by("pk")[:50],
        "job_item_left_alone": many.items.failed().filter(detail="stopped"),
    }

    for index, rows in asked.items():
        plan = rows.values_list("pk").explain()
        assert index in plan, plan
        # A chunk of items may be sorted, so few they are; jobs and their lists never.
        sorts = () if "item" in index else ("TEMP B-TREE", "Sort")
        for bad in ("SCAN recycle_", "Seq Scan", *sorts):
            assert bad not in plan.replace(f"SCAN recycle_batchjob USING INDEX {index}", ""), plan
