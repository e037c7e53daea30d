"""Load balancers: create them and their listeners, switch these on and off, register and deregister
real servers and weigh them, delete.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    Item,
    No,
    each,
    event,
    instances_of,
    is_too_much,
    look_up,
    look_up_instance,
    projects_of,
    record_all,
    record_one,
    why_not_bind,
    why_not_in,
    why_not_unbind,
    why_not_unbind_all,
)
from recycle.lifecycle import ResourceAction
from recycle.models import ElasticIP, Event, Instance, Kind, Listener, LoadBalancer, RealServer
from recycle.policy import Refusal


def create(balancer: LoadBalancer, *, context: Context, dry_run: bool = False) -> Outcome:
    """Make a load balancer that is not saved yet, within the account's quota."""

    def step(balancer: LoadBalancer) -> No | None:
        if Quota(balancer.account_id, lock=not dry_run).left_for(LoadBalancer) < 1:
            return No(Refusal.QUOTA)
        if no := why_not_in(balancer):
            return no
        if dry_run:
            return None
        balancer.save(force_insert=True)
        record_one(
            context,
            ResourceAction.CREATE,
            Kind.LOAD_BALANCER,
            balancer,
            account_id=balancer.account_id,
        )
        return None

    return each(ResourceAction.CREATE, [balancer], step, context=context, dry_run=dry_run)


def create_listener(listener: Listener, *, context: Context, dry_run: bool = False) -> Outcome:
    """Make a listener that is not saved yet; its port is free on the load balancer."""

    def step(listener: Listener) -> No | None:
        balancer = look_up(LoadBalancer.objects.all(), listener.load_balancer_id, lock=not dry_run)
        if balancer is None:
            return No(Refusal.GONE)
        same = balancer.listeners.filter(protocol=listener.protocol, port=listener.port).first()
        if same is not None:
            return No(Refusal.TAKEN, same)
        if dry_run:
            return None
        listener.save(force_insert=True)
        record_one(
            context,
            ResourceAction.CREATE,
            Kind.LISTENER,
            listener,
            account_id=balancer.account_id,
            load_balancer=str(balancer),
        )
        return None

    return each(
        ResourceAction.CREATE,
        [listener],
        step,
        context=context,
        dry_run=dry_run,
        account_of=attrgetter("load_balancer.account_id"),
    )


def switch(
    listeners: QuerySet[Listener], *, on: bool, context: Context, dry_run: bool = False
) -> Outcome:
    """Let listeners answer, or answer nobody; what stands behind them stays registered."""
    action = ResourceAction.ENABLE if on else ResourceAction.DISABLE

    def step(listener: Listener) -> No | None:
        locked = look_up(
            Listener.objects.select_related("load_balancer"), listener.pk, lock=not dry_run
        )
        if locked is None:
            return No(Refusal.GONE)
        if locked.enabled == on:
            return No(Refusal.AS_ASKED)
        if dry_run:
            return None
        Listener.objects.filter(pk=locked.pk).update(enabled=on)
        record_one(
            context,
            action,
            Kind.LISTENER,
            locked,
            account_id=locked.load_balancer.account_id,
            load_balancer=str(locked.load_balancer),
        )
        return None

    return each(
        action,
        listeners.select_related("load_balancer"),
        step,
        context=context,
        dry_run=dry_run,
        account_of=attrgetter("load_balancer.account_id"),
    )


def why_not_register(
    listener: Listener | None, instance: Instance | None, *, same: RealServer | None
) -> No | None:
    """Why an instance cannot be put behind a listener, where `same` has its address and port
    already.
    """
    if (
        instance is None
        or listener is None
        or listener.load_balancer.account_id != instance.account_id
    ):
        return No(Refusal.GONE)
    if same is not None:
        return No(
            Refusal.ALREADY if same.instance_id == instance.pk else Refusal.PORT_TAKEN,
            same.instance,
        )
    if no := why_not_bind(instance):
        return no
    balancer = listener.load_balancer
    if balancer.region_id != instance.zone.region_id:
        return No(Refusal.OTHER_REGION, balancer)
    if (
        balancer.vpc_id is not None
        and instance.vpc_id is not None
        and balancer.vpc_id != instance.vpc_id
    ):
        return No(Refusal.OTHER_VPC, balancer)
    return None


