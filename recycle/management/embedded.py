"""What `backup` and `restore` share."""

import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from tqdm import tqdm

from console.embedded import copy_database, why_damaged


def own_database(otherwise: str) -> Path:
    """The file of the embedded database; a CommandError that says what to do instead on
    PostgreSQL.
    """
    if connection.vendor != "sqlite":
        raise CommandError(otherwise)
    return Path(connection.settings_dict["NAME"])


@contextmanager
def copied(source: Path, target: Path, what: str) -> Iterator[Path]:
    """A whole copy beside `target`, its owner's alone, to be put in its place; gone otherwise."""
    try:
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", dir=target.parent)
    except OSError as error:
        raise CommandError(f"{target.parent} cannot be written to: {error.strerror}.") from None
    os.close(handle)
    copy = Path(name)
    try:
        # None: no bar unless the standard error is a terminal.
        with tqdm(desc=what, unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:

            def advance(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            copy_database(source, copy, advance)
        refuse_damaged(copy)
        yield copy
    except (sqlite3.Error, OSError) as error:
        raise CommandError(f"{source} could not be copied to {target.parent}: {error}.") from None
    finally:
        for left in (copy, copy.with_name(f"{copy.name}-journal")):
            left.unlink(missing_ok=True)


def refuse_damaged(file: Path) -> None:
    if why := why_damaged(file):
        raise CommandError(f"{file} is damaged: {why}.")


def is_ours(file: Path) -> bool:
    """Whether it is a database of the console."""
    return bool(_migrations(file))


def too_new(file: Path) -> list[str]:
    """The changes in a database that this release does not know."""
    known = {name for app, name in MigrationLoader(None).disk_migrations if app == "recycle"}
    return sorted(_migrations(file) - known)


def _migrations(file: Path) -> set[str]:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            rows = opened.execute("SELECT name FROM django_migrations WHERE app = 'recycle'")
            return {name for (name,) in rows}
    except sqlite3.Error:
        return set()
