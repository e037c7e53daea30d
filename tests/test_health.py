"""For probes: the process alone, and everything it needs."""

import sys
import time
from datetime import timedelta

import pytest
from django.db import Error, OperationalError
from django.urls import reverse

from recycle import actions
from recycle.models import Sweep

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(sys.platform == "win32", reason="the embedded Valkey has no build for Windows"),
]


@pytest.fixture
def broker(settings, valkey):
    settings.REDIS_URL = valkey


def ready(client):
    response = client.get(reverse("readyz"))
    return response.status_code, response.json()


def test_healthz_answers_without_login_database_or_broker(client, settings, django_assert_num_queries):
    settings.REDIS_URL = "unix:///nowhere/broker.sock"

    with django_assert_num_queries(0):
        response = client.get(reverse("healthz"))

    assert (response.status_code, response.text) == (200, "ok")


def test_ready_when_everything_answers_and_the_sweep_came_by(client, broker):
    actions.purge_due()

    status, state = ready(client)

    assert status == 200
    assert {key: state[key] for key in ("database", "broker", "sweep")} == dict.fromkeys(
        ("database", "broker", "sweep"), "ok"
    )


def test_not_ready_before_the_first_sweep(client, broker):
    status, state = ready(client)

    assert (status, state["sweep"]) == (503, "has not run yet")


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (61, 503)])
def test_not_ready_when_the_sweep_is_late(client, broker, now, seconds, status):
    Sweep.objects.create(name="purge_due", ran_at=now - timedelta(seconds=seconds))

    assert ready(client)[0] == status


@pytest.mark.parametrize("url", ["unix:///nowhere/broker.sock", "redis://127.0.0.1:1/0"])
def test_not_ready_without_a_broker_and_quick_to_say_so(client, settings, url):
    settings.REDIS_URL = url
    actions.purge_due()
    began = time.monotonic()

    status, state = ready(client)

    assert (status, state["broker"], state["sweep"]) == (503, "does not answer", "ok")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("error", [OperationalError, Error])
def test_not_ready_without_a_database_and_silent_about_its_words(client, broker, monkeypatch, error):
    def fail(**query):
        raise error("password authentication failed for user root")

    monkeypatch.setattr(Sweep.objects, "filter", fail)

    status, state = ready(client)

    assert status == 503
    assert state == {"database": "does not answer", "broker": "ok", "sweep": "unknown"}
