"""The Celery application; worker and beat are started with `-A console.celery`."""

import os
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.signals import beat_init

from console import bootstrap

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
bootstrap.hold_own()

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@beat_init.connect
def begin_at_once(sender: Any, **_: Any) -> None:
    """Send every pass when beat starts, not a period later: so long the console would count as not
    ready.
    """
    for entry in sender.scheduler.schedule.values():
        entry.last_run_at -= timedelta(days=1)
