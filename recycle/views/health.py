"""For probes: is the process alive, and can it do its work."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from redis import Redis, RedisError

from recycle.models import Sweep


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database and broker answer and the sweep is on time, else 503; the body says which."""
    state = {"database": "ok", "broker": "ok", "sweep": "ok"}
    try:
        sweep = Sweep.objects.filter(name="purge_due").first()
        if sweep is None:
            state["sweep"] = "has not run yet"
        else:
            state["sweep_ran_at"] = sweep.ran_at.isoformat()
            if sweep.is_late(timezone.now()):
                state["sweep"] = "late"
    except Error:
        state["database"] = "does not answer"
        state["sweep"] = "unknown"
    try:
        with Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1) as broker:
            broker.ping()
    except (RedisError, OSError):
        state["broker"] = "does not answer"
    ready = all(state[part] == "ok" for part in ("database", "broker", "sweep"))
    return JsonResponse(state, status=200 if ready else 503)
