"""The command itself: its options, and the order of the start."""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from django.core.exceptions import ImproperlyConfigured

from console.bootstrap import PROJECT, WINDOWS, is_utf8, shown
from console.env import is_open, refuse_weak_key
from console.supervisor.addresses import is_ready, numeric_address, url_of
from console.supervisor.parts import ROLES, answers, broker, parts_of, web_processes
from console.supervisor.preparing import claim, environment, make_demo, need_services, prepare
from console.supervisor.saying import CannotStart, Stopped, say
from console.supervisor.watching import STABLE_AFTER, Supervisor
from console.web import DRAIN


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
    parser.add_argument(
        "--only",
        choices=ROLES,
        help="start one part of a console of several nodes, which share what DATABASE_URL and "
        "REDIS_URL name",
    )
    options = parser.parse_args(argv)
    # What the parts make is their owner's alone.
    os.umask(0o077)
    default = Path(os.environ.get("CONSOLE_DATA_DIR") or PROJECT / "var")
    data_dir = (options.data_dir or default).expanduser().resolve()
    try:
        if options.only:
            need_services(options.only)
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
        serves = options.only in (None, "web")
        claim(data_dir, url_of(options.host, options.port) if serves else "", options.only)
        address = numeric_address(options.host, options.port) if serves else options.host
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
    if not options.only and not supervisor.env.get("REDIS_URL"):
        part, path = broker(data_dir)
        supervisor.socket = path
        supervisor.env["REDIS_URL"] = f"unix://{path}"
        supervisor.start(part)
        _wait_for(
            lambda: answers(path),
            supervisor,
            "The embedded broker does not start; its reason is above.",
        )
    prepare(supervisor, options.only)
    password = ""
    if not options.only and not options.no_demo:
        password = make_demo(supervisor, data_dir, host=options.host)
    for part in parts_of(options.only, address, options.port, data_dir, supervisor.env):
        supervisor.start(part)

    def announce() -> None:
        if not _wait_until_ready(supervisor, address, options.port, options.only):
            return
        what = "web server" if options.only else "console"
        say(f"The {what} is ready: {url_of(options.host, options.port)}")
        if password:
            say(f"User demo, password {password} (kept in {data_dir / 'demo-password'}).")
        say("Stop it with Ctrl-C.")

    if options.only in (None, "web"):
        # Beside the watch: an answer can take its time.
        threading.Thread(target=announce, daemon=True).start()
    else:
        say(f"Started the {options.only}. Stop it with Ctrl-C.")
    while not supervisor.stop.wait(0.1):
        supervisor.watch()


def _wait_until_ready(supervisor: Supervisor, address: str, port: int, only: str | None) -> bool:
    """Ask until the console, or its pages alone, is ready; False when it is stopped before."""
    hosts = supervisor.env["CONSOLE_ALLOWED_HOSTS"]
    probe = "/readyz?pages" if only else "/readyz"
    patience = time.monotonic() + STABLE_AFTER
    in_a_row = 0
    # Each web process remembers for half a second that something did not work yet.
    while in_a_row < 3:
        in_a_row = in_a_row + 1 if is_ready(address, port, hosts, probe) else 0
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
