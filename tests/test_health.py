"""For probes: the process alone, and everything it needs."""

import sys
import time
from datetime import timedelta

import pytest
from django.db import Error, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.urls import reverse

from recycle import actions
from recycle.models import Sweep, User
from recycle.views import health
from tests.conftest import acting

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        sys.platform == "win32", reason="the embedded Valkey has no build for Windows"
    ),
]


@pytest.fixture
def broker(settings, valkey):
    settings.REDIS_URL = valkey


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """What one test found out is not what the next one asks."""
    nothing = health.Readiness()
    # Which is asked until it is so, and then no more.
    nothing.is_migrated = True
    monkeypatch.setattr(health, "_readiness", nothing)


@pytest.fixture
def superuser(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    return user


TOKEN = {"Authorization": "Bearer open sesame"}


@pytest.fixture(autouse=True)
def token(settings):
    settings.PROBE_TOKEN = "open sesame"


def ready(client, **headers):
    """What is said to who may know."""
    response = client.get(reverse("readyz"), headers=headers or TOKEN)
    return response.status_code, response.json()


def test_that_it_does_not_work_yet_is_told_to_who_asks_and_is_no_news(client, broker, caplog):
    assert client.get(reverse("readyz")).status_code == 503

    assert "readyz" not in caplog.text


def test_healthz_answers_without_login_database_or_broker(
    client, settings, django_assert_num_queries
):
    settings.REDIS_URL = "unix:///nowhere/broker.sock"

    client.cookies[settings.SESSION_COOKIE_NAME] = "of somebody"

    with django_assert_num_queries(0):
        for address in (reverse("healthz"), reverse("healthz") + "?region=cn-beijing-6"):
            response = client.get(address)

            assert (response.status_code, response.text) == (200, "ok")


def test_ready_when_everything_answers_and_the_sweep_came_by(client, broker):
    actions.purge_due(context=acting(None))

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
    actions.purge_due(context=acting(None))
    began = time.monotonic()

    status, state = ready(client)

    assert (status, state["broker"], state["sweep"]) == (503, "does not answer", "ok")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("error", [OperationalError, Error])
def test_not_ready_without_a_database_and_silent_about_its_words(
    client, broker, monkeypatch, error
):
    def fail(**query):
        raise error("password authentication failed for user root")

    monkeypatch.setattr(Sweep.objects, "filter", fail)

    status, state = ready(client)

    assert status == 503
    assert state == {
        "ready": False,
        "database": "does not answer",
        "migrations": "unknown",
        "static": "ok",
        "broker": "ok",
        "clock": "unknown",
        "clock_skew": "+0.0 s",
        "sweep": "unknown",
    }


def test_not_ready_before_the_tables_of_this_version_are_there(client, broker):
    actions.purge_due(context=acting(None))
    health._readiness.is_migrated = False
    MigrationRecorder(connection).migration_qs.filter(app="recycle").latest("name").delete()

    status, state = ready(client)

    assert (status, state["migrations"]) == (503, "1 not applied")
    assert client.get(reverse("readyz"), {"pages": ""}).status_code == 503


def test_the_tables_of_a_newer_version_will_do(client, broker):
    """While nodes are upgraded one after the other, the older ones go on."""
    actions.purge_due(context=acting(None))
    health._readiness.is_migrated = False
    MigrationRecorder(connection).record_applied("recycle", "9999_from_the_future")

    status, state = ready(client)

    assert (status, state["migrations"]) == (200, "ok")


def test_not_ready_before_the_static_files_are_collected(client, broker, settings, tmp_path):
    actions.purge_due(context=acting(None))
    settings.STATIC_ROOT = tmp_path

    status, state = ready(client)

    assert (status, state["static"]) == (503, "not collected")
    assert client.get(reverse("readyz"), {"pages": ""}).status_code == 503


def test_pages_are_ready_without_worker_and_broker(client, settings):
    settings.REDIS_URL = "unix:///nowhere/broker.sock"

    assert client.get(reverse("readyz")).status_code == 503
    assert client.get(reverse("readyz"), {"pages": ""}).status_code == 200


# --- Who is told what -----------------------------------------------------------------------------


@pytest.mark.parametrize("expected", ["open sesame", ""])
@pytest.mark.parametrize(
    "said", ["", "Bearer", "Bearer ", "Bearer open", "Bearer open sesame ", "Basic open sesame"]
)
def test_strangers_learn_only_whether(client, broker, settings, expected, said):
    settings.PROBE_TOKEN = expected
    actions.purge_due(context=acting(None))
    told = said == "Bearer open sesame " and bool(expected)

    status, state = ready(client, Authorization=said)

    assert (status, state["ready"]) == (200, True)
    assert ("database" in state) == told


def test_somebody_who_is_logged_in_is_a_stranger_unless_a_superuser(client, broker, alice):
    client.force_login(alice)

    assert ready(client, Authorization="")[1] == {"ready": False}


def test_a_superuser_is_told_what_is_wrong(client, broker, superuser):
    assert ready(client, Authorization="")[1]["sweep"] == "has not run yet"


def test_a_superuser_is_a_stranger_while_the_database_is_away(
    client, broker, superuser, monkeypatch
):
    def fail(*arguments, **options):
        raise OperationalError

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", fail)

    assert ready(client, Authorization="") == (503, {"ready": False})


def test_however_many_ask_it_looks_once(client, broker, django_assert_num_queries):
    with django_assert_num_queries(1):
        for _ in range(20):
            assert client.get(reverse("readyz")).json() == {"ready": False}


def test_who_asks_while_somebody_looks_does_not_wait(client, broker):
    actions.purge_due(context=acting(None))
    assert ready(client)[0] == 200
    health._readiness.looked_at = -float("inf")

    with health._readiness.looking:
        assert ready(client)[0] == 200  # as it was last


def test_what_was_found_is_looked_at_again(client, broker):
    assert ready(client)[0] == 503
    actions.purge_due(context=acting(None))
    health._readiness.looked_at -= health.Readiness.KEEP

    assert ready(client)[0] == 200
