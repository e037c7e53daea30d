"""How a program is started so that nothing of it is left, however we end."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from console.bootstrap import PROJECT, WINDOWS

# Everything has to be gone within 5 seconds of Ctrl-C.
GRACE = 3.0


class Sentinel:
    """A process that outlives us by a moment and ends what we started, however we died.

    Each part leads a process group of its own. The kernel ends the leaders when we die, but not
    what they started themselves; the sentinel knows the groups and sees our end of its pipe close.
    """

    def __init__(self) -> None:
        self.groups: set[int] = set()
        self.pid = 0
        if WINDOWS:
            return
        reader, self.pipe = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(self.pipe)
                self._watch(reader)
            finally:
                os._exit(0)
        os.close(reader)

    def add(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        if self.pid:
            os.close(self.pipe)
            os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        if self.pid:
            with suppress(OSError):
                os.write(self.pipe, line.encode())

    def _watch(self, reader: int) -> None:
        # Out of reach of the terminal's Ctrl-C; the lock file stays open and locked until all are
        # gone.
        os.setsid()
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        with os.fdopen(reader) as lines:
            for line in lines:
                (self.groups.add if line[0] == "+" else self.groups.discard)(int(line[1:]))
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self._signal_all(0) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: int) -> bool:
        return bool([group for group in self.groups if signal_group(group, number)])


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False when nobody is left in it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def die_with_parent() -> Callable[[], None] | None:
    """What a child does before it becomes its program: ask the kernel to end it when we end
    (Linux).
    """
    if not sys.platform.startswith("linux"):
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl
    set_death_signal = 1

    def ask() -> None:
        prctl(set_death_signal, signal.SIGTERM)
        if os.getppid() != parent:  # we were gone already
            os._exit(1)

    return ask


def spawn(
    command: list[str],
    env: dict[str, str],
    hear: Callable[[str], None],
    silent: threading.Event,
    inherit: tuple[int, ...] = (),
) -> subprocess.Popen[str]:
    """Start a program in a process group of its own. From the main thread: the death signal follows
    the thread.

    Every line it prints is heard in a thread; `silent` is set when there will be no more, a moment
    after its end.
    """
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=not WINDOWS,
        pass_fds=inherit,
        preexec_fn=die_with_parent(),  # noqa: PLW1509 - before threads run in it
    )

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                hear(line.rstrip())
        silent.set()

    threading.Thread(target=listen, daemon=True).start()
    return process
