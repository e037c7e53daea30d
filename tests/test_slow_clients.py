"""The console as `up` starts it, under clients that are slow, break off, or only hold on: it
answers all the others.

Nothing here measures a time. A request either has its answer long before PATIENCE is over, or
never.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from console.bootstrap import PROJECT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, and looks into /proc"),
]

PATIENCE = 60
SLOW, IDLE, ROWS = 50, 500, 1_500
LIST, EXPORT = "/instances/?q=copy-", "/instances/export.csv"

# Without it, the application refuses a POST before it reads the body.
FORM = b"application/x-www-form-urlencoded"
TOKEN = b"csrftoken=" + b"a" * 32

CHUNK = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"

# Somebody who is logged in, and a list long enough that no socket's buffer holds its export.
PREPARE = f"""
from copy import copy
from uuid import uuid4
from django.test import Client
from recycle.models import Instance, User

one = Instance.objects.filter(state="stopped").first()
copies = [copy(one) for _ in range({ROWS})]
for number, instance in enumerate(copies):
    instance.pk, instance.name = uuid4(), f"copy-{{number}}-" + "x" * 80
    instance.private_ip = f"10.99.{{number >> 8}}.{{number & 255}}"
Instance.objects.bulk_create(copies, batch_size=500)
client = Client()
client.force_login(User.objects.get(username="demo"))
print("session", client.cookies["sessionid"].value)
"""


class Console(NamedTuple):
    port: int
    session: str
    process: subprocess.Popen[str]

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """The answer to a client who is in order, on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(
                method, path, headers={"Cookie": f"sessionid={self.session}", "Connection": "close"}
            )
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def open(self, text: bytes, receive_buffer: int = 0) -> socket.socket:
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", self.port))
        client.sendall(text)
        return client

    def says(self, words: str) -> None:
        """Wait until `up` says it."""
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if words in line:
                return
        raise AssertionError("".join(said))

    def web(self) -> set[int]:
        """The web processes."""
        children = (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        )
        return {
            int(pid)
            for pid in children
            if b"console.web" in Path(f"/proc/{pid}/cmdline").read_bytes()
        }

    def both(self) -> set[int]:
        """The same, once both are there."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.web()) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with tempfile.TemporaryDirectory(prefix="console-slow-") as data_dir:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        own = ("DATABASE_URL", "REDIS_URL")
        env = {
            name: value
            for name, value in os.environ.items()
            if name not in own and not name.startswith("CONSOLE_")
        }
        # Also on a machine with one core: what holds one process must not hold the other.
        env |= {"CONSOLE_DATA_DIR": data_dir, "CONSOLE_WEB_PROCESSES": "2"}
        command = [sys.executable, "manage.py", "up", "--port", str(port), "--data-dir", data_dir]
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        with process:
            try:
                started = Console(port, "", process)
                started.says("The console is ready")
                prepare = [sys.executable, "manage.py", "shell", "-c", PREPARE]
                said = subprocess.run(
                    prepare, cwd=PROJECT, env=env, text=True, capture_output=True, check=True
                ).stdout
                yield started._replace(session=said.split()[said.split().index("session") + 1])
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()


@contextmanager
def trickle(clients: list[socket.socket], *, send: bool) -> Iterator[None]:
    """Meanwhile each of the clients sends, or reads, one byte in four seconds."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(4):
            for client in clients:
                with suppress(OSError):
                    client.send(b"x") if send else client.recv(1)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for client in clients:
            client.close()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


def http2_that_ends_in_a_body(port: int) -> bytes:
    """Cleartext HTTP/2 with prior knowledge: a POST that promises a body, and its beginning."""

    def literal(name: bytes, value: bytes) -> bytes:
        return name + bytes([len(value)]) + value

    headers = (
        b"\x83\x86" + literal(b"\x04", b"/login/") + literal(b"\x01", f"127.0.0.1:{port}".encode())
    )
    # Content-Length, Cookie and Content-Type.
    headers += (
        literal(b"\x0f\x0d", b"1000") + literal(b"\x0f\x11", TOKEN) + literal(b"\x0f\x10", FORM)
    )
    frames = frame(4, 0, 0, b"") + frame(1, 4, 1, headers) + frame(0, 0, 1, b"username=")
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames


