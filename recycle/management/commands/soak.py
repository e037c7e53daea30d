"""Works several nodes hard while parts of them are killed, and proves that nothing went wrong."""

import secrets
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.bootstrap import PROJECT


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--minutes", type=float, default=3, help="how long (%(default)s)")
        parser.add_argument("--seed", type=int, help="what people and chance do again alike")
        parser.add_argument("--json", type=Path, help="write the report into this file as well")

    def handle(
        self, *args: Any, minutes: float, seed: int | None, json: Path | None, **options: Any
    ) -> None:
        if not 0.25 <= minutes <= 24 * 60:
            raise CommandError("A soak takes a quarter of a minute at least, and a day at most.")
        seed = secrets.randbelow(1_000_000) if seed is None else seed
        command = [sys.executable, "-m", "tests.soak", "--minutes", str(minutes)]
        command += ["--seed", str(seed), *(["--json", str(json.resolve())] if json else [])]
        sys.exit(subprocess.run(command, cwd=PROJECT).returncode)
