"""What `up` says, and why it cannot start or go on."""

import os
import sys
import threading
from contextlib import suppress

from console.logs import is_json, with_part

COLOURS = {"up": 1, "broker": 35, "web": 36, "worker": 32, "beat": 33}


class Stopped(Exception):
    """Somebody asked to stop while the console was still starting."""


class CannotStart(Exception):
    """The console cannot start; the message says what to do."""


_output = threading.Lock()
_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
SAYS_JSON = is_json(sys.stdout)


def say(text: str, who: str = "up") -> None:
    prefix = f"{who:>6} |"
    if _coloured:
        prefix = f"\033[{COLOURS.get(who, 34)}m{prefix}\033[0m"
    # A reader that went away must not stop what we supervise.
    with _output, suppress(OSError, ValueError):
        print(with_part(who, text) if SAYS_JSON else f"{prefix} {text}", flush=True)
