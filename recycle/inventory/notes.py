"""What is remembered across a whole inventory, in a database file of its own: memory must not grow with the input."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from types import TracebackType
from typing import Self
from uuid import UUID


class Notes:
    """Ids seen and what they looked like, network interfaces, disks, and instances that things were bound to."""

    def __init__(self) -> None:
        # An empty name: a temporary file, deleted with the connection.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE seen (id BLOB, key TEXT, looks BLOB, place TEXT, PRIMARY KEY (id, key)) WITHOUT ROWID;
            CREATE TABLE interface (id BLOB PRIMARY KEY, instance BLOB) WITHOUT ROWID;
            CREATE TABLE disk (id BLOB PRIMARY KEY, goes INTEGER) WITHOUT ROWID;
            CREATE TABLE bound (instance BLOB PRIMARY KEY) WITHOUT ROWID;
            BEGIN;
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def first(self, key: str, pk: UUID, looks: object, place: object) -> tuple[bool, str] | None:
        """None for an id that was not seen yet, which is noted; else whether it looked the same, and where it was."""
        digest = blake2b(repr(looks).encode(errors="surrogatepass"), digest_size=16).digest()
        added = self._file.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (pk.bytes, key, digest, str(place))
        )
        if added.rowcount:
            return None
        row = self._file.execute("SELECT looks, place FROM seen WHERE id = ? AND key = ?", (pk.bytes, key)).fetchone()
        return row[0] == digest, row[1]

    def seen(self, pk: UUID, *keys: str) -> bool:
        """Whether any of these lists had the id; without keys, any list."""
        rows = self._file.execute("SELECT key FROM seen WHERE id = ?", (pk.bytes,)).fetchall()
        return any(key in keys or not keys for (key,) in rows)

    def note_instance(self, pk: UUID, interfaces: Iterable[UUID], disks: Mapping[UUID, bool]) -> None:
        self._file.executemany(
            "INSERT OR REPLACE INTO interface VALUES (?, ?)", [(nic.bytes, pk.bytes) for nic in interfaces]
        )
        self._file.executemany(
            "INSERT OR REPLACE INTO disk VALUES (?, ?)", [(id_.bytes, goes) for id_, goes in disks.items()]
        )

    def instance_of(self, interface: UUID) -> UUID | None:
        row = self._file.execute("SELECT instance FROM interface WHERE id = ?", (interface.bytes,)).fetchone()
        return UUID(bytes=row[0]) if row else None

    def goes_with_instance(self, disk: UUID) -> bool:
        row = self._file.execute("SELECT goes FROM disk WHERE id = ?", (disk.bytes,)).fetchone()
        return bool(row and row[0])

    def note_bound(self, instances: Iterable[UUID]) -> None:
        self._file.executemany("INSERT OR IGNORE INTO bound VALUES (?)", [(pk.bytes,) for pk in instances])

    def bound(self) -> Iterator[UUID]:
        """The instances that things were bound to, in primary-key order."""
        for (pk,) in self._file.execute("SELECT instance FROM bound ORDER BY instance"):
            yield UUID(bytes=pk)
