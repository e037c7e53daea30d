"""Writes that are not worth a long wait, on a database that takes one writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def waiting_at_most(seconds: float) -> Iterator[None]:
    """On SQLite, give up after so long with OperationalError when somebody else is writing.

    On PostgreSQL nobody is in the way.
    """
    if connection.vendor != "sqlite":
        yield
        return
    patience = int(1000 * connection.settings_dict["OPTIONS"].get("timeout", 5))
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {int(1000 * seconds)}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {patience}")
