"""For tests of two at once: real threads, and gates, not sleeps, that see to it that they meet."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, models, transaction

PATIENCE = 20


class Threads:
    """Runs things at once, each with a connection of its own."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=4)

    def go(self, call: Any, *args: Any, **kwargs: Any) -> Future[Any]:
        return self.pool.submit(self._run, call, args, kwargs)

    def _run(self, call: Any, args: Any, kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            connections.close_all()

    def wait_until_blocked(self, count: int) -> None:
        """Until so many of them wait for a lock in the database."""
        deadline = time.monotonic() + PATIENCE
        while self._blocked() != count:
            assert time.monotonic() < deadline, f"{self._blocked()} wait for a lock, not {count}"
            time.sleep(0.005)

    def _blocked(self) -> int:
        with connection.cursor() as cursor:
            # Inside a transaction the view is read once and kept.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "wait_event_type = 'Lock'"
            )
            return int(cursor.fetchone()[0])


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.pool.shutdown()


@contextmanager
def nobody_writes_events() -> Iterator[None]:
    """A gate: who has locked and judged its rows waits here before it writes."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE recycle_event IN EXCLUSIVE MODE")
        yield


@contextmanager
def held(*rows: models.Model) -> Iterator[None]:
    """Somebody holds these rows: who wants them has read them before, and waits."""
    with transaction.atomic():
        for row in rows:
            assert list(type(row)._default_manager.select_for_update().filter(pk=row.pk))
        yield


def refusals(*outcomes: Any) -> list[Any]:
    return [refused.refusal for outcome in outcomes for refused in outcome.refused]


def done(*outcomes: Any) -> list[Any]:
    return [each.id for outcome in outcomes for each in outcome.done]


def result(*futures: Future[Any]) -> list[Any]:
    return [future.result(PATIENCE) for future in futures]
