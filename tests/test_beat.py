"""Passes that are sent by one machine and carried out by another."""

from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from django.utils import timezone
from redis import Redis

from console import beat, services
from recycle.lifecycle import State
from recycle.models import Instance
from tests.faketime import wait_until


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-30, -600, 600])
def test_a_pass_is_carried_out_whatever_the_clock_of_the_machine_that_sent_it(
    start_at, make_instance, tmp_path, ahead
):
    now = timezone.now()
    make_instance(
        State.RECYCLED, recycled_at=now - timedelta(hours=3), purge_at=now - timedelta(hours=1)
    )

    start_at(0, "worker", "--pool", "solo")
    start_at(ahead, "beat", "--schedule", str(tmp_path / "schedule"), "--pidfile=")

    wait_until(
        lambda: Instance.objects.get().state == State.PURGED, (tmp_path / "worker.log").read_text
    )


@pytest.fixture
def scheduler(valkey, tmp_path):
    """Beat's, over a queue of its own."""
    app = Celery("of-a-test", broker=services.celery_broker(valkey), set_as_current=False)
    app.conf.task_default_queue = "of-a-test"
    app.conf.result_expires = None
    app.conf.beat_schedule = {"each": {"task": "a.task", "schedule": 10.0}}
    scheduler = beat.Scheduler(app=app, schedule_filename=str(tmp_path / "schedule"))
    with Redis.from_url(valkey) as broker:
        broker.delete("of-a-test")
        yield scheduler, lambda: broker.llen("of-a-test")
    scheduler.close()
    app.close()


def test_while_nobody_works_no_heap_of_passes_grows(scheduler):
    beats, waiting = scheduler
    for _ in range(beat.MOST_WAITING + 10):
        beats.apply_entry(beats.schedule["each"], producer=beats.producer)

    assert waiting() == beat.MOST_WAITING


def test_beat_goes_on_when_its_clock_is_set_back(scheduler, time_machine):
    beats, waiting = scheduler
    time_machine.move_to("2026-11-27T12:00:11Z", tick=False)
    beats.schedule["each"].last_run_at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    while beats.tick() == 0:
        pass
    time_machine.move_to("2026-11-27T11:50:00Z", tick=False)

    while beats.tick() == 0:
        pass

    assert waiting() == 2
