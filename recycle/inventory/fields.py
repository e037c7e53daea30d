"""The fields of one item of an answer, with their types checked.

A field that is wrong is noted, and a stand-in is returned, so that one reading tells everything
that is wrong with an item. What was read of an item with problems must not be used.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.ipv6 import clean_ipv6_address

from recycle.inventory.place import as_shown
from recycle.inventory.words import CONTAINERS
from recycle.text import check_text

Value = TypeVar("Value")

NO_ID = UUID(int=0)
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)
BEIJING = timezone(timedelta(hours=8), "Beijing")
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
DATE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE | re.ASCII
)
# Far enough from what a date can hold to be shown in any time zone.
YEARS = range(1970, 3000)
# What the columns hold: PositiveIntegerField and PositiveSmallIntegerField on PostgreSQL.
LARGEST, LARGEST_SMALL = 2**31 - 1, 2**15 - 1


class Fields:
    """The object under `path` of an item; `path` is empty for the item itself."""

    def __init__(self, values: Any, path: str = "", of: "Fields | None" = None) -> None:
        self.path = path
        self.problems: list[tuple[str, str]] = of.problems if of else []
        # Words nobody knows, by their field, and what was made of them.
        self.notes: list[tuple[str, str]] = of.notes if of else []
        # The objects in it that somebody asked for; what nobody asked for is told by `unread`.
        self.asked: dict[str, list[Fields]] = {}
        self.values: dict[str, Any] = {}
        if isinstance(values, dict):
            self.values = values
        elif values is not None or not path:
            self.problems.append((path, f"{as_shown(values)} is not an object"))

    def __contains__(self, name: str) -> bool:
        """Whether the answer says anything about it; what is empty says nothing."""
        return self.values.get(name) not in (None, "", [], {})

    def wrong(self, name: str, sentence: str) -> None:
        self.problems.append((self._path(name), sentence))

    def text(self, name: str, *, longest: int, required: bool = False) -> str:
        value = self._get(name, str, "a text", required=required)
        if value is None:
            return ""
        if len(value) > longest:
            self.wrong(name, f"{as_shown(value)} is longer than {longest} characters")
            return value
        if value.isascii() and value.isprintable() and not value.isspace():
            # Nearly all of them, and ten times as fast.
            return value
        try:
            check_text(value)
        except ValidationError as error:
            self.wrong(name, f"{as_shown(value)}: {error.messages[0].rstrip('.')}")
        return value

    def number(self, name: str, *, least: int = 0, most: int = LARGEST) -> int:
        value = self.whole(name, least=least, most=most)
        if name not in self:
            self.wrong(name, "is missing")
        return value or 0

    def whole(self, name: str, *, least: int = 0, most: int = LARGEST) -> int | None:
        value = self._get(name, int, "a whole number")
        if value is None:
            return None
        if not least <= value <= most:
            limit = f"less than {least}" if value < least else f"more than {most}"
            self.wrong(name, f"{as_shown(value)} is {limit}")
        return value

    def flag(self, name: str) -> bool | None:
        return self._get(name, bool, "true or false")

    def identity(self, name: str) -> UUID:
        return self.reference(name, required=True) or NO_ID

    def reference(self, name: str, *, required: bool = False) -> UUID | None:
        value = self._get(name, str, "a UUID", required=required)
        if value is None:
            return None
        if not ID.fullmatch(value):
            self.wrong(name, f"{as_shown(value)} is not a UUID")
            return None
        return UUID(value)

    def moment(self, name: str) -> datetime:
        value = self._get(name, str, "a date", required=True)
        if value is None:
            return NO_DATE
        try:
            if not DATE.fullmatch(value):
                raise ValueError
            moment = datetime.fromisoformat(value.upper())
            if moment.year not in YEARS:
                raise ValueError
        except ValueError:
            self.wrong(name, f"{as_shown(value)} is not a date")
            return NO_DATE
        return moment.replace(tzinfo=moment.tzinfo or BEIJING).astimezone(UTC)

    def address(self, name: str) -> str:
        value = self._get(name, str, "an IP address", required=True)
        if value is None:
            return ""
        try:
            # A zone index ("%eth0") makes sense on one machine only.
            address = str(ip_address(value if "%" not in value else ""))
            # One form for each, the one that the columns have.
            return clean_ipv6_address(address) if ":" in address else address
        except (ValueError, ValidationError):
            self.wrong(name, f"{as_shown(value)} is not an IP address")
            return ""

    def word(self, name: str, words: Mapping[str, Value], *, otherwise: Value) -> Value:
        """What the word stands for; `otherwise` when there is none, and, with a note, for an
        unknown one.
        """
        value = self._get(name, str, f"one of {', '.join(words)}")
        if value is None:
            return otherwise
        if value not in words:
            self.notes.append(
                (self._path(name), f"{as_shown(value)} is not known, taken for the usual")
            )
        return words.get(value, otherwise)

    def inner(self, name: str) -> "Fields":
        self.asked[name] = [Fields(self.values.get(name), self._path(name), self)]
        return self.asked[name][0]

    def each(self, name: str) -> list["Fields"]:
        values = self._get(name, list, "a list") or []
        self.asked[name] = [
            Fields(value, f"{self._path(name)}[{index}]", self)
            for index, value in enumerate(values)
        ]
        return self.asked[name]

    def pass_over(self) -> None:
        """Nothing in it is to be told by `unread`: it is accounted for as a whole."""
        self.asked = {name: [] for name in self.values}

    def unread(self, path: str = "") -> Iterator[tuple[str, int]]:
        """How many things it holds that nobody asked for, by their place: lists of objects, and
        known lists.
        """
        for name, value in self.values.items():
            if value and isinstance(value, dict | list):
                within = f"{path}.{name}" if path else name
                if name in self.asked:
                    for fields in self.asked[name]:
                        yield from fields.unread(within)
                else:
                    yield from _things(value, name, within)

    def _get(
        self, name: str, wanted: type[Value], words: str, *, required: bool = False
    ) -> Value | None:
        value = self.values.get(name)
        if value and type(value) is wanted:
            # Nearly all of them, without a further question.
            return value
        if name not in self:
            if required:
                self.wrong(name, "is missing")
            return None
        # To Python true is a whole number, to an answer it is not.
        if isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
            return value
        self.wrong(name, f"{as_shown(value)} is not {words}")
        return None

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _things(value: Any, name: str, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, list):
        count = sum(name in CONTAINERS or isinstance(each, dict | list) for each in value)
        if count:
            yield path, count
    elif isinstance(value, dict) and value:
        if name in CONTAINERS:
            yield path, 1
        else:
            for inner, within in value.items():
                yield from _things(within, inner, f"{path}.{inner}")
