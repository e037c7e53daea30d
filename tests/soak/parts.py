"""The processes of a soak: two web nodes, three workers, two beats and the broker; what is killed
is started again, as an operating system would do it.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from console import supervisor
from console.bootstrap import PROJECT
from console.supervisor.children import die_with_parent, signal_group

WORKERS, BEATS = 3, 2
# Seconds in which a part ends that is asked to: its requests are answered, its chunk is done.
DRAIN = 40


class Part:
    """One process and whatever it starts, in a group of its own. To be started by the main thread,
    with which it ends.
    """

    def __init__(self, name: str, command: list[str], env: dict[str, str], place: Path) -> None:
        self.name, self.command, self.env = name, command, env
        self.log = place / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.leads = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=die_with_parent(),  # noqa: PLW1509
            )
        self.leads = self.process.pid

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self, number: int, *, all_of_it: bool) -> None:
        if not self.runs():
            return
        if all_of_it:
            signal_group(self.leads, number)
        else:
            assert self.process is not None
            self.process.send_signal(number)

    def end(self, patience: float = DRAIN) -> None:
        """Ask it to end, and see to it that it does."""
        self.kill(signal.SIGTERM, all_of_it=False)
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
            signal_group(self.leads, signal.SIGKILL)
            self.process.wait()


class Parts:
    """All of them."""

    def __init__(self, place: Path, env: dict[str, str], ports: list[int]) -> None:
        self.place = place
        broker, self.socket = supervisor.broker(place)
        self.broker = Part("broker", broker.command, dict(os.environ), place)
        self.env = env | {"REDIS_URL": f"unix://{self.socket}"}
        self.nodes = [self._web(number, port) for number, port in enumerate(ports)]
        self.nodes += [self._worker(number) for number in range(WORKERS)]
        self.nodes += [self._beat(number) for number in range(BEATS)]

    def _web(self, number: int, port: int) -> Part:
        words = ["-m", "console.web", "--host", "127.0.0.1", "--port", str(port)]
        return self._part(f"web-{number}", words)

    def _worker(self, number: int) -> Part:
        words = ["worker", "--concurrency", "1", "--hostname", f"soak-{number}@%h"]
        words += ["--loglevel", "warning", "--without-gossip", "--without-mingle"]
        return self._part(f"worker-{number}", [*_CELERY, *words])

    def _beat(self, number: int) -> Part:
        words = ["beat", "--schedule", str(self.place / f"beat-{number}"), "--pidfile="]
        return self._part(f"beat-{number}", [*_CELERY, *words, "--loglevel", "warning"])

    def _part(self, name: str, words: list[str]) -> Part:
        return Part(name, [sys.executable, *words], self.env, self.place)

    def start(self) -> None:
        self.start_broker()
        for node in self.nodes:
            node.start()

    def start_broker(self) -> None:
        self.broker.start()
        wait_until(lambda: supervisor.answers(self.socket), "the broker does not answer")

    def stop_broker(self) -> None:
        self.broker.kill(signal.SIGKILL, all_of_it=True)
        assert self.broker.process is not None
        self.broker.process.wait()

    def start_what_ended(self) -> None:
        for node in self.nodes:
            if not node.runs():
                node.start()

    def kill_one(self, chance: random.Random) -> str:
        """Kill any of them, with what it has started or without; the name of what was done."""
        node = chance.choice(self.nodes)
        number = chance.choice([signal.SIGKILL, signal.SIGTERM])
        node.kill(number, all_of_it=chance.random() < 0.5)
        return f"{node.name.partition('-')[0]} {number.name}"

    def end(self) -> None:
        """End all at once, the broker last."""
        asked = [threading.Thread(target=node.end) for node in self.nodes]
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join()
        self.broker.end(1)

    def faults(self) -> list[str]:
        """The last lines of what the parts have logged as errors of their own."""
        found = []
        for node in self.nodes:
            lines = node.log.read_text("utf-8", "replace").splitlines()
            if (last := next((n for n, line in enumerate(lines) if "Traceback" in line), -1)) >= 0:
                found.append(f"{node.name}: " + " | ".join(lines[last : last + 40][-6:]))
        return found


# The warning is for root, about pickled tasks; ours are JSON.
_CELERY = ["-W", "ignore:You're running the worker", "-m", "celery", "--quiet"]
_CELERY += ["-A", "console.celery"]


def wait_until(done: object, otherwise: str, patience: float = 120) -> None:
    assert callable(done)
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.05)
