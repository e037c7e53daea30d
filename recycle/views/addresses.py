"""Elastic IPs: the list, the page of one, and what people do to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Context, Outcome
from recycle.actions.limits import Limit
from recycle.actions.resources import addresses
from recycle.forms.resources import (
    AddressFilter,
    AddressForm,
    AssociateAddressForm,
    AssociateForm,
    AssociateWithBalancerForm,
    RemoveForm,
)
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import Account, ElasticIP, Instance, Kind, LoadBalancer
from recycle.models.tenancy import OwnedQuerySet
from recycle.views.lists import stream_csv
from recycle.views.resources import Listing, Maker, Verb, act, make, show, show_detail
from recycle.views.resources.dialog import Bound, removal
from recycle.views.scope import find

HOME = "recycle:addresses"


def _rows(request: Request) -> OwnedQuerySet[ElasticIP]:
    rows = ElasticIP.objects.visible_to(request.user).of(request.shell.account)
    return rows.select_related("instance", "load_balancer")


def _holder(address: ElasticIP) -> Instance | LoadBalancer | None:
    return address.instance or address.load_balancer


EXPORT = (
    (gettext_lazy("EIP ID"), lambda row: row.pk),
    (gettext_lazy("Address"), lambda row: row.address),
    (gettext_lazy("Status"), lambda row: _("Associated") if _holder(row) else _("Not associated")),
    (gettext_lazy("Bandwidth (Mbps)"), lambda row: row.bandwidth_mbps),
    (gettext_lazy("Line"), lambda row: row.line),
    (gettext_lazy("Bound to (ID)"), lambda row: row.instance_id or row.load_balancer_id),
    (gettext_lazy("Bound to"), _holder),
    (gettext_lazy("Billing mode"), lambda row: row.get_billing_mode_display()),
    (gettext_lazy("Region"), lambda row: row.region_id),
    (gettext_lazy("Created"), lambda row: row.created_at),
)


def _bound(rows: Sequence[ElasticIP]) -> Bound:
    return {row.pk: [holder] for row in rows if (holder := _holder(row))}


def _associate(
    rows: OwnedQuerySet[ElasticIP], answered: dict[str, Any], context: Context
) -> Outcome:
    return addresses.associate(rows, answered["other"], context=context)


def _associate_with(
    holders: QuerySet[Instance] | QuerySet[LoadBalancer], answered: dict[str, Any], context: Context
) -> Outcome:
    outcome = Outcome(ResourceAction.BIND, context.batch)
    for holder in holders:
        rows = ElasticIP.objects.filter(pk=answered["other"].pk)
        outcome.extend(addresses.associate(rows, holder, context=context))
    return outcome


def _new(answered: dict[str, Any], account: Account, now: datetime) -> ElasticIP:
    return ElasticIP(
        account=account,
        region_id=answered["region"],
        bandwidth_mbps=answered["bandwidth_mbps"],
        billing_mode=answered["billing_mode"],
        created_at=now,
    )


CREATE = Maker(
    home=HOME,
    model=ElasticIP,
    title=lambda: _("Create EIP"),
    done=lambda: _("Created the EIP"),
    details=AddressForm,
    new=_new,
    carry_out=addresses.create,
    limits=(Limit.ELASTIC_IPS,),
)
ASSOCIATE = Verb(
    url="recycle:associate",
    home=HOME,
    rows=_rows,
    title=lambda n: ngettext("Associate %(n)d EIP", "Associate %(n)d EIPs", n) % {"n": n},
    done=lambda n: ngettext("Associated %(n)d EIP.", "Associated %(n)d EIPs.", n) % {"n": n},
    note=lambda: _(
        "With a running or stopped instance, or a load balancer, of the same region. Each takes "
        "one EIP."
    ),
    details=AssociateForm,
    bound=_bound,
    carry_out=_associate,
)
ASSOCIATE_WITH_INSTANCE = Verb(
    url="recycle:associate_address",
    home="recycle:instances",
    rows=lambda request: request.shell.instances().select_related("zone"),
    title=lambda n: _("Associate an EIP"),
    done=ASSOCIATE.done,
    note=lambda: _("A free EIP of the same region."),
    details=AssociateAddressForm,
    carry_out=_associate_with,
)
ASSOCIATE_WITH_BALANCER = Verb(
    url="recycle:associate_with_balancer",
    home="recycle:balancers",
    rows=lambda request: LoadBalancer.objects.visible_to(request.user).of(request.shell.account),
    title=ASSOCIATE_WITH_INSTANCE.title,
    done=ASSOCIATE.done,
    note=ASSOCIATE_WITH_INSTANCE.note,
    details=AssociateWithBalancerForm,
    carry_out=_associate_with,
)
DISASSOCIATE = Verb(
    url="recycle:disassociate",
    home=HOME,
    rows=_rows,
    title=lambda n: ngettext("Disassociate %(n)d EIP", "Disassociate %(n)d EIPs", n) % {"n": n},
    done=lambda n: ngettext("Disassociated %(n)d EIP.", "Disassociated %(n)d EIPs.", n) % {"n": n},
    note=lambda: _(
        "From then on nothing is reached at this address. The EIP stays with the account."
    ),
    bound=_bound,
    carry_out=lambda rows, answered, context: addresses.disassociate(rows, context=context),
)
DELETE = Verb(
    url="recycle:delete_addresses",
    home=HOME,
    rows=_rows,
    title=lambda n: ngettext("Delete %(n)d EIP", "Delete %(n)d EIPs", n) % {"n": n},
    done=lambda n: ngettext("Deleted %(n)d EIP.", "Deleted %(n)d EIPs.", n) % {"n": n},
    note=lambda: _("The address is given back, and cannot be had again."),
    details=RemoveForm,
    bound=_bound,
    carry_out=removal(addresses.remove),
    danger=True,
)
LIST = Listing(
    name="addresses",
    picture="eip",
    group=gettext_lazy("Network"),
    title=gettext_lazy("EIP"),
    tip=gettext_lazy(
        "An EIP belongs to one instance or one load balancer of its region. When an instance "
        "moves to the recycle "
        "bin, its EIP is disassociated and stays here; a restore does not associate it again."
    ),
    search=gettext_lazy("Address, ID or name"),
    empty=gettext_lazy(
        "This account has no EIPs yet. Create one, then associate it with an instance."
    ),
    create="recycle:create_address",
    create_label=gettext_lazy("Create EIP"),
    batch=[
        ("recycle:associate", gettext_lazy("Associate"), False),
        ("recycle:disassociate", gettext_lazy("Disassociate"), False),
        ("recycle:delete_addresses", gettext_lazy("Delete"), True),
    ],
)


@require_GET
def index(request: Request) -> HttpResponse:
    return show(request, LIST, _rows(request))


@require_GET
def export(request: Request) -> HttpResponseBase:
    return stream_csv(
        request, "eips", AddressFilter(request.GET, request=request), _rows(request), EXPORT
    )


@require_GET
def detail(request: Request, pk: UUID) -> HttpResponse:
    return show_detail(
        request, "addresses/detail.html", find(request, _rows(request), pk), [Kind.EIP]
    )


@require_http_methods(["GET", "POST"])
def create(request: Request) -> HttpResponse:
    return make(request, CREATE, reverse("recycle:create_address"))


@require_http_methods(["GET", "POST"])
def associate(request: Request) -> HttpResponse:
    return act(request, ASSOCIATE)


@require_http_methods(["GET", "POST"])
def associate_with_instance(request: Request) -> HttpResponse:
    """From the side of the instance."""
    return act(request, ASSOCIATE_WITH_INSTANCE)


@require_http_methods(["GET", "POST"])
def associate_with_balancer(request: Request) -> HttpResponse:
    """From the side of the load balancer."""
    return act(request, ASSOCIATE_WITH_BALANCER)


@require_http_methods(["GET", "POST"])
def disassociate(request: Request) -> HttpResponse:
    return act(request, DISASSOCIATE)


@require_http_methods(["GET", "POST"])
def delete(request: Request) -> HttpResponse:
    return act(request, DELETE)
