"""The Instance page and the page of one instance."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from recycle.actions.bindings import described, missing, seen
from recycle.actions.resources.base import why_not_bind
from recycle.forms import BinFilter, InstanceFilter
from recycle.http import Request
from recycle.lifecycle import Action, ResourceAction, State
from recycle.models import Event, InstanceQuerySet
from recycle.policy import Refusal
from recycle.views.lists import offered, show_list, stream_csv
from recycle.views.scope import find
from recycle.views.unfolding import unfold

# The buttons over the list.
BATCH = [
    (action.value, action.label)
    for action in (Action.START, Action.STOP, Action.RESTART, Action.DELETE, Action.RENEW)
]
# What stands under "More", because it is wanted less often.
UNDER_MORE = (
    Action.RENAME,
    Action.RESIZE,
    Action.RESET_PASSWORD,
    Action.SCHEDULE,
    Action.UNSCHEDULE,
    Action.PROTECT,
    Action.UNPROTECT,
)
MORE = [
    *((action.value, action.label) for action in UNDER_MORE),
    ("register_instances", _("Register with listener")),
    ("add_tag", _("Bind tag")),
    ("move_instances", ResourceAction.MOVE.label),
]
_EXPORT = (
    (_("Instance ID"), "pk"),
    (_("Name"), "name"),
    (_("Status"), "get_status_display"),
    (_("Instance type"), "instance_type_id"),
    (_("vCPU"), "instance_type.vcpu"),
    (_("Memory (GB)"), "instance_type.memory_gb"),
    (_("Image"), "image_name"),
    (_("Private IP"), "private_ip"),
    (_("Billing mode"), "billing_label"),
    (_("Expires"), "expires_at"),
    (_("Scheduled deletion"), "delete_at"),
    (_("Zone"), "zone_id"),
    (_("Project ID"), "project_number"),
    (_("Created"), "created_at"),
)


@require_GET
def index(request: Request) -> HttpResponse:
    form = InstanceFilter(request.GET, scope=request.shell.scope)
    rows = with_types(request.shell.instances()).annotate(bound=described(request.user))
    in_bin = _also_in_bin(request, form)
    return show_list(
        request,
        "instances",
        form,
        rows,
        in_bin=in_bin,
        batch=BATCH,
        more_verbs=with_holds(request, MORE),
        export="recycle:export_instances",
    )


def with_types(rows: InstanceQuerySet) -> InstanceQuerySet:
    """With their types, asked apart: joined, these few may be what a database begins with, and then
    it has to sort all that it finds.
    """
    return rows.prefetch_related("instance_type")


def with_holds(request: Request, verbs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """What stands under "More" over a list: these verbs, and the holds for whoever may place them.

    A verb is the name of its dialog's address, and its label.
    """
    holds = [(action.value, action.label) for action in (Action.HOLD, Action.UNHOLD)]
    verbs = offered(request, verbs)
    return [*verbs, *holds] if request.shell.may[Action.HOLD] else verbs


def _also_in_bin(request: Request, form: InstanceFilter) -> bool:
    """Whether what somebody searches for here lies in the recycle bin."""
    text = form.cleaned_data["q"].strip() if form.is_valid() else ""
    if not text:
        return False
    # The text alone, as in the link to there: the order and the other filters are this list's own.
    bin_form = BinFilter(QueryDict(urlencode({"q": text})), scope=request.shell.scope)
    return bin_form.is_valid() and bin_form.narrow(request.shell.instances()).exists()


@require_GET
def export(request: Request) -> HttpResponseBase:
    form = InstanceFilter(request.GET, scope=request.shell.scope)
    rows = request.shell.instances().select_related("instance_type")
    return stream_csv(request, "instances", form, rows, _EXPORT)


@require_GET
def detail(request: Request, pk: UUID) -> HttpResponse:
    """Show one instance of the chosen account, wherever it is: in use, in the bin, or gone."""
    rows = request.shell.instances().select_related("instance_type", "account")
    instance = find(request, rows.annotate(bound=described(request.user)), pk)
    if instance.state == State.RECYCLED:
        request.shell.here = reverse("recycle:bin")
    events = list(
        Event.objects.visible_to(request.user).filter(instance_id=pk).order_by("-id")[:50]
    )
    cancelled = (
        Event.objects.visible_to(request.user)
        .cancelling()
        .filter(instance_id=pk)
        .order_by("-id")
        .first()
    )
    former = seen([cancelled.detail if cancelled else None], request.user)
    no = why_not_bind(instance)
    may_bind = request.shell.may[ResourceAction.BIND]
    why_not = Refusal.ROLE if not may_bind else no.refusal if no else None
    context = {
        "instance": instance,
        "tagged": list(
            instance.instance_tags.select_related("tag").order_by("tag__key", "tag__value")
        ),
        "why_not_bind": why_not.label if why_not else "",
        "events": events,
        "cancelled": cancelled,
        "former": missing(former[0], instance.bound) if cancelled else {},
        "now": request.now,
    }
    return render(request, "instances/detail.html", context)


@require_GET
def menu(request: Request, pk: UUID) -> HttpResponse:
    instance = find(request, request.shell.instances(), pk)
    page = reverse("recycle:instance", args=[pk])
    return unfold(request, "instances/_menu.html", page, row=instance)


@require_GET
def former(request: Request, pk: UUID) -> HttpResponse:
    """Show what an instance was bound to when it was moved to the bin the last time."""
    instance = find(request, request.shell.instances(), pk)
    page = f"{reverse('recycle:instance', args=[pk])}#former"
    entries = Event.objects.visible_to(request.user).filter(instance_id=pk, action=Action.RECYCLE)
    entry = entries.order_by("-id").first()
    [bound] = seen([entry.detail if entry else None], request.user)
    return unfold(request, "_former.html", page, bound=bound, key=pk, again=instance)
