"""How workers share a queue of the database, and what becomes of work that fails.

A pass takes rows from the front with their locks, passing over what others hold, in the very
transaction that works them off. So two passes never wait for each other, and of one that dies
nothing is left but rows that are free again.

What fails waits aside: it leaves the front of the queue for a minute, then two, four, ... a day at
most, and after a number of tries it waits for a person. A pass first gets past what fails; it
spends only a few tries on telling bad rows from good ones.
"""

import logging
import random
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Case, DateTimeField, F, Q, Value, When

from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.heartbeat import came_by
from recycle.actions.outcome import Failed, Outcome
from recycle.lifecycle import Action, ResourceAction
from recycle.models.retried import RetriedQuerySet

logger = logging.getLogger(__name__)

# Measured: larger chunks bring little and hold their locks longer.
CHUNK = 1_000
# Rows of a failing chunk that are tried alone, to find out whether all of them fail.
SAMPLE = 3
# Chunks that fail altogether and are set aside in one pass. The next ones are only leapt over: to
# write to them would take longer than to work off as many that do not fail.
SET_ASIDE = 2
LEAPS = 50
# Tries that may fail in one pass while bad rows are told from good ones.
TRIES = 200
# Seconds after which the next chunk is a heartbeat as well.
BEAT_EVERY = 1.0
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=1)


class Row(Protocol):
    @property
    def pk(self) -> UUID: ...
    @property
    def name(self) -> str: ...


class Queue(ABC):
    """What waits for the schedule, and how it is worked off."""

    # As the pass is called in its heartbeat.
    name: str
    action: Action | ResourceAction
    context: Context
    # Failed tries after which a row waits for a person; None: it is tried for ever.
    attempts: int | None = None

    @abstractmethod
    def due(self) -> RetriedQuerySet[Any]:
        """What is to be done by now, ordered by `due_at` and id."""

    @abstractmethod
    def read(self, rows: Any) -> Sequence[Row]:
        """As much of these rows as `work` looks at."""

    @abstractmethod
    def work(self, rows: Sequence[Any]) -> Outcome:
        """Work off rows that are locked, in a transaction that is open."""

    def tell_of_quarantine(self, ids: Sequence[UUID]) -> None:
        """Write down that these wait for a person from now on. A queue with `attempts` says how."""
        raise NotImplementedError