def test_slow_senders_slow_readers_and_broken_bodies_stop_nobody(console):
    host = b"Host: 127.0.0.1:%d\r\n" % console.port
    post = b"POST /login/ HTTP/1.1\r\n%bCookie: %b\r\nContent-Type: %b\r\n" % (host, TOKEN, FORM)
    post += b"Content-Length: 1000\r\n\r\nusername="
    export = (
        f"GET {EXPORT} HTTP/1.1\r\nCookie: sessionid={console.session}\r\n".encode()
        + host
        + b"\r\n"
    )
    senders = [console.open(post) for _ in range(SLOW)]
    senders += [console.open(b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(SLOW)]
    readers = [console.open(export, receive_buffer=4096) for _ in range(SLOW)]
    broken = [console.open(http2_that_ends_in_a_body(console.port)) for _ in range(SLOW)]
    broken += [console.open(post) for _ in range(SLOW)]
    with trickle(senders, send=True), trickle(readers, send=False):
        for client in broken:
            client.close()
        for _ in range(5):
            assert console.get("/healthz") == (200, b"ok")
            status, page = console.get(LIST)
            assert (status, page.count(b"copy-") > 20) == (200, True)

        # The slow readers wait for nobody but themselves: a whole export passes them.
        status, export = console.get(EXPORT)

        assert (status, export.count(b"copy-") >= ROWS) == (200, True)
        assert len(console.both()) == 2


def test_connections_that_do_nothing_stop_nobody(console):
    request = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n\r\n".encode()
    idle = [console.open(b"") for _ in range(IDLE)]
    kept = [console.open(request) for _ in range(IDLE // 10)]

    assert all(client.recv(16).startswith(b"HTTP/1.1 200") for client in kept)
    assert console.get("/healthz") == (200, b"ok")
    assert console.get(LIST)[0] == 200

    for client in idle + kept:
        client.close()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.0 505"),
        (b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 40_000 + b"\r\n\r\n", b"HTTP/1.0 431"),
        (b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * 40_000, b"HTTP/1.0 431"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.0 431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"HTTP/1.0 400"),
    ],
)
def test_what_is_no_request_is_refused_in_a_sentence(console, text, answer):
    with console.open(text) as client:
        said = b""
        with suppress(ConnectionResetError):
            while more := client.recv(4096):
                said += more

    assert said.startswith(answer)
    assert said.endswith(b".\n")
    assert console.get("/healthz") == (200, b"ok")


LOGIN = b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: "


@pytest.mark.parametrize(
    ("text", "answer", "sentence"),
    [
        (LOGIN + FORM + b"\r\nContent-Length: 90000000\r\n\r\n", b"413", b"at most 2.5 MB"),
        (
            LOGIN + FORM + b"\r\nContent-Length: 90000000\r\nExpect: 100-continue\r\n\r\n",
            b"413",
            b"at most 2.5 MB",
        ),
        (
            LOGIN + FORM + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + 400 * CHUNK,
            b"413",
            b"at most 2.5 MB",
        ),
        (
            LOGIN + b"multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\n",
            b"415",
            b"takes no files",
        ),
        (
            LOGIN + b"Multipart/Mixed\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"415",
            b"takes no files",
        ),
        (
            LOGIN + FORM + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 2_000,
            b"400",
            b"understood",
        ),
        (LOGIN + FORM + b"\r\nContent-Length: -1\r\n\r\n", b"400", b"understood"),
    ],
)
def test_a_body_that_no_page_takes_is_refused_before_it_is_there(console, text, answer, sentence):
    with console.open(b"") as client:
        with suppress(ConnectionError):
            client.sendall(text)
        said = b""
        with suppress(ConnectionError):
            while more := client.recv(65536):
                said += more

    # At once: nobody asked for the body, and most of these have none.
    assert said[:12].split()[1] == answer
    assert sentence in said


def test_processes_that_are_told_to_go_are_followed_by_others_that_miss_nobody(console):
    before = console.both()
    clients = [console.open(b"GET /login/ HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(20)]
    for client in clients:
        assert client.recv(12) == b"HTTP/1.1 200"

    for pid in before:
        os.kill(pid, signal.SIGTERM)

    # Both go at once; who comes meanwhile waits for the next.
    assert console.get("/healthz") == (200, b"ok")
    assert console.get(LIST)[0] == 200
    for client in clients:
        client.close()
    deadline = time.monotonic() + PATIENCE
    while console.web() & before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not console.web() & before


def test_requests_that_come_before_their_turn_are_answered_in_order(console):
    head = f"Host: 127.0.0.1:{console.port}\r\n"
    paths = ["/healthz", "/login/", "/healthz", "/nowhere/", "/healthz"]
    text = "".join(f"GET {path} HTTP/1.1\r\n{head}\r\n" for path in paths[:-1])
    text += f"GET {paths[-1]} HTTP/1.1\r\n{head}Connection: close\r\n\r\n"

    with console.open(text.encode()) as client:
        said = b""
        while more := client.recv(65536):
            said += more

    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [
        b"200",
        b"200",
        b"200",
        b"404",
        b"200",
    ]


def test_a_web_process_that_lives_but_does_not_answer_is_replaced(console):
    stopped, other = console.both()
    os.kill(stopped, signal.SIGSTOP)

    console.says("web lives, but does not answer")
    deadline = time.monotonic() + PATIENCE
    while (len(console.web()) < 2 or stopped in console.web()) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert stopped not in console.web()
    assert (other in console.web(), len(console.web())) == (True, 2)
    assert console.get("/healthz") == (200, b"ok")
    assert console.get(LIST)[0] == 200
