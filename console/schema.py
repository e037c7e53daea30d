"""Whether the database has the tables that this version of the console needs, and that one node
alone makes them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

# Any number that nobody else uses in this database.
LOCK = 0x6B6563


class History(MigrationLoader):
    """The migrations as the releases brought them, without those that stand for several of them
    where a database is new.
    """

    def load_disk(self) -> None:
        super().load_disk()
        self.disk_migrations = {
            key: migration
            for key, migration in self.disk_migrations.items()
            if not migration.replaces
        }


def unapplied(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of the migrations of this version that the database has not seen.

    What a newer version has applied already does not count.
    """
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [str(migration) for migration, _backwards in plan]


@contextmanager
def migrating_alone(connection: BaseDatabaseWrapper, waiting: Callable[[], None]) -> Iterator[None]:
    """Keep other nodes from migrating the same database meanwhile; `waiting` is called when another
    one is at it.

    The lock belongs to a transaction of its own, on a connection of its own: behind a pooler a lock
    of the session would stay with whichever session had it. SQLite has one console.
    """
    if connection.vendor != "postgresql":
        yield
        return
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                waiting()
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield
    finally:
        other.close()
