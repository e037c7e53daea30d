"""EBS volumes: the list, the page of one, and what people do to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Context, Outcome
from recycle.actions.limits import Limit
from recycle.actions.resources import volumes
from recycle.forms.resources import (
    AttachForm,
    AttachVolumeForm,
    RetypeForm,
    VolumeFilter,
    VolumeForm,
)
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import Account, InstanceQuerySet, Kind, Volume
from recycle.models.tenancy import OwnedQuerySet
from recycle.views.lists import stream_csv
from recycle.views.resources import Listing, Maker, Verb, act, make, show, show_detail
from recycle.views.resources.dialog import Bound, removal
from recycle.views.scope import find

HOME = "recycle:volumes"
EXPORT = (
    (gettext_lazy("Volume ID"), lambda row: row.pk),
    (gettext_lazy("Name"), lambda row: row.name),
    (gettext_lazy("Status"), lambda row: _("In use") if row.instance_id else _("Available")),
    (gettext_lazy("Type"), lambda row: row.type),
    (gettext_lazy("Size (GB)"), lambda row: row.size_gb),
    (gettext_lazy("Instance ID"), lambda row: row.instance_id),
    (gettext_lazy("Instance"), lambda row: row.instance),
    (gettext_lazy("Mount point"), lambda row: row.mount_point),
    (gettext_lazy("Delete with the instance"), lambda row: row.delete_with_instance),
    (gettext_lazy("Billing mode"), lambda row: row.get_billing_mode_display()),
    (gettext_lazy("Zone"), lambda row: row.zone_id),
    (gettext_lazy("Created"), lambda row: row.created_at),
)


def _rows(request: Request) -> OwnedQuerySet[Volume]:
    return (
        Volume.objects.visible_to(request.user).of(request.shell.account).select_related("instance")
    )


def _bound(rows: Sequence[Volume]) -> Bound:
    return {row.pk: [row.instance] for row in rows if row.instance}


def _attach(rows: OwnedQuerySet[Volume], answered: dict[str, Any], context: Context) -> Outcome:
    goes = answered["delete_with_instance"]
    return volumes.attach(rows, answered["other"], context=context, delete_with_instance=goes)


def _attach_to(instances: InstanceQuerySet, answered: dict[str, Any], context: Context) -> Outcome:
    outcome = Outcome(ResourceAction.BIND, context.batch)
    for instance in instances:
        rows = Volume.objects.filter(pk=answered["other"].pk)
        goes = answered["delete_with_instance"]
        outcome.extend(volumes.attach(rows, instance, context=context, delete_with_instance=goes))
    return outcome


def _new(answered: dict[str, Any], account: Account, now: datetime) -> Volume:
    return Volume(
        account=account,
        zone_id=answered["zone"],
        name=answered["name"],
        type=answered["type"],
        size_gb=answered["size_gb"],
        billing_mode=answered["billing_mode"],
        created_at=now,
    )


CREATE = Maker(
    home=HOME,
    model=Volume,
    title=lambda: _("Create EBS volume"),
    done=lambda: _("Created the EBS volume"),
    details=VolumeForm,
    new=_new,
    carry_out=volumes.create,
    limits=(Limit.VOLUMES, Limit.VOLUME_GB),
)
ATTACH = Verb(
    url="recycle:attach",
    home=HOME,
    rows=_rows,
    title=lambda n: ngettext("Attach %(n)d EBS volume", "Attach %(n)d EBS volumes", n) % {"n": n},
    done=lambda n: (
        ngettext("Attached %(n)d EBS volume.", "Attached %(n)d EBS volumes.", n) % {"n": n}
    ),
    note=lambda: _(
        "To a running or stopped instance of the same zone. An instance takes 8 volumes."
    ),
    details=AttachForm,
    bound=_bound,
    carry_out=_attach,
)
ATTACH_TO = Verb(
    url="recycle:attach_volume",
    home="recycle:instances",
    rows=lambda request: request.shell.instances(),
    title=lambda n: _("Attach an EBS volume"),
    done=ATTACH.done,
    note=lambda: _("An available volume of the instance's zone. An instance takes 8 volumes."),
    details=AttachVolumeForm,
    carry_out=_attach_to,
)
DETACH = Verb(
    url="recycle:detach",
    home=HOME,
    rows=_rows,
    title=lambda n: ngettext("Detach %(n)d EBS volume", "Detach %(n)d EBS volumes", n) % {"n": n},
    done=lambda n: (
        ngettext("Detached %(n)d EBS volume.", "Detached %(n)d EBS volumes.", n) % {"n": n}
    ),
    note=lambda: _("Unmount it in the instance first, or what is not written yet is lost."),
    bound=_bound,
    carry_out=lambda rows, answered, context: volumes.detach(rows, context=context),
)
DELETE = Verb(
    url="recycle:delete_volumes",
    home=HOME,
    rows=_rows,
    title=lambda n: ngettext("Delete %(n)d EBS volume", "Delete %(n)d EBS volumes", n) % {"n": n},
    done=lambda n: (
        ngettext("Deleted %(n)d EBS volume.", "Deleted %(n)d EBS volumes.", n) % {"n": n}
    ),
    note=lambda: _("What is stored there is lost."),
    details=RetypeForm,
    bound=_bound,
    carry_out=removal(volumes.remove),
    danger=True,
)
LIST = Listing(
    name="volumes",
    picture="disk",
    group=gettext_lazy("Storage"),
    title=gettext_lazy("EBS Volume"),
    tip=gettext_lazy(
        "A volume is attached to one instance of its own zone. When that moves to the recycle "
        "bin, the volume is "
        "detached and stays here; a restore does not attach it again."
    ),
    search=gettext_lazy("ID, name or instance"),
    empty=gettext_lazy(
        "This account has no EBS volumes yet. Create one, then attach it to an instance of its "
        "zone."
    ),
    create="recycle:create_volume",
    create_label=gettext_lazy("Create Volume"),
    batch=[
        ("recycle:attach", gettext_lazy("Attach"), False),
        ("recycle:detach", gettext_lazy("Detach"), False),
        ("recycle:delete_volumes", gettext_lazy("Delete"), True),
    ],
)


@require_GET
def index(request: Request) -> HttpResponse:
    return show(request, LIST, _rows(request))


@require_GET
def export(request: Request) -> HttpResponseBase:
    return stream_csv(
        request, "volumes", VolumeFilter(request.GET, request=request), _rows(request), EXPORT
    )


@require_GET
def detail(request: Request, pk: UUID) -> HttpResponse:
    volume = find(request, _rows(request), pk)
    return show_detail(request, "volumes/detail.html", volume, [Kind.VOLUME])


@require_http_methods(["GET", "POST"])
def create(request: Request) -> HttpResponse:
    return make(request, CREATE, reverse("recycle:create_volume"))


@require_http_methods(["GET", "POST"])
def attach(request: Request) -> HttpResponse:
    return act(request, ATTACH)


@require_http_methods(["GET", "POST"])
def attach_to(request: Request) -> HttpResponse:
    """From the side of the instance."""
    return act(request, ATTACH_TO)


@require_http_methods(["GET", "POST"])
def detach(request: Request) -> HttpResponse:
    return act(request, DETACH)


@require_http_methods(["GET", "POST"])
def delete(request: Request) -> HttpResponse:
    return act(request, DELETE)
