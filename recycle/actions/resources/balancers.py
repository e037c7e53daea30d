"""Load balancers: create them and their listeners, register and deregister real servers, delete."""

from collections.abc import Iterable, Sequence

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    No,
    each,
    event,
    is_too_much,
    lock,
    lock_instance,
    lock_instances_of,
    may,
    record,
    record_all,
    why_not_bind,
    why_not_unbind,
    why_not_unbind_all,
)
from recycle.lifecycle import ResourceAction
from recycle.models import Instance, Kind, Listener, LoadBalancer, RealServer
from recycle.policy import Refusal


def create(balancer: LoadBalancer, *, context: Context) -> Outcome:
    """Make a load balancer that is not saved yet, within the account's quota."""

    def step(balancer: LoadBalancer) -> No | None:
        if not may(context, balancer.account_id):
            return No(Refusal.ROLE)
        if Quota(balancer.account_id, lock=True).left_for(LoadBalancer) < 1:
            return No(Refusal.QUOTA)
        balancer.save(force_insert=True)
        record(
            context,
            ResourceAction.CREATE,
            Kind.LOAD_BALANCER,
            balancer,
            account_id=balancer.account_id,
        )
        return None

    return each(ResourceAction.CREATE, [balancer], context, step)


def create_listener(listener: Listener, *, context: Context) -> Outcome:
    """Make a listener that is not saved yet; its port is free on the load balancer."""

    def step(listener: Listener) -> No | None:
        balancer = lock(LoadBalancer.objects.all(), listener.load_balancer_id)
        if balancer is None:
            return No(Refusal.GONE)
        if not may(context, balancer.account_id):
            return No(Refusal.ROLE)
        same = balancer.listeners.filter(protocol=listener.protocol, port=listener.port).first()
        if same is not None:
            return No(Refusal.TAKEN, same)
        listener.save(force_insert=True)
        record(
            context,
            ResourceAction.CREATE,
            Kind.LISTENER,
            listener,
            account_id=balancer.account_id,
            load_balancer=str(balancer),
        )
        return None

    return each(ResourceAction.CREATE, [listener], context, step)


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
) -> Outcome:
    """Put instances behind a listener, each at its private IP and `port`."""

    def step(instance: Instance) -> No | None:
        if not may(context, instance.account_id):
            return No(Refusal.ROLE)
        target = lock_instance(instance.pk)
        # Locked, so that the listener does not go while somebody registers with it.
        found = lock(Listener.objects.select_related("load_balancer"), listener.pk)
        address = target.private_ip if target else ""
        servers = RealServer.objects.filter(listener=listener.pk, address=address, port=port)
        if no := why_not_register(
            found, target, same=servers.select_related("instance").first() if target else None
        ):
            return no
        assert target is not None
        assert found is not None
        balancer = found.load_balancer
        server = RealServer.objects.create(
            listener=found, instance=target, address=target.private_ip, port=port, weight=weight
        )
        record(
            context,
            ResourceAction.BIND,
            Kind.REAL_SERVER,
            server,
            account_id=target.account_id,
            instance=target,
            listener=str(found),
            load_balancer=str(balancer),
        )
        return None

    return each(ResourceAction.BIND, instances, context, step)


def deregister(servers: QuerySet[RealServer], *, context: Context) -> Outcome:
    def step(server: RealServer) -> No | None:
        if not may(context, server.instance.account_id):
            return No(Refusal.ROLE)
        instance = lock_instance(server.instance_id)
        locked = lock(RealServer.objects.all(), server.pk)
        if locked is None or instance is None:
            return No(Refusal.GONE)
        if no := why_not_unbind(instance):
            return no
        record(
            context,
            ResourceAction.UNBIND,
            Kind.REAL_SERVER,
            locked,
            account_id=instance.account_id,
            instance=instance,
            listener=str(server.listener),
            load_balancer=str(server.listener.load_balancer),
        )
        locked.delete()
        return None

    found = servers.select_related("instance", "listener__load_balancer")
    return each(ResourceAction.UNBIND, found, context, step)


