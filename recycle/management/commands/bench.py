"""Measures the console at any size, beside hand-written SQL and other ways to do the same."""

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.test.utils import override_settings

from recycle.clock import clock
from tests.bench.data import Size
from tests.bench.subjects import SUBJECTS, Bench, Figure

SMALL = 10_000
# As in production, and room for the rows in memory.
BENCHED = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "shared_buffers": "2GB",
    "max_wal_size": "8GB",
    "jit": "off",
    "random_page_cost": "1.1",
}
INSIDE = "CONSOLE_BENCH"


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rows", type=int, default=1_000_000, help="instances (%(default)s)")
        parser.add_argument("--only", default="", help=f"some of {', '.join(SUBJECTS)}")
        parser.add_argument("--sqlite", action="store_true", help="on SQLite")
        parser.add_argument("--json", type=Path, help="write the figures into this file as well")

    def handle(
        self, *args: Any, rows: int, only: str, sqlite: bool, json: Path | None, **options: Any
    ) -> None:
        if rows < 2_000:
            raise CommandError("2,000 rows are the least that mean anything.")
        wanted = [name for name in only.split(",") if name] or list(SUBJECTS)
        if unknown := [name for name in wanted if name not in SUBJECTS]:
            raise CommandError(f"{unknown[0]} is none of {', '.join(SUBJECTS)}.")
        if os.environ.get(INSIDE):
            return self._measure(rows, [name for name in SUBJECTS if name in wanted], json)
        return self._start(sqlite)

    def _start(self, sqlite: bool) -> None:
        """Run the same once more on a database of the benchmark's own."""
        from tests import postgres

        with tempfile.TemporaryDirectory(prefix="console-bench-") as place:
            env = {name: value for name, value in os.environ.items() if "_URL" not in name}
            env |= {INSIDE: "1", "CONSOLE_DATA_DIR": place, "CONSOLE_LOG_LEVEL": "ERROR"}
            if sqlite:
                code = subprocess.run([sys.executable, *sys.argv], env=env).returncode
            else:
                try:
                    with postgres.server(BENCHED) as url:
                        env["DATABASE_URL"] = url
                        code = subprocess.run([sys.executable, *sys.argv], env=env).returncode
                except postgres.Missing as missing:
                    raise CommandError(f"PostgreSQL cannot run here: {missing}.") from None
        sys.exit(code)

    def _measure(self, rows: int, subjects: list[str], file: Path | None) -> None:
        small, large = Size(min(SMALL, rows // 2), clock.now()), Size(rows, clock.now())
        places = Places()
        for size in (small, large):
            self.stderr.write(f"Loading {size.rows:,} instances.")
            places.make(size)
        bench = Bench(small, large, places.use)
        call_command("collectstatic", interactive=False, verbosity=0)
        figures: list[Figure] = []
        with override_settings(ROOT_URLCONF="tests.bench.urls", ALLOWED_HOSTS=["testserver"]):
            for name in subjects:
                self.stderr.write(f"Measuring {name}.")
                places.use(large)
                for figure in SUBJECTS[name](bench):
                    figures.append(figure)
                    self.stdout.write(_line(figure))
        if file:
            file.write_text(json.dumps([figure.as_json() for figure in figures], indent=1) + "\n")


class Places:
    """One database for each size."""

    def __init__(self) -> None:
        # Each database is connected to when it is used.
        connection.close()

    def make(self, size: Size) -> None:
        if connection.vendor == "postgresql":
            connection.close()
            connection.settings_dict["NAME"] = "postgres"
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {_name(size)}")
        self.use(size)
        call_command("migrate", interactive=False, verbosity=0)
        size.load()

    def use(self, size: Size) -> None:
        connection.close()
        name = _name(size)
        if connection.vendor == "sqlite":
            name = str(Path(settings.DATA_DIR) / f"{name}.sqlite3")
        connection.settings_dict["NAME"] = name


def _name(size: Size) -> str:
    return f"bench_{size.rows}"


def _line(figure: Figure) -> str:
    mark = {True: "ok  ", False: "LESS", None: "    "}[figure.held]
    bound = "" if figure.must is None else f"{'≥' if figure.higher else '≤'} {figure.must:g}"
    return (
        f"{mark} {figure.n:>2} {figure.what:<64} {figure.ratio:>9.2f} {bound:<7} "
        f"{figure.against}  {figure.detail}"
    )
