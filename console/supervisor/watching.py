"""Keeps the parts of the console running: what ends, or lives and does nothing, begins again."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from console.bootstrap import WINDOWS
from console.logs import sentence_of
from console.supervisor.children import GRACE, Sentinel, signal_group, spawn
from console.supervisor.saying import SAYS_JSON, CannotStart, Stopped, say
from console.web import DRAIN

# A run this long counts as healthy: the next crash is restarted at once again.
STABLE_AFTER = 30
LONGEST_PAUSE = 30
# A part that ended this often, before it or the console was ever up, will not come up by itself.
TRIES_TO_START = 3
# Seconds of silence after which a part that is to be heard is replaced: once it has begun, and
# until then.
PATIENCE, START_PATIENCE = 20, 120
# The broker ends last, and has nothing to write.
BROKER_GRACE = 1.0


@dataclass
class Part:
    """A program that has to run all the time."""

    name: str
    command: list[str]
    muted: str = ""
    last_line: str = ""
    silent: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[str] | None = None
    started_at: float = 0
    start_after: float = 0
    crashes: int = 0
    came_up: bool = False
    # Open files that it takes over from us.
    inherit: tuple[int, ...] = ()
    heart: "Heart | None" = None


class Heart:
    """What we hear of a part that can live and yet do nothing: it writes into a pipe as long as it
    works.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.begin()

    def begin(self) -> None:
        """A new process has the pipe; what is still in it came from the one before."""
        self._beats()
        self.heard_at = time.monotonic()
        self.has_beaten = False

    def is_silent(self) -> bool:
        """Whether it has not been heard for too long."""
        if self._beats():
            self.heard_at = time.monotonic()
            self.has_beaten = True
        return time.monotonic() - self.heard_at > (PATIENCE if self.has_beaten else START_PATIENCE)

    def _beats(self) -> bytes:
        with suppress(BlockingIOError):
            # More than a pipe holds.
            return os.read(self.reader, 1 << 20)
        return b""


class Supervisor:
    # Seconds that the parts have to finish when all of it ends.
    grace: float = GRACE

    def __init__(self, env: dict[str, str]) -> None:
        # What the parts say goes through our hands to where our own lines go.
        self.env = {**env, "CONSOLE_LOG_FORMAT": "json" if SAYS_JSON else "plain"}
        self.parts: list[Part] = []
        self.stop = threading.Event()
        self.ready = threading.Event()
        self.impatient = False
        self.socket: Path | None = None
        self.sentinel = Sentinel()
        for number in (signal.SIGINT, signal.SIGTERM, *([] if WINDOWS else [signal.SIGHUP])):
            signal.signal(number, self._asked_to_stop)

    def _asked_to_stop(self, number: int, frame: object) -> None:
        self.impatient = self.stop.is_set()
        if number == signal.SIGTERM:
            # Nobody waits at a terminal: what was asked and begun before is brought to its end.
            self.grace = DRAIN + 1
        self.stop.set()

    def run_once(self, name: str, *arguments: str) -> bool:
        """Run one step of the start to its end; True when it said anything."""
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            say(line, name)

        silent = threading.Event()
        process = spawn([sys.executable, "manage.py", *arguments], self.env, hear, silent)
        self.sentinel.add(process.pid)
        while process.poll() is None and not self.stop.wait(0.02):
            pass
        stopped = process.poll() is None
        self._end([process], GRACE)
        if stopped or self.stop.is_set():
            raise Stopped
        silent.wait(GRACE)
        if process.returncode:
            step = " ".join(arguments)
            raise CannotStart(
                f"`manage.py {step}` failed; its reason is above. Correct it, then start again."
            )
        return any(said)

    def start(self, part: Part) -> None:
        def hear(line: str) -> None:
            if line and not (part.muted and part.muted in line):
                part.last_line = line
                say(line, part.name)

        part.silent.clear()
        if part.heart:
            part.heart.begin()
        part.process = spawn(part.command, self.env, hear, part.silent, part.inherit)
        part.started_at = time.monotonic()
        self.sentinel.add(part.process.pid)
        if part not in self.parts:
            self.parts.append(part)

    def watch(self) -> None:
        """Start again what ended, after a pause that grows while it keeps ending."""
        now = time.monotonic()
        for part in self.parts:
            if part.process is None:
                if now >= part.start_after:
                    self.start(part)
            elif (code := part.process.poll()) is not None:
                self._end_part(part, f"ended with {code}")
            elif part.heart and part.heart.is_silent():
                self._end_part(part, "lives, but does not answer")

    def _end_part(self, part: Part, what: str) -> None:
        """Let a part begin again that ended or hangs; raise CannotStart when it never works."""
        assert part.process is not None
        self._end([part.process], 0)
        part.process = None
        now = time.monotonic()
        beats = part.heart is not None and part.heart.has_beaten
        # What is to be heard can also hang for long from its start on.
        stable = (beats or part.heart is None) and now - part.started_at > STABLE_AFTER
        part.came_up = part.came_up or beats or stable or self.ready.is_set()
        part.crashes = 0 if stable else part.crashes + 1
        if part.crashes >= TRIES_TO_START and not part.came_up:
            part.silent.wait(1)
            raise CannotStart(
                f"{part.name} does not start, also when tried {TRIES_TO_START} times: it {what}."
                f" Its last line: {sentence_of(part.last_line) or 'none'}"
            )
        pause = min(2**part.crashes - 1, LONGEST_PAUSE)
        part.start_after = now + pause
        say(f"{part.name} {what}; starting it again{f' in {pause} s' if pause else ''}.")

    def shut_down(self) -> None:
        """End every part, the broker last, so that the others can still sign off."""
        running = [(part.name, part.process) for part in self.parts if part.process is not None]
        self._end([process for name, process in running if name != "broker"], self.grace)
        self._end([process for name, process in running if name == "broker"], BROKER_GRACE)
        if self.socket:
            self.socket.unlink(missing_ok=True)
            # Goes when it was made for the socket alone; a data directory has more in it.
            with suppress(OSError):
                self.socket.parent.rmdir()
        self.sentinel.close()

    def _end(self, processes: list[subprocess.Popen[str]], grace: float) -> None:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + grace
        while (
            not self.impatient
            and time.monotonic() < deadline
            and any(p.poll() is None for p in processes)
        ):
            time.sleep(0.02)
        for process in processes:
            if WINDOWS:
                process.kill()
            else:
                # Also when the leader is gone: what it started may not be.
                signal_group(process.pid, signal.SIGKILL)
            process.wait()
            self.sentinel.remove(process.pid)
