"""`manage.py lint`: every check of the code, each with a line, all of them whatever the
first says.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time

from console import figures
from console.bootstrap import PROJECT
from console.bootstrap.saying import progress

PYTHON = [sys.executable, "-m"]
MANAGE = [sys.executable, "manage.py"]

CHECKS = {
    "ruff": [*PYTHON, "ruff", "check", "--quiet", "."],
    "ruff format": [*PYTHON, "ruff", "format", "--check", "--quiet", "--diff", "."],
    "mypy": [*PYTHON, "mypy"],
    "djlint": [*PYTHON, "djlint", "templates", "--lint", "--quiet"],
    # Its module cannot be run with -m; this is what its program does.
    "imports": [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ],
    "shape": [*PYTHON, "console.figures"],
    "unused": [*PYTHON, "console.unused"],
    "migrations": [*MANAGE, "makemigrations", "--check", "--dry-run"],
    "upgrades": [*PYTHON, "console.upgrades"],
    "deployment": [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"],
}


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--bare"]:
        from tests import bare

        return bare.main(arguments[1:])
    if arguments[:1] == ["--figures"]:
        return figures.main(arguments[1:])
    if arguments:
        print(
            "`lint` runs every check of the code; `lint --bare` tries both commands in fresh "
            "roots of Debian; `lint --figures` says how large the pieces are."
        )
        return 2
    failed = []
    with tempfile.TemporaryDirectory(prefix="console-lint-") as data_dir:
        # Somebody's own console, and its database, are not the checks' business.
        theirs = ("CONSOLE_", "DATABASE_URL", "REDIS_URL", "CACHE_URL")
        env = {key: value for key, value in os.environ.items() if not key.startswith(theirs)}
        env |= {"DJANGO_SETTINGS_MODULE": "console.settings", "CONSOLE_DATA_DIR": data_dir}
        # As in production, so that the checks for it mean something.
        env |= {"CONSOLE_HTTPS": "1", "CONSOLE_ALLOWED_HOSTS": "console.example.com"}
        env |= {"CONSOLE_SECRET_KEY": secrets.token_urlsafe(50)}
        for name, command in CHECKS.items():
            started = time.monotonic()
            progress(name)
            done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
            took = time.monotonic() - started
            progress("")
            print(
                f"{'failed' if done.returncode else 'ok':<6}  {name:<13}  {took:5.1f} s", flush=True
            )
            if done.returncode:
                failed.append(name)
                print((done.stdout + done.stderr).rstrip(), end="\n\n", flush=True)
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0
