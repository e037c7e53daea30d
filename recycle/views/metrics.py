"""Figures for Prometheus: what the database knows, and what all processes have counted together.

Every web process says the same, so that it does not matter which of them is asked; only the clock
is that of its machine. With several nodes, ask one address or take the greatest.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from threading import Lock

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from redis import RedisError

from console.access import ANSWERS, BUCKETS, MICROSECONDS, REQUESTS
from console.tally import Counted, counted
from recycle.actions.counting import ACTIONS
from recycle.clock import clock
from recycle.condition import Condition, look, tasks_waiting
from recycle.http import knows_token


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """404 for who does not know the token, and for everybody when there is none."""
    if not knows_token(request, settings.METRICS_TOKEN):
        raise Http404
    registry = CollectorRegistry()
    registry.register(Figures())
    return HttpResponse(
        generate_latest(registry),
        content_type=CONTENT_TYPE_PLAIN_0_0_4,
        headers={"Cache-Control": "no-store"},
    )


class Glance:
    """What the database said last. However many ask, it is asked every few seconds at most, and by
    one thread: the others take what it said before.
    """

    KEEP = 3

    def __init__(self) -> None:
        self.looking = Lock()
        self.condition: Condition | None = None
        self.looked_at = -float("inf")

    def now(self) -> Condition | None:
        """None when the database does not answer, or nobody knows yet."""
        due = time.monotonic() - self.looked_at > self.KEEP
        if due and self.looking.acquire(blocking=False):
            try:
                self.condition = look(clock.ask())
            except Error:
                self.condition = None
            finally:
                self.looked_at = time.monotonic()
                self.looking.release()
        return self.condition


_glance = Glance()


class Figures(Collector):
    """All figures of one moment."""

    def collect(self) -> Iterator[Metric]:
        condition, waiting = _glance.now(), tasks_waiting()
        up = GaugeMetricFamily(
            "console_up", "Whether a part of the console answers.", labels=["part"]
        )
        up.add_metric(["database"], condition is not None)
        up.add_metric(["broker"], waiting is not None)
        yield up
        if condition is not None:
            yield from _of_schedule(condition)
        if waiting is not None:
            yield GaugeMetricFamily(
                "console_tasks_waiting", "Tasks that no worker has taken yet.", value=waiting
            )
        try:
            numbers = counted()
        except (RedisError, OSError):
            return
        yield _of_actions(numbers)
        yield from _of_requests(numbers)


def _of_schedule(condition: Condition) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "console_sweep_lag_seconds",
        "Time since the end of what should have been deleted first.",
        value=condition.lag.total_seconds(),
    )
    yield GaugeMetricFamily(
        "console_backlog_instances",
        "Instances whose time is over and that are not deleted yet, counted to 50,000.",
        value=condition.backlog,
    )
    yield GaugeMetricFamily(
        "console_quarantined_instances",
        "Instances that could not be deleted in many tries, and wait for a person.",
        value=condition.quarantined,
    )
    yield GaugeMetricFamily(
        "console_jobs_unfinished",
        "Batch jobs that workers still have to do something for.",
        value=condition.jobs,
    )
    ran = GaugeMetricFamily(
        "console_pass_last_run_timestamp_seconds",
        "When each pass of the schedule last came by.",
        labels=["pass"],
    )
    worked = GaugeMetricFamily(
        "console_pass_last_run_instances",
        "What came of the last run of each pass.",
        labels=["pass", "outcome"],
    )
    for each in condition.passes:
        ran.add_metric([each.name], each.ran_at.timestamp())
        worked.add_metric([each.name, "done"], each.done)
        worked.add_metric([each.name, "failed"], each.failed)
    yield ran
    yield worked
    yield GaugeMetricFamily(
        "console_clock_skew_seconds",
        "By how much the clock of this machine is ahead of the database's.",
        value=clock.skew().total_seconds(),
    )


def _of_actions(numbers: dict[Counted, int]) -> Metric:
    actions = CounterMetricFamily(
        "console_actions",
        "What was done, refused or failed, by action and by what asked for it.",
        labels=["action", "outcome", "edge"],
    )
    for (what, *labels), number in sorted(numbers.items()):
        if what == ACTIONS:
            actions.add_metric(labels, number)
    return actions


def _of_requests(numbers: dict[Counted, int]) -> Iterator[Metric]:
    answers = CounterMetricFamily(
        "console_answers", "Answers by view and class of status.", labels=["view", "status"]
    )
    took: dict[str, dict[str, int]] = defaultdict(dict)
    seconds: dict[str, float] = {}
    for counted_, number in sorted(numbers.items()):
        match counted_:
            case (what, view, status) if what == ANSWERS:
                answers.add_metric([view, status], number)
            case (what, view, bucket) if what == REQUESTS:
                took[view][bucket] = number
            case (what, view) if what == MICROSECONDS:
                seconds[view] = number / 1_000_000
    yield answers
    durations = HistogramMetricFamily(
        "console_request_duration_seconds", "Time until an answer was given.", labels=["view"]
    )
    for view, found in sorted(took.items()):
        so_far, buckets = 0, []
        for bucket in BUCKETS:
            so_far += found.get(bucket, 0)
            buckets.append((bucket, float(so_far)))
        durations.add_metric([view], buckets, seconds.get(view, 0.0))
    yield durations
