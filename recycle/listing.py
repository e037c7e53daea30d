"""Pages of a list by keyset: the next page begins where this one ends, so that a page costs the
same at any depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from recycle.models import User
from recycle.models.sql import NumberOf, Unindexed

# Counting goes no further, so that a page costs the same whatever the account holds.
COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are, or that there are more than `number`."""

    number: int
    capped: bool

    def __str__(self) -> str:
        return f"{self.number:,}+" if self.capped else f"{self.number:,}"


def counted(rows: QuerySet[Any, Any]) -> Count:
    """How many rows there are, counted up to COUNTED. What is said of each is not asked here."""
    number = rows.order_by().values("pk")[: COUNTED + 1].count()
    return Count(min(number, COUNTED), capped=number > COUNTED)


def counted_apart(user: User, **questions: QuerySet[Any, Any]) -> dict[str, Count]:
    """The same for several questions that `user` asks at once, with one statement."""
    numbers = {
        name: NumberOf(Subquery(rows.order_by().values("pk")[: COUNTED + 1]))
        for name, rows in questions.items()
    }
    found: Any = User.objects.filter(pk=user.pk).values(**numbers).get()
    return {
        name: Count(min(number, COUNTED), capped=number > COUNTED) for name, number in found.items()
    }


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after (or before) the row with this value and key, in this order."""

    sort: str
    backwards: bool
    value: str
    key: str

    @classmethod
    def read(cls, text: str, sort: str) -> "Cursor":
        """The cursor in a page link. ValidationError when it is not one of ours, or of another
        order.
        """
        try:
            cursor = cls(*signing.loads(text, salt="cursor"))
        except (signing.BadSignature, TypeError):
            cursor = None
        if cursor is None or cursor.sort != sort:
            raise ValidationError(
                _("This page link is not valid. Start again from the first page."), code="cursor"
            )
        return cursor

    def __str__(self) -> str:
        return signing.dumps([self.sort, self.backwards, self.value, self.key], salt="cursor")


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    previous: Cursor | None
    next: Cursor | None
    # How many match in all.
    count: Count


def paginate(
    rows: QuerySet[Any, Any],
    *,
    sort: str,
    size: int,
    cursor: Cursor | None = None,
    narrowed: bool = False,
) -> Page:
    """A page of `rows` in the order of `sort`, a column's name with a leading "-" for descending.

    Rows come and go between one page and the next. Wherever that leads, a page is full when there
    are rows to fill it, and has a Previous and a Next when there is something there.

    `narrowed` rows are few or many, which only their count tells. Many are met soon on the way
    along the order's index; on the way to few lie all those that are not meant, so that they are
    found by what narrows them, and then put in order.
    """
    count = counted(rows)
    if not count.number:
        return Page(rows=[], previous=None, next=None, count=count)
    column = sort.removeprefix("-")
    by = column
    if narrowed and not count.capped:
        by = "put_in_order"
        rows = rows.alias(**{by: Unindexed(column)})
    order = Ordered(rows, column, by, sort.startswith("-"))
    backwards = cursor is not None and cursor.backwards
    found, more = order.fetch(size, cursor, backwards=backwards)
    if cursor and backwards and len(found) < size:
        # Some of what stood before this page has gone: this is the first one.
        cursor, backwards = None, False
        found, more = order.fetch(size, cursor, backwards=backwards)
    elif cursor and not found:
        # All that stood from here on has gone: the last page there is, read from the end.
        cursor, backwards = None, True
        found, more = order.fetch(size, cursor, backwards=backwards)
    # Where the page was entered, there is something only if it has not gone meanwhile.
    entered = False
    if cursor and found:
        edge = found[-1 if backwards else 0]
        entered = order.beyond(_cursor_at(edge, sort, backwards=not backwards)).exists()
    has_previous, has_next = (more, entered) if backwards else (entered, more)
    return Page(
        rows=found,
        previous=_cursor_at(found[0], sort, backwards=True) if has_previous else None,
        next=_cursor_at(found[-1], sort, backwards=False) if has_next else None,
        count=count,
    )


@dataclass(frozen=True, slots=True)
class Ordered:
    """Rows in the order of a column, and of their keys where that is the same; `by` is what the
    database is told to compare.
    """

    rows: QuerySet[Any, Any]
    column: str
    by: str
    descending: bool

    def fetch(self, size: int, cursor: Cursor | None, *, backwards: bool) -> tuple[list[Any], bool]:
        """The rows of one page, and whether there are more beyond it."""
        sign = "-" if self.descending is not backwards else ""
        beyond = self.beyond(cursor) if cursor else self.rows
        found = list(beyond.order_by(f"{sign}{self.by}", f"{sign}pk")[: size + 1])
        page = found[:size]
        return page[::-1] if backwards else page, len(found) > size

    def beyond(self, cursor: Cursor) -> QuerySet[Any, Any]:
        """The rows after the cursor, or before it when it looks backwards."""
        beyond = "lt" if self.descending is not cursor.backwards else "gt"
        value = self.rows.model._meta.get_field(self.column).to_python(cursor.value)
        key = self.rows.model._meta.pk.to_python(cursor.key)
        # The first condition is implied by the second, and is the one an index can start from.
        return self.rows.filter(
            Q(**{f"{self.by}__{beyond}e": value})
            & (Q(**{f"{self.by}__{beyond}": value}) | Q(**{f"pk__{beyond}": key}))
        )


def _cursor_at(row: Model, sort: str, *, backwards: bool) -> Cursor:
    value = getattr(row, sort.removeprefix("-"))
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    key = row.pk.hex if isinstance(row.pk, UUID) else str(row.pk)
    return Cursor(sort, backwards, text, key)
