"""What `manage.py doctor` finds, that it says what to do, and that it works when little else
does.
"""

import os
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console import bootstrap
from recycle import actions
from recycle.clock import clock
from recycle.lifecycle import State
from recycle.management.commands import doctor
from recycle.models import ElasticIP, Sweep, Volume
from tests.conftest import acting

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        sys.platform == "win32", reason="the embedded Valkey has no build for Windows"
    ),
]


@pytest.fixture(autouse=True)
def well(settings, tmp_path, valkey, monkeypatch, now):
    """A console that works: every pass came by, and nobody else may read its files."""
    settings.REDIS_URL = valkey
    monkeypatch.setenv("REDIS_URL", valkey)
    settings.ALLOWED_HOSTS = ["localhost"]
    clock.reading = None
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o700)
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    (settings.STATIC_ROOT / "staticfiles.json").touch()
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        Sweep.objects.create(name=entry["task"].rpartition(".")[2], ran_at=now)


@pytest.fixture
def look_over(capsys):
    """The exit status, and what was found of each part: levels and sentences."""

    def look_over():
        with pytest.raises(SystemExit) as ended:
            call_command("doctor")
        return ended.value.code, findings(capsys.readouterr().out)

    return look_over


def findings(text):
    found = defaultdict(list)
    for line in text.splitlines():
        level, name, sentence = line.split(maxsplit=2)
        found[name].append((level, sentence))
    return found


@pytest.mark.both
def test_a_console_that_works_has_a_line_for_each_part(look_over):
    status, found = look_over()

    assert status == 0, found
    assert list(found) == list(doctor.CHECKS)
    assert {level for each in found.values() for level, _ in each} == {"OK"}
    assert found["database"][0][1].lower().startswith(connection.vendor)


def in_bin(make_instance, now, **fields):
    return make_instance(
        State.RECYCLED,
        recycled_at=now - timedelta(days=1),
        purge_at=now - timedelta(minutes=10),
        **fields,
    )


def late(make_instance, now, settings):
    Sweep.objects.filter(name="purge_due").update(ran_at=now - timedelta(minutes=5))


def never(make_instance, now, settings):
    Sweep.objects.filter(name="expire_due").delete()


def overdue(make_instance, now, settings):
    in_bin(make_instance, now)


def in_quarantine(make_instance, now, settings):
    in_bin(make_instance, now, attempts=10, quarantined_at=now)


def without_broker(make_instance, now, settings):
    settings.REDIS_URL = "unix:///nowhere/broker.sock"
    os.environ["REDIS_URL"] = settings.REDIS_URL


def without_files(make_instance, now, settings):
    (settings.STATIC_ROOT / "staticfiles.json").unlink()


def readable_key(make_instance, now, settings):
    (settings.DATA_DIR / "secret-key").touch(0o644)
    (settings.DATA_DIR / "secret-key").chmod(0o644)


def debug(make_instance, now, settings):
    settings.DEBUG, settings.ALLOWED_HOSTS = True, ["console.example.com"]


def in_the_clear(make_instance, now, settings):
    settings.HTTPS, settings.ALLOWED_HOSTS = False, ["console.example.com"]


FAULTS = [
    (in_the_clear, "configuration", "WARN", "set CONSOLE_HTTPS=1 behind a proxy"),
    (late, "sweep", "FAIL", "purge_due last came by 0:05:0"),
    (never, "sweep", "FAIL", "expire_due has never come by: start a worker and a beat"),
    (overdue, "sweep", "WARN", "1 instances wait for their deletion, the first for 0:10:"),
    (in_quarantine, "quarantine", "WARN", "1 instances could not be deleted in many tries"),
    (without_broker, "broker", "FAIL", "does not answer"),
    (without_files, "files", "WARN", "run `manage.py collectstatic`"),
    (readable_key, "files", "WARN", "chmod 600"),
    (debug, "configuration", "FAIL", "CONSOLE_DEBUG is 1 where others can reach it"),
]


@pytest.mark.parametrize(("fault", "part", "level", "sentence"), FAULTS)
def test_each_fault_is_found_with_what_to_do(
    look_over, make_instance, now, settings, fault, part, level, sentence
):
    fault(make_instance, now, settings)

    status, found = look_over()

    assert [(said, text) for said, text in found[part] if said == level and sentence in text]
    assert status >= {"WARN": 1, "FAIL": 2}[level]
    assert not [said for said, _ in found[part] if said == "OK"]


@pytest.mark.postgres
def test_a_clock_that_differs_from_the_database_is_a_failure(look_over, settings):
    settings.CLOCK = "DATABASE"
    # Less than any two clocks differ by.
    settings.CLOCK_SKEW = timedelta(seconds=-1)

    status, found = look_over()

    [(level, sentence)] = found["clock"]
    assert (status, level) == (2, "FAIL")
    assert "s against the database, so nothing is deleted from here" in sentence


@pytest.mark.both
def test_what_must_always_be_true_is_looked_at(look_over, make_instance, bind, now):
    for state in (State.RECYCLED, State.PURGED):
        instance, other = make_instance(state), make_instance()
        bind(other)
        kind = ElasticIP if state == State.PURGED else Volume
        kind.objects.filter(instance=other).update(instance=instance)

    status, found = look_over()

    assert status == 2
    assert [text.partition(":")[0] for _, text in found["invariants"]] == [
        "1 instances still have relationships",
        "1 instances still have relationships",
    ]


@pytest.mark.both
def test_it_asks_no_more_however_much_there_is(look_over, make_instance, now):
    def asked():
        with CaptureQueriesContext(connection) as captured:
            look_over()
        return len(captured)

    before = asked()
    for _ in range(5):
        make_instance(State.RECYCLED)
        make_instance(State.PURGED)

    assert asked() == before


def test_it_changes_nothing(look_over, make_instance, now):
    instance = in_bin(make_instance, now)

    look_over()

    instance.refresh_from_db()
    assert instance.state == State.RECYCLED
    assert actions.purge_due(context=acting(None, now)).done


# --- When little else works -----------------------------------------------------------------------


def doctor_process(tmp_path, **env):
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=bootstrap.PROJECT,
        env={**os.environ, "CONSOLE_DATA_DIR": str(tmp_path / "data"), **env},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, findings(done.stdout)


@pytest.mark.slow
def test_without_database_and_broker_it_says_so_of_each_part_and_goes_on(tmp_path):
    status, found = doctor_process(
        tmp_path,
        DATABASE_URL="postgresql://console@127.0.0.1:1/console",
        REDIS_URL="redis://127.0.0.1:1/0",
    )

    assert status == 2
    assert list(found) == list(doctor.CHECKS)
    for part in ("database", "migrations", "broker", "clock", "sweep", "invariants"):
        assert [level for level, _ in found[part]] == ["FAIL"], part
    assert found["disk"][0][0] != "FAIL"


@pytest.mark.slow
def test_a_wrong_setting_is_a_failure_as_well(tmp_path):
    status, found = doctor_process(tmp_path, CONSOLE_LOG_LEVEL="LOUD")

    assert status == 2
    assert found["configuration"] == [
        (
            "FAIL",
            "CONSOLE_LOG_LEVEL is 'LOUD', but must be one of DEBUG, INFO, WARNING, ERROR.",
        )
    ]
