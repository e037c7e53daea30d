"""Elastic IPs: the list, the page of one, and what people do to them."""

from collections.abc import Sequence
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Outcome
from recycle.actions.limits import Limit
from recycle.actions.resources import addresses
from recycle.forms.resources import (
    AddressFilter,
    AddressForm,
    AssociateAddressForm,
    AssociateForm,
    AssociateWithBalancerForm,
    DetailsForm,
    RemoveForm,
)
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import ElasticIP, Instance, Kind, LoadBalancer
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

_HOME = "recycle:addresses"


def _rows(request: Request) -> OwnedQuerySet[ElasticIP]:
    rows = ElasticIP.objects.visible_to(request.user).of(request.shell.account)
    return rows.with_seen(request.user, "instance", "load_balancer")


def _holder(address: ElasticIP) -> Instance | LoadBalancer | None:
    return address.instance or address.load_balancer


def _holder_id(address: ElasticIP) -> UUID | None:
    holder = _holder(address)
    return holder.pk if holder else None


def _status(address: ElasticIP) -> str:
    bound = address.instance_id or address.load_balancer_id
    return _("Bound") if bound else _("Not bound")


_EXPORT = (
    (gettext_lazy("EIP ID"), "pk"),
    (gettext_lazy("Address"), "address"),
    (gettext_lazy("Status"), _status),
    (gettext_lazy("Bandwidth (Mbps)"), "bandwidth_mbps"),
    (gettext_lazy("Line"), "line"),
    (gettext_lazy("Bound to (ID)"), _holder_id),
    (gettext_lazy("Bound to"), _holder),
    (gettext_lazy("Billing mode"), "get_billing_mode_display"),
    (gettext_lazy("Region"), "region_id"),
    (gettext_lazy("Project ID"), "project_number"),
    (gettext_lazy("Created"), "created_at"),
)


# What the list says around its rows, and the buttons over it: address, label, whether it deletes.
_ABOUT = {
    "picture": "eip",
    "group": gettext_lazy("Network"),
    "title": gettext_lazy("EIP"),
    "tip": gettext_lazy(
        "An EIP belongs to one instance or one load balancer of its region. When an instance "
        "moves to the recycle bin, its EIP is unbound and stays here; a restore does not bind "
        "it again."
    ),
    "search": gettext_lazy("Address, ID or name"),
    "empty": gettext_lazy("This account has no EIPs yet. Create one, then bind it to an instance."),
    "create": "recycle:create_address",
    "create_label": gettext_lazy("Create EIP"),
    "batch": [
        ("recycle:associate", gettext_lazy("Bind"), False),
        ("recycle:disassociate", gettext_lazy("Unbind"), False),
        ("recycle:move_addresses", ResourceAction.MOVE.label, False),
        ("recycle:delete_addresses", gettext_lazy("Delete"), True),
    ],
}


def _bound(rows: Sequence[ElasticIP]) -> Bound:
    return {row.pk: [holder] for row in rows if (holder := _holder(row))}


@require_GET
def index(request: Request) -> HttpResponse:
    form = AddressFilter(request.GET, scope=request.shell.scope)
    export = "recycle:export_addresses"
    return show_list(request, "addresses", form, _rows(request), about=_ABOUT, export=export)


@require_GET
def export(request: Request) -> HttpResponseBase:
    form = AddressFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, "eips", form, _rows(request), _EXPORT)


@require_GET
def detail(request: Request, pk: UUID) -> HttpResponse:
    address = find(request, _rows(request), pk)
    return show_detail(request, "addresses/detail.html", address, [Kind.EIP])


@require_GET
def menu(request: Request, pk: UUID) -> HttpResponse:
    address = find(request, _rows(request), pk)
    page = reverse("recycle:address", args=[pk])
    others = {"delete": "recycle:delete_addresses", "move": "recycle:move_addresses"}
    return unfold(request, "resources/_menu.html", page, row=address, **others)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.CREATE, _HOME)
def create(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME)
    if not dialog.is_valid():
        return dialog.refuse()
    details = AddressForm(dialog.answers, scope=request.shell.scope)
    if details.is_valid():
        address = details.new()
        if ElasticIP.objects.filter(pk=address.pk).exists():
            return report_made_already(dialog)
        outcome = addresses.create(address, context=request.context)
        if outcome.done:
            return report_made(dialog, "create_address", address)
        add_reasons(details, outcome)
    return ask(dialog, "create_address", details, uses=limits(request, Limit.ELASTIC_IPS))


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, _HOME)
def associate(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = AssociateForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        note = _(
            "To a running or stopped instance, or a load balancer, of the same region. Each "
            "takes one EIP."
        )
        return ask(dialog, "associate", details, note=note, bound=_bound(dialog.rows))
    holder = details.cleaned_data["other"]
    return report(
        dialog, "associate", addresses.associate(dialog.chosen, holder, context=request.context)
    )


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, "recycle:instances")
def associate_with_instance(request: Request) -> HttpResponse:
    """Associate one EIP with instances that were named; the first one gets it."""
    instances = request.shell.instances().select_related("zone")
    dialog = Dialog(request, "recycle:instances", instances)
    if not dialog.is_valid():
        return dialog.refuse()
    details = AssociateAddressForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        return ask(dialog, "associate_address", details, note=_("A free EIP of the same region."))
    outcome = _associate_with_each(request, dialog, details.cleaned_data["other"])
    return report(dialog, "associate_address", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, "recycle:balancers")
def associate_with_balancer(request: Request) -> HttpResponse:
    """Associate one EIP with load balancers that were named; the first one gets it."""
    balancers = LoadBalancer.objects.visible_to(request.user).of(request.shell.account)
    dialog = Dialog(request, "recycle:balancers", balancers)
    if not dialog.is_valid():
        return dialog.refuse()
    scope = request.shell.scope
    details = AssociateWithBalancerForm(dialog.answers, scope=scope, rows=dialog.rows)
    if not details.is_valid():
        note = _("A free EIP of the same region.")
        return ask(dialog, "associate_with_balancer", details, note=note)
    outcome = _associate_with_each(request, dialog, details.cleaned_data["other"])
    return report(dialog, "associate_with_balancer", outcome)


def _associate_with_each(request: Request, dialog: Dialog, address: ElasticIP) -> Outcome:
    """Associate it with the first that takes it; the others are refused."""
    outcome = Outcome(ResourceAction.BIND, request.context.batch)
    for holder in dialog.chosen:
        rows = ElasticIP.objects.filter(pk=address.pk)
        outcome.extend(addresses.associate(rows, holder, context=request.context))
    return outcome


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.UNBIND, _HOME)
def disassociate(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound(dialog.rows)
    details = DetailsForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        note = _("From then on nothing is reached at this address. The EIP stays with the account.")
        return ask(dialog, "disassociate", details, note=note, bound=bound)
    outcome = addresses.disassociate(dialog.unchanged(bound), context=request.context)
    return report(dialog, "disassociate", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.REMOVE, _HOME)
def delete(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound(dialog.rows)
    details = RemoveForm(dialog.answers, scope=request.shell.scope, bound=bool(bound))
    if not details.is_valid():
        note = _("The address is given back, and cannot be had again.")
        return ask(dialog, "delete_addresses", details, note=note, bound=bound, danger=True)
    rows = dialog.unchanged(bound) if details.unbinds else dialog.chosen
    outcome = addresses.remove(rows, unbind=details.unbinds, context=request.context)
    return report(dialog, "delete_addresses", outcome)
