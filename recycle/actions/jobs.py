"""Batch jobs: asked for by a person, carried out by workers, a chunk a transaction.

A pass claims the job that has waited longest for its turn by the lock of its row, in the very
transaction that works a chunk off. So several workers share the jobs, nothing is done twice, and of
a worker that dies nothing is left but a job that is free again.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import F, QuerySet, UUIDField, Value
from django.db.models.functions import Coalesce, Now
from django.utils.dateparse import parse_date, parse_datetime, parse_duration

from recycle.actions import machine, verbs
from recycle.actions.claim import CHUNK, in_short
from recycle.actions.context import Context
from recycle.actions.counting import tallied, tally
from recycle.actions.heartbeat import came_by, lately
from recycle.actions.judged import Judged
from recycle.actions.move import Move, work_off
from recycle.actions.outcome import Done, Outcome, Refused
from recycle.lifecycle import Action, ResourceAction, Right
from recycle.models import (
    Account,
    BatchJob,
    Edge,
    Event,
    Instance,
    InstanceQuerySet,
    JobItem,
    JobState,
    Kind,
    Origin,
)
from recycle.models.job import BatchJobQuerySet, ItemOutcome
from recycle.models.sql import insert_from
from recycle.policy import Refusal, why_not
from recycle.text import fold

logger = logging.getLogger(__name__)

# Chunks in one pass; the next goes on. Few, so that the sweep never waits long for a worker.
TURNS = 10
# Tries that may fail in one pass while bad instances are told from good ones.
TRIES = 200

MOVES: dict[Action, Callable[..., Move]] = {
    Action.START: verbs.Start,
    Action.STOP: verbs.Stop,
    Action.RESTART: verbs.Restart,
    Action.DELETE: verbs.Delete,
    Action.RENEW: verbs.Renew,
    Action.RESTORE: verbs.Restore,
    Action.PURGE: verbs.Purge,
    Action.EXTEND: verbs.Extend,
    Action.RENAME: machine.Rename,
    Action.RESIZE: machine.Resize,
    Action.RESET_PASSWORD: machine.ResetPassword,
    Action.SCHEDULE: machine.Schedule,
    Action.UNSCHEDULE: machine.Unschedule,
    Action.PROTECT: verbs.Protect,
    Action.UNPROTECT: verbs.Unprotect,
    Action.HOLD: verbs.Hold,
    Action.UNHOLD: verbs.Unhold,
    Action.RETRY: verbs.Retry,
}
# The parameters that JSON keeps as text.
READ: dict[str, Callable[[str], Any]] = {
    "longer": parse_duration,
    "review_on": parse_date,
    "delete_at": parse_datetime,
}


@dataclass(frozen=True, kw_only=True)
class JobOrder:
    """What a job is to do, as a form has understood it."""

    account: Account
    action: Action
    # What the verb takes beside the instances.
    parameters: Mapping[str, Any]
    # The address of the list that the instances were selected from.
    chosen: str = ""
    # The job whose failed items are tried again.
    retry_of: BatchJob | None = None


class Selected(NamedTuple):
    """An instance of a job, as it was selected."""

    pk: int
    instance_id: UUID
    name: str
    changed_at: datetime


# --- Asked for ------------------------------------------------------------------------------------


def request_job(
    instances: InstanceQuerySet, order: JobOrder, *, context: Context, dry_run: bool = False
) -> Outcome:
    """Have an action carried out on these instances, in their order. The batch of the context is
    the key of the job. Where there is no instance there is no job, and no item in the outcome.

    Costs one statement for however many instances; what is there now is what the job is about.
    """
    job = _new(order, context)
    if not context.could(order.action, order.account.pk):
        refused = _refused(ResourceAction.CREATE, job, Refusal.ROLE, context)
        return _counted(refused, context, dry_run=dry_run)
    if dry_run:
        return _requested(job, context) if instances.exists() else _nothing(context)
    columns = {"instance_id": F("pk"), "name": F("name"), "changed_at": F("changed_at")}
    with transaction.atomic():
        job.save(force_insert=True)
        if not _fill(job, instances, columns):
            job.delete()
            return _nothing(context)
        _record(job, ResourceAction.CREATE, context)
    return tallied(_requested(job, context), context.edge)


def retry_failed(job: BatchJob, *, context: Context, dry_run: bool = False) -> Outcome:
    """Have what failed in a job tried again, by a new job. A job is retried once: of what fails
    again, the new one is retried.
    """
    with _writing(dry_run=dry_run):
        job = _read(job, lock=not dry_run)
        again = _new(
            JobOrder(
                account=job.account,
                action=Action(job.action),
                parameters=job.parameters,
                chosen=job.chosen,
                retry_of=job,
            ),
            replace(context, reason=job.reason),
        )
        if refusal := _why_not_retry(job, context):
            refused = _refused(ResourceAction.CREATE, job, refusal, context)
            return _counted(refused, context, dry_run=dry_run)
        if dry_run:
            return _requested(again, context)
        again.save(force_insert=True)
        failed = job.items.failed().order_by("pk")
        _fill(again, failed, {name: F(name) for name in ("instance_id", "name", "changed_at")})
        _record(again, ResourceAction.CREATE, context)
    return tallied(_requested(again, context), context.edge)


def cancel(job: BatchJob, *, context: Context, dry_run: bool = False) -> Outcome:
    """Stop a job after the chunk that is being worked off. What was done stays done."""
    with _writing(dry_run=dry_run):
        # This waits for the end of that chunk.
        job = _read(job, lock=not dry_run)
        refusal = _why_not_touch(job, context) or (Refusal.OVER if job.is_over else None)
        if refusal:
            refused = _refused(ResourceAction.CANCEL, job, refusal, context)
            return _counted(refused, context, dry_run=dry_run)
        if not dry_run:
            BatchJob.objects.filter(pk=job.pk).update(
                state=JobState.CANCELLED, finished_at=context.now
            )
            _record(job, ResourceAction.CANCEL, context)
    done = Done(job.pk, job.action, ResourceAction.CANCEL)
    outcome = Outcome(ResourceAction.CANCEL, context.batch, [done])
    return _counted(outcome, context, dry_run=dry_run)


def _new(order: JobOrder, context: Context) -> BatchJob:
    signature = context.signature
    return BatchJob(
        pk=context.batch,
        account=order.account,
        action=order.action,
        parameters=dict(order.parameters),
        chosen=order.chosen,
        retry_of=order.retry_of,
        reason=context.reason,
        created_at=context.now,
        turn_at=context.now,
        by_name_folded=fold(signature["by_name"]),
        **signature,
    )


def _fill(job: BatchJob, rows: QuerySet[Any], columns: Mapping[str, Any]) -> int:
    """Write down what the job is about: an item for each row."""
    pending = {"outcome": Value(ItemOutcome.PENDING.value), "detail": Value("")}
    items = {"job_id": Value(job.pk, UUIDField()), **columns, **pending}
    job.total = insert_from(JobItem, rows, items)
    BatchJob.objects.filter(pk=job.pk).update(total=job.total)
    return job.total


def _writing(*, dry_run: bool) -> AbstractContextManager[Any]:
    """A transaction; a dry run writes nothing and needs none."""
    return nullcontext() if dry_run else transaction.atomic()


def _read(job: BatchJob, *, lock: bool) -> BatchJob:
    rows = BatchJob.objects.select_related("account")
    return (rows.select_for_update(of=("self",), no_key=True) if lock else rows).get(pk=job.pk)


def _why_not_touch(job: BatchJob, context: Context) -> Refusal | None:
    mine = job.by_id == context.person.pk
    right = ResourceAction.CANCEL if mine else Right.JOBS_OF_OTHERS
    return None if context.may(right, job.account_id) else Refusal.ROLE


def _why_not_retry(job: BatchJob, context: Context) -> Refusal | None:
    if refusal := _why_not_touch(job, context):
        return refusal
    if not context.could(Action(job.action), job.account_id):
        return Refusal.ROLE
    if not job.is_over:
        return Refusal.NOT_OVER
    if not job.failed:
        return Refusal.NOTHING_FAILED
    return Refusal.RETRIED if BatchJob.objects.filter(retry_of=job).exists() else None


def _record(job: BatchJob, action: ResourceAction, context: Context) -> None:
    Event.objects.create(
        account=job.account,
        at=context.now,
        batch=job.pk,
        action=action,
        kind=Kind.JOB,
        resource_id=str(job.pk),
        resource_name=str(job),
        reason=context.reason,
        project_number=None,
        **context.signature,
    )


def _requested(job: BatchJob, context: Context) -> Outcome:
    done = Done(job.pk, job.action, ResourceAction.CREATE)
    return Outcome(ResourceAction.CREATE, context.batch, [done])


def _nothing(context: Context) -> Outcome:
    return Outcome(ResourceAction.CREATE, context.batch)


def _counted(outcome: Outcome, context: Context, *, dry_run: bool) -> Outcome:
    return outcome if dry_run else tallied(outcome, context.edge)


def _refused(action: ResourceAction, job: BatchJob, refusal: Refusal, context: Context) -> Outcome:
    refused = Refused(job.pk, job.action, refusal)
    return Outcome(action, context.batch, refused=[refused])


# --- Carried out ----------------------------------------------------------------------------------


@dataclass
class Tries:
    """What is left of the tries of a pass that may fail."""

    left: int = TRIES


def carry_out_jobs(*, context: Context, dry_run: bool = False, limit: int = TURNS) -> Outcome:
    """Work off chunks of the jobs in turn, `limit` of them at most. The outcome names the jobs.

    A pass that has nothing to do costs two statements, and every so often writes that it came by.
    """
    outcome = Outcome(ResourceAction.UPDATE, context.batch)
    jobs = BatchJob.objects.unfinished().by_turn()
    if dry_run:
        outcome.done += [_touched(job) for job in jobs[:limit]]
        return outcome
    touched: dict[UUID, BatchJob] = {}
    stuck: set[UUID] = set()
    tries = Tries()
    # Asked before a transaction begins: on SQLite that one would keep everybody else from writing.
    while limit > 0 and tries.left > 0 and (waiting := jobs.exclude(pk__in=stuck)).exists():
        limit -= 1
        try:
            job = _take_turn(waiting, CHUNK, context.now, tries)
        except OperationalError:
            # The database is gone or overloaded. What was committed stays.
            raise
        except Stuck as error:
            logger.error("batch job %s cannot go on: %s", error.job.pk, error.said)
            stuck.add(error.job.pk)
        else:
            if job is None:
                break
            touched[job.pk] = job
    outcome.done += [_touched(job) for job in touched.values()]
    if touched or stuck or not lately("carry_out_jobs", context.now):
        came_by("carry_out_jobs", context.now, done=len(touched), failed=len(stuck))
    return tallied(outcome, context.edge)


def _touched(job: BatchJob) -> Done:
    return Done(job.pk, job.action, ResourceAction.UPDATE)


class Stuck(Exception):
    """Not even what became of an item can be written to this job."""

    def __init__(self, job: BatchJob, said: str) -> None:
        super().__init__(said)
        self.job, self.said = job, said


def _take_turn(jobs: BatchJobQuerySet, size: int, now: datetime, tries: Tries) -> BatchJob | None:
    """Work off the next items of the first of these jobs that no other worker holds; None when
    there is none.
    """
    job: BatchJob | None = None
    items: Sequence[Selected] = ()
    try:
        with transaction.atomic():
            job = jobs.select_related("account", "by").claimed().first()
            if job is not None:
                items = _next_items(job, size)
                _write(job, items, _carry_out(job, items, now), now)
    except OperationalError:
        raise
    except DatabaseError as error:
        if job is None:
            raise
        tries.left -= 1
        _get_past(job, items, error, now, tries)
    return job


def _get_past(
    job: BatchJob, items: Sequence[Selected], error: DatabaseError, now: datetime, tries: Tries
) -> None:
    """Halve what failed until what fails stands alone, and count that as failed. What the tries of
    this pass do not reach is still pending.
    """
    free = BatchJob.objects.unfinished().filter(pk=job.pk).order_by("pk")
    here = free.filter(reached=job.reached)
    if len(items) <= 1:
        logger.error("%s of instance %s failed: %s", job.action, _named(items), in_short(error))
        _fail(job, here, items, error, now)
        return
    half = len(items) // 2
    # Another worker may go on from here meanwhile; then there is nothing left to get past.
    for jobs, size in ((here, half), (free, len(items) - half)):
        if tries.left > 0:
            _take_turn(jobs, size, now, tries)


def _named(items: Sequence[Selected]) -> str:
    return ", ".join(str(item.instance_id) for item in items)


def _fail(
    job: BatchJob,
    here: BatchJobQuerySet,
    items: Sequence[Selected],
    error: DatabaseError,
    now: datetime,
) -> None:
    try:
        with transaction.atomic():
            if items and here.claimed().exists():
                failed = {(ItemOutcome.FAILED, in_short(error)): [items[0].instance_id]}
                _write(job, items, failed, now)
                return
    except OperationalError:
        raise
    except DatabaseError as again:
        raise Stuck(job, in_short(again)) from again
    if not items:
        raise Stuck(job, in_short(error)) from error


def _next_items(job: BatchJob, size: int) -> list[Selected]:
    rows = job.items.filter(pk__gt=job.reached).order_by("pk").values_list(*Selected._fields)
    return [Selected._make(row) for row in rows[:size]]


Results = Mapping[tuple[ItemOutcome, str], Sequence[UUID]]


def _carry_out(job: BatchJob, items: Sequence[Selected], now: datetime) -> Results:
    """Do to these instances what may be done by now, by who asked for it."""
    # Who acts and what may be done to what is asked again, by the account alone: somebody who has
    # left it meanwhile is refused for that, and not as if there were no such instance.
    instances = Instance.objects.of(job.account).filter(
        pk__among=[item.instance_id for item in items]
    )
    context = _context(job, now)
    move = MOVES[Action(job.action)](instances, context, **_parameters(job))
    move.done_before = job.done
    locked = Judged.read(instances.locked(), move.columns)
    selected = {item.instance_id: item.changed_at for item in items}
    changed = {pk for pk, at in instances.values_list("pk", "changed_at") if at != selected[pk]}
    outcome = work_off(move, [instance for instance in locked if instance.pk not in changed])

    became: dict[tuple[ItemOutcome, str], list[UUID]] = defaultdict(list)
    for done in outcome.done:
        became[ItemOutcome.DONE, done.action.value].append(UUID(str(done.id)))
    for refused in outcome.refused:
        became[ItemOutcome.REFUSED, refused.refusal.value].append(UUID(str(refused.id)))
    for instance in locked:
        if instance.pk in changed:
            role = context.role_in(job.account_id, instance.project_number)
            # Somebody else was quicker. Where that is the reason, it is the better one.
            why = why_not(move.action, instance, role=role, now=now) or Refusal.CHANGED
            became[ItemOutcome.REFUSED, why.value].append(instance.pk)
    if gone := selected.keys() - {instance.pk for instance in locked}:
        became[ItemOutcome.REFUSED, Refusal.GONE.value] += gone
    return became


def _context(job: BatchJob, now: datetime) -> Context:
    """What the request for the job told, at this later moment."""
    return Context(
        by=job.by,
        now=now,
        edge=Edge(job.edge),
        reason=job.reason,
        origin=Origin(job.address, job.request_id),
        batch=job.pk,
    )


def _parameters(job: BatchJob) -> dict[str, Any]:
    return {
        name: READ[name](value) if name in READ and value is not None else value
        for name, value in job.parameters.items()
    }


def _write(job: BatchJob, items: Sequence[Selected], became: Results, now: datetime) -> None:
    """Write down what became of these items, and how far the job is."""
    counts = dict.fromkeys(ItemOutcome, 0)
    by_action: Counter[tuple[str, str]] = Counter()
    if items:
        here = job.items.filter(pk__gte=items[0].pk, pk__lte=items[-1].pk)
    for (outcome, detail), ids in became.items():
        counts[outcome] += len(ids)
        by_action[detail if outcome == ItemOutcome.DONE else job.action, outcome] += len(ids)
        rows = here if len(became) == 1 else here.filter(instance_id__among=ids)
        rows.update(outcome=outcome, detail=detail)
    over = job.worked + len(items) == job.total
    BatchJob.objects.filter(pk=job.pk).update(
        state=JobState.FINISHED if over else JobState.RUNNING,
        started_at=Coalesce(F("started_at"), Value(now)),
        finished_at=Now() if over else None,
        turn_at=Now(),
        done=F("done") + counts[ItemOutcome.DONE],
        refused=F("refused") + counts[ItemOutcome.REFUSED],
        failed=F("failed") + counts[ItemOutcome.FAILED],
        reached=items[-1].pk if items else job.reached,
    )
    tally(by_action, Edge(job.edge))


# --- Forgotten ------------------------------------------------------------------------------------


def forget_job_items(*, context: Context, dry_run: bool = False, limit: int = TURNS) -> Outcome:
    """Delete the items of jobs that have been over for TOMBSTONE_DAYS, `limit` chunks at most. The
    jobs stay, with their counts, and so do the events.
    """
    moment = context.now - timedelta(days=settings.TOMBSTONE_DAYS)
    outcome = Outcome(ResourceAction.REMOVE, context.batch)
    # The oldest items are in front: where the first ones are not to be forgotten, none are.
    items = JobItem.objects.order_by("pk").values_list("pk", "name", "job__finished_at")
    first = items.first()
    while limit > 0 and first and _is_before(first[2], moment):
        old = list(takewhile(lambda item: _is_before(item[2], moment), items[:CHUNK]))
        outcome.done += [Done(pk, name, ResourceAction.REMOVE) for pk, name, _over in old]
        if dry_run or not old:
            break
        JobItem.objects.filter(pk__lte=old[-1][0]).delete()
        limit, first = limit - 1, items.first()
    return outcome if dry_run else tallied(outcome, context.edge)


def _is_before(over: datetime | None, moment: datetime) -> bool:
    return over is not None and over < moment
