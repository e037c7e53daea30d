"""Whose clock decides: the database's, whatever those of the machines show."""

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.urls import reverse

from console.bootstrap import PROJECT
from recycle import actions, tasks
from recycle.clock import clock
from recycle.lifecycle import State
from recycle.models import Event, Instance, Session, Sweep
from recycle.policy import BillingMode
from recycle.views import health, metrics
from tests.conftest import acting
from tests.faketime import wait_until

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def by_database(settings):
    """As outside the tests, in a process that has just begun."""
    settings.CLOCK = "DATABASE"
    clock.reading, clock.said = None, datetime.min.replace(tzinfo=UTC)
    yield
    clock.reading, clock.said = None, datetime.min.replace(tzinfo=UTC)


def moment_of_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


@pytest.fixture
def promised(make_instance):
    """An instance in the bin that has still so long."""

    def make(left):
        now = moment_of_database()
        return make_instance(
            State.RECYCLED, recycled_at=now - timedelta(hours=1), purge_at=now + left
        )

    return make


def state_of(instance):
    return Instance.objects.get(pk=instance.pk).state


# --- The database's moment ------------------------------------------------------------------------

AHEAD_OR_BEHIND = pytest.mark.parametrize("ahead", [10 * MINUTE, -10 * MINUTE])


@pytest.mark.django_db
@pytest.mark.postgres
@AHEAD_OR_BEHIND
@pytest.mark.parametrize("tell", [clock.ask, clock.now])
def test_a_machine_that_is_wrong_knows_the_databases_moment(by_database, time_machine, ahead, tell):
    time_machine.move_to(datetime.now(UTC) + ahead)
    before = moment_of_database()

    told = tell()

    assert clock.reading is not None
    margin = clock.reading.margin
    assert before - margin <= told <= moment_of_database() + margin
    assert abs(clock.skew() - ahead) <= SECOND + margin
    assert not clock.is_trusted()


@pytest.mark.django_db
@pytest.mark.postgres
def test_a_pass_asks_with_one_statement_and_pages_once_a_minute(
    by_database, time_machine, django_assert_num_queries
):
    with django_assert_num_queries(1):
        clock.ask()
    with django_assert_num_queries(0):
        clock.known()
        for _ in range(10):
            clock.now()

    # As if a minute had gone by, or the machine had been suspended or its clock set.
    time_machine.move_to(datetime.now(UTC) + MINUTE)
    with django_assert_num_queries(3):
        for _ in range(10):
            clock.now()


@pytest.mark.django_db
@pytest.mark.postgres
def test_time_never_goes_back_within_a_process(by_database, time_machine):
    moments = []
    for ahead in (0, 20, -20, 0):
        time_machine.move_to(datetime.now(UTC) + ahead * MINUTE)
        moments += [clock.now(), clock.known(), clock.now()]

    assert moments == sorted(moments)


@pytest.mark.django_db
def test_on_sqlite_the_machines_clock_is_the_databases(
    by_database, time_machine, django_assert_num_queries
):
    if connection.vendor != "sqlite":
        pytest.skip("another database")
    time_machine.move_to("2027-01-01T00:00:00Z", tick=False)

    with django_assert_num_queries(0):
        moments = {clock.ask(), clock.now(), clock.known()}

    assert moments == {datetime(2027, 1, 1, tzinfo=UTC)}
    assert (clock.skew(), clock.is_trusted()) == (timedelta(), True)


# --- What cannot be undone ------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.postgres
@AHEAD_OR_BEHIND
def test_a_machine_that_is_wrong_deletes_nothing_for_good_and_says_why(
    by_database, time_machine, promised, make_instance, caplog, ahead
):
    early, due = promised(5 * MINUTE), promised(-MINUTE)
    now = moment_of_database()
    tombstone = make_instance(State.PURGED, purged_at=now - timedelta(days=100))
    run_out = make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now - MINUTE)
    time_machine.move_to(datetime.now(UTC) + ahead)

    for task in (tasks.purge_due, tasks.delete_due, tasks.forget_tombstones, tasks.expire_due):
        task()

    assert (state_of(early), state_of(due)) == (State.RECYCLED, State.RECYCLED)
    assert (state_of(tombstone), state_of(run_out)) == (State.PURGED, State.EXPIRED)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 3
    assert all("s ahead of the database's" in each for each in said)
    # It does not look as if these had come by.
    assert set(Sweep.objects.values_list("name", flat=True)) == {"expire_due"}


