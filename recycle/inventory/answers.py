"""Files of answers: one answer, several one after the other, or an array of them, read once, as a
stream.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import ijson  # type: ignore[import-untyped]

from recycle.inventory.pages import SAYS_MORE, TOTALS, AnswerPage
from recycle.inventory.place import Place, Problem, plain
from recycle.inventory.words import CONTAINERS, OTHER_ANSWERS

STDIN = "-"
UTF8_BOM = b"\xef\xbb\xbf"
# What a file begins with that is no JSON text in UTF-8; the longer beginnings first.
NOT_UTF8 = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
# More than any answer has; so that what we build can be walked safely.
DEEPEST = 20

Parsed = tuple[str, Any]
OPENING: dict[str, Callable[[], Any]] = {"start_map": dict, "start_array": list}
CLOSING = frozenset({"end_map", "end_array"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One item of a list; `place.key` is the list's name."""

    place: Place
    value: Any


@dataclass(slots=True)
class Source:
    """One file, or the standard input. It is read once, so it may be a pipe."""

    path: str
    # How many bytes were read.
    position: int = 0

    @property
    def name(self) -> str:
        return "standard input" if self.path == STDIN else self.path

    @property
    def size(self) -> int | None:
        """None where nobody knows before it has been read."""
        path = Path(self.path)
        try:
            return path.stat().st_size if self.path != STDIN and path.is_file() else None
        except OSError:
            # Reading it will tell.
            return None

    def read(self, keys: frozenset[str]) -> Iterator[Listed | AnswerPage | Problem]:
        """Every item of the lists under `keys`, each answer after its items, and what is
        no answer.
        """
        reader = _Reader(self.name, keys)
        try:
            with self._opened() as file:
                stream = _Stream(file, self)
                if wrong := _encoding(stream.head):
                    yield Problem(self.name, wrong)
                else:
                    yield from reader.read(stream)
        except OSError as error:
            yield Problem(self.name, error.strerror or str(error))
        except _UnreadableError as error:
            yield Problem(reader.place, str(error))

    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        return nullcontext(sys.stdin.buffer) if self.path == STDIN else Path(self.path).open("rb")


@dataclass(slots=True)
class _Stream:
    """The bytes of a source, counted, without the mark that some editors put in front."""

    file: IO[bytes]
    source: Source
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.head = self.file.read(8)
        self.source.position = len(self.head)
        self.head = self.head.removeprefix(UTF8_BOM)

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        if self.head:
            head, self.head = self.head, b""
            return head
        read = self.file.read(size)
        self.source.position += len(read)
        return read


def _encoding(head: bytes) -> str:
    """What is wrong with a file that begins like this; empty when nothing is."""
    for mark, name in NOT_UTF8.items():
        if head.startswith(mark):
            return f"this is {name}; save it as UTF-8"
    for mark, name in PACKED.items():
        if head.startswith(mark):
            return f"this is packed with {name}; unpack it first"
    # Without a mark it shows by its zeros: JSON begins with two characters of ASCII.
    if zeros := head[:4].count(0):
        return f"this is {'UTF-32' if zeros > 2 else 'UTF-16'}; save it as UTF-8"
    return ""


class _UnreadableError(Exception):
    """The parser cannot go on; what it says is for people."""


def _parsed(file: _Stream) -> Iterator[Parsed]:
    """The events of the parser. What it raises is told from what whoever reads them raises."""
    # Neither iterated over nor given to `next`, for which Python takes short cuts: the parser
    # written in C may return an event with an error set, and only a whole call notices that, with
    # a SystemError.
    following = iter(ijson.basic_parse(file, multiple_values=True)).__next__
    while True:
        try:
            event = following()
        except StopIteration:
            return
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise _UnreadableError(f"this is not JSON ({_said(error)})") from error
        except (ValueError, ArithmeticError, SystemError) as error:
            raise _UnreadableError("a number from here on is longer than any") from error
        yield event


def _said(error: Exception) -> str:
    """The first line of what the parser says; the others draw an arrow."""
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return (
        text.strip().splitlines()[0].strip().rstrip(".") if text.strip() else type(error).__name__
    )


