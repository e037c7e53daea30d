"""Where something was read, what is wrong with it, and how a person is shown what it was."""

import json
from dataclasses import dataclass
from typing import Any

# No name in an answer is longer.
LONGEST_PLACE = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was read: answers are counted from 1, items of a list from 0, as in a JSON
    path.
    """

    file: str
    answer: int
    key: str = ""
    index: int | None = None
    # Of an item within an item: "RealServer[0]".
    inside: str = ""

    def __str__(self) -> str:
        item = "" if self.index is None else f"[{self.index}]"
        path = ".".join(filter(None, (f"{self.key}{item}", self.inside)))
        return f"{self.file}: answer {self.answer}" + (f", {path}" if path else "")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an inventory cannot be taken as it is."""

    place: Place | str
    sentence: str
    # The field of the item, as the answer spells it: "SystemDisk.DiskSize".
    field: str = ""

    @property
    def where(self) -> str:
        return f"{self.place}.{self.field}" if self.field else str(self.place)


def as_shown(value: Any) -> str:
    """A value of an answer, short enough for a line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    if not text.isprintable():
        text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:56]}..."


def plain(text: str) -> str:
    """A name out of a file, fit for a terminal and for any database."""
    text = text if len(text) <= LONGEST_PLACE else f"{text[:LONGEST_PLACE]}..."
    return text if text.isprintable() else json.dumps(text)[1:-1]