@pytest.mark.django_db
@pytest.mark.postgres
@pytest.mark.parametrize("ahead", [3 * SECOND, -3 * SECOND])
def test_a_machine_that_is_a_little_wrong_purges_at_the_databases_moment(
    by_database, time_machine, promised, ahead
):
    early, due = promised(2 * SECOND + MINUTE), promised(-SECOND)
    time_machine.move_to(datetime.now(UTC) + ahead)

    tasks.purge_due()

    assert (state_of(early), state_of(due)) == (State.RECYCLED, State.PURGED)
    assert Event.objects.get().at < moment_of_database()


@pytest.mark.django_db
@pytest.mark.postgres
def test_how_much_is_too_much_is_a_setting(by_database, settings, time_machine, promised):
    settings.CLOCK_SKEW = 20 * MINUTE
    early, due = promised(5 * MINUTE), promised(-MINUTE)
    time_machine.move_to(datetime.now(UTC) + 10 * MINUTE)

    tasks.purge_due()

    assert (state_of(early), state_of(due)) == (State.RECYCLED, State.PURGED)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
@pytest.mark.slow
def test_a_worker_that_is_ten_minutes_ahead_purges_nothing_and_the_others_go_on(
    start_at, promised, tmp_path
):
    early, due = promised(5 * MINUTE), promised(-MINUTE)

    def log():
        return (tmp_path / "worker.log").read_text()

    wrong = start_at(600, "worker", "--pool", "solo")
    start_at(0, "beat", "--schedule", str(tmp_path / "schedule"), "--pidfile=")
    wait_until(lambda: "nothing is deleted for good from here" in log(), log)
    wait_until(lambda: Sweep.objects.filter(name="expire_due").exists(), log)

    assert (state_of(early), state_of(due)) == (State.RECYCLED, State.RECYCLED)

    wrong.kill()
    start_at(0, "worker", "--pool", "solo")
    wait_until(lambda: state_of(due) == State.PURGED, log)

    assert state_of(early) == State.RECYCLED


# --- Pages ----------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.postgres
@AHEAD_OR_BEHIND
def test_a_page_of_a_machine_that_is_wrong_shows_what_is_left_and_offers_nothing_that_is_over(
    by_database, client, alice, promised, time_machine, ahead
):
    over, left = promised(-5 * SECOND), promised(4 * MINUTE + 59 * SECOND)
    client.force_login(alice)
    time_machine.move_to(datetime.now(UTC) + ahead)

    page = client.get(reverse("recycle:bin"))

    lasting, ending = sorted(re.findall(r'<time class="left now"[^>]*>([^<]+)</time>', page.text))
    assert (lasting[:5], ending) == ("4 min", "ending")
    assert f"{reverse('recycle:restore')}?ids={over.pk}" not in page.text
    assert f"{reverse('recycle:restore')}?ids={left.pk}" in page.text
    # By these the page's script goes on counting.
    [made] = re.findall(r'data-now="([^"]+)"', page.text)
    for told in (made, page["X-Console-Time"]):
        assert abs(datetime.fromisoformat(told) - moment_of_database()) < MINUTE


@pytest.mark.django_db
@pytest.mark.postgres
@AHEAD_OR_BEHIND
def test_what_a_page_of_a_machine_that_is_wrong_promises_counts_from_the_databases_moment(
    by_database, client, alice, make_instance, time_machine, ahead
):
    instance = make_instance()
    client.force_login(alice)
    time_machine.move_to(datetime.now(UTC) + ahead)
    before = moment_of_database()

    client.post(reverse("recycle:delete"), {"ids": [instance.pk], "confirmed": 1})

    instance.refresh_from_db()
    event = Event.objects.get()
    assert clock.reading is not None
    assert before <= event.at + clock.reading.margin
    assert instance.purge_at == event.at + timedelta(hours=2)
    assert event.at <= moment_of_database() + clock.reading.margin


@pytest.mark.django_db
@pytest.mark.postgres
@pytest.mark.parametrize("ahead", [13, -13])
def test_a_login_ends_by_the_databases_clock(by_database, client, alice, time_machine, ahead):
    client.force_login(alice)
    time_machine.move_to(datetime.now(UTC) + timedelta(hours=ahead))

    assert client.get(reverse("recycle:overview")).status_code == 200

    Session.objects.update(expire_date=moment_of_database() - SECOND)
    assert client.get(reverse("recycle:overview")).status_code == 302


