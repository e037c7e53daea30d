"""What happens by itself. A pass may run twice, late, or in ten workers at a time: see `claim`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F

from recycle.actions.claim import CHUNK, Pass, Queue
from recycle.actions.context import Context
from recycle.actions.judged import Judged
from recycle.actions.move import Changes, Move, carry_out, ids_by_state, record, work_off
from recycle.actions.outcome import Done, Outcome
from recycle.actions.verbs import NO_RETRY, Delete, Purge
from recycle.lifecycle import Action, ResourceAction, State
from recycle.models import Instance, InstanceQuerySet
from recycle.policy import Refusal, end_of_expired

# In one pass; the next goes on with the rest.
LIMIT = 20 * CHUNK


class ExpireDue(Move):
    action = Action.EXPIRE
    columns = ("billing_mode", "expires_at")

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"no_fees": False, "purge_at": end_of_expired(instance), **NO_RETRY}


class DeleteDue(Delete):
    """As its owner would, at the moment that was set for it."""

    columns = (*Delete.columns, "delete_at")

    def refuses(self, instance: Judged) -> Refusal | None:
        if instance.delete_at is None or instance.delete_at > self.context.now:
            return Refusal.NOT_DUE
        # Into the bin what is held may go, but by a person.
        return Refusal.HELD if instance.held_at else super().refuses(instance)


@dataclass
class DueMoves(Queue):
    """Instances to which something happens at a moment that was set before."""

    name: str
    move: Move

    def __post_init__(self) -> None:
        self.action, self.context = self.move.action, self.move.context
        self.attempts = settings.PURGE_ATTEMPTS

    def due(self) -> InstanceQuerySet:
        return self.move.instances

    def read(self, rows: InstanceQuerySet) -> Sequence[Judged]:
        return Judged.read(rows, self.move.columns)

    def work(self, rows: Sequence[Judged]) -> Outcome:
        return work_off(self.move, rows)

    def tell_of_quarantine(self, ids: Sequence[UUID]) -> None:
        rows = Judged.read(Instance.objects.filter(pk__among=ids))
        record(self.context, Action.QUARANTINE, ids_by_state(rows), reason=F("last_error"))


@dataclass
class Tombstones(Queue):
    """Instances that are gone for TOMBSTONE_DAYS."""

    context: Context
    name: str = field(default="forget_tombstones", init=False)
    action: ResourceAction = field(default=ResourceAction.REMOVE, init=False)

    def due(self) -> InstanceQuerySet:
        now = self.context.now
        return Instance.objects.purged_before(now - timedelta(days=settings.TOMBSTONE_DAYS), now)

    def read(self, rows: InstanceQuerySet) -> Sequence[Judged]:
        return Judged.read(rows)

    def work(self, rows: Sequence[Judged]) -> Outcome:
        Instance.objects.filter(pk__among=[row.pk for row in rows]).delete()
        return self.forgotten(rows)

    def forgotten(self, rows: Iterable[Judged]) -> Outcome:
        done = [Done(row.pk, row.name, self.action) for row in rows]
        return Outcome(self.action, self.context.batch, done)


def purge_due(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Delete for good what has reached its end, longest overdue first."""
    due = Purge(Instance.objects.due_for_purge(context.now), context)
    return _pass("purge_due", due, dry_run=dry_run, limit=limit)


def expire_due(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Stop the subscriptions that ran out; their relationships are kept until their end."""
    due = ExpireDue(Instance.objects.due_to_expire(context.now), context)
    return _pass("expire_due", due, dry_run=dry_run, limit=limit)


def delete_due(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Delete what is to be deleted by now, as its owner would: into the bin where there is one."""
    rows = Instance.objects.due_to_delete(context.now)
    due = DeleteDue(rows, context, may_release=True)
    return _pass("delete_due", due, dry_run=dry_run, limit=limit)


def forget_tombstones(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Delete the rows of instances that are gone for TOMBSTONE_DAYS; their events stay."""
    queue = Tombstones(context)
    if dry_run:
        return queue.forgotten(queue.read(queue.due()[:limit]))
    return Pass(queue, limit=limit).run()


def _pass(name: str, move: Move, *, dry_run: bool, limit: int) -> Outcome:
    if dry_run:
        return carry_out(move, dry_run=True, limit=limit)
    return Pass(DueMoves(name, move), limit=limit).run()
