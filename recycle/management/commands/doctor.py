"""Looks over the whole console and says what is wrong with it and what to do, a line each."""

import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.core.management.base import BaseCommand
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Exists, OuterRef, Q
from redis import Redis, RedisError

from console.embedded import why_damaged
from console.env import is_open
from console.files import FILES
from console.supervisor.parts import socket_path
from console.supervisor.saying import CannotStart
from recycle.clock import clock
from recycle.condition import COUNTED_TO, QUEUE, Condition, look
from recycle.lifecycle import UNBOUND, WAITING, State
from recycle.models import ElasticIP, Instance, RealServer, Volume

OK, WARN, FAIL = "OK", "WARN", "FAIL"
# For cron and other programs: the worst of what was found.
STATUS = {OK: 0, WARN: 1, FAIL: 2}

# Seconds that the embedded database is looked through.
DOCTOR_PATIENCE = 60
OLDEST_POSTGRESQL = 140_000
# Room on the disk: of the whole, and in any case.
LITTLE, LEAST = 0.1, 200 * 1024 * 1024
# Rows of each kind that are held against what must always be true.
SAMPLE_OF_ROWS = 1_000
# Clocks of machines may differ by so much.
AHEAD = timedelta(minutes=1)
# Nothing is kept for longer than that.
EVER = timedelta(days=3650)
# Tasks that wait in a queue which is worked off.
MANY_TASKS = 1_000

Finding = tuple[str, str]


class Command(BaseCommand):
    help = (
        "Looks over configuration, database, broker, schedule, disk, files and what must always be "
        "true: a line each, OK, WARN or FAIL, and what to do. The exit status is 0 when all is "
        "well, 1 with a warning, 2 with a failure."
    )
    # It looks itself, and goes on whatever they say.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        worst = OK
        for name, check in CHECKS.items():
            for level, sentence in _found(check):
                self.stdout.write(f"{level:<4}  {name:<13}  {sentence}")
                worst = max(worst, level, key=STATUS.__getitem__)
        sys.exit(STATUS[worst])


def _found(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; one that needs the database and has none says so."""
    try:
        yield from check()
    except Error as error:
        yield FAIL, f"cannot be looked at: {_line(error)}."


def _line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")


# --- What it runs on ------------------------------------------------------------------------------


def configuration() -> Iterator[Finding]:
    """Django's own checks; those for deployment where others can reach the console."""
    open_to_others = is_open(settings.ALLOWED_HOSTS)
    # Without HTTPS they would say the same of each cookie and header.
    messages = run_checks(include_deployment_checks=open_to_others and settings.HTTPS)
    known = []
    if settings.DEBUG and open_to_others:
        known.append((FAIL, "CONSOLE_DEBUG is 1 where others can reach it: set it to 0."))
    if open_to_others and not settings.HTTPS:
        sentence = "Others can reach the console, and passwords travel in the clear: "
        known.append((WARN, f"{sentence}set CONSOLE_HTTPS=1 behind a proxy that ends TLS."))
    yield from known
    for message in messages:
        hint = f" {_line(message.hint)}." if message.hint else ""
        level = FAIL if message.level >= ERROR else WARN
        yield level, f"{_line(message.msg)}.{hint} ({message.id})"
    if not (messages or known):
        yield OK, "for others to reach" if open_to_others else "for this machine alone"


def database() -> Iterator[Finding]:
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        place = Path(connection.settings_dict["NAME"])
        if why := why_damaged(place, patience=DOCTOR_PATIENCE):
            yield (
                FAIL,
                f"{place} is damaged: {why}. `manage.py restore` puts a backup in its place.",
            )
        else:
            size = place.stat().st_size if place.exists() else 0
            yield OK, f"SQLite {sqlite3.sqlite_version}, {size:,} bytes"
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        number = int(cursor.fetchone()[0])
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0]
    if number < OLDEST_POSTGRESQL:
        yield FAIL, f"PostgreSQL {version}: the console needs 14 or later."
    else:
        yield OK, f"PostgreSQL {version}"


def migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    known = executor.loader.disk_migrations
    missing = [
        migration.name
        for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())
    ]
    newer = [key for key in executor.loader.applied_migrations if key not in known]
    if missing:
        yield FAIL, f"{len(missing)} are not applied: run `manage.py migrate`."
    elif ours := sorted(name for app, name in newer if app == "recycle"):
        yield WARN, f"The database is of a newer release, which has {ours[-1]}: install that one."
    else:
        yield OK, "all applied"


def broker() -> Iterator[Finding]:
    try:
        with Redis.from_url(_broker_url(), socket_connect_timeout=2, socket_timeout=2) as answering:
            version = answering.info("server")["redis_version"]
            waiting = int(answering.llen(QUEUE))
    except (RedisError, OSError) as error:
        yield (
            FAIL,
            f"does not answer: {_line(error)}. Start the console, or the server of REDIS_URL.",
        )
        return
    if waiting > MANY_TASKS:
        yield WARN, f"{waiting:,} tasks wait that no worker takes: start more workers."
    else:
        yield OK, f"speaks as Redis {version}, {waiting} tasks wait"


