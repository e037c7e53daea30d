"""The KEC Instance Recycle Bin: what can be restored, and the subscriptions that can still be
renewed.
"""

from django.db.models import OuterRef, Subquery
from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from recycle.forms import BinFilter, ExpiredFilter
from recycle.http import Request
from recycle.lifecycle import Action
from recycle.listing import counted
from recycle.models import Event, InstanceQuerySet
from recycle.views.instances import with_holds
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


@require_GET
def index(request: Request) -> HttpResponse:
    entry = Event.objects.filter(instance_id=OuterRef("pk"), action=Action.RECYCLE).order_by("-id")
    rows = _rows(request).annotate(
        former=Subquery(entry.values("detail")[:1]), why=Subquery(entry.values("reason")[:1])
    )
    form = BinFilter(request.GET, scope=request.shell.scope)
    other = counted(request.shell.instances().expired())
    return show_list(
        request,
        "bin",
        form,
        rows,
        "recycle_bin",
        other=other,
        more_verbs=with_holds(request, [(Action.EXTEND.value, Action.EXTEND.label)]),
        export="recycle:export_bin",
    )


@require_GET
def expired(request: Request) -> HttpResponse:
    form = ExpiredFilter(request.GET, scope=request.shell.scope)
    other = counted(request.shell.instances().in_bin())
    return show_list(
        request,
        "expired",
        form,
        _rows(request),
        "recycle_bin",
        other=other,
        export="recycle:export_expired",
    )


@require_GET
def export(request: Request) -> HttpResponseBase:
    return stream_csv(
        request,
        "recycle-bin",
        BinFilter(request.GET, scope=request.shell.scope),
        _rows(request),
        BIN_EXPORT,
    )


@require_GET
def export_expired(request: Request) -> HttpResponseBase:
    form = ExpiredFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, "expired-subscriptions", form, _rows(request), EXPIRED_EXPORT)


def _rows(request: Request) -> InstanceQuerySet:
    return request.shell.instances().select_related("instance_type")
