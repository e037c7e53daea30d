"""Typed readers of the environment. A wrong value stops the start with one sentence."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured

from console.files import Exposed, keep_private, make_database

T = TypeVar("T")

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def _read(name: str, parse: Callable[[str], T], default: str, wants: str) -> T:
    value = os.environ.get(name, default)
    try:
        return parse(value)
    except (ValueError, KeyError, OSError):
        raise ImproperlyConfigured(f"{name} is {value!r}, but must be {wants}.") from None


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def boolean(name: str, default: bool = False) -> bool:
    def parse(value: str) -> bool:
        if value.lower() not in TRUE | FALSE:
            raise ValueError
        return value.lower() in TRUE

    return _read(name, parse, "1" if default else "0", "1 or 0")


def positive(name: str, default: int) -> int:
    def parse(value: str) -> int:
        number = int(value)
        if number < 1:
            raise ValueError
        return number

    return _read(name, parse, str(default), "a whole number of at least 1")


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default).upper()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}, but must be one of {', '.join(allowed)}.")
    return value


def time_zone(name: str, default: str) -> str:
    return _read(name, lambda value: ZoneInfo(value).key, default, "a time zone such as Asia/Shanghai")


def data_dir(name: str, default: Path) -> Path:
    """Where everything is kept, closed to everybody else."""
    path = Path(text(name) or default).resolve()
    try:
        keep_private(path)
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be used: {error.strerror}.") from None
    except Exposed as exposed:
        raise ImproperlyConfigured(str(exposed)) from None
    return path


def secret(name: str, kept_in: Path, size: int = 50) -> str:
    """The variable, or else a random key of `size` bytes, made once and kept in a file only its owner can read."""
    if value := os.environ.get(name):
        return value
    try:
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        try:
            # O_EXCL: of several processes starting at once, one makes the key and the others read it.
            file = os.open(kept_in, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(file, "w") as out:
                out.write(secrets.token_urlsafe(size))
        key = kept_in.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is not set, and {kept_in} cannot be used: {error.strerror}.") from None
    if not key:
        raise ImproperlyConfigured(f"{kept_in} is empty: delete it, and a new key is made.")
    return key


def database(name: str, data_dir: Path) -> dict[str, Any]:
    """Django's settings for DATABASE_URL, or for SQLite in the data directory when it is not set.

    SQLite takes the write lock when a transaction begins (IMMEDIATE), or row checks race; synchronous=FULL, so that
    what was confirmed survives a power cut.
    """
    url = urlsplit(text(name))
    if not url.scheme:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": make_database(data_dir),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    if url.scheme not in {"postgres", "postgresql"} or not url.path.strip("/"):
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:5432/name.")
    host = parse_qs(url.query).get("host", [unquote(url.hostname or "")])[0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": host,
        "PORT": str(url.port or ""),
        "OPTIONS": {"pool": {"min_size": 1, "max_size": positive("DATABASE_POOL_SIZE", 8)}},
    }
