"""A real Valkey, the one that `up` starts, for what several processes share."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from console import supervisor


@pytest.fixture
def valkey(valkey_server: str) -> str:
    """Its URL, with nothing in it that another test has left."""
    with Redis.from_url(valkey_server) as store:
        store.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    if sys.platform == "win32":
        pytest.skip("the embedded Valkey has no build for Windows")
    # Not pytest's own directory: the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="console-", dir="/tmp") as place:
        part, path = supervisor.broker(Path(place))
        process = subprocess.Popen(
            part.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while not supervisor.answers(path) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield f"unix://{path}"
        process.kill()
        process.wait()
