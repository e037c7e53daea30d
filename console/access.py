"""A line in the log for each request, and how long it took: who did what, and what came of it.

Never what came along with it. An address may hold a secret after its question mark, so it is
written to there and no further.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from uuid import UUID

from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.encoding import escape_uri_path
from django.utils.functional import LazyObject
from structlog.contextvars import bound_contextvars

from console.tally import count

logger = logging.getLogger(__name__)

# They come every few seconds, from machines.
PROBES = {"healthz", "readyz", "metrics"}
# What is no view of ours: files of the pages, and what is nowhere.
FILES, NOWHERE = "static", "nowhere"

# What is counted of each request: how many took so long, how long all took together, and how many
# were answered with what. By the name of the view: of these there are few, of addresses any number.
REQUESTS, MICROSECONDS, ANSWERS = "requests", "microseconds", "answers"
# Seconds, as Prometheus writes them.
BUCKETS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "10.0", "+Inf")


class NumberedRequest(HttpRequest):
    """A request that has its id, and is known to come from somewhere."""

    id: UUID
    origin: Any


class AccessMiddleware:
    """Outside of everything that answers, but inside of what gives the request its id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: NumberedRequest) -> HttpResponseBase:
        asked = _Asked(request)
        with bound_contextvars(request_id=asked.id):
            response = self.get_response(request)
            if not isinstance(response, StreamingHttpResponse) or isinstance(
                response, FileResponse
            ):
                asked.answered(response)
                return response
        # It has only begun, and is over when the last of it was handed over.
        streamed = cast("Iterable[bytes]", response.streaming_content)
        response.streaming_content = _until_its_end(streamed, asked, response)
        return response


class _Asked:
    """A request, as it came."""

    def __init__(self, request: NumberedRequest) -> None:
        self.began = time.perf_counter()
        self.request = request
        self.id = str(request.id)
        self.path = escape_uri_path(request.path)

    def answered(self, response: HttpResponseBase, *, broken_off: bool = False) -> None:
        request, status = self.request, response.status_code
        took = time.perf_counter() - self.began
        ms = round(took * 1000, 1)
        view = view_of(request, response)
        method = request.META.get("REQUEST_METHOD", "")
        fields = {"method": method, "path": self.path, "status": status, "view": view, "ms": ms}
        about = {
            "user": getattr(_known_user(request), "pk", None),
            "address": request.origin.address,
            "broken_off": broken_off or None,
        }
        fields |= {name: value for name, value in about.items() if value is not None}
        quiet = view in PROBES or view == FILES
        level = logging.DEBUG if quiet else logging.INFO
        logger.log(level, "%s %s %s", method, self.path, status, extra=fields)
        if not quiet:
            bucket = next(limit for limit in BUCKETS if took <= float(limit))
            count(
                {
                    (REQUESTS, view, bucket): 1,
                    (MICROSECONDS, view): round(took * 1_000_000),
                    (ANSWERS, view, f"{status // 100}xx"): 1,
                }
            )


def _until_its_end(
    content: Iterable[bytes], asked: _Asked, response: HttpResponseBase
) -> Iterator[bytes]:
    whole = False
    try:
        yield from content
        whole = True
    finally:
        with bound_contextvars(request_id=asked.id):
            asked.answered(response, broken_off=not whole)


def view_of(request: HttpRequest, response: HttpResponseBase) -> str:
    """The name of the view that answered. There are as many as the project has, and no more."""
    if request.resolver_match:
        return request.resolver_match.view_name
    return FILES if isinstance(response, FileResponse) else NOWHERE


def _known_user(request: HttpRequest) -> Any:
    """Who asks, if anybody has looked: it is not worth a query."""
    user = request.__dict__.get("user")
    return request.__dict__.get("_cached_user") if isinstance(user, LazyObject) else user
