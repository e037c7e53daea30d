"""The Audit Log, for superusers: logins, and what was done to people, accounts and the
catalogue.
"""

from django.http import Http404, HttpResponse, HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from recycle.forms import AuditFilter
from recycle.http import Request
from recycle.models import AuditEvent
from recycle.models.audit import AuditEventQuerySet
from recycle.views.lists import show_list, stream_csv

NOTE = _(
    "Logins, and what administrators did to people, accounts, regions, zones and instance types. "
    "What was done inside an account is in its Operation Log."
)

_EXPORT = (
    (_("Time"), "at"),
    (_("Action"), "get_action_display"),
    (_("Resource"), "kind_label"),
    (_("Resource ID"), "subject_id"),
    (_("Name"), "subject_name"),
    (_("Changes"), lambda event: "; ".join(event.changes)),
    (_("By"), "by_name"),
    (_("Through"), "get_edge_display"),
    (_("Address"), "address"),
    (_("Request ID"), "request_id"),
    (_("Count"), "count"),
    (_("Last"), "last_at"),
)


@require_GET
def index(request: Request) -> HttpResponse:
    rows = _events(request)
    form = AuditFilter(request.GET, scope=request.shell.scope)
    words = {"title": _("Audit Log"), "search": _("Name or ID"), "note": NOTE}
    return show_list(request, "audit", form, rows, "log", export="recycle:export_audit", **words)


@require_GET
def export(request: Request) -> HttpResponseBase:
    rows = _events(request)
    return stream_csv(
        request, "audit-log", AuditFilter(request.GET, scope=request.shell.scope), rows, _EXPORT
    )


def _events(request: Request) -> AuditEventQuerySet:
    """For anybody else there is no such page."""
    if not request.user.is_superuser:
        raise Http404
    return AuditEvent.objects.visible_to(request.user)
