"""A new billing mode is one row in the enum, one in the table of policies, and one migration."""

import os
import subprocess
import sys

from django.conf import settings


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
