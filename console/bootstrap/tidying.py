"""Which environments no start will use again; they are removed unless somebody runs in them."""

import os
import time
from contextlib import suppress
from pathlib import Path

from console.bootstrap.locks import try_lock
from console.bootstrap.making import link, remove
from console.bootstrap.places import (
    ENVIRONMENTS,
    LINK,
    NOTE_FILE,
    WINDOWS,
    environments,
    place,
    python,
    read_note,
    wanted,
)

# Seconds that the environment of a checkout which moved, or is seen by another path, is kept.
KEPT_SECONDS = 7 * 24 * 3600


def tidy(environment: Path) -> None:
    """Remove what no start will use again and nobody runs in, and mend the link.

    The environments of other Pythons stay, so that two shells with different ones do not take turns
    in building.
    """
    leftovers = [other for other in environments() if other != environment and _is_obsolete(other)]
    if not leftovers and LINK.exists():
        return
    # A project that is read-only to this user is somebody else's to tidy.
    with suppress(OSError), (ENVIRONMENTS / "lock").open("a+b") as handle:
        # A build that goes on has no note yet.
        if not try_lock(handle.fileno()):
            return
        if not LINK.exists():
            link(environment)
        for other in leftovers:
            _remove_unless_in_use(other)


def _is_obsolete(environment: Path) -> bool:
    note = read_note(environment)
    fitting = wanted("test")
    if note is None or not python(environment).exists():
        return True
    if note.get("locks") != fitting["locks"]:
        return True
    if note.get("place") != fitting["place"]:
        # The checkout may have moved, or be seen by two paths, as in a container; then the two must
        # not take turns in building.
        return time.time() - (environment / NOTE_FILE).stat().st_mtime > KEPT_SECONDS
    # What runs on this Python finds the same in the environment for the tests.
    return note == wanted("run") and read_note(place("test")) == fitting


def _remove_unless_in_use(environment: Path) -> None:
    # Windows has no lock to be shared, so there it is for people to remove what they do not need.
    if WINDOWS:
        return
    handle = -1
    try:
        with suppress(FileNotFoundError):
            handle = os.open(environment / NOTE_FILE, os.O_RDONLY)
        if handle < 0 or try_lock(handle):
            remove(environment)
    finally:
        if handle >= 0:
            os.close(handle)
