"""What weighs on the database while the sweep works, and how fast that still is: rates of one run
beside each other, so that the machine and its mood cancel out.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from django.db import connection

from recycle.actions.schedule import LIMIT
from recycle.models import Instance
from recycle.tasks import purge_due
from tests.soak.data import Fleet
from tests.soak.parts import wait_until

UNDER, AFTER = 0.75, 0.98
READERS = 2
# Of the rate without pressure the median of so many counts.
ROUNDS = 3


@dataclass(frozen=True)
class Rate:
    """How many rows the sweep has purged in which time, under which pressure."""

    what: str
    rows: int
    seconds: float
    # Of the rates without pressure before it, and how much it has to be.
    ratio: float
    must: float | None

    @property
    def held(self) -> bool | None:
        return None if self.must is None else self.ratio >= self.must

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "held": self.held}

    def __str__(self) -> str:
        mark = {True: "ok  ", False: "LESS", None: "    "}[self.held]
        bound = "" if self.must is None else f"≥ {self.must:g}"
        rate = f"{self.rows:>7,} rows {self.rows / self.seconds:>8,.0f}/s"
        return f"{mark} {self.what:<30} {rate} {self.ratio:>6.2f} {bound}"


# --- Pressures ------------------------------------------------------------------------------------


@contextmanager
def open_transaction() -> Iterator[None]:
    """Somebody has read, written something and gone for a walk: what is dead since then stays."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM recycle_instance")
            cursor.execute("CREATE TEMPORARY TABLE walk (id int)")
        yield
    finally:
        other.close()


@contextmanager
def long_readers() -> Iterator[None]:
    """Some read all there is, a little at a time, each by a snapshot of its own."""
    stop = threading.Event()
    readers = [threading.Thread(target=_read, args=[stop], daemon=True) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        stop.set()
        for reader in readers:
            reader.join()


def _read(stop: threading.Event) -> None:
    other = connection.copy()
    try:
        while not stop.is_set():
            with other.chunked_cursor() as cursor:
                cursor.execute(
                    "SELECT * FROM recycle_event e JOIN recycle_instance i ON i.id = e.instance_id"
                )
                while not stop.wait(0.02) and cursor.fetchmany(200):
                    pass
    finally:
        other.close()


PRESSURES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "a transaction left open": open_transaction,
    "long readers": long_readers,
    "a burst": nullcontext,
}

# --- Rates ----------------------------------------------------------------------------------------


def rates(fleet: Fleet, rows: int, burst: int, say: Callable[[str], None]) -> list[Rate]:
    """The sweep alone, and under each pressure and after it. The one before it is the measure."""
    found: list[Rate] = []

    def tell(what: str, count: int, seconds: float, alone: float, must: float | None) -> float:
        found.append(Rate(what, count, seconds, count / seconds / alone, must))
        say(str(found[-1]))
        return count / seconds

    def by_itself(what: str, alone: float, must: float | None) -> float:
        seconds = median(_sweep(fleet, rows) for _round in range(ROUNDS))
        return tell(what, rows, seconds, alone or rows / seconds, must)

    # It warms up, which counts for nothing.
    _sweep(fleet, rows)
    alone = by_itself("alone", 0, None)
    for what, pressure in PRESSURES.items():
        with pressure():
            seconds = _sweep(fleet, burst)
        tell(what, burst, seconds, alone, UNDER)
        alone = by_itself("after it", alone, AFTER)
    return found


def _sweep(fleet: Fleet, rows: int) -> float:
    """Seconds in which the workers purge so many that come due at once."""
    fleet.burst(rows, now_of_database())
    began = time.monotonic()
    # As many passes as there is work for, so that none of the workers waits for the next beat.
    for _pass in range(rows // LIMIT + 4):
        purge_due.delay()
    wait_until(lambda: not is_due(), "the sweep does not come to its end", patience=600)
    return time.monotonic() - began


def is_due() -> bool:
    return Instance.objects.due_for_purge(now_of_database()).exists()


def now_of_database() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]
