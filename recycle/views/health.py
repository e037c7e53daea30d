"""For probes: is the process alive, and can it do its work."""

import time
from threading import Lock

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis import Redis, RedisError

from console.schema import unapplied
from recycle.clock import clock
from recycle.http import knows_token
from recycle.models import Sweep


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database and broker answer, tables and static files are those of this version, the
    machine's clock is right and the sweep is on time, else 503. With `?pages` only what pages need
    counts: when worker or beat are away, no web node is to be taken out of service.

    What it is that does not, is said to a superuser and to who knows the token; strangers learn
    only whether.
    """
    state = _readiness.now()
    ready = is_good(state, PAGES if "pages" in request.GET else PARTS)
    answer = {"ready": ready, **(state if _may_know(request) else {})}
    return JsonResponse(answer, status=200 if ready else 503, headers={"Cache-Control": "no-store"})


def _may_know(request: HttpRequest) -> bool:
    if knows_token(request, settings.PROBE_TOKEN):
        return True
    try:
        return bool(request.user.is_superuser)
    except Error:
        # Without a database nobody is known.
        return False


# What pages need, and what all of the console needs.
PAGES = ("database", "migrations", "static")
PARTS = (*PAGES, "broker", "clock", "sweep")
# Every page links to it, by the name that it has in this version.
A_STATIC_FILE = "css/console.css"


def is_good(state: dict[str, str], parts: tuple[str, ...] = PARTS) -> bool:
    return all(state[part] == "ok" for part in parts)


class Readiness:
    """What was found out last. Anybody may ask at any rate, so one thread looks, every two seconds
    at most; meanwhile the others say what it said, or that nothing is known yet. What does not work
    is looked at sooner.
    """

    KEEP, KEEP_BAD = 2, 0.5

    def __init__(self) -> None:
        self.looking = Lock()
        self.state = dict.fromkeys(PARTS, "unknown")
        self.looked_at = -float("inf")
        # Once the tables are there they stay.
        self.is_migrated = False

    def now(self) -> dict[str, str]:
        keep = self.KEEP if is_good(self.state) else self.KEEP_BAD
        if time.monotonic() - self.looked_at > keep and self.looking.acquire(blocking=False):
            try:
                self.state = self._look()
                self.looked_at = time.monotonic()
            finally:
                self.looking.release()
        return self.state

    def _look(self) -> dict[str, str]:
        state = dict.fromkeys(PARTS, "ok")
        try:
            _look_at_clock(state)
            if not self.is_migrated and (left := unapplied(connection)):
                state["migrations"] = f"{len(left)} not applied"
                state["sweep"] = "unknown"
            else:
                self.is_migrated = True
                _look_at_sweep(state)
        except Error:
            state["database"] = "does not answer"
            state["clock"] = state["sweep"] = state["migrations"] = "unknown"
        try:
            staticfiles_storage.url(A_STATIC_FILE)
        except ValueError:
            state["static"] = "not collected"
        try:
            with Redis.from_url(
                settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1
            ) as broker:
                broker.ping()
        except (RedisError, OSError):
            state["broker"] = "does not answer"
        return state


_readiness = Readiness()


def _look_at_clock(state: dict[str, str]) -> None:
    """A machine whose clock is wrong shows right pages, but deletes nothing for good."""
    clock.ask()
    skew = f"{clock.skew().total_seconds():+.1f} s"
    state["clock_skew"] = skew
    if not clock.is_trusted():
        state["clock"] = f"differs from the database's: {skew}"


def _look_at_sweep(state: dict[str, str]) -> None:
    sweep = Sweep.objects.filter(name="purge_due").first()
    if sweep is None:
        state["sweep"] = "has not run yet"
        return
    state["sweep_ran_at"] = sweep.ran_at.isoformat()
    if sweep.is_late(clock.known()):
        state["sweep"] = "late"
