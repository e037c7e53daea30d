"""The Celery application; worker and beat are started with `-A console.celery`."""

import os
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    before_task_publish,
    setup_logging,
    task_postrun,
    task_prerun,
)
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from console import bootstrap

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
bootstrap.hold_own()

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@beat_init.connect
def begin_at_once(sender: Any, **_: Any) -> None:
    """Send every pass when beat starts, not a period later: until it has run, the console counts as
    not ready.
    """
    for entry in sender.scheduler.schedule.values():
        entry.last_run_at -= timedelta(days=1)


# --- Logs -----------------------------------------------------------------------------------------


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Celery would set up its own beside LOGGING; where somebody listens, it leaves that alone."""


@before_task_publish.connect
def send_along(headers: dict[str, Any], **_: Any) -> None:
    """The id of the request that asked for a task goes with it."""
    if request_id := get_contextvars().get("request_id"):
        headers["request_id"] = request_id


@task_prerun.connect
def begin_task(task: Any, task_id: str, **_: Any) -> None:
    """All that a task says is known by its name, its id and the id of the request that asked for
    it.
    """
    clear_contextvars()
    request_id = getattr(task.request, "request_id", None)
    bind_contextvars(
        task=task.name, task_id=task_id, **({"request_id": request_id} if request_id else {})
    )


@task_postrun.connect
def end_task(**_: Any) -> None:
    clear_contextvars()
