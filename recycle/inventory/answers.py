"""Files of answers: one answer, several one after the other, or an array of them, read as a stream."""

import errno
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import ijson  # type: ignore[import-untyped]

STDIN = "-"
BOM = b"\xef\xbb\xbf"
# More than any answer has; so that what we build can be walked safely.
DEEPEST = 20

Event = tuple[str, Any]
OPENING: dict[str, Callable[[], Any]] = {"start_map": dict, "start_array": list}
CLOSING = frozenset({"end_map", "end_array"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was read: answers are counted from 1, items of a list from 0, as a JSON path does."""

    file: str
    answer: int
    key: str = ""
    index: int | None = None

    def __str__(self) -> str:
        item = "" if self.index is None else f"[{self.index}]"
        return f"{self.file}: answer {self.answer}" + (f", {self.key}{item}" if self.key else "")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an inventory cannot be taken as it is."""

    place: Place | str
    sentence: str
    # The field of the item, as the answer spells it: "SystemDisk.DiskSize".
    field: str = ""

    def __str__(self) -> str:
        return f"{self.place}.{self.field}: {self.sentence}" if self.field else f"{self.place}: {self.sentence}"


@dataclass(slots=True)
class Source:
    """One file. It is read several times, so what cannot be wound back is kept in a temporary file."""

    name: str
    spool: IO[bytes] | None = None
    # The keys of the lists found in it.
    holds: set[str] = field(default_factory=set)

    def survey(self, keys: frozenset[str]) -> Iterator[Problem]:
        """Read all of it once, noting which lists it holds, and tell what is no answer."""
        reader = _Reader(self.name, keys, wants=lambda key: False)
        try:
            with self._opened() as file:
                for _ in reader.read(file):
                    pass
        except OSError as error:
            yield Problem(self.name, error.strerror or str(error))
        except (ijson.JSONError, UnicodeDecodeError) as error:
            yield Problem(reader.place, f"this is not JSON ({_said(error)})")
        self.holds = reader.found
        yield from reader.problems

    def items(self, key: str, keys: frozenset[str]) -> Iterator[tuple[Place, Any]]:
        """Every item of the lists under `key`, one at a time."""
        with self._opened() as file:
            try:
                yield from _Reader(self.name, keys, wants=lambda found: found == key).read(file)
            except (ijson.JSONError, UnicodeDecodeError):
                # The survey has read it to its end.
                raise OSError(errno.EIO, "it changed while it was read", self.name) from None

    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        if self.spool:
            self.spool.seek(0)
            return nullcontext(self.spool)
        return Path(self.name).open("rb")


@contextmanager
def opened(names: Sequence[str]) -> Iterator[list[Source]]:
    """The files of these names; `-` is the standard input. A name given twice is read once."""
    with ExitStack() as stack:
        yield [_source(name, stack) for name in dict.fromkeys(names)]


def _source(name: str, stack: ExitStack) -> Source:
    if name == STDIN:
        return Source("standard input", _spooled(sys.stdin.buffer, stack))
    try:
        with Path(name).open("rb") as file:
            return Source(name, None if file.seekable() else _spooled(file, stack))
    except OSError:
        # The survey meets it again, and tells.
        return Source(name)


def _spooled(file: IO[bytes], stack: ExitStack) -> IO[bytes]:
    spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
    shutil.copyfileobj(file, spool)
    return spool


def _said(error: Exception) -> str:
    """The first line of what the parser says; the others draw an arrow."""
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return text.strip().splitlines()[0].strip().rstrip(".") if text.strip() else type(error).__name__


class _Reader:
    """One pass over a file. It holds one item at a time, and of lists that nobody wants not even that."""

    def __init__(self, name: str, keys: frozenset[str], wants: Callable[[str], bool]) -> None:
        self.keys, self.wants = keys, wants
        # How far it has come, for what cannot be read any further.
        self.place = Place(name, 1)
        self.problems: list[Problem] = []
        self.found: set[str] = set()

    def read(self, file: IO[bytes]) -> Iterator[tuple[Place, Any]]:
        if file.read(len(BOM)) != BOM:
            file.seek(0)
        events: Iterator[Event] = ijson.basic_parse(file, multiple_values=True)
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
            self.problems.append(Problem(self.place.file, "there is no answer in it"))

    def _answer(self, events: Iterator[Event], event: Event, number: int) -> Iterator[tuple[Place, Any]]:
        answer = self.place = Place(self.place.file, number)
        if event[0] != "start_map":
            self._pass_over(events, event)
            self.problems.append(Problem(answer, "an answer is an object, this is not"))
            return
        told = False
        while (inner := next(events))[0] != "end_map":
            key = inner[1]
            value = next(events)
            self.place = Place(answer.file, number, key)
            if key == "Error" and value[0] != "null":
                told = True
                self.problems.append(Problem(self.place, _refusal(_value(events, value))))
            elif key in self.keys and value[0] == "start_array":
                told = True
                yield from self._list(events, answer, key)
            elif key in self.keys and value[0] == "null":
                # How some of the services write an empty list.
                told = True
            else:
                if key in self.keys:
                    told = True
                    self.problems.append(Problem(self.place, "is not a list"))
                self._pass_over(events, value)
        if not told:
            self.problems.append(Problem(answer, f"none of {', '.join(sorted(self.keys))} is in it"))

    def _list(self, events: Iterator[Event], answer: Place, key: str) -> Iterator[tuple[Place, Any]]:
        self.found.add(key)
        wanted = self.wants(key)
        index = 0
        while (event := next(events))[0] != "end_array":
            self.place = Place(answer.file, answer.answer, key, index)
            if wanted:
                yield self.place, _value(events, event)
            else:
                self._pass_over(events, event)
            index += 1

    def _pass_over(self, events: Iterator[Event], event: Event) -> None:
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


def _value(events: Iterator[Event], event: Event) -> Any:
    """The value that begins with this event, without what lies deeper in it than any answer goes."""
    if event[0] not in OPENING:
        return event[1]
    root: Any = OPENING[event[0]]()
    key, within = "", [root]
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
            pass
        elif isinstance(parent, dict):
            parent[key] = made
        else:
            parent.append(made)
        if kind in OPENING:
            within.append(made)
    return root


def _refusal(error: Any) -> str:
    if not isinstance(error, dict):
        error = {}
    said = ": ".join(str(error[name]) for name in ("Code", "Message") if error.get(name))
    return f"the API refused the request ({said})" if said else "the API refused the request"
