"""What happens by itself. A pass may run twice, late, or in ten workers at a time: rows are claimed
by their locks.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from recycle.actions.move import CHUNK, Changes, Move, carry_out, try_later
from recycle.actions.outcome import Outcome
from recycle.actions.verbs import NO_RETRY
from recycle.lifecycle import Action, State
from recycle.models import Instance, InstanceQuerySet, Sweep
from recycle.policy import end_of_expired

logger = logging.getLogger(__name__)

# In one pass; the next goes on with the rest.
LIMIT = 20 * CHUNK


class PurgeDue(Move):
    def changes(self, instance: Instance, target: State) -> Changes:
        return {"purged_at": self.now, "retry_at": None}


class ExpireDue(Move):
    def changes(self, instance: Instance, target: State) -> Changes:
        return {"no_fees": False, "purge_at": end_of_expired(instance), **NO_RETRY}


def purge_due(*, now: datetime | None = None, limit: int = LIMIT) -> Outcome:
    """Delete for good what has reached its end, longest overdue first."""
    now = now or timezone.now()
    return _pass(
        "purge_due", PurgeDue, Action.PURGE, Instance.objects.due_for_purge(now), now, limit
    )


def expire_due(*, now: datetime | None = None, limit: int = LIMIT) -> Outcome:
    """Stop the subscriptions that ran out; their relationships are kept until their end."""
    now = now or timezone.now()
    return _pass(
        "expire_due", ExpireDue, Action.EXPIRE, Instance.objects.due_to_expire(now), now, limit
    )


def _pass(
    name: str,
    verb: type[Move],
    action: Action,
    instances: InstanceQuerySet,
    now: datetime,
    limit: int,
) -> Outcome:
    outcome = carry_out(
        verb(action=action, instances=instances, by=None, now=now, skip_locked=True), limit=limit
    )
    ran(name, now, done=len(outcome.done), failed=len(outcome.failed))
    return outcome


def forget_tombstones(*, now: datetime | None = None, limit: int = LIMIT) -> int:
    """Delete the rows of instances that are gone for TOMBSTONE_DAYS; their events stay. Returns how
    many.
    """
    now = now or timezone.now()
    retry = Q(retry_at=None) | Q(retry_at__lte=now)
    tombstones = Instance.objects.purged_before(
        now - timedelta(days=settings.TOMBSTONE_DAYS)
    ).filter(retry)
    ids = iter(list(tombstones.values_list("pk", flat=True)[:limit]))
    forgotten = failed = 0
    while chunk := list(islice(ids, CHUNK)):
        gone, left = _forget(tombstones, chunk, now)
        forgotten += gone
        failed += left
    ran("forget_tombstones", now, done=forgotten, failed=failed)
    return forgotten


def _forget(tombstones: InstanceQuerySet, chunk: Sequence[UUID], now: datetime) -> tuple[int, int]:
    """How many are gone, and how many the database did not let go."""
    try:
        with transaction.atomic():
            locked = tombstones.filter(pk__among=chunk).locked(skip_locked=True)
            ids = list(locked.values_list("pk", flat=True))
            Instance.objects.filter(pk__among=ids).delete()
            return len(ids), 0
    except OperationalError:
        raise
    except DatabaseError as error:
        if len(chunk) == 1:
            logger.error("instance %s cannot be forgotten: %s", chunk[0], str(error).strip())
            try_later(chunk[0], str(error), now)
            return 0, 1
        gone, left = zip(*(_forget(tombstones, [pk], now) for pk in chunk), strict=True)
        return sum(gone), sum(left)


def ran(name: str, now: datetime, *, done: int, failed: int) -> None:
    Sweep.objects.update_or_create(
        name=name, defaults={"ran_at": now, "done": done, "failed": failed}
    )
