"""Proves from the database that every promise was kept, whoever did what and whatever broke
meanwhile.

The promises are said once more here, in other words than the product's own tables, so that a
mistake there is no excuse here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import Window
from django.db.models.functions import Lag

from recycle.models import (
    BatchJob,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    JobItem,
    RealServer,
    Volume,
)

# Of each promise that was broken, so many rows are named.
NAMED = 5

IN_USE = ("active", "stopped")
WAITING = ("expired", "recycled")
# Which of its times an instance has in which state. A tombstone keeps those it had.
TIMES: dict[str, dict[str, bool]] = {
    "active": {"recycled_at": False, "purge_at": False, "purged_at": False},
    "stopped": {"recycled_at": False, "purge_at": False, "purged_at": False},
    "expired": {"recycled_at": False, "purge_at": True, "purged_at": False},
    "recycled": {"recycled_at": True, "purge_at": True, "purged_at": False},
    "purged": {"purged_at": True},
}
# Every step that there is, as "from to" by its action.
STEPS: dict[str, tuple[str, ...]] = {
    "create": (" active", " stopped"),
    "start": ("stopped active",),
    "stop": ("active stopped",),
    "restart": ("active active",),
    "recycle": ("active recycled", "stopped recycled"),
    "release": ("active purged", "stopped purged"),
    "expire": ("active expired", "stopped expired"),
    "renew": ("active active", "stopped stopped", "expired active"),
    "restore": ("recycled stopped",),
    "purge": ("recycled purged", "expired purged"),
    "extend": ("recycled recycled",),
    "protect": ("active active", "stopped stopped", "expired expired"),
    "unprotect": ("active active", "stopped stopped", "expired expired"),
    "hold": ("active active", "stopped stopped", "expired expired", "recycled recycled"),
    "unhold": ("active active", "stopped stopped", "expired expired", "recycled recycled"),
    "quarantine": ("active active", "stopped stopped", "expired expired", "recycled recycled"),
    "retry": ("active active", "stopped stopped", "expired expired", "recycled recycled"),
}
# What the owner was promised at least, whatever the row says by now.
LEAST_IN_BIN = timedelta(hours=2)
LEAST_EXPIRED = timedelta(days=7)
BOUND: dict[str, type[Any]] = {
    "EIP": ElasticIP,
    "volume": Volume,
    "real server": RealServer,
    "tag": InstanceTag,
}


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept, by how many rows, and the first of them."""

    promise: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.count - len(self.examples)} more" if self.count > NAMED else ""
        return f"{self.promise}: {'; '.join(self.examples)}{more}"


# What breaks a promise, a line for each. `now` is the moment by which all that was due had time to
# be done.
Promise = Callable[[datetime], Iterable[str]]


def prove(now: datetime) -> list[Broken]:
    """The promises that were broken; none when all is well. Nothing else may be at work."""
    broken = []
    for promise, lines_of in PROMISES.items():
        if lines := list(lines_of(now)):
            broken.append(Broken(promise, len(lines), tuple(lines[:NAMED])))
    return broken


def _named(rows: QuerySet[Any, Any], *fields: str) -> Iterator[str]:
    """A line for each row: its fields."""
    for values in rows.values_list(*fields):
        yield " ".join(str(value) for value in values)


# --- Instances ------------------------------------------------------------------------------------


def wrong_times(now: datetime) -> Iterator[str]:
    right = reduce(
        or_,
        (
            Q(state=state, **{f"{name}__isnull": not there for name, there in times.items()})
            for state, times in TIMES.items()
        ),
    )
    return _named(Instance.objects.exclude(right), "pk", "state", "purge_at", "purged_at")


def wrongly_bound(now: datetime) -> Iterator[str]:
    for name, model in BOUND.items():
        held = model.objects.filter(instance__state__in=["recycled", "purged"])
        for line in _named(held, "instance", "instance__state", "pk"):
            yield f"{line} ({name})"


def left_over(now: datetime) -> Iterator[str]:
    """What nobody holds or protects and what was due for its end, or for its expiry."""
    ends = Q(state__in=WAITING, purge_at__lte=now, held_at=None, protected=False)
    expires = Q(state__in=IN_USE, expires_at__lte=now)
    fields = ("pk", "state", "purge_at", "expires_at", "attempts", "last_error")
    return _named(Instance.objects.filter(ends | expires), *fields)


def too_early(now: datetime) -> Iterator[str]:
    """What the schedule deleted before the moment that was promised, or than is promised to
    everybody.
    """
    of_it = Instance.objects.filter(pk=OuterRef("instance_id"))
    ended = Event.objects.filter(to_state="purged", by=None).annotate(
        promised=Subquery(of_it.values("purge_at")),
        binned=Subquery(of_it.values("recycled_at")),
        expired=Subquery(of_it.values("expires_at")),
    )
    wrong = (
        Q(promised__gt=F("at"))
        | Q(promised=None)
        | Q(from_state="recycled", binned__gt=F("at") - LEAST_IN_BIN)
        | Q(from_state="expired", expired__gt=F("at") - LEAST_EXPIRED)
    )
    rows = ended.filter(Exists(of_it)).filter(wrong)
    return _named(rows, "instance_id", "at", "promised")


def ended_though_kept(now: datetime) -> Iterator[str]:
    """What was deleted for good while somebody held or protected it, as its log tells."""
    for keeps, lets_go in (("hold", "unhold"), ("protect", "unprotect")):
        before = Event.objects.filter(
            instance_id=OuterRef("instance_id"), pk__lt=OuterRef("pk"), action__in=[keeps, lets_go]
        ).order_by("-pk")
        ended = Event.objects.filter(to_state="purged")
        rows = ended.annotate(last=Subquery(before.values("action")[:1])).filter(last=keeps)
        yield from _named(rows, "instance_id", "at", "last")


