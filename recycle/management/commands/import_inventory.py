"""Loads an account from the JSON answers of the KEC API. What is missing is created, what is there
is left alone.
"""

import re
import sqlite3
import sys
import tempfile
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from tqdm import tqdm

from recycle.actions import Context
from recycle.actions.inventory import Imported, Options, import_inventory
from recycle.clock import clock
from recycle.inventory import Notes, Progress, ProgressBar, Source, Topic
from recycle.models import Edge
from recycle.text import check_text

# What each list at the end is named after; the lists of what was done first.
HEADINGS = {
    Topic.RENEWED: ("Renewed", "Would renew"),
    Topic.GONE: ("Not brought back", "Would not bring back"),
    Topic.LEFT_OUT: ("Left out", "Would leave out"),
    Topic.NOTE: ("Noted", "Would note"),
}
# Of each kind of thing so many are named; with --verbosity 2 every one.
NAMED = 3
# Likewise of the kinds.
KINDS_NAMED = 50
ONE_WRITER = (
    "SQLite has one writer: until this ends pages can be looked at, but nobody else can change "
    "anything."
)


class Command(BaseCommand):
    help = (
        "Loads an account from JSON answers of the KEC API: DescribeInstances, DescribeAddresses, "
        "DescribeVolumes, "
        "DescribeLoadBalancers, DescribeListeners, DescribeInstancesWithListener, "
        "ListTagsByResourceIds. "
        "What is missing is created, what is there is left alone, but for subscriptions that were "
        "renewed; what has "
        "no rules here is left out and counted; what cannot be read refuses all, and nothing is "
        "written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files",
            nargs="+",
            metavar="FILE",
            help=(
                "one answer, several one after the other, or an array of them; - is the standard "
                "input"
            ),
        )
        parser.add_argument(
            "--account",
            default="Imported",
            metavar="NAME",
            help="made when it is missing (default: Imported)",
        )
        parser.add_argument(
            "--region",
            default="",
            metavar="CODE",
            help="of EIPs and load balancers which nothing else tells it of",
        )
        parser.add_argument(
            "--partial",
            action="store_true",
            help="take answers that say there is more than these files have",
        )
        parser.add_argument(
            "--accept-ended",
            action="store_true",
            help=(
                "take subscriptions whose time after expiry is over; they are kept for a day, "
                "to be renewed"
            ),
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say what would be created, changed and left out; write nothing",
        )

    def handle(
        self, *, files: list[str], account: str, region: str, verbosity: int, **given: Any
    ) -> None:
        try:
            check_text(account)
        except ValidationError as error:
            raise CommandError(
                f"--account must be a name of 1 to 64 characters. {error.messages[0]}"
            ) from None
        if len(account) > 64:
            raise CommandError("--account must be a name of 1 to 64 characters.")
        if region and not re.fullmatch(r"[a-z0-9-]{1,31}", region):
            raise CommandError(f"--region is {region!r}, but must look like cn-beijing-6.")
        options = Options(
            account_name=account,
            region=region,
            partial=given["partial"],
            accept_ended=given["accept_ended"],
        )
        dry_run: bool = given["dry_run"]
        # A name given twice is read once.
        sources = [Source(name) for name in dict.fromkeys(files)]
        context = Context(by=None, now=clock.now(), edge=Edge.COMMAND)
        with Notes() as notes:
            try:
                imported = import_inventory(
                    sources, notes, options, OnTerminal(), context=context, dry_run=dry_run
                )
            except DatabaseError as error:
                said = str(error).strip()
                raise CommandError(
                    f"The database refused it: {said} Nothing was written."
                ) from None
            except sqlite3.Error as error:
                # Not of the console's database, whose errors Django gives names of its own.
                said = f"The temporary file failed: {error} ({tempfile.gettempdir()})."
                raise CommandError(f"{said} Nothing was written.") from None
            if imported.failed:
                raise CommandError(_problems(imported))
            for line in _report(imported, notes, dry_run=dry_run, every=verbosity > 1):
                self.stdout.write(line)


class OnTerminal(Progress):
    """On a terminal, a bar for each stretch of the way."""

    @contextmanager
    def begin(
        self, what: str, total: int | None, *, in_bytes: bool = False
    ) -> Iterator[ProgressBar]:
        if not in_bytes and connection.vendor == "sqlite":
            sys.stderr.write(f"{ONE_WRITER}\n")
        unit = {"unit": "B", "unit_scale": True} if in_bytes else {"unit": " rows"}
        # None: no bar unless the standard error is a terminal.
        with tqdm(desc=what, total=total, disable=None, file=sys.stderr, **unit) as bar:
            yield _Shown(bar, in_bytes=in_bytes)


@dataclass
class _Shown(ProgressBar):
    bar: "tqdm[Any]"
    in_bytes: bool

    def advance(self, done: int, rows: int) -> None:
        if self.in_bytes:
            self.bar.set_postfix_str(f"{rows:,} rows", refresh=False)
        self.bar.update(done)


def _problems(imported: Imported) -> str:
    lines = [f"{failed.name}: {failed.error}" for failed in imported.failed]
    if imported.more:
        lines.append(f"and {imported.more:,} more")
    return "\n".join([*lines, "Nothing was written."])


def _report(imported: Imported, notes: Notes, *, dry_run: bool, every: bool) -> Iterator[str]:
    created = "Would create" if dry_run else "Created"
    yield f"{created} {_counted(imported.created) or 'nothing'} in the account {imported.account}."
    if already := _counted(imported.already):
        yield f"Already there: {already}."
    for topic, titles in HEADINGS.items():
        remarks = notes.remarks(topic)
        if remarks:
            yield f"{titles[dry_run]}:"
        for each in remarks if every else remarks[:KINDS_NAMED]:
            yield f"  {each.label} ({each.things:,})"
            for what, place in notes.places(topic, each.label, most=-1 if every else NAMED):
                yield "    " + ", ".join(filter(None, (what, place)))
            if not every and each.places > NAMED:
                yield f"    and {each.places - NAMED:,} more; --verbosity 2 names every one"
        if not every and len(remarks) > KINDS_NAMED:
            yield f"  and {len(remarks) - KINDS_NAMED:,} more kinds of things"
    if dry_run:
        yield "This was a dry run: nothing was written."


def _counted(numbers: Counter[tuple[str, str]]) -> str:
    return ", ".join(
        f"{number:,} {nouns[number != 1]}" for nouns, number in numbers.items() if number
    )
