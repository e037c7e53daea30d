"""What time it is: the database's moment, which all nodes have in common. Nobody else asks a clock
for anything that is decided.

The schedule asks the database at the beginning of each pass. Pages ask it once a minute in each
process, and count on from there by the clock that nobody can set, so that the node's own does not
matter to them either. On SQLite the machine's clock is the database's.

What can still differ then: two nodes by what an answer of the database takes on its way, which is
known and small, and by what two quartzes drift apart in a minute. A node whose own clock is wrong
decides like all others: what is due, when a promise ends, what a page still offers, when a login
is over. But a node cannot tell whether it is itself wrong or the database: should that be the one
that is ahead, or another that is ahead take its place, every promise would end too early on all
nodes alike. It shows in nothing but that the two differ. So a node that differs by more than
CLOCK_SKEW from the database deletes nothing for good, and says so, until a person has looked which
of them is right; where the database is wrong, that is every node.

Some things go by the machine all the same. Django notes the last login, when a user or a membership
was made and what its admin's own log says. Celery sends a pass again that it takes for lost, which
does no harm. allauth throttles failed logins: of two machines that are further apart than a limit
reaches, the one that is ahead forgets what the other has counted, so that who alternates between
them has twice the attempts.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from django.conf import settings
from django.db import connection

# Seconds after which a page asks the database again.
KEEP = 60
# As often it is asked then, and the quickest answer is believed: a slow one says less.
ASKED = 3
# A machine that was suspended, or whose clock was set, by more than this asks anew.
JUMP = timedelta(seconds=1)


@dataclass(frozen=True)
class Reading:
    """One look at the database's clock and, half way between question and answer, at the two of
    this machine.
    """

    database: datetime
    own: datetime
    # Of the clock that nobody can set.
    ticks: float
    # By which the two may be off, as the question took this long and the answer as well.
    margin: timedelta

    @property
    def skew(self) -> timedelta:
        """By how much this machine is ahead of the database; less than nothing when behind."""
        return self.own - self.database

    @property
    def age(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self.ticks)

    def is_over(self) -> bool:
        age = self.age
        return age > timedelta(seconds=KEEP) or abs(_own() - self.own - age) > JUMP


class Clock:
    """What this process knows of the time."""

    def __init__(self) -> None:
        self.asking = Lock()
        self.reading: Reading | None = None
        self.said = datetime.min.replace(tzinfo=UTC)

    def ask(self) -> datetime:
        """The moment of a pass of the schedule, or of a probe: one statement. It has just passed
        when it arrives, so that nothing is due too early by it.
        """
        if _is_own():
            return _own()
        self.reading = _read()
        return self.reading.database

    def now(self) -> datetime:
        """The moment of a request or a command: once a minute it costs statements of one thread."""
        reading = self.reading
        if _is_own() or (reading and not reading.is_over()):
            return self.known()
        # Who has something to go by does not wait for another who asks.
        if self.asking.acquire(blocking=reading is None):
            try:
                if self.reading is reading:
                    readings = [_read() for _ in range(ASKED)]
                    self.reading = min(readings, key=lambda each: each.margin)
            finally:
                self.asking.release()
        return self.known()

    def known(self) -> datetime:
        """The moment where nobody may wait for the database: by what is known, or by the machine's
        clock where nothing is yet.
        """
        if _is_own() or self.reading is None:
            return _own()
        moment = self.reading.database + self.reading.age
        # A new reading may be a little behind the last one; nobody sees time go back. If the
        # database's clock was set back, it is right now or it was right before: it has the word.
        if moment < self.said < moment + settings.CLOCK_SKEW:
            return self.said
        self.said = moment
        return moment

    def skew(self) -> timedelta:
        """By how much this machine was ahead of the database when it was last asked."""
        return timedelta() if _is_own() or self.reading is None else self.reading.skew

    def is_trusted(self) -> bool:
        """Whether the two were so near to each other that what is deleted for good is due."""
        if _is_own() or self.reading is None:
            return True
        return abs(self.reading.skew) - self.reading.margin <= settings.CLOCK_SKEW


def _is_own() -> bool:
    """Whether the machine's clock is the one that counts."""
    return settings.CLOCK == "MACHINE" or connection.vendor == "sqlite"


def _own() -> datetime:
    return datetime.now(UTC)


def _read() -> Reading:
    # A connection is made before the time is taken that the answer needs.
    with connection.cursor() as cursor:
        began = time.monotonic()
        cursor.execute("SELECT clock_timestamp()")
        [moment] = cursor.fetchone()
        own, ended = _own(), time.monotonic()
    margin = timedelta(seconds=(ended - began) / 2)
    return Reading(moment, own - margin, (began + ended) / 2, margin)


clock = Clock()