def _servers(listeners: Sequence[Listener]) -> list[RealServer]:
    servers = RealServer.objects.filter(listener__in=listeners)
    return list(servers.select_related("instance", "listener__load_balancer").order_by("pk"))


def _record_unbound(servers: Iterable[RealServer], context: Context) -> None:
    """That they go with what they are behind is an event of each of their instances."""
    record_all(
        context,
        [
            event(
                context,
                ResourceAction.UNBIND,
                Kind.REAL_SERVER,
                server,
                account_id=server.instance.account_id,
                instance=server.instance,
                listener=str(server.listener),
                load_balancer=str(server.listener.load_balancer),
            )
            for server in servers
        ],
    )


def remove_listeners(
    listeners: QuerySet[Listener], *, context: Context, unbind: bool = False
) -> Outcome:
    """Delete listeners. One with real servers is refused, or with `unbind` these go with it."""

    def step(listener: Listener) -> No | None:
        account_id = listener.load_balancer.account_id
        if not may(context, account_id):
            return No(Refusal.ROLE)
        behind = RealServer.objects.filter(listener=listener.pk)
        if unbind and is_too_much(behind):
            return No(Refusal.TOO_WIDE)
        instances = lock_instances_of(behind) if unbind else set()
        # Here whoever registers at this moment is waited for.
        locked = lock(Listener.objects.select_related("load_balancer"), listener.pk)
        if locked is None:
            return No(Refusal.GONE)
        servers = _servers([locked])
        if no := why_not_unbind_all(servers, instances, unbind=unbind):
            return no
        _record_unbound(servers, context)
        record(
            context,
            ResourceAction.REMOVE,
            Kind.LISTENER,
            locked,
            account_id=account_id,
            load_balancer=str(listener.load_balancer),
            real_servers=[str(server) for server in servers],
        )
        locked.delete()
        return None

    return each(ResourceAction.REMOVE, listeners.select_related("load_balancer"), context, step)


def remove(balancers: QuerySet[LoadBalancer], *, context: Context, unbind: bool = False) -> Outcome:
    """Delete load balancers. One with real servers or an address is refused, or with `unbind`
    unbound first.
    """

    def step(balancer: LoadBalancer) -> No | None:
        if not may(context, balancer.account_id):
            return No(Refusal.ROLE)
        behind = RealServer.objects.filter(listener__load_balancer=balancer.pk)
        if unbind and is_too_much(behind, Listener.objects.filter(load_balancer=balancer.pk)):
            return No(Refusal.TOO_WIDE)
        instances = lock_instances_of(behind) if unbind else set()
        locked = lock(LoadBalancer.objects.all(), balancer.pk)
        if locked is None:
            return No(Refusal.GONE)
        # Here whoever registers at this moment is waited for.
        listeners = list(locked.listeners.select_for_update(no_key=True).order_by("pk"))
        servers = _servers(listeners)
        if no := why_not_unbind_all(servers, instances, unbind=unbind):
            return no
        bound = list(locked.elastic_ips.select_for_update(no_key=True).order_by("pk"))
        if bound and not unbind:
            return No(Refusal.BOUND, bound[0])
        _record_unbound(servers, context)
        locked.elastic_ips.update(load_balancer=None)
        record_all(
            context,
            [
                event(
                    context,
                    ResourceAction.UNBIND,
                    Kind.EIP,
                    address,
                    account_id=locked.account_id,
                    load_balancer=str(locked),
                )
                for address in bound
            ],
        )
        record(
            context,
            ResourceAction.REMOVE,
            Kind.LOAD_BALANCER,
            locked,
            account_id=locked.account_id,
            listeners=[
                str(listener) for listener in sorted(listeners, key=lambda listener: listener.port)
            ],
        )
        locked.delete()
        return None

    return each(ResourceAction.REMOVE, balancers, context, step)