def _broker_url() -> str:
    """Of the broker that `up` has started on this data directory, where nothing else is said."""
    if not os.environ.get("REDIS_URL"):
        with suppress(CannotStart, OSError):
            if (path := socket_path(settings.DATA_DIR)).exists():
                return f"unix://{path}"
    return str(settings.REDIS_URL)


def own_clock() -> Iterator[Finding]:
    """A machine that differs too much from the database deletes nothing for good."""
    clock.ask()
    skew = f"{clock.skew().total_seconds():+.1f} s against the database"
    if clock.is_trusted():
        yield OK, skew
    else:
        yield FAIL, f"{skew}, so nothing is deleted from here: set the one that is wrong."


# --- What it does ---------------------------------------------------------------------------------


def _condition() -> Condition:
    return look(clock.ask())


def sweep() -> Iterator[Finding]:
    condition, now = _condition(), clock.known()
    came_by = {each.name: each for each in condition.passes}
    tasks = [
        str(entry["task"]).rpartition(".")[2] for entry in settings.CELERY_BEAT_SCHEDULE.values()
    ]
    late = False
    for name in sorted(tasks):
        last = came_by.get(name)
        if last is None:
            late = True
            yield FAIL, f"{name} has never come by: start a worker and a beat, as `up` does."
        elif last.is_late(now):
            late = True
            ago = _seconds(now - last.ran_at)
            yield FAIL, f"{name} last came by {ago} ago: see whether worker and beat run."
    if condition.lag > timedelta(seconds=settings.SWEEP_LATE_AFTER):
        more = " or more" if condition.backlog == COUNTED_TO else ""
        waiting = f"{condition.backlog:,}{more} instances wait for their deletion"
        yield WARN, f"{waiting}, the first for {_seconds(condition.lag)}."
    elif not late:
        yield OK, "every pass came by on time, and nothing waits"


def _seconds(duration: timedelta) -> timedelta:
    return timedelta(seconds=int(duration.total_seconds()))


def quarantine() -> Iterator[Finding]:
    if number := _condition().quarantined:
        yield (
            WARN,
            f"{number:,} instances could not be deleted in many tries: their pages say why.",
        )
    else:
        yield OK, "empty"


# --- Where it lies --------------------------------------------------------------------------------


def disk() -> Iterator[Finding]:
    usage = shutil.disk_usage(settings.DATA_DIR)
    free = f"{usage.free / 1024**3:,.1f} GB of {usage.total / 1024**3:,.1f} are free"
    if usage.free < LEAST:
        yield FAIL, f"{free} at {settings.DATA_DIR}: make room, or nothing can be written soon."
    elif usage.free < LITTLE * usage.total:
        yield WARN, f"{free} at {settings.DATA_DIR}: make room."
    else:
        yield OK, free


def files() -> Iterator[Finding]:
    """Nobody else reads them; what starts a part of the console closes most by itself."""
    places = [settings.DATA_DIR, *(settings.DATA_DIR / name for name in FILES)]
    open_to_others = [
        path
        for path in places
        if sys.platform != "win32" and path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    for path in open_to_others:
        mode = "700" if path.is_dir() else "600"
        yield WARN, f"Others may read {path}: chmod {mode} {path}."
    if not (settings.STATIC_ROOT / "staticfiles.json").exists() and not settings.DEBUG:
        yield WARN, "The static files are not collected: run `manage.py collectstatic`."
    elif not open_to_others:
        yield OK, "nobody else's to read"


# --- What must always be true ---------------------------------------------------------------------


def invariants() -> Iterator[Finding]:
    """Of the rows where a fault would show first, so that it takes no longer with more of them."""
    now = clock.ask()
    faults = {
        "still have relationships": Q(_bound(), state__in=UNBOUND),
        "have times that do not fit their state": Q(state__in=WAITING, purge_at=None)
        | Q(state=State.RECYCLED, recycled_at=None)
        | (Q(state=State.PURGED) & Q(purged_at=None)),
        "were deleted in the future": Q(purged_at__gt=now + AHEAD),
        "were deleted although they are held or protected": Q(state=State.PURGED)
        & ~Q(held_at=None, protected=False),
    }
    next_ones = Instance.objects.due_for_purge(now + EVER)
    last_ones = Instance.objects.purged_before(now + EVER, now + EVER).reverse()
    wrong = False
    for rows in (next_ones, last_ones):
        ids = list(rows.values_list("pk", flat=True)[:SAMPLE_OF_ROWS])
        for what, fault in faults.items():
            faulty = list(
                Instance.objects.filter(fault, pk__among=ids).values_list("pk", flat=True)
            )
            if faulty:
                wrong = True
                yield FAIL, f"{len(faulty)} instances {what}: {faulty[0]} for one."
    if not wrong:
        yield OK, f"hold for the {SAMPLE_OF_ROWS:,} next and the {SAMPLE_OF_ROWS:,} last deletions"


def _bound() -> Q:
    kinds = (ElasticIP, Volume, RealServer)
    return reduce(or_, (Q(Exists(kind.objects.filter(instance=OuterRef("pk")))) for kind in kinds))


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "configuration": configuration,
    "database": database,
    "migrations": migrations,
    "broker": broker,
    "clock": own_clock,
    "sweep": sweep,
    "quarantine": quarantine,
    "disk": disk,
    "files": files,
    "invariants": invariants,
}