class _Reader:
    """One pass over a file. It holds one item at a time, and nothing of what nobody reads."""

    def __init__(self, name: str, keys: frozenset[str]) -> None:
        self.keys = keys
        # How far it has come, for what cannot be read any further.
        self.place = Place(name, 1)

    def read(self, file: _Stream) -> Iterator[Listed | AnswerPage | Problem]:
        events = _parsed(file)
        number = 0
        for event in events:
            if event[0] == "start_array":
                while (inner := next(events))[0] != "end_array":
                    number += 1
                    yield from self._answer(events, inner, number)
            else:
                number += 1
                yield from self._answer(events, event, number)
            self.place = Place(self.place.file, number + 1)
        if not number:
            yield Problem(self.place.file, "there is no answer in it")

    def _answer(
        self, events: Iterator[Parsed], event: Parsed, number: int
    ) -> Iterator[Listed | AnswerPage | Problem]:
        answer = self.place = Place(self.place.file, number)
        if event[0] != "start_map":
            _pass_over(events, event)
            yield Problem(answer, "an answer is an object, this is not")
            return
        page = AnswerPage(answer)
        understood = False
        while (inner := next(events))[0] != "end_map":
            key = inner[1]
            value = next(events)
            self.place = Place(answer.file, number, key)
            if key == "Error" and value[0] != "null":
                understood = True
                yield Problem(self.place, _refusal(_value(events, value)[0]))
            elif key in self.keys:
                understood = True
                if value[0] == "start_array":
                    yield from self._list(events, answer, key, page)
                elif value[0] == "null":
                    # How some of the services write an empty list.
                    page.lists[key] += 0
                else:
                    yield Problem(self.place, "is not a list")
                    _pass_over(events, value)
            elif value[0] in OPENING:
                understood = understood or key in OTHER_ANSWERS
                _leave_out(events, value, key, key, page.unread)
            elif key in SAYS_MORE:
                page.says[key] = value[1]
        # "The list is not returned when there is nothing."
        if not understood and not any(page.says.get(name) == 0 for name in TOTALS):
            yield Problem(answer, f"none of {', '.join(sorted(self.keys))} is in it")
        yield page

    def _list(
        self, events: Iterator[Parsed], answer: Place, key: str, page: AnswerPage
    ) -> Iterator[Listed | Problem]:
        index = 0
        page.lists[key] += 0
        while (event := next(events))[0] != "end_array":
            self.place = Place(answer.file, answer.answer, key, index)
            value, whole = _value(events, event)
            if whole:
                yield Listed(self.place, value)
            else:
                yield Problem(self.place, "is nested deeper than any answer")
            index += 1
        page.lists[key] += index


def _pass_over(events: Iterator[Parsed], event: Parsed) -> None:
    if event[0] not in OPENING:
        return
    depth = 1
    for kind, _ in events:
        if kind in OPENING:
            depth += 1
        elif kind in CLOSING:
            depth -= 1
            if not depth:
                return


def _leave_out(
    events: Iterator[Parsed], event: Parsed, name: str, path: str, unread: Counter[str]
) -> None:
    """Pass over what nobody reads, and count what it holds, as `unread` of the fields does."""
    if event[0] == "start_array":
        while (inner := next(events))[0] != "end_array":
            unread[path] += name in CONTAINERS or inner[0] in OPENING
            _pass_over(events, inner)
    elif name in CONTAINERS or path.count(".") > DEEPEST:
        unread[path] += 1
        _pass_over(events, event)
    else:
        while (inner := next(events))[0] != "end_map":
            value = next(events)
            if value[0] in OPENING:
                _leave_out(events, value, inner[1], f"{path}.{inner[1]}", unread)


def _value(events: Iterator[Parsed], event: Parsed) -> tuple[Any, bool]:
    """The value that begins with this event, and whether that is all of it: too deep is
    left away.
    """
    if event[0] not in OPENING:
        return event[1], True
    root: Any = OPENING[event[0]]()
    key, within, whole = "", [root], True
    for kind, value in events:
        if kind == "map_key":
            key = value
            continue
        if kind in CLOSING:
            within.pop()
            if not within:
                break
            continue
        made = OPENING[kind]() if kind in OPENING else value
        parent = within[-1]
        if len(within) > DEEPEST:
            whole = False
        elif isinstance(parent, dict):
            parent[key] = made
        else:
            parent.append(made)
        if kind in OPENING:
            within.append(made)
    return root, whole


def _refusal(error: Any) -> str:
    if not isinstance(error, dict):
        error = {}
    said = ": ".join(str(error[name]) for name in ("Code", "Message") if error.get(name))
    return f"the API refused the request ({plain(said)})" if said else "the API refused the request"
