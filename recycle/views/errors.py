"""The pages for requests that went wrong. They must not fail themselves: no database, no shell
where it broke.
"""

import logging
import sqlite3
import sys
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from redis import RedisError

from recycle.passwords import AGAIN_AFTER, Busy

logger = logging.getLogger(__name__)

# Seconds after which a shared store that was away may be there again.
STORE_AGAIN_AFTER = 30

# As PostgreSQL calls it.
DISK_FULL = "53100"

# Seconds after which it is worth trying again when the database was busy.
RETRY_AFTER = 5
# Seconds in which somebody may have made room on a disk.
DISK_AGAIN_AFTER = 60


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "400.html", status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 where the database was busy or away and a later try may succeed.

    Without the request's context: what broke may be what the shell needs.
    """
    error = sys.exception()
    if is_disk_full(error):
        logger.error("the disk of the database is full, or cannot be written to: %s", error)
        response = render(None, "503.html", {"full": True}, status=503)
        response["Retry-After"] = str(DISK_AGAIN_AFTER)
        return response
    if is_passing(error):
        response = render(None, "503.html", status=503)
        response["Retry-After"] = str(RETRY_AFTER)
        return response
    return render(None, "500.html", status=500)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the database has no room to write. What was written before stays readable."""
    cause = error.__cause__ if isinstance(error, DatabaseError) else None
    if isinstance(cause, sqlite3.Error):
        # A limit on the size of files is told as an error of writing.
        return getattr(cause, "sqlite_errorcode", 0) in (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR_WRITE,
            sqlite3.SQLITE_IOERR_SHMSIZE,
        )
    return getattr(cause, "sqlstate", None) == DISK_FULL


def is_passing(error: BaseException | None) -> bool:
    """Whether an error of the database says nothing about the request: it is locked, overloaded or
    away.

    What was committed before stays; the transaction that met it has changed nothing.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        # SQLite says the same class of error for a table that is missing. The low byte is the kind.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
        )
    return True


class AwayMiddleware:
    """Where something that a view needs is away or busy for the moment: a sentence and when to come
    again.

    The shared store counts the failed logins. Without it nobody is let in, because nobody could be
    kept out; who is logged in already does not need it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, Busy):
            return _away(request, AGAIN_AFTER, busy=True)
        if isinstance(exception, RedisError):
            logger.error("the shared store does not answer: %s", exception)
            return _away(request, STORE_AGAIN_AFTER, busy=False)
        return None


def _away(request: HttpRequest, seconds: int, *, busy: bool) -> HttpResponse:
    response = render(request, "away.html", {"busy": busy, "seconds": seconds}, status=503)
    response["Retry-After"] = str(seconds)
    return response
