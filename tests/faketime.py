"""Real processes whose clock is wrong: libfaketime tells each of them another time."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from console.bootstrap import PROJECT

LIBRARY = "libfaketimeMT.so.1"
PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime")
PATIENCE = 120

Start = Callable[..., subprocess.Popen[str]]


def _library() -> str:
    for place in PLACES:
        for found in Path("/").glob(f"{place.lstrip('/')}/{LIBRARY}"):
            return str(found)
    missing = pytest.fail if os.environ.get("REQUIRE_FAKETIME") == "1" else pytest.skip
    missing("this machine has no libfaketime (Debian: faketime)")
    raise AssertionError


@pytest.fixture
def start_at(valkey: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a Celery worker or beat that works on the test's database, with a clock that is ahead
    by so many seconds, or behind.
    """
    library = _library()
    name = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    env = {"DATABASE_URL": url, "REDIS_URL": valkey, "CONSOLE_DATA_DIR": str(tmp_path)}
    running = []

    def start(ahead: int, *words: str) -> subprocess.Popen[str]:
        fake = {"LD_PRELOAD": library, "FAKETIME": f"{ahead:+d}s", "DONT_FAKE_MONOTONIC": "1"}
        with (tmp_path / f"{words[0]}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "--quiet", "-A", "console.celery", *words],
                cwd=PROJECT,
                env={**os.environ, **env, **(fake if ahead else {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def wait_until(true: Callable[[], object], tell: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.1)
