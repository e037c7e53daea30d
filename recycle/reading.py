"""Reading more rows than fit into memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def reading_in_chunks() -> Iterator[None]:
    """Within it, `QuerySet.iterator` fetches its rows in chunks, of one moment.

    PostgreSQL keeps what is left to be fetched in the transaction, and behind a pooler nowhere
    else. On SQLite a transaction would keep everybody else from writing, and is not needed.
    """
    if connection.vendor == "sqlite" or connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        yield
