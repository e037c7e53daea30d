"""Load balancers: the list, the page of one with its listeners and real servers, and what people do
to them.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import (
    Count,
    Model,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    prefetch_related_objects,
)
from django.db.models.functions import Coalesce
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Outcome
from recycle.actions.limits import Limit
from recycle.actions.resources import balancers
from recycle.forms.resources import (
    BalancerFilter,
    BalancerForm,
    DetailsForm,
    ListenerForm,
    RegisterForm,
    RegisterInstancesForm,
    RemoveForm,
    WeightForm,
)
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import (
    ElasticIP,
    Instance,
    Kind,
    Listener,
    LoadBalancer,
    RealServer,
)
from recycle.models.tenancy import OfBalancerQuerySet, OfInstanceQuerySet, OwnedQuerySet
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

_HOME = "recycle:balancers"
# Real servers of one listener on its load balancer's page, and of all in a dialog.
SERVERS, BOUND = 100, 500
_EXPORT = (
    (gettext_lazy("Load balancer ID"), "pk"),
    (gettext_lazy("Name"), "name"),
    (gettext_lazy("Type"), "get_type_display"),
    (gettext_lazy("EIP"), "eip"),
    (gettext_lazy("Listeners"), "listener_count"),
    (gettext_lazy("Backend servers"), "server_count"),
    (gettext_lazy("VPC"), "vpc_id"),
    (gettext_lazy("Region"), "region_id"),
    (gettext_lazy("Project ID"), "project_number"),
    (gettext_lazy("Created"), "created_at"),
)


# What the list says around its rows, and the buttons over it: address, label, whether it deletes.
_ABOUT = {
    "picture": "balancer",
    "group": gettext_lazy("Network"),
    "title": gettext_lazy("Load Balancer"),
    "tip": gettext_lazy(
        "A load balancer has listeners, and each listener its backend servers. An instance that "
        "moves to the recycle bin is deregistered; a restore does not register it again."
    ),
    "search": gettext_lazy("ID, name or EIP"),
    "empty": gettext_lazy(
        "This account has no load balancers yet. Create one, then a listener, and register "
        "instances."
    ),
    "create": "recycle:create_balancer",
    "create_label": gettext_lazy("Create Load Balancer"),
    "batch": [
        ("recycle:move_balancers", ResourceAction.MOVE.label, False),
        ("recycle:delete_balancers", gettext_lazy("Delete"), True),
    ],
}


def _rows(request: Request) -> OwnedQuerySet[LoadBalancer]:
    return LoadBalancer.objects.visible_to(request.user).of(request.shell.account)


def _counted(request: Request) -> QuerySet[Any, Any]:
    """Each load balancer with its EIP and the numbers of its listeners and real servers."""
    listeners = (
        Listener.objects.filter(load_balancer=OuterRef("pk")).order_by().values("load_balancer")
    )
    user = request.user
    servers, bound = RealServer.objects.all(), ElasticIP.objects.all()
    if user.restrictions:
        servers, bound = servers.visible_to(user), bound.visible_to(user)
    servers = servers.filter(listener__load_balancer=OuterRef("pk")).order_by()
    bound = bound.filter(load_balancer=OuterRef("pk")).order_by("pk")
    return _rows(request).annotate(
        eip=Subquery(bound.values("address")[:1]),
        eip_id=Subquery(bound.values("pk")[:1]),
        listener_count=Coalesce(Subquery(listeners.annotate(n=Count("pk")).values("n")), 0),
        server_count=Coalesce(
            Subquery(servers.values("listener__load_balancer").annotate(n=Count("pk")).values("n")),
            0,
        ),
    )


def _listeners(request: Request) -> OfBalancerQuerySet[Listener]:
    return (
        Listener.objects.visible_to(request.user)
        .of(request.shell.account)
        .select_related("load_balancer")
    )


def _servers(request: Request) -> OfInstanceQuerySet[RealServer]:
    rows = RealServer.objects.visible_to(request.user).of(request.shell.account)
    return rows.select_related("instance", "listener__load_balancer")


def _bound(request: Request, rows: Sequence[LoadBalancer]) -> Bound:
    """The EIPs of load balancers and the instances behind them."""
    found: dict[Any, dict[Any, Model]] = defaultdict(dict)
    eips = ElasticIP.objects.visible_to(request.user).filter(load_balancer__in=rows)
    for address in eips.order_by("pk"):
        found[address.load_balancer_id][address.pk] = address
    servers = RealServer.objects.visible_to(request.user)
    servers = servers.filter(listener__load_balancer__in=rows)
    servers = servers.select_related("instance", "listener")
    for server in servers.order_by("pk")[:BOUND]:
        found[server.listener.load_balancer_id][server.instance_id] = server.instance
    return {pk: list(each.values()) for pk, each in found.items()}


def _bound_listeners(request: Request, rows: Sequence[Listener]) -> Bound:
    found: dict[Any, dict[Any, Model]] = defaultdict(dict)
    for server in _servers(request).filter(listener__in=rows).order_by("pk")[:BOUND]:
        found[server.listener_id][server.instance_id] = server.instance
    return {pk: list(each.values()) for pk, each in found.items()}


def _bound_servers(rows: Sequence[RealServer]) -> Bound:
    return {row.pk: [row.instance, row.listener.load_balancer, row.listener] for row in rows}


@require_GET
def index(request: Request) -> HttpResponse:
    form = BalancerFilter(request.GET, scope=request.shell.scope)
    export = "recycle:export_balancers"
    return show_list(request, "balancers", form, _counted(request), about=_ABOUT, export=export)


@require_GET
def export(request: Request) -> HttpResponseBase:
    form = BalancerFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, "load-balancers", form, _counted(request), _EXPORT)


@require_GET
def detail(request: Request, pk: UUID, listener: UUID | None = None) -> HttpResponse:
    """A load balancer with its listeners, and what stands behind one of them: the first, if none is
    named.
    """
    balancer = find(request, _counted(request), pk)
    user, counted = request.user, Q()
    if user.restrictions:
        counted = Q(real_servers__in=RealServer.objects.visible_to(user))
        seen = ElasticIP.objects.visible_to(user)
        prefetch_related_objects([balancer], Prefetch("elastic_ips", seen))
    listeners = list(
        balancer.listeners.annotate(server_count=Count("real_servers", filter=counted)).order_by(
            "port", "protocol"
        )
    )
    shown = next((each for each in listeners if listener in (None, each.pk)), None)
    if shown is None and listener is not None:
        # It has been deleted since.
        return redirect("recycle:balancer", pk)
    servers: list[RealServer] = []
    if shown:
        behind = shown.real_servers.all()
        if user.restrictions:
            behind = behind.visible_to(user)
        behind = behind.select_related("instance").order_by("address", "port", "pk")
        servers = list(behind[:SERVERS])
    kinds = [Kind.LOAD_BALANCER, Kind.LISTENER, Kind.REAL_SERVER]
    also = [*listeners, *servers]
    context = {"listeners": listeners, "shown": shown, "servers": servers, "keep": ()}
    return show_detail(request, "balancers/detail.html", balancer, kinds, also, **context)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.CREATE, _HOME)
def create(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME)
    if not dialog.is_valid():
        return dialog.refuse()
    details = BalancerForm(dialog.answers, scope=request.shell.scope)
    if details.is_valid():
        balancer = details.new()
        if LoadBalancer.objects.filter(pk=balancer.pk).exists():
            return report_made_already(dialog)
        outcome = balancers.create(balancer, context=request.context)
        if outcome.done:
            return report_made(dialog, "create_balancer", balancer)
        add_reasons(details, outcome)
    return ask(dialog, "create_balancer", details, uses=limits(request, Limit.LOAD_BALANCERS))


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.CREATE, _HOME)
def create_listener(request: Request, pk: UUID) -> HttpResponse:
    balancer = find(request, _rows(request), pk)
    dialog = Dialog(request, _HOME)
    if not dialog.is_valid():
        return dialog.refuse()
    details = ListenerForm(dialog.answers, scope=request.shell.scope)
    if details.is_valid():
        listener = details.new(balancer)
        if Listener.objects.filter(pk=listener.pk).exists():
            return report_made_already(dialog)
        outcome = balancers.create_listener(listener, context=request.context)
        if outcome.done:
            return report_made(dialog, "create_listener", listener)
        add_reasons(details, outcome)
    return ask(dialog, "create_listener", details)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.REMOVE, _HOME)
def delete(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound(request, dialog.rows)
    details = RemoveForm(dialog.answers, scope=request.shell.scope, bound=bool(bound))
    if not details.is_valid():
        note = _("Its listeners go with it. This cannot be undone.")
        return ask(dialog, "delete_balancers", details, note=note, bound=bound, danger=True)
    rows = dialog.unchanged(bound) if details.unbinds else dialog.chosen
    outcome = balancers.remove(rows, unbind=details.unbinds, context=request.context)
    return report(dialog, "delete_balancers", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.ENABLE, _HOME)
def enable(request: Request) -> HttpResponse:
    return _switch(request, "enable_listeners", on=True)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.DISABLE, _HOME)
def disable(request: Request) -> HttpResponse:
    note = _("It answers nobody until it is enabled. What stands behind it stays registered.")
    return _switch(request, "disable_listeners", on=False, note=note)


def _switch(request: Request, name: str, *, on: bool, note: str = "") -> HttpResponse:
    dialog = Dialog(request, _HOME, _listeners(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = DetailsForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        return ask(dialog, name, details, note=note)
    return report(dialog, name, balancers.switch(dialog.chosen, on=on, context=request.context))


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.REMOVE, _HOME)
def delete_listeners(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _listeners(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound_listeners(request, dialog.rows)
    details = RemoveForm(dialog.answers, scope=request.shell.scope, bound=bool(bound))
    if not details.is_valid():
        return ask(dialog, "delete_listeners", details, bound=bound, danger=True)
    rows = dialog.unchanged(bound) if details.unbinds else dialog.chosen
    outcome = balancers.remove_listeners(rows, unbind=details.unbinds, context=request.context)
    return report(dialog, "delete_listeners", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, _HOME)
def register(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _listeners(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = RegisterForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        note = _(
            "At its private IP. It has to be running or stopped, and in the load balancer's region "
            "and VPC."
        )
        return ask(dialog, "register", details, note=note)
    data = details.cleaned_data
    outcome = Outcome(ResourceAction.BIND, request.context.batch)
    instances = Instance.objects.filter(pk=data["other"].pk)
    for listener in dialog.chosen:
        outcome.extend(
            balancers.register(
                listener,
                instances,
                port=data["port"],
                weight=data["weight"],
                context=request.context,
            )
        )
    return report(dialog, "register", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, "recycle:instances")
def register_instances(request: Request) -> HttpResponse:
    """Register instances that were named with one listener."""
    instances = request.shell.instances().select_related("zone")
    dialog = Dialog(request, "recycle:instances", instances)
    if not dialog.is_valid():
        return dialog.refuse()
    details = RegisterInstancesForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        note = _("Each at its private IP. The load balancer has to be in the same region and VPC.")
        return ask(dialog, "register_instances", details, note=note)
    data = details.cleaned_data
    outcome = balancers.register(
        data["other"],
        dialog.chosen,
        port=data["port"],
        weight=data["weight"],
        context=request.context,
    )
    return report(dialog, "register_instances", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.UNBIND, _HOME)
def deregister(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _servers(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound_servers(dialog.rows)
    details = DetailsForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        note = _("The load balancer sends it nothing any more.")
        return ask(dialog, "deregister", details, note=note, bound=bound)
    outcome = balancers.deregister(dialog.unchanged(bound), context=request.context)
    return report(dialog, "deregister", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.WEIGH, _HOME)
def weigh(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _servers(request))
    if not dialog.is_valid():
        return dialog.refuse()
    weights = {server.weight for server in dialog.rows}
    initial = {"weight": weights.pop() if len(weights) == 1 else None}
    details = WeightForm(dialog.answers, scope=request.shell.scope, initial=initial)
    if not details.is_valid():
        note = _("Of what reaches the listener it takes a share as large as its weight.")
        return ask(dialog, "weigh", details, note=note, bound=_bound_servers(dialog.rows))
    weight = details.cleaned_data["weight"]
    outcome = balancers.weigh(dialog.chosen, weight=weight, context=request.context)
    return report(dialog, "weigh", outcome)
