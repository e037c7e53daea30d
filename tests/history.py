"""Databases of earlier releases."""

from collections.abc import Iterator

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from console.schema import History


def one_by_one() -> MigrationExecutor:
    """Django's executor, for the migrations as the releases brought them."""
    executor = MigrationExecutor(connection)
    executor.loader = History(connection)
    return executor


POSTGRESQL = """
    SELECT table_name::text, column_name || ' ' || data_type || is_nullable
        || coalesce(character_maximum_length::text, '') || coalesce(column_default, '')
        || identity_generation_or_nothing
    FROM (SELECT *, coalesce(identity_generation, '') AS identity_generation_or_nothing
          FROM information_schema.columns) AS columns
    WHERE table_name LIKE 'recycle%'
    UNION ALL
    SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE conrelid::regclass::text LIKE 'recycle%'
    UNION ALL
    SELECT tablename, indexdef FROM pg_indexes WHERE tablename LIKE 'recycle%'
    UNION ALL
    SELECT tgrelid::regclass::text, pg_get_triggerdef(oid)
    FROM pg_trigger WHERE NOT tgisinternal
"""
SQLITE = """
    SELECT tbl_name, sql FROM sqlite_master WHERE tbl_name LIKE 'recycle%' AND sql IS NOT NULL
"""


def tables() -> set[tuple[str, str]]:
    """Each column, constraint, index and trigger with the name of its table, in the database's own
    words. Columns have no order: what came later stands later.
    """
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(POSTGRESQL if postgresql else SQLITE)
        said = cursor.fetchall()
    return {(table, part) for table, text in said for part in _parts(text)}


def _parts(definition: str) -> Iterator[str]:
    """What stands between the outermost parentheses of CREATE TABLE, one by one."""
    if not definition.startswith("CREATE TABLE"):
        yield definition
        return
    depth, part = 0, ""
    for letter in definition[definition.index("(") + 1 : -1]:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()
