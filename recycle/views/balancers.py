"""Load balancers: the list, the page of one with its listeners and real servers, and what people do
to them.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Model, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Context, Outcome
from recycle.actions.limits import Limit
from recycle.actions.resources import balancers
from recycle.forms.resources import (
    BalancerFilter,
    BalancerForm,
    ListenerForm,
    RegisterForm,
    RegisterInstancesForm,
    RemoveForm,
)
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import (
    Account,
    ElasticIP,
    Instance,
    InstanceQuerySet,
    Kind,
    Listener,
    LoadBalancer,
    RealServer,
)
from recycle.models.tenancy import OfBalancerQuerySet, OfInstanceQuerySet, OwnedQuerySet
from recycle.views.lists import stream_csv
from recycle.views.resources import Listing, Maker, Verb, act, make, show, show_detail
from recycle.views.resources.dialog import Bound, removal
from recycle.views.scope import find

HOME = "recycle:balancers"
# Real servers of one listener on its load balancer's page, and of all in a dialog.
SERVERS, BOUND = 100, 500
EXPORT = (
    (gettext_lazy("Load balancer ID"), lambda row: row.pk),
    (gettext_lazy("Name"), lambda row: row.name),
    (gettext_lazy("Type"), lambda row: row.get_type_display()),
    (gettext_lazy("EIP"), lambda row: row.eip),
    (gettext_lazy("Listeners"), lambda row: row.listener_count),
    (gettext_lazy("Real servers"), lambda row: row.server_count),
    (gettext_lazy("VPC"), lambda row: row.vpc_id),
    (gettext_lazy("Region"), lambda row: row.region_id),
    (gettext_lazy("Created"), lambda row: row.created_at),
)


def _rows(request: Request) -> OwnedQuerySet[LoadBalancer]:
    return LoadBalancer.objects.visible_to(request.user).of(request.shell.account)


def _counted(request: Request) -> QuerySet[Any, Any]:
    """With its EIP, and how many listeners and real servers it has."""
    listeners = (
        Listener.objects.filter(load_balancer=OuterRef("pk")).order_by().values("load_balancer")
    )
    servers = RealServer.objects.filter(listener__load_balancer=OuterRef("pk")).order_by()
    bound = ElasticIP.objects.filter(load_balancer=OuterRef("pk")).order_by("pk")
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


def _bound(rows: Sequence[LoadBalancer]) -> Bound:
    """The EIPs of load balancers and the instances behind them."""
    found: dict[Any, dict[Any, Model]] = defaultdict(dict)
    for address in ElasticIP.objects.filter(load_balancer__in=rows).order_by("pk"):
        found[address.load_balancer_id][address.pk] = address
    servers = RealServer.objects.filter(listener__load_balancer__in=rows).select_related(
        "instance", "listener"
    )
    for server in servers.order_by("pk")[:BOUND]:
        found[server.listener.load_balancer_id][server.instance_id] = server.instance
    return {pk: list(each.values()) for pk, each in found.items()}


def _bound_listeners(rows: Sequence[Listener]) -> Bound:
    found: dict[Any, dict[Any, Model]] = defaultdict(dict)
    for server in (
        RealServer.objects.filter(listener__in=rows)
        .select_related("instance")
        .order_by("pk")[:BOUND]
    ):
        found[server.listener_id][server.instance_id] = server.instance
    return {pk: list(each.values()) for pk, each in found.items()}


def _register(
    rows: OfBalancerQuerySet[Listener], answered: dict[str, Any], context: Context
) -> Outcome:
    outcome = Outcome(ResourceAction.BIND, context.batch)
    instances = Instance.objects.filter(pk=answered["other"].pk)
    for listener in rows:
        outcome.extend(_register_one(listener, instances, answered, context))
    return outcome


def _register_one(
    listener: Listener, instances: InstanceQuerySet, answered: dict[str, Any], context: Context
) -> Outcome:
    port, weight = answered["port"], answered["weight"]
    return balancers.register(listener, instances, port=port, weight=weight, context=context)


def _new(answered: dict[str, Any], account: Account, now: datetime) -> LoadBalancer:
    return LoadBalancer(
        account=account,
        region_id=answered["region"],
        name=answered["name"],
        type=answered["type"],
        vpc_id=answered["vpc_id"],
        created_at=now,
    )


CREATE = Maker(
    home=HOME,
    model=LoadBalancer,
    title=lambda: _("Create load balancer"),
    done=lambda: _("Created the load balancer"),
    details=BalancerForm,
    new=_new,
    carry_out=balancers.create,
    limits=(Limit.LOAD_BALANCERS,),
)
DELETE = Verb(
    url="recycle:delete_balancers",
    home=HOME,
    rows=_rows,
    title=lambda n: (
        ngettext("Delete %(n)d load balancer", "Delete %(n)d load balancers", n) % {"n": n}
    ),
    done=lambda n: (
        ngettext("Deleted %(n)d load balancer.", "Deleted %(n)d load balancers.", n) % {"n": n}
    ),
    note=lambda: _("Its listeners go with it. This cannot be undone."),
    details=RemoveForm,
    bound=_bound,
    carry_out=removal(balancers.remove),
    danger=True,
)
DELETE_LISTENERS = Verb(
    url="recycle:delete_listeners",
    home=HOME,
    rows=_listeners,
    title=lambda n: ngettext("Delete %(n)d listener", "Delete %(n)d listeners", n) % {"n": n},
    done=lambda n: ngettext("Deleted %(n)d listener.", "Deleted %(n)d listeners.", n) % {"n": n},
    details=RemoveForm,
    bound=_bound_listeners,
    carry_out=removal(balancers.remove_listeners),
    danger=True,
)
REGISTER = Verb(
    url="recycle:register",
    home=HOME,
    rows=_listeners,
    title=lambda n: _("Register an instance"),
    done=lambda n: (
        ngettext("Registered %(n)d real server.", "Registered %(n)d real servers.", n) % {"n": n}
    ),
    note=lambda: _(
        "At its private IP. It has to be running or stopped, and in the load balancer's region "
        "and VPC."
    ),
    details=RegisterForm,
    carry_out=_register,
)
REGISTER_INSTANCES = Verb(
    url="recycle:register_instances",
    home="recycle:instances",
    rows=lambda request: request.shell.instances().select_related("zone"),
    title=lambda n: (
        ngettext(
            "Register %(n)d instance with a listener", "Register %(n)d instances with a listener", n
        )
        % {"n": n}
    ),
    done=REGISTER.done,
    note=lambda: _(
        "Each at its private IP. The load balancer has to be in the same region and VPC."
    ),
    details=RegisterInstancesForm,
    carry_out=lambda rows, answered, context: _register_one(
        answered["other"], rows, answered, context
    ),
)
DEREGISTER = Verb(
    url="recycle:deregister",
    home=HOME,
    rows=_servers,
    title=lambda n: (
        ngettext("Deregister %(n)d real server", "Deregister %(n)d real servers", n) % {"n": n}
    ),
    done=lambda n: (
        ngettext("Deregistered %(n)d real server.", "Deregistered %(n)d real servers.", n)
        % {"n": n}
    ),
    note=lambda: _("The load balancer sends it nothing any more."),
    bound=lambda rows: {row.pk: [row.instance, row.listener.load_balancer] for row in rows},
    carry_out=lambda rows, answered, context: balancers.deregister(rows, context=context),
)
LIST = Listing(
    name="balancers",
    picture="balancer",
    group=gettext_lazy("Network"),
    title=gettext_lazy("Load Balancer"),
    tip=gettext_lazy(
        "A load balancer has listeners, and each listener its real servers. An instance that "
        "moves to the recycle bin "
        "is deregistered; a restore does not register it again."
    ),
    search=gettext_lazy("ID, name or EIP"),
    empty=gettext_lazy(
        "This account has no load balancers yet. Create one, then a listener, and register "
        "instances."
    ),
    create="recycle:create_balancer",
    create_label=gettext_lazy("Create Load Balancer"),
    batch=[("recycle:delete_balancers", gettext_lazy("Delete"), True)],
)


@require_GET
def index(request: Request) -> HttpResponse:
    return show(request, LIST, _counted(request))


@require_GET
def export(request: Request) -> HttpResponseBase:
    form = BalancerFilter(request.GET, request=request)
    return stream_csv(request, "load-balancers", form, _counted(request), EXPORT)


@require_GET
def detail(request: Request, pk: UUID) -> HttpResponse:
    balancer = find(request, _counted(request), pk)
    servers = RealServer.objects.select_related("instance").order_by("pk")[:SERVERS]
    listeners = list(
        balancer.listeners.annotate(server_count=Count("real_servers"))
        .prefetch_related(Prefetch("real_servers", servers, to_attr="servers"))
        .order_by("port", "protocol")
    )
    also = [*listeners, *(server for listener in listeners for server in listener.servers)]
    kinds = [Kind.LOAD_BALANCER, Kind.LISTENER, Kind.REAL_SERVER]
    return show_detail(
        request, "balancers/detail.html", balancer, kinds, also, listeners=listeners, keep=()
    )


@require_http_methods(["GET", "POST"])
def create(request: Request) -> HttpResponse:
    return make(request, CREATE, reverse("recycle:create_balancer"))


@require_http_methods(["GET", "POST"])
def create_listener(request: Request, pk: UUID) -> HttpResponse:
    balancer = find(request, _rows(request), pk)

    def new(answered: dict[str, Any], account: Account, now: datetime) -> Listener:
        return Listener(
            load_balancer=balancer,
            name=answered["name"],
            protocol=answered["protocol"],
            port=answered["port"],
            method=answered["method"],
            created_at=now,
        )

    maker = Maker(
        home=HOME,
        model=Listener,
        title=lambda: _("Create listener"),
        done=lambda: _("Created the listener"),
        details=ListenerForm,
        new=new,
        carry_out=balancers.create_listener,
    )
    return make(request, maker, reverse("recycle:create_listener", args=[pk]))


@require_http_methods(["GET", "POST"])
def delete(request: Request) -> HttpResponse:
    return act(request, DELETE)


@require_http_methods(["GET", "POST"])
def delete_listeners(request: Request) -> HttpResponse:
    return act(request, DELETE_LISTENERS)


@require_http_methods(["GET", "POST"])
def register(request: Request) -> HttpResponse:
    return act(request, REGISTER)


@require_http_methods(["GET", "POST"])
def register_instances(request: Request) -> HttpResponse:
    """From the side of the instances."""
    return act(request, REGISTER_INSTANCES)


@require_http_methods(["GET", "POST"])
def deregister(request: Request) -> HttpResponse:
    return act(request, DEREGISTER)
