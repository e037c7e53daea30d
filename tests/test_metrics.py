"""What Prometheus is told: by whom it may be asked, what it costs, and that it is right whichever
process has counted, and whichever is asked.
"""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import OperationalError, transaction
from django.urls import reverse
from prometheus_client.parser import text_string_to_metric_families

from console import bootstrap, tally
from recycle import actions, condition
from recycle.actions.counting import ACTIONS as ACTIONS_COUNTED
from recycle.actions.jobs import JobOrder
from recycle.lifecycle import Action, State
from recycle.models import Edge, Instance
from recycle.views import metrics
from tests.conftest import acting
from tests.deeds import ACTIONS, DEEDS

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        sys.platform == "win32", reason="the embedded Valkey has no build for Windows"
    ),
]

TOKEN = {"Authorization": "Bearer open sesame"}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch, settings):
    """What one test found out, or could not count, is nothing to the next one."""
    settings.METRICS_TOKEN = "open sesame"
    monkeypatch.setattr(metrics, "_glance", metrics.Glance())
    monkeypatch.setattr(tally, "_tally", tally.Tally())


@pytest.fixture
def broker(settings, valkey):
    settings.REDIS_URL = valkey
    return valkey


def figures(client):
    """Every figure by its name and the values of its labels, which come in the order of their
    names.
    """
    answer = client.get(reverse("metrics"), headers=TOKEN)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


# --- Who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "said"),
    [("", ""), ("", "Bearer "), ("open sesame", ""), ("open sesame", "Bearer open")],
)
def test_without_the_token_there_is_nothing_there_and_nothing_is_asked(
    client, settings, token, said, django_assert_num_queries
):
    settings.METRICS_TOKEN = token

    with django_assert_num_queries(0):
        answer = client.get(reverse("metrics"), headers={"Authorization": said})

    assert answer.status_code == 404


def test_a_superuser_needs_the_token_as_well(client, alice):
    alice.is_superuser = True
    alice.save()
    client.force_login(alice)

    assert client.get(reverse("metrics")).status_code == 404


# --- What the database knows ----------------------------------------------------------------------


def in_bin(make_instance, now, *, overdue, **fields):
    return make_instance(
        State.RECYCLED,
        recycled_at=now - timedelta(days=1),
        purge_at=now - timedelta(seconds=overdue),
        **fields,
    )


@pytest.mark.both
def test_lag_backlog_and_quarantine_are_those_of_what_the_sweep_would_take(
    client, broker, make_instance, now
):
    in_bin(make_instance, now, overdue=500, held_at=now, hold_reason="case 7")
    in_bin(make_instance, now, overdue=400, retry_at=now + timedelta(hours=1), attempts=3)
    in_bin(make_instance, now, overdue=350, quarantined_at=now, attempts=10)
    in_bin(make_instance, now, overdue=300)
    in_bin(make_instance, now, overdue=20)
    in_bin(make_instance, now, overdue=-1000)

    found = figures(client)

    assert 300 <= found["console_sweep_lag_seconds",] < 900
    assert found["console_backlog_instances",] == 2
    assert found["console_quarantined_instances",] == 1


@pytest.mark.both
def test_an_empty_bin_is_on_time(client, broker):
    found = figures(client)

    assert found["console_sweep_lag_seconds",] == found["console_backlog_instances",] == 0


def test_each_pass_says_when_it_came_by_and_what_came_of_it(client, broker, make_instance, now):
    in_bin(make_instance, now, overdue=1)
    actions.purge_due(context=acting(None, now))

    found = figures(client)

    ran_at = found["console_pass_last_run_timestamp_seconds", "purge_due"]
    assert abs(ran_at - now.timestamp()) < 60
    assert found["console_pass_last_run_instances", "done", "purge_due"] == 1
    assert found["console_pass_last_run_instances", "failed", "purge_due"] == 0


