"""The Overview: how many instances there are, and what the recycle bin will do next."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from operator import attrgetter
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from recycle.actions.limits import uses, with_account_use
from recycle.days import next_days, next_hours
from recycle.forms import FilteredPage, OverviewForm
from recycle.http import Request
from recycle.lifecycle import LIVING
from recycle.listing import Count, counted_apart
from recycle.models import Account, Instance, InstanceQuerySet, Sweep, User
from recycle.models.instance import statuses_of

CHART_HEIGHT = 140
CHART_TOP = 24


@dataclass(frozen=True)
class ChartBar:
    start: datetime
    count: Count
    # Its place in the chart: percent across, units down.
    x: float
    width: float
    y: float
    height: float
    minor: bool

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 2)


@require_GET
def index(request: Request) -> HttpResponse:
    form = OverviewForm(request.GET, scope=request.shell.scope)
    place = FilteredPage(form)
    request.shell.address = place.address()
    rows = request.shell.instances()
    if request.shell.region:
        rows = rows.filter(zone__region=request.shell.region)
    if request.shell.project:
        rows = rows.filter(project_number=request.shell.project.number)
    days = form.cleaned_data.get("span") == "7d"
    bars = _forecast(request.user, rows, request.now, days=days)
    sweep = Sweep.objects.filter(name="purge_due").first()
    context = {
        **_stats(request.user, rows),
        "next": _next(rows),
        "bars": bars,
        "most": max((bar.count for bar in bars), key=attrgetter("number")),
        "total": Count(
            sum(bar.count.number for bar in bars), capped=any(bar.count.capped for bar in bars)
        ),
        "days": days,
        "day": place.address(span=None),
        "week": place.address(span="7d"),
        "sweep": sweep,
        "late": sweep is None or sweep.is_late(request.now),
        **_quota(request),
        "now": request.now,
        "list_name": "next",
    }
    return render(request, "overview/index.html", context)


def _next(rows: InstanceQuerySet) -> list[Instance]:
    """The ten that end next, each state by its index."""
    ending = rows.ending().order_by("purge_at", "pk")
    found = [*ending.in_bin()[:10], *ending.expired()[:10]]
    return sorted(found, key=attrgetter("purge_at", "pk"))[:10]


def _quota(request: Request) -> dict[str, Any]:
    """What the account uses of its quota.

    The capacity of a zone is not shown: all accounts share it, and its use would tell theirs.
    """
    account = request.shell.account
    # What all projects use together would tell what those of others do.
    if account is None or not request.shell.sees_all:
        return {}
    return {"quota": uses(with_account_use(Account.objects.filter(pk=account.pk)).get())}


def _stats(user: User, rows: InstanceQuerySet) -> dict[str, Any]:
    statuses = dict(statuses_of(LIVING))
    counts = counted_apart(
        user,
        in_bin=rows.in_bin(),
        expired=rows.expired(),
        quarantine=rows.in_quarantine(),
        **{f"status_{status}": rows.living().with_status(status) for status in statuses},
    )
    stats = [
        {"status": status, "label": label, "count": counts.pop(f"status_{status}")}
        for status, label in statuses.items()
    ]
    return {"stats": stats, **counts}


def _forecast(user: User, rows: InstanceQuerySet, now: datetime, *, days: bool) -> list[ChartBar]:
    """How many instances end in each of the next 24 hours, or 7 days, each counted as far as any
    list. What is overdue counts as ending now.
    """
    *starts, end = next_days(now, 7) if days else next_hours(now, 24)
    # The slots are told by their ends, so that the database needs no time zone.
    slots = {
        f"slot_{index}": rows.ending().filter(
            purge_at__lt=after, **({"purge_at__gte": start} if index else {})
        )
        for index, (start, after) in enumerate(pairwise([*starts, end]))
    }
    counts = counted_apart(user, **slots).values()
    most = max(1, *(count.number for count in counts))
    width = 100 / len(starts)
    return [
        ChartBar(
            start=start,
            count=count,
            x=round(index * width + width * 0.15, 2),
            width=round(width * 0.7, 2),
            y=round(CHART_TOP + CHART_HEIGHT * (1 - count.number / most), 1),
            height=round(CHART_HEIGHT * count.number / most, 1),
            minor=not days and index % 4 != 0,
        )
        for index, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]
