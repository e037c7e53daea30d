"""The data directory is its owner's alone, whoever made what lies in it, and with whatever
umask.
"""

import os
import stat
import sys
from pathlib import Path

DATABASE = "console.sqlite3"
# What the console keeps there.
FILES = (
    *(DATABASE + suffix for suffix in ("", "-wal", "-shm", "-journal")),
    *("secret-key", "demo-password", "demo-password.new"),
    *("up.lock", "web.lock", "worker.lock", "beat.lock"),
    # By the kind of database that Python's shelve finds: beat reads objects out of it.
    *(
        "beat-schedule" + suffix
        for suffix in ("", ".db", ".dat", ".dir", ".bak", "-wal", "-shm", "-journal")
    ),
)
OURS = {*FILES, "static", "broker.sock"}


class Exposed(Exception):
    """Others could read or replace what lies there; the message says what to do."""


def keep_private(data_dir: Path) -> None:
    """Make the directory if there is none, and close it and the console's files to everybody else.

    What cannot be made safe by closing it is refused: what somebody else owns is already known to
    them, and behind a symbolic link may be anybody's file.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform == "win32":  # where there are no modes
        return
    found = data_dir.stat()
    _check_owner(data_dir, found)
    if found.st_mode & stat.S_IWOTH:
        raise Exposed(f"Anybody may write to {data_dir}: choose a directory of the console's own.")
    # A directory that is used for other things as well is not ours to close; the files in it are.
    if all(path.name.partition(".")[0] in _STEMS for path in data_dir.iterdir()):
        _close(data_dir, found, 0o700)
    for name in FILES:
        path = data_dir / name
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise Exposed(
                f"{path} is a symbolic link: put the file itself there, or choose another data "
                "directory."
            )
        _check_owner(path, found)
        _close(path, found, 0o600)


_STEMS = {name.partition(".")[0] for name in OURS}


def make_database(data_dir: Path) -> Path:
    """The database's file, private from its first byte on: SQLite gives its log and its index the
    same mode.
    """
    path = data_dir / DATABASE
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return path


def _check_owner(path: Path, found: os.stat_result) -> None:
    # Root can read everything anyhow, and makes the volumes of a container.
    if found.st_uid not in (os.geteuid(), 0):
        raise Exposed(
            f"{path} belongs to somebody else: give it to the user who starts the console."
        )


def _close(path: Path, found: os.stat_result, mode: int) -> None:
    if found.st_mode & 0o077 and found.st_uid == os.geteuid():
        path.chmod(mode)
