"""The KEC Instance Recycle Bin: what can be restored, the subscriptions that can still be renewed,
and what the schedule has failed to delete or to expire.
"""

from collections.abc import Mapping

from django.db.models import OuterRef, Subquery
from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from recycle.forms import BinFilter, ExpiredFilter, QuarantineFilter
from recycle.http import Request
from recycle.lifecycle import Action
from recycle.listing import Count, counted_apart
from recycle.models import Event
from recycle.views.instances import with_holds, with_types
from recycle.views.lists import show_list, stream_csv

# The columns of both files.
COMMON = (
    (_("Instance ID"), "pk"),
    (_("Name"), "name"),
    (_("Billing mode"), "get_billing_mode_display"),
    (_("Instance type"), "instance_type_id"),
    (_("Image"), "image_name"),
    (_("Private IP"), "private_ip"),
    (_("Zone"), "zone_id"),
)
BIN_EXPORT = (
    *COMMON,
    (_("Deleted"), "recycled_at"),
    (_("Deleted by"), "recycled_by_name"),
    (_("Ends"), "purge_at"),
)
EXPIRED_EXPORT = (
    *COMMON,
    (_("Expired at"), "expires_at"),
    (_("Ends"), "purge_at"),
)

QUARANTINE_EXPORT = (
    *COMMON,
    (_("Status"), "get_status_display"),
    (_("In quarantine since"), "quarantined_at"),
    (_("Failed attempts"), "attempts"),
    (_("Last error"), "last_error"),
)

# What the bin shows of an instance, or asks to say what may be done to it.
SHOWN = (
    *("account", "project_number", "name", "state", "no_fees", "billing_mode"),
    *("instance_type", "image_name", "private_ip", "zone"),
    *("recycled_at", "recycled_by_name", "purge_at", "retention_kind", "retention_subject"),
    *("protected", "held_at", "held_by", "hold_reason"),
    *("quarantined_at", "attempts", "retry_at", "last_error"),
)


@require_GET
def index(request: Request) -> HttpResponse:
    entry = Event.objects.filter(instance_id=OuterRef("pk"), action=Action.RECYCLE).order_by("-id")
    rows = with_types(request.shell.instances()).only(*SHOWN)
    rows = rows.annotate(
        former=Subquery(entry.values("detail")[:1]), why=Subquery(entry.values("reason")[:1])
    )
    form = BinFilter(request.GET, scope=request.shell.scope)
    return show_list(
        request,
        "bin",
        form,
        rows,
        "recycle_bin",
        counts=_counts(request, "expired", "quarantine"),
        more_verbs=with_holds(request, [(Action.EXTEND.value, Action.EXTEND.label)]),
        export="recycle:export_bin",
    )


@require_GET
def expired(request: Request) -> HttpResponse:
    form = ExpiredFilter(request.GET, scope=request.shell.scope)
    return show_list(
        request,
        "expired",
        form,
        with_types(request.shell.instances()),
        "recycle_bin",
        counts=_counts(request, "bin", "quarantine"),
        export="recycle:export_expired",
    )


@require_GET
def quarantine(request: Request) -> HttpResponse:
    form = QuarantineFilter(request.GET, scope=request.shell.scope)
    return show_list(
        request,
        "quarantine",
        form,
        with_types(request.shell.instances()),
        "recycle_bin",
        counts=_counts(request, "bin", "expired"),
        more_verbs=with_holds(request, []),
        export="recycle:export_quarantine",
    )


@require_GET
def export(request: Request) -> HttpResponseBase:
    return stream_csv(
        request,
        "recycle-bin",
        BinFilter(request.GET, scope=request.shell.scope),
        request.shell.instances(),
        BIN_EXPORT,
    )


@require_GET
def export_expired(request: Request) -> HttpResponseBase:
    form = ExpiredFilter(request.GET, scope=request.shell.scope)
    return stream_csv(
        request, "expired-subscriptions", form, request.shell.instances(), EXPIRED_EXPORT
    )


@require_GET
def export_quarantine(request: Request) -> HttpResponseBase:
    form = QuarantineFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, "quarantine", form, request.shell.instances(), QUARANTINE_EXPORT)


def _counts(request: Request, *others: str) -> Mapping[str, Count]:
    """How much there is under the other tabs."""
    rows = request.shell.instances()
    questions = {
        "bin": rows.in_bin(),
        "expired": rows.expired(),
        "quarantine": rows.in_quarantine(),
    }
    return counted_apart(request.user, **{name: questions[name] for name in others})
