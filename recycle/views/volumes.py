"""EBS volumes: the list, the page of one, and what people do to them."""

from collections.abc import Sequence
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Outcome
from recycle.actions.limits import Limit
from recycle.actions.resources import volumes
from recycle.forms.resources import (
    AttachForm,
    AttachVolumeForm,
    DetailsForm,
    RetypeForm,
    VolumeFilter,
    VolumeForm,
)
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import Kind, Volume
from recycle.models.tenancy import OwnedQuerySet
from recycle.views.answers import needs
from recycle.views.lists import show_list, stream_csv
from recycle.views.resources import (
    Bound,
    Dialog,
    add_reasons,
    ask,
    limits,
    report,
    report_made,
    report_made_already,
    show_detail,
)
from recycle.views.scope import find
from recycle.views.unfolding import unfold

_HOME = "recycle:volumes"


def _status(volume: Volume) -> str:
    return _("In use") if volume.instance_id else _("Available")


_EXPORT = (
    (gettext_lazy("Volume ID"), "pk"),
    (gettext_lazy("Name"), "name"),
    (gettext_lazy("Status"), _status),
    (gettext_lazy("Type"), "type"),
    (gettext_lazy("Size (GB)"), "size_gb"),
    (gettext_lazy("Instance ID"), lambda volume: volume.instance and volume.instance.pk),
    (gettext_lazy("Instance"), "instance"),
    (gettext_lazy("Mount point"), "mount_point"),
    (gettext_lazy("Delete with the instance"), "delete_with_instance"),
    (gettext_lazy("Billing mode"), "get_billing_mode_display"),
    (gettext_lazy("Zone"), "zone_id"),
    (gettext_lazy("Project ID"), "project_number"),
    (gettext_lazy("Created"), "created_at"),
)
# What the list says around its rows, and the buttons over it: address, label, whether it deletes.
_ABOUT = {
    "picture": "disk",
    "group": pgettext_lazy("navigation", "KEC"),
    "title": gettext_lazy("EBS Volume"),
    "tip": gettext_lazy(
        "A volume is attached to one instance of its own zone. When that moves to the recycle "
        "bin, the volume is detached and stays here; a restore does not attach it again."
    ),
    "search": gettext_lazy("ID, name or instance"),
    "empty": gettext_lazy(
        "This account has no EBS volumes yet. Create one, then attach it to an instance of its "
        "zone."
    ),
    "create": "recycle:create_volume",
    "create_label": gettext_lazy("Create Volume"),
    "batch": [
        ("recycle:attach", gettext_lazy("Attach"), False),
        ("recycle:detach", gettext_lazy("Detach"), False),
        ("recycle:move_volumes", ResourceAction.MOVE.label, False),
        ("recycle:delete_volumes", gettext_lazy("Delete"), True),
    ],
}


def _rows(request: Request) -> OwnedQuerySet[Volume]:
    rows = Volume.objects.visible_to(request.user).of(request.shell.account)
    return rows.with_seen(request.user, "instance")


def _bound(rows: Sequence[Volume]) -> Bound:
    return {row.pk: [row.instance] for row in rows if row.instance}


@require_GET
def index(request: Request) -> HttpResponse:
    form = VolumeFilter(request.GET, scope=request.shell.scope)
    export = "recycle:export_volumes"
    return show_list(request, "volumes", form, _rows(request), about=_ABOUT, export=export)


@require_GET
def export(request: Request) -> HttpResponseBase:
    form = VolumeFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, "volumes", form, _rows(request), _EXPORT)


@require_GET
def detail(request: Request, pk: UUID) -> HttpResponse:
    volume = find(request, _rows(request), pk)
    return show_detail(request, "volumes/detail.html", volume, [Kind.VOLUME])


@require_GET
def menu(request: Request, pk: UUID) -> HttpResponse:
    volume = find(request, _rows(request), pk)
    page = reverse("recycle:volume", args=[pk])
    others = {"delete": "recycle:delete_volumes", "move": "recycle:move_volumes"}
    return unfold(request, "resources/_menu.html", page, row=volume, **others)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.CREATE, _HOME)
def create(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME)
    if not dialog.is_valid():
        return dialog.refuse()
    details = VolumeForm(dialog.answers, scope=request.shell.scope)
    if details.is_valid():
        volume = details.new()
        if Volume.objects.filter(pk=volume.pk).exists():
            return report_made_already(dialog)
        outcome = volumes.create(volume, context=request.context)
        if outcome.done:
            return report_made(dialog, "create_volume", volume)
        add_reasons(details, outcome)
    used = limits(request, Limit.VOLUMES, Limit.VOLUME_GB)
    return ask(dialog, "create_volume", details, uses=used)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, _HOME)
def attach(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = AttachForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        note = _("To a running or stopped instance of the same zone. An instance takes 8 volumes.")
        return ask(dialog, "attach", details, note=note, bound=_bound(dialog.rows))
    outcome = volumes.attach(
        dialog.chosen,
        details.cleaned_data["other"],
        delete_with_instance=details.cleaned_data["delete_with_instance"],
        context=request.context,
    )
    return report(dialog, "attach", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, "recycle:instances")
def attach_to(request: Request) -> HttpResponse:
    """Attach one volume to instances that were named; the first one gets it."""
    dialog = Dialog(request, "recycle:instances", request.shell.instances())
    if not dialog.is_valid():
        return dialog.refuse()
    details = AttachVolumeForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        note = _("An available volume of the instance's zone. An instance takes 8 volumes.")
        return ask(dialog, "attach_volume", details, note=note)
    outcome = Outcome(ResourceAction.BIND, request.context.batch)
    for instance in dialog.chosen:
        outcome.extend(
            volumes.attach(
                Volume.objects.filter(pk=details.cleaned_data["other"].pk),
                instance,
                delete_with_instance=details.cleaned_data["delete_with_instance"],
                context=request.context,
            )
        )
    return report(dialog, "attach_volume", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.UNBIND, _HOME)
def detach(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound(dialog.rows)
    details = DetailsForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        note = _("Unmount it in the instance first, or what is not written yet is lost.")
        return ask(dialog, "detach", details, note=note, bound=bound)
    outcome = volumes.detach(dialog.unchanged(bound), context=request.context)
    return report(dialog, "detach", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.REMOVE, _HOME)
def delete(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound(dialog.rows)
    details = RetypeForm(
        dialog.answers, scope=request.shell.scope, rows=dialog.rows, bound=bool(bound)
    )
    if not details.is_valid():
        note = _("What is stored there is lost.")
        return ask(dialog, "delete_volumes", details, note=note, bound=bound, danger=True)
    rows = dialog.unchanged(bound) if details.unbinds else dialog.chosen
    outcome = volumes.remove(rows, unbind=details.unbinds, context=request.context)
    return report(dialog, "delete_volumes", outcome)