def register(
    listener: Listener,
    instances: QuerySet[Instance],
    *,
    port: int,
    weight: int = 1,
    context: Context,
    dry_run: bool = False,
) -> Outcome:
    """Put instances behind a listener, each at its private IP and `port`."""
    # What a dry run would have registered before, by its address.
    given: dict[str, RealServer] = {}

    def step(instance: Instance) -> No | None:
        target = look_up_instance(instance.pk, lock=not dry_run)
        # Locked, so that the listener does not go while somebody registers with it.
        found = look_up(
            Listener.objects.select_related("load_balancer"), listener.pk, lock=not dry_run
        )
        address = target.private_ip if target else ""
        servers = RealServer.objects.filter(listener=listener.pk, address=address, port=port)
        same = servers.select_related("instance").first() if target else None
        if no := why_not_register(found, target, same=same or given.get(address)):
            return no
        assert target is not None
        if dry_run:
            given[address] = RealServer(instance=target)
            return None
        assert found is not None
        server = RealServer.objects.create(
            listener=found, instance=target, address=target.private_ip, port=port, weight=weight
        )
        record_all(context, [_server_event(context, ResourceAction.BIND, server, target)])
        return None

    bind = ResourceAction.BIND
    return each(bind, instances, step, context=context, dry_run=dry_run, other=listener)


def deregister(
    servers: QuerySet[RealServer], *, context: Context, dry_run: bool = False
) -> Outcome:
    """Take real servers from behind their listeners; the instances stay."""

    def step(server: RealServer) -> No | None:
        instance = look_up_instance(server.instance_id, lock=not dry_run)
        locked = look_up(RealServer.objects.all(), server.pk, lock=not dry_run)
        if locked is None or instance is None:
            return No(Refusal.GONE)
        if no := why_not_unbind(instance):
            return no
        if dry_run:
            return None
        record_all(context, [_server_event(context, ResourceAction.UNBIND, server, instance)])
        locked.delete()
        return None

    found = servers.select_related("instance", "listener__load_balancer")
    return each(
        ResourceAction.UNBIND,
        found,
        step,
        context=context,
        dry_run=dry_run,
        account_of=attrgetter("instance.account_id"),
    )


def weigh(
    servers: QuerySet[RealServer], *, weight: int, context: Context, dry_run: bool = False
) -> Outcome:
    """Let real servers take more or less beside the others behind their listener."""

    def step(server: RealServer) -> No | None:
        instance = look_up_instance(server.instance_id, lock=not dry_run)
        locked = look_up(RealServer.objects.all(), server.pk, lock=not dry_run)
        if locked is None or instance is None:
            return No(Refusal.GONE)
        if locked.weight == weight:
            return No(Refusal.AS_ASKED)
        if dry_run:
            return None
        RealServer.objects.filter(pk=locked.pk).update(weight=weight)
        told = _server_event(context, ResourceAction.WEIGH, server, instance)
        told.detail |= {"weight": weight, "weight_before": locked.weight}
        record_all(context, [told])
        return None

    found = servers.select_related("instance", "listener__load_balancer")
    return each(
        ResourceAction.WEIGH,
        found,
        step,
        context=context,
        dry_run=dry_run,
        account_of=attrgetter("instance.account_id"),
    )


def _all(rows: QuerySet[Item], *, lock: bool) -> list[Item]:
    return list(rows.select_for_update(no_key=True) if lock else rows)


def _servers(listeners: Sequence[Listener]) -> list[RealServer]:
    servers = RealServer.objects.filter(listener__in=listeners)
    return list(servers.select_related("instance", "listener__load_balancer").order_by("pk"))


def _server_event(
    context: Context, action: ResourceAction, server: RealServer, instance: Instance
) -> Event:
    """The event of a real server, which belongs to the log of its instance as well."""
    return event(
        context,
        action,
        Kind.REAL_SERVER,
        server,
        account_id=instance.account_id,
        instance=instance,
        listener=str(server.listener),
        load_balancer=str(server.listener.load_balancer),
    )


