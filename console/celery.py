"""The Celery application; worker and beat are started with `-A console.celery`."""

import os

from celery import Celery

from console import bootstrap

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
bootstrap.hold_own()

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
