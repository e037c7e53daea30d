"""Workers that share batch jobs, and one that is killed in the middle: real threads and row locks,
a real process. Gates, not sleeps, see to it that they meet.
"""

import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from recycle import actions
from recycle.actions import JobOrder, jobs
from recycle.lifecycle import Action, State
from recycle.models import BatchJob, Event, Instance, JobItem, JobState
from recycle.models.job import ItemOutcome
from recycle.policy import Refusal
from tests.conftest import acting
from tests.threads import nobody_writes_events, refusals, result

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
]


@pytest.fixture
def ask(alice, account, make_instance, monkeypatch):
    """Alice asks for a job about these instances, in chunks of two."""
    monkeypatch.setattr(jobs, "CHUNK", 2)

    def ask(action, **parameters):
        order = JobOrder(account=account, action=action, parameters=parameters)
        rows = Instance.objects.order_by("name", "pk")
        outcome = actions.request_job(rows, order, context=acting(alice))
        return BatchJob.objects.get(pk=str(outcome.done[0].id))

    return ask


def carried_out_once(job, count, event):
    """All of it is done, and each instance has one event of it."""
    job.refresh_from_db()
    events = Event.objects.filter(batch=job.pk, action=event).values_list("instance_id", flat=True)
    outcomes = list(job.items.values_list("outcome", flat=True))
    return (job.state, job.done, outcomes) == (JobState.FINISHED, count, ["done"] * count) and len(
        events
    ) == len(set(events)) == count


def test_what_one_worker_holds_another_passes_over(threads, ask, make_instance):
    for _ in range(4):
        make_instance()
    first, second = ask(Action.STOP, no_fees=False), ask(Action.PROTECT)
    BatchJob.objects.filter(pk=second.pk).update(turn_at=second.turn_at.replace(year=2030))
    with nobody_writes_events():
        one = threads.go(actions.carry_out_jobs, context=acting(None), limit=1)
        threads.wait_until_blocked(1)
        two = threads.go(actions.carry_out_jobs, context=acting(None), limit=1)
        threads.wait_until_blocked(2)

    outcomes = result(one, two)

    assert [[each.id for each in outcome.done] for outcome in outcomes] == [
        [first.pk],
        [second.pk],
    ]


def test_four_workers_do_everything_once(threads, ask, make_instance):
    for _ in range(30):
        make_instance()
    stop, protect = ask(Action.STOP, no_fees=False), ask(Action.RESTART)

    result(*(threads.go(actions.carry_out_jobs, context=acting(None), limit=30) for _ in range(4)))
    actions.carry_out_jobs(context=acting(None), limit=30)

    stop.refresh_from_db()
    protect.refresh_from_db()
    assert {stop.state, protect.state} == {JobState.FINISHED}
    # Each was acted on by the one job or the other, and refused by the one that came later.
    assert stop.done + protect.done == 30
    assert Event.objects.filter(action__in=["stop", "restart"]).count() == 30
    assert not JobItem.objects.filter(outcome=ItemOutcome.PENDING).exists()


def test_a_cancel_waits_for_the_chunk_that_is_being_worked_off(threads, ask, make_instance, alice):
    for _ in range(6):
        make_instance()
    job = ask(Action.STOP, no_fees=False)
    with nobody_writes_events():
        worker = threads.go(actions.carry_out_jobs, context=acting(None), limit=1)
        threads.wait_until_blocked(1)
        cancel = threads.go(actions.cancel, job, context=acting(alice))
        threads.wait_until_blocked(2)

    result(worker, cancel)
    actions.carry_out_jobs(context=acting(None))

    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.CANCELLED, 2)
    assert Instance.objects.filter(state=State.STOPPED).count() == 2


def test_what_failed_is_retried_by_one_of_two_who_ask_at_once(
    threads, ask, make_instance, alice, now
):
    make_instance()
    job = ask(Action.STOP, no_fees=False)
    job.items.update(outcome=ItemOutcome.FAILED)
    done = {"state": JobState.FINISHED, "started_at": now, "finished_at": now, "failed": 1}
    BatchJob.objects.filter(pk=job.pk).update(**done)
    with nobody_writes_events():
        one = threads.go(actions.retry_failed, job, context=acting(alice))
        threads.wait_until_blocked(1)
        two = threads.go(actions.retry_failed, job, context=acting(alice))
        threads.wait_until_blocked(2)

    outcomes = result(one, two)

    assert refusals(*outcomes) == [Refusal.RETRIED]
    assert BatchJob.objects.filter(retry_of=job).count() == 1


WORKER = """
import django
django.setup()
from django.utils import timezone
from recycle import actions
from recycle.actions import Context, jobs
from recycle.models import Edge
jobs.CHUNK = 2
actions.carry_out_jobs(context=Context(by=None, now=timezone.now(), edge=Edge.SCHEDULE))
"""


def test_when_a_worker_is_killed_in_the_middle_another_goes_on(
    threads, ask, make_instance, tmp_path
):
    for _ in range(7):
        make_instance()
    job = ask(Action.DELETE, may_release=False)
    actions.carry_out_jobs(context=acting(None), limit=1)
    where = urlsplit(os.environ["DATABASE_URL"])._replace(
        path=f"/{connection.settings_dict['NAME']}"
    )
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "DATABASE_URL": where.geturl(),
        "CONSOLE_DATA_DIR": str(tmp_path),
    }
    with nobody_writes_events():
        worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=settings.BASE_DIR, env=env)
        # It has the job, and has written to the instances of a chunk, but to nothing else yet.
        threads.wait_until_blocked(1)
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(20) == -signal.SIGKILL
        with connection.cursor() as cursor:
            # What a dead client left in its queue, the server notices when it has its turn.
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
    job.refresh_from_db()
    assert (job.done, Instance.objects.filter(state=State.RECYCLED).count()) == (2, 2)

    actions.carry_out_jobs(context=acting(None))

    assert carried_out_once(job, 7, "recycle")
