"""What is there before anything starts: a data directory of our own, the environment of the parts,
and the demo account.
"""

import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

from console.bootstrap import WINDOWS, try_lock
from console.embedded import why_damaged
from console.env import is_open
from console.files import DATABASE, Exposed, keep_private
from console.supervisor.addresses import in_url, reachable
from console.supervisor.children import GRACE
from console.supervisor.saying import CannotStart, say
from console.supervisor.watching import Supervisor

# Seconds that the start looks for damage in the database. `doctor` takes longer.
CHECK_PATIENCE = 5


def need_services(only: str) -> None:
    """Refuse to start a part of a console whose other parts it could not reach."""
    needed = {
        "DATABASE_URL": "a PostgreSQL, such as postgresql://user:password@host:5432/name",
        "REDIS_URL": "a Redis or Valkey, such as redis://host:6379/0",
    }
    for name, what in needed.items():
        if not os.environ.get(name):
            raise CannotStart(
                f"`--only {only}` starts one part of a console of several nodes: set {name} to "
                f"{what}, the same for all of them."
            )


def prepare(supervisor: Supervisor, only: str | None) -> None:
    """Make what the parts need: web nodes bring the database up to date, one at a time, and workers
    wait for them; each web node collects its own static files.
    """
    if only == "beat":
        return
    if only == "worker":
        supervisor.run_once("migrate", "migrate", "--wait")
        return
    if only and not supervisor.env.get("CONSOLE_SECRET_KEY"):
        say("CONSOLE_SECRET_KEY is not set: logins are good for this web node alone.")
    say("Preparing the database and the static files.")
    if not supervisor.env.get("DATABASE_URL"):
        refuse_damaged_database(Path(supervisor.env["CONSOLE_DATA_DIR"]))
    supervisor.run_once("migrate", "migrate", "--noinput", "--verbosity", "0")
    supervisor.run_once("static", "collectstatic", "--noinput", "--verbosity", "0")


def claim(data_dir: Path, url: str, only: str | None = None) -> int:
    """Lock the data directory for this run of the console, or of the one part of it; the lock goes
    with the last process that holds it open.
    """
    try:
        keep_private(data_dir)
        handle = os.open(data_dir / f"{only or 'up'}.lock", os.O_RDWR | os.O_CREAT, 0o600)
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
            place = f"{data_dir} at {where}" if where else str(data_dir)
            raise CannotStart(
                f"The {only or 'console'} already runs on {place}: use that one, stop it, or "
                "choose another data directory with --data-dir."
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


def refuse_damaged_database(data_dir: Path) -> None:
    """Say at the start what somebody's page would find out later."""
    database = data_dir / DATABASE
    if why := why_damaged(database, patience=CHECK_PATIENCE):
        raise CannotStart(
            f"The database {database} is damaged: {why}. Put a backup in its place with "
            "`python3 manage.py restore FILE`; what is there now is kept aside."
        )


def environment(host: str, address: str, data_dir: Path) -> dict[str, str]:
    env = {**os.environ, "CONSOLE_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
    env.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if not env.get("CONSOLE_ALLOWED_HOSTS"):
        names = ["localhost", "127.0.0.1", "[::1]", in_url(host), in_url(address)]
        if address != reachable(address):
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
