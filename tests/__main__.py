"""Runs the suite: all of it on SQLite, then what depends on locks and constraints on PostgreSQL as
well. With --fast only what is quick, on SQLite.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests import postgres

PROJECT = Path(__file__).resolve().parent.parent
NO_TESTS = 5
# Looking only; these print no results to count.
LOOKS = (
    "--collect-only",
    "--co",
    "--fixtures",
    "--markers",
    "--help",
    "-h",
    "--version",
    "-V",
    "--setup-plan",
)
# The debugger and a choice of one's own go before ours.
ALONE = (
    "no:xdist",
    "-pno:xdist",
    "--numprocesses",
    "--dist",
    "--pdb",
    "--trace",
    "--collect-only",
    "--co",
)


def main(arguments: list[str]) -> int:
    fast = "--fast" in arguments
    pytest_arguments, expression = _take_expression(arguments)
    if not any(word.startswith("-n") or word.split("=")[0] in ALONE for word in arguments):
        # Many tests wait for processes and browsers; whoever is done takes from the others.
        pytest_arguments = ["-n", "3", "--dist", "worksteal", *pytest_arguments]
    with tempfile.TemporaryDirectory(prefix="console-tests-") as place:
        runs = [_run("SQLite", _both(expression, "not postgres"), pytest_arguments, Path(place))]
        if runs[0].code in (0, 1, NO_TESTS) and not fast and not _looks(arguments):
            try:
                with postgres.server() as url:
                    marked = _both(expression, "postgres or both")
                    runs.append(
                        _run("PostgreSQL", marked, pytest_arguments, Path(place), DATABASE_URL=url)
                    )
            except postgres.Missing as reason:
                print(f"\nSKIPPED the run on PostgreSQL: {reason}.")
                if os.environ.get("REQUIRE_POSTGRES") == "1":
                    print("REQUIRE_POSTGRES=1 makes that a failure.")
                    return 1
    return _conclude(runs, looked=_looks(arguments))


class Run:
    def __init__(self, code: int, report: Path) -> None:
        self.code = code
        self.total = self.failed = self.skipped = 0
        if report.exists():
            for suite in ElementTree.parse(report).iter("testsuite"):
                self.total += int(suite.get("tests", 0))
                self.failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                self.skipped += int(suite.get("skipped", 0))

    @property
    def passed(self) -> int:
        return max(self.total - self.failed - self.skipped, 0)


def _run(name: str, expression: str, arguments: list[str], place: Path, **extra: str) -> Run:
    print(f"\n=== On {name} ===", flush=True)
    report = place / f"{name}.xml"
    data_dir = place / name
    data_dir.mkdir()
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DATABASE_URL", "REDIS_URL", "CACHE_URL")
    }
    # Settings that somebody has set for their console are not the tests' business, and neither is
    # their data.
    ours = {"TOMBSTONE_DAYS", "SESSION_IDLE_HOURS"}
    # Where no bytecode is written, each of the many processes would compile all there is anew.
    ours.add("PYTHONDONTWRITEBYTECODE")
    env = {
        key: value
        for key, value in env.items()
        if not key.startswith("CONSOLE_") and key not in ours
    }
    # Playwright's synchronous interface runs an event loop in the thread that uses the database.
    env |= {"CONSOLE_DATA_DIR": str(data_dir), "DJANGO_ALLOW_ASYNC_UNSAFE": "true", **extra}
    command = [sys.executable, "-m", "pytest", f"--junitxml={report}", "-m", expression, *arguments]
    process = subprocess.Popen(command, cwd=PROJECT, env=env)
    while True:
        try:
            return Run(process.wait(), report)
        except KeyboardInterrupt:
            # pytest has it too, and says what it had done so far.
            continue


def _conclude(runs: list[Run], *, looked: bool) -> int:
    if looked:
        return runs[0].code
    passed, failed, skipped = (
        sum(getattr(run, name) for run in runs) for name in ("passed", "failed", "skipped")
    )
    print(f"\nTotal: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
    if all(run.code == NO_TESTS for run in runs):
        print("No test matches.")
        return NO_TESTS
    return next((run.code for run in runs if run.code not in (0, NO_TESTS)), 0)


def _take_expression(arguments: list[str]) -> tuple[list[str], str]:
    """Take -m out of the arguments: pytest keeps only the last one, and ours has to hold
    as well.
    """
    left: list[str] = []
    expression = ""
    words = iter(arguments)
    for word in words:
        if word == "-m":
            expression = next(words, "")
        elif word.startswith("-m") and not word.startswith("-m="):
            expression = word[2:]
        else:
            left.append(word)
    return left, expression


def _both(theirs: str, ours: str) -> str:
    return f"({theirs}) and ({ours})" if theirs else ours


def _looks(arguments: list[str]) -> bool:
    return any(word in LOOKS for word in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
