"""The page of one volume, address, load balancer or tag: what it is, what it is bound to, what was
done to it.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from django.http import HttpResponse
from django.shortcuts import render

from recycle.http import Request
from recycle.models import Event, Kind

# The latest events.
EVENTS_SHOWN = 50


def show_detail(
    request: Request,
    template: str,
    row: Model,
    kinds: Iterable[Kind],
    also: Iterable[Model] = (),
    **context: Any,
) -> HttpResponse:
    """Show the page of a row with the latest events of these kinds.

    `also` are other rows whose events belong there, such as the listeners of a load balancer.
    """
    events = Event.objects.visible_to(request.user).filter(
        account=request.shell.account,
        kind__in=list(kinds),
        resource_id__in=[str(each.pk) for each in (row, *also)],
    )
    context |= {
        "row": row,
        "events": list(events.order_by("-id")[:EVENTS_SHOWN]),
        "now": request.now,
    }
    return render(request, template, context)