def _record_unbound(servers: Iterable[RealServer], context: Context) -> None:
    """Write that real servers go with what they stand behind."""
    unbind = ResourceAction.UNBIND
    record_all(
        context, [_server_event(context, unbind, server, server.instance) for server in servers]
    )


def remove_listeners(
    listeners: QuerySet[Listener], *, context: Context, dry_run: bool = False, unbind: bool = False
) -> Outcome:
    """Delete listeners. One with real servers is refused, or with `unbind` these go with it."""

    def step(listener: Listener) -> No | None:
        behind = RealServer.objects.filter(listener=listener.pk)
        if unbind and is_too_much(behind):
            return No(Refusal.TOO_WIDE)
        instances = instances_of(behind, lock=not dry_run) if unbind else set()
        # Here whoever registers at this moment is waited for.
        locked = look_up(
            Listener.objects.select_related("load_balancer"), listener.pk, lock=not dry_run
        )
        if locked is None:
            return No(Refusal.GONE)
        servers = _servers([locked])
        if no := why_not_unbind_all(servers, instances, unbind=unbind):
            return no
        if dry_run:
            return None
        _record_unbound(servers, context)
        record_one(
            context,
            ResourceAction.REMOVE,
            Kind.LISTENER,
            locked,
            account_id=listener.load_balancer.account_id,
            # It names them all: with one of another project, it is told to nobody restricted.
            beside=next((server for server in servers if len(projects_of(server)) > 1), None),
            load_balancer=str(listener.load_balancer),
            real_servers=[str(server) for server in servers],
        )
        locked.delete()
        return None

    return each(
        ResourceAction.REMOVE,
        listeners.select_related("load_balancer"),
        step,
        context=context,
        dry_run=dry_run,
        account_of=attrgetter("load_balancer.account_id"),
    )


def remove(
    balancers: QuerySet[LoadBalancer],
    *,
    unbind: bool = False,
    context: Context,
    dry_run: bool = False,
) -> Outcome:
    """Delete load balancers. One with real servers or an address is refused, or with `unbind`
    unbound first.
    """

    def step(balancer: LoadBalancer) -> No | None:
        behind = RealServer.objects.filter(listener__load_balancer=balancer.pk)
        if unbind and is_too_much(behind, Listener.objects.filter(load_balancer=balancer.pk)):
            return No(Refusal.TOO_WIDE)
        instances = instances_of(behind, lock=not dry_run) if unbind else set()
        locked = look_up(LoadBalancer.objects.all(), balancer.pk, lock=not dry_run)
        if locked is None:
            return No(Refusal.GONE)
        # Here whoever registers at this moment is waited for.
        listeners = _all(locked.listeners.order_by("pk"), lock=not dry_run)
        servers = _servers(listeners)
        if no := why_not_unbind_all(servers, instances, unbind=unbind):
            return no
        bound = _all(locked.elastic_ips.order_by("pk"), lock=not dry_run)
        if bound and not unbind:
            return No(Refusal.BOUND, bound[0])
        if dry_run:
            return None
        _record_unbound(servers, context)
        _unbind_addresses(locked, bound, context)
        record_one(
            context,
            ResourceAction.REMOVE,
            Kind.LOAD_BALANCER,
            locked,
            account_id=locked.account_id,
            listeners=[str(listener) for listener in sorted(listeners, key=attrgetter("port"))],
        )
        locked.delete()
        return None

    return each(ResourceAction.REMOVE, balancers, step, context=context, dry_run=dry_run)


def _unbind_addresses(
    balancer: LoadBalancer, addresses: Iterable[ElasticIP], context: Context
) -> None:
    """Take the addresses of a load balancer off it, and write an event for each."""
    balancer.elastic_ips.update(load_balancer=None)
    record_all(
        context,
        [
            event(
                context,
                ResourceAction.UNBIND,
                Kind.EIP,
                address,
                account_id=balancer.account_id,
                beside=balancer,
                load_balancer=str(balancer),
            )
            for address in addresses
        ],
    )
