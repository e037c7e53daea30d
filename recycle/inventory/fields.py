"""The fields of one item of an answer, with their types checked.

A field that is wrong is noted, and a stand-in is returned, so that one reading tells everything that is wrong with an
item. What was read of an item with problems must not be used.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any, TypeVar
from uuid import UUID

T = TypeVar("T")

NO_ID = UUID(int=0)
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)
BEIJING = timezone(timedelta(hours=8), "Beijing")
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE | re.ASCII)
# NUL and halves of surrogate pairs, which a database does not take.
NO_TEXT = re.compile("[\0\ud800-\udfff]")
# Far enough from what a date can hold to be shown in any time zone.
YEARS = range(1970, 3000)
# What the columns hold: PositiveIntegerField and PositiveSmallIntegerField on PostgreSQL.
LARGEST, LARGEST_SMALL = 2**31 - 1, 2**15 - 1


class Fields:
    """The object under `path` of an item; `path` is empty for the item itself."""

    def __init__(self, values: Any, path: str = "", problems: list[tuple[str, str]] | None = None) -> None:
        self.path = path
        self.problems: list[tuple[str, str]] = [] if problems is None else problems
        self.values: dict[str, Any] = {}
        if isinstance(values, dict):
            self.values = values
        elif values is not None or not path:
            self.problems.append((path, f"{shown(values)} is not an object"))

    def __contains__(self, name: str) -> bool:
        """Whether the answer says anything about it; what is empty says nothing."""
        return self.values.get(name) not in (None, "", [], {})

    def wrong(self, name: str, sentence: str) -> None:
        self.problems.append((self._path(name), sentence))

    def text(self, name: str, *, longest: int, required: bool = False) -> str:
        value = self._get(name, str, "a text", required=required)
        if value is None:
            return ""
        if NO_TEXT.search(value):
            self.wrong(name, f"{shown(value)} has characters that are none")
        elif len(value) > longest:
            self.wrong(name, f"{shown(value)} is longer than {longest} characters")
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
            self.wrong(name, f"{shown(value)} is {limit}")
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
            self.wrong(name, f"{shown(value)} is not a UUID")
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
            self.wrong(name, f"{shown(value)} is not a date")
            return NO_DATE
        return moment.replace(tzinfo=moment.tzinfo or BEIJING).astimezone(UTC)

    def address(self, name: str) -> str:
        value = self._get(name, str, "an IP address", required=True)
        if value is None:
            return ""
        try:
            # A zone index ("%eth0") makes sense on one machine only.
            return str(ip_address(value if "%" not in value else ""))
        except ValueError:
            self.wrong(name, f"{shown(value)} is not an IP address")
            return ""

    def one_of(self, name: str, choices: Mapping[str, T], *, default: T | None = None) -> T:
        """What the word stands for; the default, if there is one, when there is no word."""
        value = self._get(name, str, f"one of {', '.join(choices)}", required=default is None)
        if value is not None and value in choices:
            return choices[value]
        if value is not None:
            self.wrong(name, f"{shown(value)} is not one of {', '.join(choices)}")
        return next(iter(choices.values())) if default is None else default

    def inner(self, name: str) -> "Fields":
        return Fields(self.values.get(name), self._path(name), self.problems)

    def each(self, name: str) -> Iterator["Fields"]:
        for index, value in enumerate(self._get(name, list, "a list") or []):
            yield Fields(value, f"{self._path(name)}[{index}]", self.problems)

    def _get(self, name: str, wanted: type[T], words: str, *, required: bool = False) -> T | None:
        if name not in self:
            if required:
                self.wrong(name, "is missing")
            return None
        value = self.values[name]
        # To Python true is a whole number, to an answer it is not.
        if isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
            return value
        self.wrong(name, f"{shown(value)} is not {words}")
        return None

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def shown(value: Any) -> str:
    """A value of an answer, short enough for a line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:56]}..."
