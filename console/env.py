"""Typed readers of the environment. A wrong value stops the start with one sentence."""

import os
import secrets
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured

from console.bootstrap import is_utf8, shown
from console.files import Exposed, keep_private

Setting = TypeVar("Setting")

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    value = os.environ.get(name, default)
    if not is_utf8(value):
        raise ImproperlyConfigured(f"{name} is {shown(value)}, which is not UTF-8.")
    return value


def _read(name: str, parse: Callable[[str], Setting], default: str, wants: str) -> Setting:
    value = text(name, default)
    try:
        return parse(value)
    except (ValueError, KeyError, OSError):
        raise ImproperlyConfigured(f"{name} is {value!r}, but must be {wants}.") from None


def boolean(name: str, default: bool = False) -> bool:
    def parse(value: str) -> bool:
        if value.lower() not in TRUE | FALSE:
            raise ValueError
        return value.lower() in TRUE

    return _read(name, parse, "1" if default else "0", "1 or 0")


def positive(name: str, default: int) -> int:
    return _at_least(1, name, default)


def count(name: str, default: int) -> int:
    return _at_least(0, name, default)


def _at_least(least: int, name: str, default: int) -> int:
    def parse(value: str) -> int:
        number = int(value)
        if number < least:
            raise ValueError
        return number

    return _read(name, parse, str(default), f"a whole number of at least {least}")


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default).upper()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}, but must be one of {', '.join(allowed)}.")
    return value


def time_zone(name: str, default: str) -> str:
    return _read(
        name, lambda value: ZoneInfo(value).key, default, "a time zone such as Asia/Shanghai"
    )


def is_open(hosts: list[str]) -> bool:
    """Whether any of these names or addresses can be reached from another machine."""

    def is_loopback(host: str) -> bool:
        try:
            return ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    return not all(map(is_loopback, hosts))


# What stands in examples and tutorials; a key of a machine's making holds none of it.
EXAMPLES = (
    "insecure",
    "secret",
    "changeme",
    "change-me",
    "change_me",
    "example",
    "password",
    "12345",
    "qwerty",
)


def why_weak(key: str) -> str:
    """What makes a secret key easy to guess; empty when nothing does."""
    if len(key) < 32:
        return f"has {len(key)} characters, and 32 are the least"
    if len(set(key)) < 10:
        return f"has {len(set(key))} different characters, and 10 are the least"
    if example := next((example for example in EXAMPLES if example in key.lower()), ""):
        return f"contains {example!r}, as examples do"
    return ""


def refuse_weak_key(name: str) -> None:
    """Stop the start: whoever guesses the key of a console they can reach is logged in as
    anybody.
    """
    if (key := os.environ.get(name)) and (why := why_weak(key)):
        raise ImproperlyConfigured(
            f"{name} {why}, while this console can be reached from other machines: "
            "leave it unset, and a good one is made, or set one of a machine's making."
        )


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
    """The variable, or else a random key of `size` bytes, made once and kept in a file only its
    owner can read.
    """
    if value := text(name):
        return value
    try:
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        try:
            # O_EXCL: of several processes starting at once, one makes the key and the others read
            # it.
            file = os.open(kept_in, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(file, "w") as out:
                out.write(secrets.token_urlsafe(size))
        key = kept_in.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name} is not set, and {kept_in} cannot be used: {error.strerror}."
        ) from None
    if not key:
        raise ImproperlyConfigured(f"{kept_in} is empty: delete it, and a new key is made.")
    return key
