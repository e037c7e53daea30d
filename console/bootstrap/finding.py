"""Which environment a start uses, and how it carries on inside it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from console.bootstrap.locks import try_lock
from console.bootstrap.places import (
    ENVIRONMENTS,
    LINK,
    NOTE_FILE,
    WINDOWS,
    parsed,
    place,
    python,
    wanted,
)

# Notes of the environments that this process runs in, open and locked for as long as it lives.
_held: list[int] = []


def find_environment(lock: str) -> Path | None:
    """Return a finished environment that holds what this lock names, kept for this process; None
    without one.
    """
    for name in dict.fromkeys(("test", lock)):
        environment = place(name)
        if python(environment).exists() and hold_environment(environment) == wanted(name):
            return environment
    return None


def is_inside(environment: Path) -> bool:
    # Not by way of .venv: that may lead elsewhere while this program still loads modules.
    prefix = Path(sys.prefix)
    return prefix.parent.name == ENVIRONMENTS.name and prefix.resolve() == environment


def hold_environment(environment: Path) -> dict[str, str] | None:
    """Read an environment's note, and keep everybody from removing the environment while this
    process lives.
    """
    try:
        handle = os.open(environment / NOTE_FILE, os.O_RDONLY)
    except OSError:
        return None
    # Whoever has it alone is about to remove it.
    if not try_lock(handle, shared=True):
        os.close(handle)
        return None
    # The program that takes this process over inherits it, and so keeps the lock.
    os.set_inheritable(handle, True)
    _held.append(handle)
    return parsed(os.read(handle, 10_000))


def hold_own() -> None:
    """For programs that did not come through here: keep the environment that this process
    runs in.
    """
    hold_environment(Path(sys.prefix))


def leave_the_link() -> None:
    """Go on by the environment's own path where this program was started by way of `.venv`.

    The link may lead elsewhere one day, while this program still loads modules.
    """
    if Path(sys.prefix) == LINK and LINK.is_symlink() and not WINDOWS:
        command = [str(python(LINK.resolve())), *sys.orig_argv[1:]]
        os.execv(command[0], command)


def is_made_by_hand() -> bool:
    # One without our note, but with packages, was made by somebody who knows why.
    inside = os.path.realpath(sys.prefix) == os.path.realpath(LINK)
    by_us = LINK.is_symlink() or (LINK / NOTE_FILE).exists()
    return inside and not by_us and importlib.util.find_spec("django") is not None


def restart(environment: Path) -> NoReturn:
    # By its own path, not by the link: the link may lead elsewhere while this program still runs.
    command = [str(python(environment)), *sys.argv]
    if not WINDOWS:
        if sys.stdout:
            sys.stdout.flush()
        os.execv(command[0], command)
    # Windows has no exec: wait there, and leave Ctrl-C to the child.
    with subprocess.Popen(command) as child:
        while True:
            try:
                sys.exit(child.wait())
            except KeyboardInterrupt:
                continue
