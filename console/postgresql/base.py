"""PostgreSQL as Django has it, with three differences: nothing is left in a session when its
transaction is over, a request waits once, and no more, for a server that is away, and a moment is
read in a tenth of the time.
"""

from datetime import UTC, datetime
from typing import Any

from django.db.backends.postgresql import base
from psycopg import OperationalError
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap
from psycopg.types.datetime import TimestamptzLoader


class MomentLoader(TimestamptzLoader):
    """The driver's matches each with a pattern, which was half of what it cost to read a chunk of
    instances.
    """

    # Where Django looks whether a cursor needs another one.
    timezone = UTC

    def load(self, data: Buffer) -> datetime:
        try:
            return datetime.fromisoformat(str(data, "ascii"))
        except ValueError:
            # None that Python has, or not written as ISO does.
            return super().load(data).replace(tzinfo=UTC)


class DatabaseWrapper(base.DatabaseWrapper):
    # Why there was no connection when this request, or this task, asked for one.
    away: OperationalError | None = None

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if self.timezone is UTC:
            params["context"] = AdaptersMap(params["context"])
            params["context"].register_loader("timestamptz", MomentLoader)
        return params

    def chunked_cursor(self) -> Any:
        """Read in chunks on the server within a transaction; outside of one, all at once.

        A pooler such as PgBouncer may give each transaction another session. What Django reads in
        chunks outside of a transaction it keeps as a cursor of the session, which the next chunk
        then looked for in vain.
        """
        return super().chunked_cursor() if self.in_atomic_block else self.cursor()

    def connect(self) -> None:
        """Connect, or fail at once where this request has waited for the server before.

        Who is there is asked by several: who logs in, the page, and what keeps the session. Each of
        them waited for as long as a server may take that does not answer at all.
        """
        if self.away:
            raise type(self.away)(*self.away.args)
        try:
            super().connect()
        except OperationalError as error:
            self.away = error
            raise

    def close(self) -> None:
        self.away = None
        super().close()

    def close_if_unusable_or_obsolete(self) -> None:
        """Django does this before and after each request."""
        self.away = None
        super().close_if_unusable_or_obsolete()
