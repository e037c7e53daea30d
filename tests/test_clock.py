"""Whose clock decides: the database's, whatever those of the machines show."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from recycle import tasks
from recycle.clock import clock
from recycle.lifecycle import State
from recycle.models import Event, Instance, Sweep
from recycle.policy import BillingMode
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

    for task in (tasks.purge_due, tasks.forget_tombstones, tasks.expire_due):
        task()

    assert (state_of(early), state_of(due)) == (State.RECYCLED, State.RECYCLED)
    assert (state_of(tombstone), state_of(run_out)) == (State.PURGED, State.EXPIRED)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 2
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
