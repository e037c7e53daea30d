"""How the console is doing, in few and quick questions: for the probes, the metrics and
`manage.py doctor`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from redis import Redis, RedisError

from recycle.models import BatchJob, Instance, Sweep

# What waits is counted so far and no further: by then it is late, and how late is another figure.
COUNTED_TO = 50_000
# Where Celery keeps what no worker has taken yet.
QUEUE = "celery"


@dataclass(frozen=True)
class Condition:
    """What the database knows of the scheduled work."""

    # How long ago the end was of what should have been deleted first.
    lag: timedelta
    # Instances that wait for their deletion, COUNTED_TO at most.
    backlog: int
    # Those that could not be deleted in many tries, and wait for a person.
    quarantined: int
    # Batch jobs that workers still have to do something for.
    jobs: int
    passes: list[Sweep]


def look(now: datetime) -> Condition:
    """Five statements, each by its index."""
    due = Instance.objects.due_for_purge(now)
    oldest = due.values_list("purge_at", flat=True).first()
    return Condition(
        lag=now - oldest if oldest else timedelta(),
        backlog=due.order_by()[:COUNTED_TO].count() if oldest else 0,
        quarantined=Instance.objects.in_quarantine()[:COUNTED_TO].count(),
        jobs=BatchJob.objects.unfinished().order_by()[:COUNTED_TO].count(),
        passes=list(Sweep.objects.order_by("name")),
    )


def tasks_waiting() -> int | None:
    """Tasks that no worker has taken yet; None when the broker does not answer."""
    try:
        with Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1
        ) as broker:
            return int(broker.llen(QUEUE))
    except (RedisError, OSError):
        return None
