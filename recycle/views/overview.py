"""The Overview: how many instances there are, and what the recycle bin will do next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, SmallIntegerField, When
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from recycle.actions.limits import uses, with_account_use
from recycle.days import next_days, next_hours
from recycle.forms import FilteredPage, OverviewForm
from recycle.http import Request
from recycle.lifecycle import LIVING
from recycle.listing import counted
from recycle.models import Account, InstanceQuerySet, Sweep
from recycle.models.instance import NEXT_PURGE, statuses_of

CHART_HEIGHT = 140
CHART_TOP = 24


@dataclass(frozen=True)
class ChartBar:
    start: datetime
    count: int
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
    days = form.cleaned_data.get("span") == "7d"
    bars = _forecast(rows, request.now, days=days)
    sweep = Sweep.objects.filter(name="purge_due").first()
    context = {
        "stats": _stats(rows),
        "in_bin": counted(rows.in_bin()),
        "expired": counted(rows.expired()),
        "quarantine": counted(rows.in_quarantine()),
        "next": rows.ending().select_related("instance_type").order_by(NEXT_PURGE, "pk")[:10],
        "bars": bars,
        "most": max(bar.count for bar in bars),
        "total": sum(bar.count for bar in bars),
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


def _quota(request: Request) -> dict[str, Any]:
    """What the account uses of its quota.

    The capacity of a zone is not shown: all accounts share it, and its use would tell theirs.
    """
    account = request.shell.account
    if account is None:
        return {}
    return {"quota": uses(with_account_use(Account.objects.filter(pk=account.pk)).get())}


def _stats(rows: InstanceQuerySet) -> list[dict[str, Any]]:
    return [
        {"status": status, "label": label, "count": counted(rows.with_status(status))}
        for status, label in statuses_of(LIVING)
    ]


def _forecast(rows: InstanceQuerySet, now: datetime, *, days: bool) -> list[ChartBar]:
    """How many instances end in each of the next 24 hours, or 7 days. What is overdue counts as
    ending now.
    """
    starts = next_days(now, 7) if days else next_hours(now, 24)
    *starts, end = starts
    # The slots are told by their ends, so that the database needs no time zone. Counted in one
    # pass.
    slot = Case(
        *(When(purge_at__lt=after, then=index) for index, after in enumerate(starts[1:])),
        default=len(starts) - 1,
        output_field=SmallIntegerField(),
    )
    ending = rows.ending().filter(purge_at__lt=end).annotate(slot=slot).order_by()
    counts = dict(ending.values_list("slot").annotate(Count("pk")))
    amounts = [counts.get(index, 0) for index in range(len(starts))]
    most = max(*amounts, 1)
    width = 100 / len(starts)
    return [
        ChartBar(
            start=start,
            count=amount,
            x=round(index * width + width * 0.15, 2),
            width=round(width * 0.7, 2),
            y=round(CHART_TOP + CHART_HEIGHT * (1 - amount / most), 1),
            height=round(CHART_HEIGHT * amount / most, 1),
            minor=not days and index % 4 != 0,
        )
        for index, (start, amount) in enumerate(zip(starts, amounts, strict=True))
    ]
