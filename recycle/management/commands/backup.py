"""Copies the embedded database into a file, while the console runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.embedded import sync
from recycle.management.embedded import copied, is_ours, own_database

OF_POSTGRESQL = (
    "The database is PostgreSQL: use pg_dump --format=custom, and pg_restore to bring it back."
)


class Command(BaseCommand):
    help = (
        "Copies the embedded database into FILE as it is at one moment, while the console runs. "
        "FILE is replaced when the copy is whole, and readable by its owner alone."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        database = own_database(OF_POSTGRESQL)
        if not file.parent.is_dir():
            raise CommandError(f"{file.parent} is no directory.")
        if file.exists():
            if file.is_symlink() or file.samefile(database):
                raise CommandError(f"{file} is the database itself, or a link: name another file.")
            if not file.is_file() or (file.stat().st_size and not is_ours(file)):
                raise CommandError(f"{file} is something else than a backup: name another file.")
        if not is_ours(database):
            raise CommandError(f"{database} holds no console that could be backed up.")
        with copied(database, file, "Backup") as copy:
            size = copy.stat().st_size
            copy.replace(file)
            sync(file.parent)
        self.stdout.write(f"Wrote {file}, {size:,} bytes.")