@pytest.mark.django_db
@pytest.mark.postgres
def test_a_login_at_a_machine_that_is_wrong_begins_at_the_databases_moment(
    by_database, client, alice, time_machine
):
    alice.set_password("a long word of nobody")
    alice.save()
    time_machine.move_to(datetime.now(UTC) + 10 * MINUTE)
    before = moment_of_database()

    client.post(reverse("login"), {"login": "alice", "password": "a long word of nobody"})

    began = datetime.fromisoformat(client.session["began"]["at"])
    assert clock.reading is not None
    assert before <= began + clock.reading.margin
    assert began <= moment_of_database() + clock.reading.margin


@pytest.mark.django_db
@pytest.mark.postgres
def test_a_probe_does_not_ask_for_the_time(by_database, client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get(reverse("healthz")).status_code == 200


# --- What is said of it ---------------------------------------------------------------------------


@pytest.fixture
def told(client, settings, valkey, monkeypatch):
    """What probes and Prometheus are told."""
    settings.PROBE_TOKEN = settings.METRICS_TOKEN = "open sesame"
    settings.REDIS_URL = valkey
    monkeypatch.setattr(health, "_readiness", health.Readiness())
    monkeypatch.setattr(metrics, "_glance", metrics.Glance())

    def told(name, **asked):
        return client.get(reverse(name), asked, headers={"Authorization": "Bearer open sesame"})

    return told


@pytest.mark.django_db
@pytest.mark.postgres
def test_a_clock_that_is_wrong_is_told_to_probes_and_prometheus(by_database, told, time_machine):
    actions.purge_due(context=acting(None))
    time_machine.move_to(datetime.now(UTC) - 10 * MINUTE)

    probed, for_pages, figures = told("readyz"), told("readyz", pages=""), told("metrics")

    assert (probed.status_code, probed.json()["sweep"]) == (503, "ok")
    assert re.fullmatch(r"differs from the database's: -(599|600)\.\d s", probed.json()["clock"])
    # Pages are right all the same.
    assert for_pages.status_code == 200
    [skew] = re.findall(r"^console_clock_skew_seconds (.+)$", figures.text, re.MULTILINE)
    assert -601 < float(skew) < -599


@pytest.mark.django_db
@pytest.mark.both
def test_a_clock_that_is_right_is_told_as_well(by_database, told):
    actions.purge_due(context=acting(None))

    probed, figures = told("readyz"), told("metrics")

    assert (probed.status_code, probed.json()["clock"]) == (200, "ok")
    assert re.fullmatch(r"[+-]0\.0 s", probed.json()["clock_skew"])
    assert "console_clock_skew_seconds" in figures.text


# --- Nobody else ----------------------------------------------------------------------------------

# What asks a machine what time it is.
ASKING = {
    "timezone.now", "timezone.localtime", "timezone.localdate", "datetime.now", "datetime.utcnow",
    "datetime.today", "date.today", "time.time", "time.localtime", "time.gmtime", "time.strftime",
}  # fmt: skip
# Where nothing of the product's is decided by it.
OTHERS = {
    "recycle/clock.py": "the one place",
    "recycle/login.py": "goes by what allauth has noted, which goes by the machine",
    "console/logs.py": "a line of the log is of its machine, like all others there",
    "console/bootstrap/tidying.py": "the age of a file of this machine",
}


def asked_in(path: Path) -> set[str]:
    """The calls in a file that ask a machine what time it is."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ".".join(ast.unparse(node.func).split(".")[-2:])
            # Given a moment, these only turn it into another zone.
            turns = name in ("timezone.localtime", "timezone.localdate") and node.args
            if name in ASKING and not turns:
                found.add(name)
        elif isinstance(node, ast.keyword) and node.arg == "default":
            found |= {ast.unparse(node.value)} & ASKING
    return found


def test_nobody_asks_a_machine_what_time_it_is():
    found = {
        str(path.relative_to(PROJECT))
        for room in ("recycle", "console")
        for path in (PROJECT / room).rglob("*.py")
        if "migrations" not in path.parts and asked_in(path)
    }

    assert found == set(OTHERS)


def test_no_template_asks_a_machine_what_time_it_is():
    templates = (PROJECT / "templates").rglob("*.html")

    assert [path.name for path in templates if re.search(r"{%\s*now\b", path.read_text())] == []
