"""The services that the console works with, read from the environment: the database, the broker and
the shared store. What an address asks for and cannot be given stops the start with one sentence.
"""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from django.core.exceptions import ImproperlyConfigured

from console.env import text
from console.files import make_database

# --- The database ---------------------------------------------------------------------------------

# Who asks while the database is away is told so within three seconds. libpq takes no less than 2.
CONNECT_SECONDS = 2
# What an address may say otherwise. A machine that went without a word is noticed, while a question
# is sent to it (in milliseconds) and while its answer is waited for.
PATIENCE = {
    "connect_timeout": str(CONNECT_SECONDS),
    "tcp_user_timeout": "2500",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "fallback_application_name": "kec-console",
}
# Whole numbers, which libpq reads only when it has a connection.
NUMBERS = (
    "connect_timeout",
    "tcp_user_timeout",
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
)
# Django has names of its own for these.
DJANGOS = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def database(name: str, data_dir: Path) -> dict[str, Any]:
    """Django's settings for DATABASE_URL, or for SQLite in the data directory when it is not set.

    SQLite takes the write lock when a transaction begins (IMMEDIATE), or row checks race;
    synchronous=FULL, so that what was confirmed survives a power cut.
    """
    url = text(name)
    if not url:
        return {
            "ENGINE": "console.sqlite3",
            "NAME": _sqlite_file(data_dir),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    found = _libpq_parameters(name, url)
    own = {django: found.pop(libpq, "") for libpq, django in DJANGOS.items()}
    return {
        "ENGINE": "console.postgresql",
        **own,
        "OPTIONS": PATIENCE | found,
        # Each thread keeps its connection for an hour, and asks before each request whether it
        # still works. A pool would open another in the background, with growing pauses: a request
        # could wait for it when the database has long been there again.
        "CONN_MAX_AGE": 3600,
        "CONN_HEALTH_CHECKS": True,
    }


def _libpq_parameters(name: str, url: str) -> dict[str, str]:
    """What the address of a PostgreSQL says, as libpq reads it; what libpq does not know or take is
    refused.

    No sentence quotes more than one parameter: the address has a password in it.
    """
    # Only where there is a PostgreSQL: it takes a moment to load.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    shape = f"{name} must look like postgresql://user:password@host:5432/name."
    if not url.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(shape)
    try:
        found = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except ProgrammingError as error:
        said = str(error).strip()
        if said.startswith("invalid URI query parameter"):
            unknown = said.rpartition(": ")[2]
            raise ImproperlyConfigured(
                f"{name} has the parameter {unknown}, which PostgreSQL's library does not know."
            ) from None
        raise ImproperlyConfigured(shape) from None
    if not found.get("dbname"):
        raise ImproperlyConfigured(shape)
    if why := _why_refused(found):
        raise ImproperlyConfigured(f"{name} cannot be used: {why}.")
    return found


def _why_refused(found: dict[str, str]) -> str:
    """What libpq takes offence at in these parameters; empty when it takes them."""
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import PGconn

    for key, value in found.items():
        if not value:
            return f"its parameter {key} is empty"
        if key in NUMBERS and not value.isdecimal():
            return f"{key} is {value!r}, but must be a whole number"
    # It judges them before it looks for the server, and in this directory it finds none.
    judged = {key: value for key, value in found.items() if key not in ("host", "hostaddr")}
    ports = judged.pop("port", "5432").split(",")
    for port in ports:
        info = make_conninfo("", **judged, host="/nowhere", port=port)
        said = PGconn.connect_start(info.encode()).error_message.decode(errors="replace").strip()
        if said.startswith("invalid"):
            return said
    return ""


def _sqlite_file(data_dir: Path) -> Path:
    try:
        return make_database(data_dir)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The database in {data_dir} cannot be used: {error.strerror}."
        ) from None


# --- The broker and the shared store --------------------------------------------------------------

# What an address may ask for beside host, name and password, by its scheme. Celery and redis-py
# understand these alike.
REDIS_PARAMETERS = {
    "redis": {"db"},
    "rediss": {
        "db",
        "ssl_cert_reqs",
        "ssl_ca_certs",
        "ssl_certfile",
        "ssl_keyfile",
        "ssl_check_hostname",
    },
    "unix": {"db"},
}
CERTIFICATE_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
CHOICES = {
    "ssl_cert_reqs": ("required", "optional", "none"),
    "ssl_check_hostname": ("true", "false"),
}


def redis(name: str, default: str = "") -> str:
    """The address of a Redis or Valkey that asks for nothing but what all who use it understand."""
    address = text(name) or default
    if not address:
        return ""
    url = urlsplit(address)
    if url.scheme not in REDIS_PARAMETERS or not (url.netloc or url.scheme == "unix"):
        raise ImproperlyConfigured(
            f"{name} must look like redis://host:6379/1, rediss://host:6379/1 or "
            "unix:///path/broker.sock?db=1."
        )
    known = REDIS_PARAMETERS[url.scheme]
    for key, value in parse_qsl(url.query, keep_blank_values=True):
        if key not in known:
            why = (
                "which needs rediss://"
                if key in REDIS_PARAMETERS["rediss"]
                else "which is not known"
            )
            raise ImproperlyConfigured(
                f"{name} has the parameter {key!r}, {why}; it may have {', '.join(sorted(known))}."
            )
        allowed = CHOICES.get(key)
        if allowed and value not in allowed:
            raise ImproperlyConfigured(
                f"{name} has {key}={value!r}, but must have one of {', '.join(allowed)}."
            )
        if key == "db" and not value.isdecimal():
            raise ImproperlyConfigured(f"{name} has db={value!r}, but must have a whole number.")
        if key in CERTIFICATE_FILES and not Path(value).is_file():
            raise ImproperlyConfigured(f"{name} has {key}={value!r}, but there is no such file.")
    return address


def celery_broker(address: str) -> str:
    """The same address as Celery spells it, which knows a Unix socket by another scheme and its
    database by another parameter, and asks for no certificate unless it is told to.
    """
    url = urlsplit(address)
    query = dict(parse_qsl(url.query))
    number = query.pop("db", "")
    if url.scheme == "unix":
        options = f"?virtual_host={number}" if number else ""
        return f"redis+socket://{url.netloc}{url.path}{options}"
    if url.scheme == "rediss":
        # Where nothing is said, Celery would believe any certificate.
        query.setdefault("ssl_cert_reqs", "required")
    path = f"/{number}" if number else url.path
    options = f"?{urlencode(query)}" if query else ""
    return f"{url.scheme}://{url.netloc}{path}{options}"


def cache(name: str, broker: str) -> dict[str, Any]:
    """Django's settings for the shared store, a Redis or Valkey.

    Unless the variable names one it is the broker's, but its next database: emptying the one must
    not empty the other.
    """
    # Whoever waits for the store holds a thread of the web server.
    patience = {"socket_connect_timeout": 1, "socket_timeout": 1}
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis(name) or _next_database(broker),
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
