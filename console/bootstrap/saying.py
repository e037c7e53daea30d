"""What the launcher says: to people, in sentences, and of what others have said."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from console.bootstrap.places import ENVIRONMENTS, PROJECT

# What an installer says, in whichever words, when the reason is none of the project's.
OFFLINE = (
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Could not resolve",
    "Name or service not known",
    "No address associated with hostname",
    "Network is unreachable",
    "Connection refused",
    "NewConnectionError",
    "ProxyError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Unable to connect",
    "Could not connect",
    "dns error",
    "tcp connect error",
    "error sending request",
)
# A package that is not what the lock says is no matter of the network, whatever was said before.
WRONG_HASH = ("DO NOT MATCH THE HASHES", "Hash mismatch")
DISK_FULL = ("No space left on device", "os error 28", "Disk quota exceeded")


def refuse_what_is_not_utf8(arguments: list[str]) -> None:
    """End with a sentence when the place of the project or an argument, most likely a path, is not
    UTF-8.

    Such a name can be neither written into a page, a log or a row, nor handed to most of the
    programs we start.
    """
    for what, text in (
        ("The console lies in", str(PROJECT)),
        ("TMPDIR is", os.environ.get("TMPDIR", "")),
    ):
        if not is_utf8(text):
            fail(f"{what} {shown(text)}, which is not UTF-8: choose another place.")
    for argument in arguments:
        if not is_utf8(argument):
            fail(f"{shown(argument)} is not UTF-8: give it another name.")


def understood(said: str) -> str:
    if any(word in said for word in WRONG_HASH):
        return ""
    # Some steps do not pass on what the step inside them said.
    place = ENVIRONMENTS if ENVIRONMENTS.is_dir() else PROJECT
    if any(word in said for word in DISK_FULL) or shutil.disk_usage(place).free < 50 << 20:
        return "There is no room left on the disk for the packages."
    if any(word in said for word in OFFLINE):
        return (
            "The packages cannot be reached: this machine has no connection to where they are kept."
        )
    return ""


def is_utf8(text: str | Path) -> bool:
    try:
        os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return False
    return True


def shown(text: str | Path) -> str:
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def progress(text: str) -> None:
    if sys.stderr and sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def fail(sentence: str) -> NoReturn:
    progress("")
    say(sentence)
    sys.exit(1)
