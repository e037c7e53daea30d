"""Loads an account from the JSON answers of the KEC API. What is missing is created, what is there is left alone."""

import re
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from recycle import inventory
from recycle.actions.inventory import Imported, import_inventory


class Command(BaseCommand):
    help = (
        "Loads an account from JSON answers of the KEC API: DescribeInstances, DescribeAddresses, DescribeVolumes, "
        "DescribeLoadBalancers, DescribeListeners, DescribeInstancesWithListener, ListTagsByResourceIds. "
        "What is missing is created, what is there is left alone; with any problem nothing is written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files",
            nargs="+",
            metavar="FILE",
            help="one answer, several one after the other, or an array of them; - is the standard input",
        )
        parser.add_argument(
            "--account", default="Imported", metavar="NAME", help="made when it is missing (default: Imported)"
        )
        parser.add_argument(
            "--region", default="", metavar="CODE", help="of EIPs and load balancers which nothing else tells it of"
        )

    def handle(self, *, files: list[str], account: str, region: str, **options: Any) -> None:
        if not account.strip() or len(account) > 64 or not account.isprintable():
            raise CommandError("--account must be a name of 1 to 64 characters.")
        if region and not re.fullmatch(r"[a-z0-9-]{1,31}", region):
            raise CommandError(f"--region is {region!r}, but must look like cn-beijing-6.")
        try:
            with inventory.opened(files) as sources:
                imported = import_inventory(sources, account_name=account, region=region, now=timezone.now())
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise CommandError(f"{where}{error.strerror or error}. Nothing was written.") from None
        except DatabaseError as error:
            raise CommandError(f"The database refused it: {str(error).strip()} Nothing was written.") from None
        if imported.problems:
            raise CommandError(_problems(imported))
        for line in _report(imported):
            self.stdout.write(line)


def _problems(imported: Imported) -> str:
    lines = [str(problem) for problem in imported.problems]
    if imported.more:
        lines.append(f"and {imported.more:,} more")
    return "\n".join([*lines, "Nothing was written."])


def _report(imported: Imported) -> list[str]:
    lines = [f"Created {_counted(imported.created) or 'nothing'} in the account {imported.account}."]
    if already := _counted(imported.already):
        lines.append(f"Already there: {already}.")
    if left_out := ", ".join(f"{what} ({number:,})" for what, number in imported.left_out.items() if number):
        lines.append(f"Left out: {left_out}.")
    return lines


def _counted(numbers: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{number:,} {nouns[number != 1]}" for nouns, number in numbers.items() if number)
