"""The few pieces of SQL that Django does not write: one array for many ids, INSERT ... SELECT, and
many new rows in one text.

Both work on PostgreSQL and SQLite, so that the actions above are the same code on either.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections, models, router
from django.db.models import (
    Aggregate,
    BooleanField,
    CharField,
    Func,
    IntegerField,
    JSONField,
    Lookup,
    QuerySet,
    TextField,
    UUIDField,
)
from django.db.models.expressions import Combinable, DatabaseDefault

if TYPE_CHECKING:
    AnyLookup = Lookup[Any]
else:
    AnyLookup = Lookup


class Ids:
    """Many ids as the one text that they are in a statement, made once for all that are about the
    same ones. The drivers, and Django, would look at each id of a list each time.
    """

    def __init__(self, ids: Iterable[UUID]) -> None:
        self._hexes = [pk.hex for pk in ids]

    @classmethod
    def of(cls, ids: "Ids | Iterable[UUID]") -> "Ids":
        return ids if isinstance(ids, Ids) else cls(ids)

    @cached_property
    def array(self) -> str:
        return f"{{{','.join(self._hexes)}}}"

    @cached_property
    def json(self) -> str:
        return json.dumps(self._hexes)


@UUIDField.register_lookup
class Among(AnyLookup):
    """`pk__among=ids`: like `__in`, with the ids as one parameter instead of a thousand. Where more
    statements than one are about the same ids, these are `Ids`.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::uuid[])", (*params, Ids.of(self.rhs).array)

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, params = self.process_lhs(compiler, connection)
        values = "SELECT value FROM json_each(%s)"
        return f"{column} IN ({values})", (*params, Ids.of(self.rhs).json)


@CharField.register_lookup
class OneOf(AnyLookup):
    """`state__one_of=STATES`: like `__in`, with the values written into the statement.

    SQLite uses a partial index only where the statement says its condition in the same constants.
    For values of an enum of ours alone: a ValueError for anything that is no plain word.
    """

    lookup_name = "one_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, params = self.process_lhs(compiler, connection)
        words = [str(value) for value in self.rhs]
        if strange := [word for word in words if not word.isidentifier()]:
            raise ValueError(f"{strange[0]!r} is no plain word.")
        values = ", ".join(f"'{word}'" for word in words)
        # As Django writes the condition of the index.
        written = f"= {values}" if len(words) == 1 else f"IN ({values})"
        return f"{column} {written}", (*params,)


class JSONList(Aggregate):
    """The values of a group as one JSON array."""

    function = "JSONB_AGG"
    output_field = JSONField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_GROUP_ARRAY", **context)


class NumberOf(Func):
    """How many rows a subquery gives."""

    arity = 1
    template = "(SELECT COUNT(*) FROM %(expressions)s AS counted)"
    output_field = IntegerField()
    empty_result_set_value = 0


class Unindexed(Func):
    """A column as an expression that no index serves: neither its order nor a comparison with it
    decides how rows are found.
    """

    arity = 1
    template = "GREATEST(%(expressions)s)"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)


class Dashed(Func):
    """A UUID inside JSON: as PostgreSQL writes it, on SQLite as well."""

    arity = 1
    template = "%(expressions)s"
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, params = compiler.compile(self.source_expressions[0])
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        dashed = " || '-' || ".join(
            f"substr({column}, {start}, {length})" for start, length in parts
        )
        return dashed, [*params] * len(parts)


class Truth(Func):
    """A boolean inside JSON: as PostgreSQL writes it, on SQLite as well."""

    arity = 1
    template = "%(expressions)s"
    output_field = BooleanField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "json(CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END)"
        return self.as_sql(compiler, connection, template=template, **context)


def insert_from(
    model: type[models.Model], rows: QuerySet[Any], columns: Mapping[str, Combinable]
) -> int:
    """INSERT into the model's table a row for each of `rows`, in their order, and answer how many
    that are: every column that is named gets its expression, which may refer to the row.
    """
    connection = connections[rows.db]
    # A prefix, since an annotation may not be called like a field of the rows.
    named = {f"insert_{column}": expression for column, expression in columns.items()}
    compiler = rows.values(**named).query.get_compiler(connection=connection)
    select, params = compiler.as_sql()
    # What was compiled says in which order it selects.
    selected = [str(alias).removeprefix("insert_") for _column, _sql, alias in compiler.select]
    quote = connection.ops.quote_name
    into = f"{quote(model._meta.db_table)} ({', '.join(map(quote, selected))})"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {into} {select}", params)
        inserted: int = cursor.rowcount
    return inserted


def insert_rows(rows: Sequence[models.Model]) -> None:
    """INSERT new rows of one model, as `bulk_create` does, in one statement and for a third of its
    price: what all rows have in common is prepared and sent once, the rest is one text of JSON.

    What the database fills in by itself is left to it in all of the rows or in none, as the first
    one has it. Nobody tells the rows which ids they got.
    """
    if not rows:
        return
    model = type(rows[0])
    connection = connections[router.db_for_write(model)]
    if connection.vendor == "sqlite":
        common, own, each = "%s", "json_extract(value, '$[{place}]')", "json_each(%s)"
    else:
        # Without its length: a cast would cut off what is too long, the column refuses it.
        common, own, each = (
            "%s::{type}",
            "(value ->> {place})::{type}",
            "jsonb_array_elements(%s::jsonb)",
        )
    columns: list[str] = []
    selected: list[str] = []
    params: list[Any] = []
    differing: list[Iterable[Any]] = []
    for field in model._meta.concrete_fields:
        values = [field.pre_save(row, add=True) for row in rows]
        first = values[0]
        if isinstance(first, DatabaseDefault) or (field.primary_key and first is None):
            continue
        columns.append(connection.ops.quote_name(str(field.column)))
        type_ = str(field.db_type(connection)).partition("(")[0]
        if values.count(first) == len(values):
            selected.append(common.format(type=type_))
            params.append(field.get_db_prep_save(first, connection))
        else:
            selected.append(own.format(type=type_, place=len(differing)))
            differing.append(map(_for_json(field, connection), values))
    texts = json.dumps(list(zip(*differing, strict=True)) or [()] * len(rows), default=str)
    into = f"{connection.ops.quote_name(model._meta.db_table)} ({', '.join(columns)})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {into} SELECT {', '.join(selected)} FROM {each}",
            [*params, texts],
        )


def _for_json(field: "models.Field[Any, Any]", connection: Any) -> Callable[[Any], Any]:
    """How a value of the column is written inside JSON, from where it is cast to its type."""
    if connection.vendor == "sqlite":
        return lambda value: field.get_db_prep_save(value, connection)
    if isinstance(field, JSONField):
        return lambda value: None if value is None else json.dumps(value)
    return field.get_prep_value
