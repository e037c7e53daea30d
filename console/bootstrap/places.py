"""Where the environments lie, and the notes by which they are found."""

import hashlib
import json
import os
import re
import sys
import sysconfig
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENTS = PROJECT / ".venvs"
LINK = PROJECT / ".venv"
LOCKS = PROJECT / "requirements"
NOTE_FILE = "installed.json"
EARLIER = "earlier"
WINDOWS = os.name == "nt"


def wanted(lock: str) -> dict[str, str]:
    """What the note of a fitting environment says.

    The Python goes by its place and version without the patch level: an in-place update keeps what
    is installed. Which tool installed the packages does not matter, but the place does, as programs
    carry it in their first line.
    """
    locks = hashlib.sha256(
        b"\0".join((LOCKS / f"{name}.txt").read_bytes() for name in ("run", "test"))
    )
    about_python = f"{sys.implementation.cache_tag} {sysconfig.get_platform()} {sys.base_prefix}"
    return {
        "lock": lock,
        "locks": locks.hexdigest(),
        "python": about_python,
        "place": str(ENVIRONMENTS),
    }


def place(lock: str) -> Path:
    return ENVIRONMENTS / hashlib.sha256(written(wanted(lock))).hexdigest()[:12]


def python(environment: Path) -> Path:
    return environment / "Scripts" / "python.exe" if WINDOWS else environment / "bin" / "python"


def written(note: dict[str, str]) -> bytes:
    return json.dumps(note).encode()


def parsed(text: bytes) -> dict[str, str] | None:
    try:
        note = json.loads(text)
    except ValueError:
        return None
    return note if isinstance(note, dict) else None


def read_note(environment: Path) -> dict[str, str] | None:
    try:
        return parsed((environment / NOTE_FILE).read_bytes())
    except OSError:
        return None


def environments() -> list[Path]:
    """Those that this program made; what else lies there is not for us to touch."""
    return sorted(
        path
        for path in ENVIRONMENTS.glob("*")
        if (re.fullmatch("[0-9a-f]{12}", path.name) or path.name == EARLIER)
        and path.is_dir()
        and not path.is_symlink()
    )
