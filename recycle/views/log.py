"""The Operation Log: what was done in an account, by whom and why."""

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET

from recycle.actions.bindings import seen
from recycle.forms import LogFilter
from recycle.http import Request, pick
from recycle.models import Event
from recycle.models.event import EventQuerySet
from recycle.views.lists import show_list, stream_csv
from recycle.views.scope import find

_EXPORT = (
    (_("Time"), "at"),
    (_("Action"), "get_action_display"),
    (_("Instance ID"), "instance_id"),
    (_("Name"), "instance_name"),
    (_("Resource"), "get_kind_display"),
    (_("Resource name"), "resource_name"),
    (_("Changes"), lambda event: "; ".join(event.changes)),
    (pgettext_lazy("status", "From"), "get_from_state_display"),
    (pgettext_lazy("status", "To"), "get_to_state_display"),
    (_("By"), "by_name"),
    (_("Through"), "get_edge_display"),
    (_("Reason"), "reason"),
    (_("Batch"), "batch"),
    (_("Address"), "address"),
    (_("Request ID"), "request_id"),
)


@require_GET
def index(request: Request) -> HttpResponse:
    form = LogFilter(request.GET, scope=request.shell.scope)
    words = {"title": _("Operation Log"), "search": _("Instance ID or name")}
    return show_list(
        request, "log", form, _events(request), "log", export="recycle:export_log", **words
    )


@require_GET
def export(request: Request) -> HttpResponseBase:
    return stream_csv(
        request,
        "operation-log",
        LogFilter(request.GET, scope=request.shell.scope),
        _events(request),
        _EXPORT,
    )


@require_GET
def event(request: Request, pk: int) -> HttpResponse:
    """Show the relationships that an event cancelled."""
    found = find(request, _events(request), pk)
    template = pick(request, page="log/event.html", partial="_former.html")
    [bound] = seen([found.detail], request.user)
    context = {"event": found, "bound": bound, "key": pk, "title": _("Operation Log")}
    return render(request, template, context)


def _events(request: Request) -> EventQuerySet:
    return Event.objects.visible_to(request.user).filter(account=request.shell.account)