# --- Events ---------------------------------------------------------------------------------------


def _steps() -> QuerySet[Event]:
    """What led instances from state to state, or left them where they were. Keys are given under
    the lock of the instance, so that they are in the order of what happened to it.
    """
    return Event.objects.exclude(instance_id=None).exclude(to_state="").order_by()


def unknown_steps(now: datetime) -> Iterator[str]:
    known = reduce(
        or_,
        (
            Q(action=action, from_state=step.split(" ")[0], to_state=step.split(" ")[1])
            for action, steps in STEPS.items()
            for step in steps
        ),
    )
    return _named(_steps().exclude(known), "pk", "action", "from_state", "to_state")


def broken_chains(now: datetime) -> Iterator[str]:
    """Each step begins where the one before it has ended, and the first one with an instance in
    use.
    """
    window = Window(Lag("to_state"), partition_by=F("instance_id"), order_by=F("pk").asc())
    chained = _steps().annotate(before=window)
    torn = Q(before__isnull=False) & ~Q(from_state=F("before"))
    headless = Q(before=None) & ~Q(from_state__in=["", *IN_USE])
    # As one condition: of two, the one that needs no window would be asked before it.
    yield from _named(chained.filter(torn | headless), "instance_id", "pk", "before", "from_state")


def wrong_ends(now: datetime) -> Iterator[str]:
    """The last step of an instance has led to where it is, and when it says; without any, it is in
    use.
    """
    its = _steps().filter(instance_id=OuterRef("pk")).order_by("-pk")
    told = Instance.objects.annotate(
        last=Subquery(its.values("to_state")[:1]),
        binned=Subquery(its.filter(action="recycle").values("at")[:1]),
        ended=Subquery(its.filter(to_state="purged").values("at")[:1]),
    )
    elsewhere = Q(last__isnull=False) & ~Q(last=F("state"))
    untold = Q(last=None) & ~Q(state__in=IN_USE)
    at_another_time = (Q(state="recycled") & ~Q(binned=F("recycled_at"))) | (
        Q(state="purged") & ~Q(ended=F("purged_at"))
    )
    wrong = told.filter(elsewhere | untold | at_another_time)
    yield from _named(wrong, "pk", "state", "last", "recycled_at", "purged_at")
    # Only of what is gone for good is the row forgotten one day.
    later = _steps().filter(instance_id=OuterRef("instance_id"), pk__gt=OuterRef("pk"))
    gone = _steps().exclude(Exists(Instance.objects.filter(pk=OuterRef("instance_id"))))
    yield from _named(gone.exclude(Exists(later)).exclude(to_state="purged"), "instance_id", "pk")


def twice(now: datetime) -> Iterator[str]:
    """No request and no pass does the same thing twice to the same thing."""
    same = ("batch", "action", "instance_id", "kind", "resource_id")
    rows = Event.objects.order_by().values(*same).annotate(times=Count("pk")).filter(times__gt=1)
    return _named(rows, *same, "times")


# --- Batch jobs -----------------------------------------------------------------------------------


def unfinished_jobs(now: datetime) -> Iterator[str]:
    return _named(BatchJob.objects.exclude(state__in=["finished", "cancelled"]), "pk", "state")


def miscounted_jobs(now: datetime) -> Iterator[str]:
    """What a job says of its items agrees with them, and only of a cancelled one some are left."""
    counts = {
        name: Count("items", filter=Q(items__outcome=name))
        for name in ("done", "refused", "failed", "pending")
    }
    jobs = BatchJob.objects.annotate(
        of=Count("items"), **{f"n_{name}": count for name, count in counts.items()}
    )
    agrees = Q(total=F("of"), done=F("n_done"), refused=F("n_refused"), failed=F("n_failed"))
    complete = Q(n_pending=0) | ~Q(state="finished")
    fields = ("pk", "state", "total", "done", "refused", "failed")
    return _named(jobs.exclude(agrees & complete), *fields)


def untold_items(now: datetime) -> Iterator[str]:
    """What was done to an item is in its log, by the batch of the job; of the others nothing is."""
    its = Event.objects.filter(instance_id=OuterRef("instance_id"), batch=OuterRef("job"))
    items = JobItem.objects.annotate(told=Exists(its))
    wrong = (Q(outcome="done") & Q(told=False)) | (~Q(outcome="done") & Q(told=True))
    yield from _named(items.filter(wrong), "job", "instance_id", "outcome")
    same = ("job", "instance_id")
    twice = JobItem.objects.order_by().values(*same).annotate(times=Count("pk"))
    yield from _named(twice.filter(times__gt=1), *same, "times")


PROMISES: dict[str, Promise] = {
    "the times of an instance follow its state": wrong_times,
    "nothing is bound to what lies in the bin or is gone": wrongly_bound,
    "everything due is done": left_over,
    "nothing is deleted early": too_early,
    "what is held or protected is not deleted": ended_though_kept,
    "every step is one that there is": unknown_steps,
    "the steps of an instance are one chain": broken_chains,
    "an instance is where its last step led": wrong_ends,
    "every event is there once": twice,
    "every batch job comes to its end": unfinished_jobs,
    "a batch job counts what became of its items": miscounted_jobs,
    "what a batch job did is in the log, and nothing else": untold_items,
}
