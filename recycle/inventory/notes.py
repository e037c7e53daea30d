"""What is remembered across a whole inventory, in a database file of its own: memory must not grow
with the input.
"""

import copyreg
import io
import pickle
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from recycle.inventory.pages import AnswerPage, Gap, Told, gaps
from recycle.inventory.place import plain
from recycle.lifecycle import State
from recycle.policy import BillingMode

TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE seen (
        id BLOB, key TEXT, number INTEGER, looks BLOB, PRIMARY KEY (id, key)
    ) WITHOUT ROWID;
    CREATE TABLE item (number INTEGER PRIMARY KEY, key TEXT, place TEXT, entry BLOB);
    CREATE TABLE page (
        number INTEGER PRIMARY KEY, key TEXT, total INTEGER, token TEXT, place TEXT, empty INTEGER
    );
    CREATE TABLE on_page (
        key TEXT, id BLOB, page INTEGER, PRIMARY KEY (key, id, page)
    ) WITHOUT ROWID;
    CREATE TABLE interface (id BLOB PRIMARY KEY, instance BLOB) WITHOUT ROWID;
    CREATE TABLE stands (instance BLOB PRIMARY KEY, region TEXT) WITHOUT ROWID;
    CREATE TABLE disk (id BLOB PRIMARY KEY, goes INTEGER) WITHOUT ROWID;
    CREATE TABLE locked (instance BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE ends (instance BLOB PRIMARY KEY, at TEXT) WITHOUT ROWID;
    CREATE TABLE remark (
        number INTEGER PRIMARY KEY, topic TEXT, label TEXT, what TEXT, place TEXT, things INTEGER
    );
    CREATE INDEX remark_of ON remark (topic, label);
    BEGIN;
"""


class _Pickler(pickle.Pickler):
    """Packs what entries are made of, faster than it would by itself, and the same always into the
    same bytes.
    """

    dispatch_table = {
        **copyreg.dispatch_table,
        UUID: lambda pk: (UUID, (None, pk.bytes)),
        State: lambda state: (str, (state.value,)),
        BillingMode: lambda mode: (str, (mode.value,)),
    }


def _packed(entry: tuple[Any, ...]) -> bytes:
    file = io.BytesIO()
    pickler = _Pickler(file, pickle.HIGHEST_PROTOCOL)
    # Without it the bytes tell which of two equal texts are one object.
    pickler.fast = True
    pickler.dump(entry)
    return file.getvalue()


class Topic(StrEnum):
    """What a remark is about."""

    LEFT_OUT = "left out"
    RENEWED = "renewed"
    GONE = "gone"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remarks:
    """Remarks of one kind: how many things they are about, and in how many places."""

    label: str
    things: int
    places: int


class Notes:
    """The items that were read, what they referred to, and what is to be told at the end."""

    def __init__(self) -> None:
        # An empty name: a temporary file, deleted with the connection.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.executescript(TABLES)
        self._pages = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    # Items, each kept once: of two with one identity the later one

    def keep(self, key: str, identity: bytes, place: str, entry: tuple[Any, ...]) -> str:
        """Remember an item. Returns the place of an earlier one that looked different, which it
        replaces.
        """
        packed = _packed(entry)
        digest = blake2b(packed, digest_size=16).digest()
        earlier = self._file.execute(
            "SELECT number, looks FROM seen WHERE id = ? AND key = ?", (identity, key)
        ).fetchone()
        if earlier and earlier[1] == digest:
            return ""
        number = self._file.execute(
            "INSERT INTO item (key, place, entry) VALUES (?, ?, ?)", (key, place, packed)
        ).lastrowid
        self._file.execute(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (identity, key, number, digest)
        )
        if not earlier:
            return ""
        (replaced,) = self._file.execute(
            "SELECT place FROM item WHERE number = ?", earlier[:1]
        ).fetchone()
        self._file.execute("DELETE FROM item WHERE number = ?", earlier[:1])
        return str(replaced)

    def ready(self) -> None:
        """Prepare to be asked: all has been read."""
        self._file.execute("CREATE INDEX item_of ON item (key)")

    def kept(self, key: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The items of a list with their places, in the order in which they were read."""
        rows = self._file.execute(
            "SELECT place, entry FROM item WHERE key = ? ORDER BY number", (key,)
        )
        for place, packed in rows:
            # We wrote it ourselves, into a file that has no name.
            yield place, pickle.loads(packed)  # noqa: S301

    def count(self) -> int:
        return int(self._file.execute("SELECT COUNT(*) FROM item").fetchone()[0])

    def seen(self, pk: UUID, *keys: str) -> bool:
        """Whether any of these lists had the id."""
        rows = self._file.execute("SELECT key FROM seen WHERE id = ?", (pk.bytes,)).fetchall()
        return any(key in keys for (key,) in rows)

    # Pages

    def on_page(self, key: str, identity: bytes) -> None:
        """Note an item of the page that is being read, in the list `key`."""
        self._file.execute(
            "INSERT OR IGNORE INTO on_page VALUES (?, ?, ?)", (key, identity, self._pages)
        )

    def end_page(self, page: AnswerPage) -> None:
        """Note that a page has been read; ValueError when it says of itself what cannot be."""
        if page.key:
            self._file.execute(
                "INSERT INTO page VALUES (?, ?, ?, ?, ?, ?)",
                (
                    self._pages,
                    page.key,
                    page.total(),
                    page.token(),
                    str(page.place),
                    not page.lists[page.key],
                ),
            )
        self._pages += 1

    def gaps(self) -> list[Gap]:
        # Two pages that look alike and share an item are one, asked for twice.
        pages = self._file.execute(
            "SELECT place, key, total, token, empty FROM page WHERE number NOT IN ("
            "SELECT later.number FROM on_page AS of_later"
            " JOIN on_page AS of_earlier USING (key, id)"
            " JOIN page AS later ON later.number = of_later.page"
            " JOIN page AS earlier ON earlier.number = of_earlier.page"
            " WHERE of_earlier.page < of_later.page AND later.key = of_later.key"
            " AND earlier.key = later.key AND earlier.total IS later.total"
            " AND earlier.token = later.token) ORDER BY number"
        )
        items = self._file.execute(
            "SELECT key, total, COUNT(DISTINCT id) FROM page JOIN on_page USING (key)"
            " WHERE page = number AND total IS NOT NULL GROUP BY key, total"
        )
        counted = {(key, total): count for key, total, count in items}
        return list(gaps((Told(*row) for row in pages), counted))

    # Instances

    def note_instance(
        self,
        pk: UUID,
        region: str,
        interfaces: Iterable[UUID],
        disks: Mapping[UUID, bool | None],
    ) -> None:
        """Remember by what other items refer to an instance, also to one that is left out. `region`
        is empty when nobody knows it.
        """
        if region:
            self._file.execute("INSERT OR REPLACE INTO stands VALUES (?, ?)", (pk.bytes, region))
        self._file.executemany(
            "INSERT OR REPLACE INTO interface VALUES (?, ?)",
            [(nic.bytes, pk.bytes) for nic in interfaces],
        )
        if disks:
            self._file.executemany(
                "INSERT OR REPLACE INTO disk VALUES (?, ?)",
                [(id_.bytes, goes) for id_, goes in disks.items()],
            )

    def instance_of(self, interface: UUID) -> UUID | None:
        row = self._file.execute(
            "SELECT instance FROM interface WHERE id = ?", (interface.bytes,)
        ).fetchone()
        return UUID(bytes=row[0]) if row else None

    def region_of(self, instance: UUID) -> str:
        """Where an instance of these files stands; empty when they do not tell."""
        row = self._file.execute(
            "SELECT region FROM stands WHERE instance = ?", (instance.bytes,)
        ).fetchone()
        return str(row[0]) if row else ""

    def goes_with_instance(self, disk: UUID) -> bool:
        row = self._file.execute("SELECT goes FROM disk WHERE id = ?", (disk.bytes,)).fetchone()
        return bool(row and row[0])

    def disks_alone(self) -> Iterator[UUID]:
        """The disks of instances that are among no volumes of these files."""
        for (pk,) in self._file.execute(
            "SELECT id FROM disk WHERE NOT EXISTS (SELECT 1 FROM seen WHERE seen.id = disk.id AND "
            "key = 'Volumes')"
        ):
            yield UUID(bytes=pk)

    def note_locked(self, instances: Iterable[UUID]) -> None:
        """Remember instances to which something may be bound, or whose end moves."""
        self._file.executemany(
            "INSERT OR IGNORE INTO locked VALUES (?)", [(pk.bytes,) for pk in instances]
        )

    def locked(self) -> Iterator[UUID]:
        """In primary-key order."""
        for (pk,) in self._file.execute("SELECT instance FROM locked ORDER BY instance"):
            yield UUID(bytes=pk)

    def note_end(self, pk: UUID, at: datetime) -> None:
        self._file.execute("INSERT OR REPLACE INTO ends VALUES (?, ?)", (pk.bytes, at.isoformat()))

    def ends(self) -> Iterator[tuple[UUID, datetime]]:
        """The subscriptions that run longer than is known here, in primary-key order."""
        for pk, at in self._file.execute("SELECT instance, at FROM ends ORDER BY instance"):
            yield UUID(bytes=pk), datetime.fromisoformat(at)

    # What is told at the end

    def remark(
        self, topic: Topic, label: str, what: object, place: object = "", *, things: int = 1
    ) -> None:
        self._file.execute(
            "INSERT INTO remark (topic, label, what, place, things) VALUES (?, ?, ?, ?, ?)",
            (topic, plain(label), plain(str(what)), plain(str(place)), things),
        )

    def remarks(self, topic: Topic) -> list[Remarks]:
        rows = self._file.execute(
            "SELECT label, SUM(things), COUNT(*) FROM remark WHERE topic = ? GROUP BY label ORDER "
            "BY MIN(number)",
            (topic,),
        )
        return [Remarks(*row) for row in rows]

    def places(self, topic: Topic, label: str, *, most: int = -1) -> Iterator[tuple[str, str]]:
        """What remarks of one kind are about, and where it was read."""
        yield from self._file.execute(
            "SELECT what, place FROM remark WHERE topic = ? AND label = ? ORDER BY number LIMIT ?",
            (topic, label, most),
        )
