"""Pages over HTTP: the console as `up` starts it, beside one web process with one thread."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import count
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from console.bootstrap import PROJECT
from tests.bench.measure import Form, in_turns
from tests.nodes import free_port

# More than there are threads to answer them, so that none of these is ever without work.
CLIENTS = 8
REQUESTS = 50
PATIENCE = 120
ONE_THREAD = """
import sys
from console import web
web.PAGE_THREADS = 1
web.serve(web.listen("127.0.0.1", int(sys.argv[1])))
"""


def by_up_and_alone(path: str, session: str, rounds: int) -> dict[str, Form]:
    """What a request for `path` takes with both, on the database in use."""
    ports = {"up": free_port(), "alone": free_port()}
    up = ["manage.py", "up", "--no-demo", "--port", str(ports["up"])]
    programs = {"up": up, "alone": ["-c", ONE_THREAD, str(ports["alone"])]}
    with ExitStack() as running:
        for name, program in programs.items():
            running.enter_context(_running(program, ports[name]))
        works = {name: lambda port=port: ask(port, path, session) for name, port in ports.items()}
        for work in works.values():
            work()
        return in_turns(works, rounds)


@contextmanager
def _running(program: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *program], cwd=PROJECT, env=_environment(), stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            assert process.poll() is None, "It does not start."
            assert time.monotonic() < deadline, "It does not answer."
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def _environment() -> dict[str, str]:
    """Of what runs on the database in use; no other kind than PostgreSQL goes by a name."""
    place = urlsplit(os.environ["DATABASE_URL"])._replace(
        path=f"/{connection.settings_dict['NAME']}"
    )
    return {
        **os.environ,
        "DATABASE_URL": place.geturl(),
        "CONSOLE_DATA_DIR": str(settings.DATA_DIR),
        "CONSOLE_LOG_LEVEL": "ERROR",
    }


def _answers(port: int) -> bool:
    client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", "/healthz")
        return client.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        client.close()


def ask(port: int, path: str, session: str) -> int:
    """Ask by several clients at once, each on a connection that it keeps."""
    numbers, failed = count(), []

    def go_on() -> None:
        client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while next(numbers) < REQUESTS:
            client.request("GET", path, headers={"Cookie": f"sessionid={session}"})
            answer = client.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(answer.status)
        client.close()

    clients = [threading.Thread(target=go_on) for _client in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert not failed, failed
    return REQUESTS
