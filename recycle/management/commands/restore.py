"""Puts a backup in the place of the embedded database, while the console is stopped."""

import os
import shutil
import sqlite3
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.bootstrap import try_lock
from console.embedded import sync, take_alone
from recycle.clock import clock
from recycle.management.embedded import copied, is_ours, own_database, refuse_damaged, too_new

OF_POSTGRESQL = "The database is PostgreSQL: use pg_restore on what pg_dump has made."
STOP_IT = "Stop it first: Ctrl-C where it was started, or `systemctl stop`, or a SIGTERM to `up`."


class Command(BaseCommand):
    help = (
        "Puts a backup in the place of the embedded database, all at once. The console has to be "
        "stopped. FILE is checked before; what it replaces is kept aside."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        database = own_database(OF_POSTGRESQL)
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        refuse_damaged(file)
        if not is_ours(file):
            raise CommandError(f"{file} is no backup of a console.")
        if unknown := too_new(file):
            raise CommandError(
                f"{file} was made by a newer release, which has {unknown[-1]}: install that one."
            )
        with alone(database), copied(file, database, "Restore") as copy:
            aside = keep_aside(database)
            copy.replace(database)
            sync(database.parent)
        self.stdout.write(f"Restored {file}. `python3 manage.py up` starts the console with it.")
        if aside:
            self.stdout.write(f"What was there before is kept in {aside}.")


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """Nobody else has the database open, and `up` does not start meanwhile."""
    handle = os.open(database.parent / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not try_lock(handle):
            raise CommandError(f"The console runs on {database.parent}. {STOP_IT}")
        # Damaged: what can be had of it is kept as it is.
        with suppress(sqlite3.DatabaseError):
            if not take_alone(database):
                raise CommandError(f"Somebody has {database} open. {STOP_IT}")
        yield
    finally:
        os.close(handle)


def keep_aside(database: Path) -> Path | None:
    """Give what is there a second name, with all that belongs to it; None when there is nothing.

    At every moment there is a whole database by the first name.
    """
    if not database.exists() or not database.stat().st_size:
        return None
    aside = database.with_name(f"{database.name}.before-{clock.now():%Y%m%dT%H%M%S.%f}")
    for suffix in ("-wal", "-shm", "-journal"):
        # They are there when it is damaged, and would be taken for the new one's.
        with suppress(FileNotFoundError):
            database.with_name(database.name + suffix).replace(f"{aside}{suffix}")
    try:
        os.link(database, aside)
    except OSError:  # where files have one name
        shutil.copy2(database, aside)
    return aside