@pytest.mark.both
def test_it_costs_five_statements_however_much_there_is_and_however_many_ask(
    client, broker, make_instance, now, django_assert_num_queries
):
    for number in range(20):
        in_bin(make_instance, now, overdue=number + 1)

    with django_assert_num_queries(5):
        for _ in range(3):
            figures(client)


@pytest.mark.both
def test_the_backlog_is_counted_so_far_and_no_further(make_instance, now, monkeypatch):
    monkeypatch.setattr(condition, "COUNTED_TO", 2)
    for number in range(4):
        in_bin(make_instance, now, overdue=number + 1)

    assert condition.look(now).backlog == 2


def test_what_was_found_is_looked_at_again(client, broker, make_instance, now):
    figures(client)
    in_bin(make_instance, now, overdue=9)
    assert figures(client)["console_backlog_instances",] == 0
    metrics._glance.looked_at -= metrics.Glance.KEEP

    assert figures(client)["console_backlog_instances",] == 1


def test_who_asks_while_somebody_looks_does_not_wait(client, broker):
    figures(client)
    metrics._glance.looked_at = -float("inf")

    with metrics._glance.looking:
        assert figures(client)["console_up", "database"] == 1


def test_a_database_that_is_away_is_said_and_the_rest_goes_on(client, broker, monkeypatch):
    def fail(now):
        raise OperationalError

    monkeypatch.setattr(metrics, "look", fail)
    client.get(reverse("login"))

    found = figures(client)

    assert (found["console_up", "database"], found["console_up", "broker"]) == (0, 1)
    assert ("console_sweep_lag_seconds",) not in found
    assert found["console_answers_total", "2xx", "login"] == 1


def test_a_broker_that_is_away_is_said_and_the_rest_goes_on(client):
    found = figures(client)

    assert (found["console_up", "database"], found["console_up", "broker"]) == (1, 0)
    assert found["console_backlog_instances",] == 0


def test_tasks_that_wait_are_counted(client, broker):
    tally._broker(broker).lpush(condition.QUEUE, "one", "two")

    assert figures(client)["console_tasks_waiting",] == 2


# --- What everybody counts ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.both
def test_actions_are_counted_by_what_came_of_them_and_what_asked(
    client, broker, alice, make_instance, now
):
    one, protected = make_instance(), make_instance(protected=True)
    due = make_instance(State.RECYCLED, recycled_at=now - timedelta(hours=3), purge_at=now)
    client.force_login(alice)
    sent = {"ids": [one.pk, protected.pk], "scope": f"{one.account_id}:"}

    client.post(reverse("recycle:delete"), sent)
    assert not [name for name in figures(client) if name[0] == "console_actions_total"]
    client.post(reverse("recycle:delete"), {**sent, "confirmed": "1"})
    actions.purge_due(context=acting(None, now))

    found = figures(client)
    assert found["console_actions_total", "recycle", "page", "done"] == 1
    assert found["console_actions_total", "delete", "page", "refused"] == 1
    assert found["console_actions_total", "purge", "schedule", "done"] == 1
    assert Instance.objects.get(pk=due.pk).state == State.PURGED


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_is_counted(
    broker, alice, world, now, name, django_capture_on_commit_callbacks
):
    by, edge = (None, Edge.SCHEDULE) if name.startswith("schedule.") else (alice, Edge.API)
    deed = DEEDS[name]
    context = acting(by, now, reason=deed.reason or "because", edge=edge)

    with django_capture_on_commit_callbacks(execute=True):
        ACTIONS[name](*deed.about(world), **deed.options, context=context)

    assert [
        counted for counted in tally.counted() if counted[0] == ACTIONS_COUNTED and edge in counted
    ]


