"""PostgreSQL as Django has it, but nothing is left in a session when its transaction is over.

A pooler such as PgBouncer may give each transaction another session. What Django reads in chunks
outside of a transaction it keeps as a cursor of the session, which the next chunk then looked for
in vain, or found in the middle of somebody else's.
"""

from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def chunked_cursor(self) -> Any:
        """Read in chunks on the server within a transaction; outside of one, all at once."""
        return super().chunked_cursor() if self.in_atomic_block else self.cursor()
