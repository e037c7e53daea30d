"""The embedded database as a file: whether it is whole, and how it is copied while it is in use."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

# Pages that are copied between two looks at how far it is.
PAGES = 2_000


def why_damaged(database: Path, *, patience: float | None = None) -> str:
    """What is wrong with a database; empty when nothing was found, or no more is looked for after
    so many seconds: of a file of several GB the rest stays unread.
    """
    if not database.exists() or not database.stat().st_size:
        return ""
    with closing(sqlite3.connect(database, timeout=20, check_same_thread=False)) as opened:
        enough = threading.Timer(patience or threading.TIMEOUT_MAX, opened.interrupt)
        enough.daemon = True
        try:
            if patience:
                enough.start()
            [[found]] = opened.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.Error as error:
            if error.sqlite_errorname in ("SQLITE_INTERRUPT", "SQLITE_BUSY"):
                return ""
            return str(error)
        finally:
            enough.cancel()
    return "" if found == "ok" else " ".join(str(found).split())


def copy_database(source: Path, target: Path, advance: Callable[[int, int], None]) -> None:
    """Copy a database as it is at one moment, whoever writes to it meanwhile, into an empty file.

    Both stay as they are when it fails. `advance` is told how many bytes are done, and of how many.
    """
    with (
        closing(sqlite3.connect(source, timeout=20, isolation_level=None)) as old,
        closing(sqlite3.connect(target, isolation_level=None)) as new,
    ):
        # What is read in a transaction does not change. Without it, SQLite would begin anew
        # whenever somebody else has written, and never come to an end.
        old.execute("BEGIN")
        [size] = old.execute("PRAGMA page_size").fetchone()
        old.execute("SELECT count(*) FROM sqlite_schema").fetchone()

        def progress(status: int, left: int, pages: int) -> None:
            advance((pages - left) * size, pages * size)

        new.execute("PRAGMA synchronous = OFF")
        old.backup(new, pages=PAGES, progress=progress)
        # One file, without a log beside it.
        new.execute("PRAGMA journal_mode = DELETE")
    sync(target)


def take_alone(database: Path) -> bool:
    """Bring everything into the one file, if nobody else has it open; false when somebody has."""
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as opened:
        try:
            [mode] = opened.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                return False
            raise
    return bool(mode == "delete")


def sync(path: Path) -> None:
    """Have a file, or a directory with its names, survive a power cut."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
