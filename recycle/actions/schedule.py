"""What happens by itself. A pass may run twice, late, or in ten workers at a time: rows are claimed
by their locks.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice

from django.conf import settings
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Q

from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.judged import Judged
from recycle.actions.move import CHUNK, Changes, Move, Row, carry_out, try_later
from recycle.actions.outcome import Done, Failed, Outcome
from recycle.actions.verbs import NO_RETRY
from recycle.lifecycle import Action, ResourceAction, State
from recycle.models import Instance, InstanceQuerySet, Sweep
from recycle.policy import end_of_expired

logger = logging.getLogger(__name__)

# In one pass; the next goes on with the rest.
LIMIT = 20 * CHUNK


class PurgeDue(Move):
    action = Action.PURGE
    skip_locked = True

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"purged_at": self.context.now, "retry_at": None}


class ExpireDue(Move):
    action = Action.EXPIRE
    skip_locked = True

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"no_fees": False, "purge_at": end_of_expired(instance), **NO_RETRY}


def purge_due(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Delete for good what has reached its end, longest overdue first."""
    due = PurgeDue(Instance.objects.due_for_purge(context.now), context)
    outcome = carry_out(due, dry_run=dry_run, limit=limit)
    return outcome if dry_run else ran("purge_due", outcome, context)


def expire_due(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Stop the subscriptions that ran out; their relationships are kept until their end."""
    due = ExpireDue(Instance.objects.due_to_expire(context.now), context)
    outcome = carry_out(due, dry_run=dry_run, limit=limit)
    return outcome if dry_run else ran("expire_due", outcome, context)


def forget_tombstones(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Delete the rows of instances that are gone for TOMBSTONE_DAYS; their events stay."""
    retry = Q(retry_at=None) | Q(retry_at__lte=context.now)
    tombstones = Instance.objects.purged_before(
        context.now - timedelta(days=settings.TOMBSTONE_DAYS)
    ).filter(retry)
    outcome = Outcome(ResourceAction.REMOVE, context.batch)
    rows = iter(list(tombstones.values_list("pk", "name")[:limit]))
    while chunk := list(islice(rows, CHUNK)):
        outcome.extend(
            _forgotten(chunk, context) if dry_run else _forget(tombstones, chunk, context)
        )
    if dry_run:
        return outcome
    return ran("forget_tombstones", tallied(outcome, context.edge), context)


def _forgotten(rows: Iterable[Row], context: Context) -> Outcome:
    done = [Done(pk, name, ResourceAction.REMOVE) for pk, name in rows]
    return Outcome(ResourceAction.REMOVE, context.batch, done)


def _forget(tombstones: InstanceQuerySet, chunk: Sequence[Row], context: Context) -> Outcome:
    try:
        with transaction.atomic():
            asked = tombstones.filter(pk__among=[pk for pk, _name in chunk])
            rows = list(asked.locked(skip_locked=True).values_list("pk", "name"))
            Instance.objects.filter(pk__among=[pk for pk, _name in rows]).delete()
            return _forgotten(rows, context)
    except OperationalError:
        raise
    except DatabaseError as error:
        outcome = Outcome(ResourceAction.REMOVE, context.batch)
        if len(chunk) == 1:
            [(pk, name)] = chunk
            logger.error("instance %s cannot be forgotten: %s", pk, str(error).strip())
            try_later(pk, str(error), context.now)
            outcome.failed.append(Failed(pk, name, str(error)))
        else:
            for row in chunk:
                outcome.extend(_forget(tombstones, [row], context))
        return outcome


def ran(name: str, outcome: Outcome, context: Context) -> Outcome:
    """Note when a pass ran last and what came of it; the outcome once more."""
    numbers = {"done": len(outcome.done), "failed": len(outcome.failed)}
    Sweep.objects.update_or_create(name=name, defaults={"ran_at": context.now, **numbers})
    return outcome
