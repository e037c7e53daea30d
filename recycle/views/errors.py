"""The pages for requests that went wrong. They must not fail themselves: no database, no shell
where it broke.
"""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from redis import RedisError

from recycle.passwords import AGAIN_AFTER, Busy

logger = logging.getLogger(__name__)

# Seconds after which a shared store that was away may be there again.
STORE_AGAIN_AFTER = 30


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "400.html", status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Without the request's context: what broke may be what the shell needs."""
    return render(None, "500.html", status=500)


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