@pytest.mark.parametrize("name", [name for name, deed in DEEDS.items() if deed.needs])
def test_every_refusal_is_counted(
    broker, victor, world, now, name, django_capture_on_commit_callbacks
):
    deed = DEEDS[name]
    context = acting(victor, now, reason=deed.reason or "because", edge=Edge.API)

    with django_capture_on_commit_callbacks(execute=True):
        outcome = ACTIONS[name](*deed.about(world), **deed.options, context=context)

    counted = [
        number
        for (kind, *labels), number in tally.counted().items()
        if kind == ACTIONS_COUNTED and labels[1:] == ["refused", Edge.API]
    ]
    assert sum(counted) == len(outcome.refused) > 0


@pytest.mark.django_db(transaction=True)
def test_what_a_job_did_is_counted_as_what_its_person_asked_for(
    client, broker, alice, make_instance, now
):
    instances = [make_instance() for _ in range(2)]
    order = JobOrder(
        account=instances[0].account, action=Action.STOP, parameters={"no_fees": False}
    )
    make_instance(State.STOPPED)
    actions.request_job(Instance.objects.all(), order, context=acting(alice, now))
    assert figures(client)["console_jobs_unfinished",] == 1

    actions.carry_out_jobs(context=acting(None, now))

    found = figures(client)
    assert found["console_actions_total", "stop", "page", "done"] == 2
    assert found["console_actions_total", "stop", "page", "refused"] == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_counted(client, broker, alice, make_instance):
    make_instance()

    with transaction.atomic():
        assert actions.stop(Instance.objects.all(), context=acting(alice)).done
        transaction.set_rollback(True)

    assert not [name for name in figures(client) if name[0] == "console_actions_total"]


def test_requests_are_counted_by_view_and_never_by_address(client, broker, alice, make_instance):
    client.force_login(alice)
    for _ in range(3):
        client.get(reverse("recycle:instance", args=[make_instance().pk]))
    for name in ("one", "two"):
        client.get(f"/nowhere/{name}/")
    client.get(reverse("healthz"))

    found = figures(client)

    assert found["console_request_duration_seconds_count", "recycle:instance"] == 3
    assert found["console_request_duration_seconds_bucket", "+Inf", "recycle:instance"] == 3
    assert found["console_request_duration_seconds_sum", "recycle:instance"] > 0
    assert found["console_answers_total", "4xx", "nowhere"] == 2
    views = {name[-1] for name in found if name[0].startswith("console_request_duration")}
    assert views == {"recycle:instance", "nowhere"}


def test_buckets_add_up(client, broker):
    for took, number in (("0.005", 2), ("0.1", 3), ("+Inf", 1)):
        tally.count({("requests", "login", took): number})

    found = figures(client)

    name = "console_request_duration_seconds_bucket"
    assert [found[name, limit, "login"] for limit in ("0.005", "0.05", "0.1", "10.0", "+Inf")] == [
        2,
        2,
        5,
        5,
        6,
    ]


def test_while_the_broker_is_away_nothing_fails_and_nothing_is_lost(client, settings, broker):
    settings.REDIS_URL = "unix:///nowhere/broker.sock"
    for _ in range(3):
        assert client.get(reverse("login")).status_code == 200

    settings.REDIS_URL = broker
    assert tally.counted() == {}
    tally._tally.ask_at = -float("inf")
    client.get(reverse("login"))

    assert figures(client)["console_answers_total", "2xx", "login"] == 4


# What a process counts until it is killed: it says so only afterwards.
COUNTING = """
import django, sys
django.setup()
from console.tally import count
for number in range(1, 21):
    count({("answers", "login", "2xx"): 1})
    print(number, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_what_a_process_counted_outlives_it(client, broker, tmp_path, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "console.settings")
    monkeypatch.setenv("CONSOLE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("REDIS_URL", broker)
    ways = [signal.SIGKILL, signal.SIGTERM]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTING],
            cwd=bootstrap.PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in ways
    ]

    for process, way in zip(processes, ways, strict=True):
        assert process.stdout is not None
        while process.stdout.readline().strip() not in ("20", ""):
            pass
        process.send_signal(way)
        process.communicate()

    assert figures(client)["console_answers_total", "2xx", "login"] == 40
