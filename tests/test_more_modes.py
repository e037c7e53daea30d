"""A new billing mode is one row in the enum, one in the table of policies, and one migration."""

import ast
import os
import re
import subprocess
import sys

import pytest
from django.conf import settings

from recycle.policy import BillingMode

# The demonstration wants some of each.
MAY_COMPARE = {"recycle/management/commands/demo.py"}


@pytest.mark.slow
def test_a_new_billing_mode_is_a_row_and_a_migration_and_works_everywhere(tmp_path):
    env = {
        name: value
        for name, value in os.environ.items()
        # It is a run of its own, on a database of its own.
        if name != "DATABASE_URL" and not name.startswith("PYTEST_")
    } | {"CONSOLE_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-p", "tests.more_modes", "-p", "no:cacheprovider"]

    run = subprocess.run(
        [*command, "-q", "tests/more_modes_walk.py"],
        cwd=settings.BASE_DIR,
        env=env,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def _compares(source):
    comparisons = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare))
    return any(re.search(r"BillingMode\.[A-Z]", ast.unparse(node)) for node in comparisons)


def _names_a_mode(template):
    tags = "".join(re.findall(r"{%.*?%}", template))
    return any(f'"{mode}"' in tags for mode in BillingMode)


def test_nothing_asks_which_billing_mode_it_is_instead_of_what_it_allows():
    asking = [
        path.relative_to(settings.BASE_DIR).as_posix()
        for folder, pattern, asks in (
            ("recycle", "*.py", _compares),
            ("templates", "*.html", _names_a_mode),
        )
        for path in (settings.BASE_DIR / folder).rglob(pattern)
        if asks(path.read_text(encoding="utf-8"))
    ]

    assert set(asking) == MAY_COMPARE
