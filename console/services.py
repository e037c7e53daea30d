"""The services that the console works with, read from the environment: the database, the broker and
the shared store. What an address asks for and cannot be given stops the start with one sentence.
"""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from django.core.exceptions import ImproperlyConfigured

from console.env import positive, text
from console.files import make_database


def cache(name: str, broker: str) -> dict[str, Any]:
    """Django's settings for the shared store, a Redis or Valkey.

    Unless the variable names one it is the broker's, but its next database: emptying the one must
    not empty the other.
    """
    url = text(name) or _next_database(broker)
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise ImproperlyConfigured(
            f"{name} must look like redis://host:6379/1 or unix:///path/broker.sock?db=1."
        )
    # Whoever waits for the store holds a thread of the web server.
    patience = {"socket_connect_timeout": 1, "socket_timeout": 1}
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": "console",
        "OPTIONS": patience,
    }


def _next_database(broker: str) -> str:
    url = urlsplit(broker)
    query = parse_qs(url.query)
    in_path = url.scheme != "unix"
    number = query.pop("db", [url.path.strip("/") if in_path else ""])[0]
    following = (int(number) if number.isdecimal() else 0) + 1
    # A server has 16 databases unless it was told otherwise.
    query["db"] = [str(following % 16)]
    path = "" if in_path else url.path
    # urlunsplit would write unix:/path, which redis-py does not take.
    return f"{url.scheme}://{url.netloc}{path}?{urlencode(query, doseq=True)}"


def _sqlite_file(data_dir: Path) -> Path:
    try:
        return make_database(data_dir)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The database in {data_dir} cannot be used: {error.strerror}."
        ) from None


def database(name: str, data_dir: Path) -> dict[str, Any]:
    """Django's settings for DATABASE_URL, or for SQLite in the data directory when it is not set.

    SQLite takes the write lock when a transaction begins (IMMEDIATE), or row checks race;
    synchronous=FULL, so that what was confirmed survives a power cut.
    """
    url = urlsplit(text(name))
    if not url.scheme:
        return {
            "ENGINE": "console.sqlite3",
            "NAME": _sqlite_file(data_dir),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    if url.scheme not in {"postgres", "postgresql"} or not url.path.strip("/"):
        raise ImproperlyConfigured(
            f"{name} must look like postgresql://user:password@host:5432/name."
        )
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