class Pass:
    """One pass over a queue. It may run twice, late, or in ten workers at a time."""

    def __init__(self, queue: Queue, *, limit: int) -> None:
        self.queue, self.limit = queue, limit
        self.outcome = Outcome(queue.action, queue.context.batch)
        self.failed: dict[UUID, Failed] = {}
        # What was said of those that failed without any others.
        self.alone: dict[UUID, str] = {}
        self.taken = self.leaps = self.set_aside = self.tries = 0
        # Past what was not done: behind this moment and id.
        self.behind: Q | None = None
        self.began = self.beat = time.monotonic()

    def run(self) -> Outcome:
        while self.taken < self.limit and self.leaps < LEAPS and self._take():
            pass
        self._quarantine()
        self.outcome.failed += self.failed.values()
        self._beat()
        return tallied(self.outcome, self.queue.context.edge)

    def _take(self) -> bool:
        """Work off the next chunk; false when there is none."""
        due = self.queue.due()
        rows = due.filter(self.behind) if self.behind else due
        chunk: Sequence[Row] = ()
        try:
            with transaction.atomic():
                chunk = self.queue.read(rows.claimed()[: min(CHUNK, self.limit - self.taken)])
                if not chunk:
                    return False
                part = self.queue.work(chunk)
        except OperationalError:
            # Not the rows' fault: the database is gone or overloaded. What was committed stays, the
            # rest was not touched.
            raise
        except DatabaseError as error:
            if not chunk:
                raise
            return self._get_past(chunk, error)
        self.outcome.extend(part)
        self.taken += len(chunk)
        # So that nobody takes a long pass for a dead one. Not in the transaction, where two passes
        # would wait for each other.
        if time.monotonic() - self.beat >= BEAT_EVERY:
            self._beat()
        return not part.refused or self._leap(chunk)

    def _beat(self) -> None:
        self.beat = time.monotonic()
        moment = timedelta(seconds=int(time.monotonic() - self.began)) + self.queue.context.now
        done, failed = len(self.outcome.done), len(self.failed)
        came_by(self.queue.name, moment, done=done, failed=failed)

    # --- What fails -------------------------------------------------------------------------------

    def _get_past(self, chunk: Sequence[Row], error: DatabaseError) -> bool:
        if self.set_aside >= SET_ASIDE or self.tries >= TRIES:
            return self._leap(chunk)
        self.failed |= {row.pk: Failed(row.pk, row.name, str(error)) for row in chunk}
        ids = [row.pk for row in chunk]
        # First out of the way of every other pass, then looked at.
        marked = self._postpone(ids, error)
        if len(ids) == 1:
            self._failed_alone(ids[0], error)
        if self._tell_apart(ids, error):
            self.taken += len(ids)
        else:
            self.set_aside += 1
        if marked:
            return True
        for pk in [pk for pk in ids if pk in self.failed][:TRIES]:
            self._postpone([pk], error)
        return self._leap(chunk)

    def _leap(self, chunk: Sequence[Row]) -> bool:
        """Go on behind these rows, which stay where they are."""
        self.leaps += 1
        last = chunk[-1].pk
        there = self.queue.due().filter(pk=last).annotate(at=F("due_at")).values_list("at")
        if not (found := there.first()):
            return False
        # The first condition follows from the second, and is the one an index can start from.
        self.behind = Q(due_at__gte=found[0]) & (Q(due_at__gt=found[0]) | Q(pk__gt=last))
        return True

    def _postpone(self, ids: Sequence[UUID], error: DatabaseError) -> bool:
        """Have rows tried again later, all with one statement; false where not even that can be
        written to them.
        """

        def postpone() -> None:
            # Somebody may hold them, or have done them, by now: not worth waiting for.
            free = self.queue.due().filter(pk__among=ids).claimed().values_list("pk", flat=True)
            self._rows(list(free)).update(
                attempts=F("attempts") + 1, retry_at=self._next_try(), last_error=in_short(error)
            )

        return self._mark(ids, postpone)

    def _mark(self, ids: Sequence[UUID], write: Callable[[], object]) -> bool:
        """Whether it could be written to rows what became of them."""
        try:
            with transaction.atomic():
                write()
        except OperationalError:
            raise
        except DatabaseError as error:
            logger.error("%d rows cannot be marked as failed: %s", len(ids), in_short(error))
            return False
        return True

    def _next_try(self) -> Case:
        """A minute after the first try, then two, four, ... a day at most."""
        now, waits = self.queue.context.now, [FIRST_WAIT]
        while waits[-1] < LONGEST_WAIT:
            waits.append(min(2 * waits[-1], LONGEST_WAIT))
        return Case(
            *(When(attempts=tried, then=Value(now + wait)) for tried, wait in enumerate(waits)),
            default=Value(now + LONGEST_WAIT),
            output_field=DateTimeField(),
        )

    def _tell_apart(self, ids: Sequence[UUID], error: DatabaseError) -> bool:
        """Do what does not fail of rows that failed together, as far as the tries of this pass
        reach. False when all of them seem to fail.
        """
        if len(ids) == 1:
            return False
        # Others each time, so that a good one among many bad ones is not passed over for ever.
        sample = random.sample(ids, min(SAMPLE, len(ids)))
        good = [pk for pk in sample if self._again([pk])]
        rest = [pk for pk in ids if pk not in sample]
        if rest and not good:
            logger.error("%s of %d rows failed: %s", self.queue.action, len(rest), in_short(error))
            return False
        for half in (rest[: len(rest) // 2], rest[len(rest) // 2 :]):
            if self.tries >= TRIES:
                self._excuse(half)
            elif half and not self._again(half):
                self._tell_apart(half, error)
        return bool(good)

    def _excuse(self, ids: Sequence[UUID]) -> None:
        """There is no time to find out which of these fail for themselves: they wait for a minute,
        as if they had not been tried.
        """
        if not ids:
            return
        for pk in ids:
            self.failed.pop(pk, None)
        soon = self.queue.context.now + FIRST_WAIT
        tried = self._rows(ids).filter(attempts__gt=0)
        self._mark(ids, lambda: tried.update(attempts=F("attempts") - 1, retry_at=soon))

    def _again(self, ids: Sequence[UUID]) -> bool:
        """Whether these can be done without the others."""
        try:
            with transaction.atomic():
                locked = self._rows(ids).order_by("pk").claimed()
                part = self.queue.work(self.queue.read(locked))
        except OperationalError:
            raise
        except DatabaseError as error:
            self.tries += 1
            if len(ids) == 1:
                self._failed_alone(ids[0], error)
            return False
        self.outcome.extend(part)
        for done in part.done:
            self.failed.pop(UUID(str(done.id)), None)
        return True

    def _failed_alone(self, pk: UUID, error: DatabaseError) -> None:
        logger.error("%s of %s failed: %s", self.queue.action, pk, in_short(error))
        self.alone[pk] = in_short(error)

    def _quarantine(self) -> None:
        """What was tried often enough, the last time alone, waits for a person from now on."""
        if self.queue.attempts is None or not self.failed:
            return
        rows = self._rows(list(self.failed)).filter(attempts__gte=self.queue.attempts)
        for pk in rows.values_list("pk", flat=True):
            if pk not in self.alone and self.tries < TRIES:
                self._again([pk])
        unsure = [pk for pk in rows.values_list("pk", flat=True) if pk not in self.alone]
        self._excuse(unsure)
        spent = [pk for pk in self.alone if pk in self.failed]

        def quarantine() -> None:
            ids = list(rows.filter(pk__among=spent).claimed().values_list("pk", flat=True))
            said = defaultdict(list)
            for pk in ids:
                said[self.alone[pk]].append(pk)
            values = {"quarantined_at": self.queue.context.now, "retry_at": None}
            for error, these in said.items():
                self._rows(these).update(**values, last_error=error)
            if ids:
                self.queue.tell_of_quarantine(ids)

        self._mark(spent, quarantine)

    def _rows(self, ids: Sequence[UUID]) -> RetriedQuerySet[Any]:
        rows: RetriedQuerySet[Any] = self.queue.due().model._default_manager.filter(pk__among=ids)
        return rows


def in_short(error: DatabaseError) -> str:
    """What the database says of rows that failed together: without its details, which may be of one
    row alone, and that of another account.
    """
    said = getattr(getattr(error.__cause__, "diag", None), "message_primary", None)
    return " ".join(str(said or error).split())[:200]
