"""A console of several nodes, each in a fresh folder, started by the README's own lines."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import NamedTuple

from console.bootstrap import PROJECT

PATIENCE = 120
# What a checkout has in it for those who only run it.
CHECKOUT = ("console", "recycle", "templates", "static", "locale", "requirements")
HOST = "console.example.com"


def blocks(kind: str) -> list[str]:
    """The examples of a kind in the README's section on several nodes."""
    text = (PROJECT / "README.md").read_text("utf-8")
    section = text[text.index("### Several nodes") : text.index("## Decisions")]
    return re.findall(rf"^```{kind}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def variables() -> set[str]:
    """The names that the README sets for every node."""
    return set(re.findall(r"^export (\w+)=", blocks("sh")[0], re.MULTILINE))


def line_of(part: str) -> str:
    """The line by which the README starts a part."""
    (line,) = re.findall(rf"^(python3 .*--only {part}\b[^#\n]*)", blocks("sh")[1], re.MULTILINE)
    return str(line).strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Node:
    """One folder and the part that runs in it."""

    def __init__(self, place: Path, part: str, env: dict[str, str]) -> None:
        self.place, self.part = place, part
        self.port = free_port()
        self.said: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        place.mkdir()
        for name in CHECKOUT:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / name, place / name, ignore=ignored)
        shutil.copy(PROJECT / "manage.py", place)
        # Packages are not installed anew for each: the environment is one made by hand.
        made = [sys.executable, "-m", "venv", "--without-pip", str(place / ".venv")]
        subprocess.run(made, check=True)
        (packages,) = place.glob(".venv/lib/python*/site-packages")
        (packages / "packages.pth").write_text(sysconfig.get_path("purelib"))
        self.env = {"PATH": f"{place / '.venv' / 'bin'}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **env}

    def start(self, line: str | None = None) -> None:
        """Start the part by a line of the README, but for the port."""
        command = (line or line_of(self.part)).replace("--port 8000", f"--port {self.port}")
        self.process = process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=self.place,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

        def listen() -> None:
            assert process.stdout is not None
            for said in process.stdout:
                self.said.append(said)
            process.stdout.close()

        threading.Thread(target=listen, daemon=True).start()

    def says(self, words: str) -> None:
        """Wait until it says it."""
        wait_for(lambda: any(words in line for line in self.said), lambda: "".join(self.said))

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGTERM)

    def run(self, *arguments: str) -> str:
        """What another command says, as an operator runs it there."""
        command = ["python3", "manage.py", *arguments]
        done = subprocess.run(command, cwd=self.place, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def open(self, path: str, session: str = "", host: str = HOST) -> HTTPResponse:
        """The beginning of an answer, as a proxy that ends TLS asks for it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Host": host, "X-Forwarded-Proto": "https", "Connection": "close"}
        if session:
            headers["Cookie"] = f"sessionid={session}"
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def get(self, path: str, session: str = "", host: str = HOST) -> Answer:
        answer = self.open(path, session, host)
        try:
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            answer.close()

    def is_ready(self, status: int = 200, probe: str = "/readyz") -> None:
        """Wait until its probe answers so."""

        def answers() -> bool:
            try:
                return self.get(probe).status == status
            except (OSError, HTTPException):
                return False

        wait_for(answers, lambda: "".join(self.said))


def wait_for(done: Callable[[], object], otherwise: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)


def running_in(place: Path) -> list[str]:
    """The command lines of what still runs in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == place:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def own_environment() -> dict[str, str]:
    """Settings that several nodes share beside the README's."""
    return {"CONSOLE_LOG_LEVEL": "INFO", "HOME": os.environ.get("HOME", "/")}
