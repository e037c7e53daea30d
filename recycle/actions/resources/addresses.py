"""Elastic IPs: allocate, associate with an instance or a load balancer, disassociate, release."""

import random
from ipaddress import IPv4Network

from django.db import IntegrityError
from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    No,
    each,
    lock,
    lock_instance,
    may,
    record,
    why_not_bind,
    why_not_unbind,
)
from recycle.lifecycle import ResourceAction
from recycle.models import ElasticIP, Instance, Kind, LoadBalancer
from recycle.policy import Refusal

# Where public addresses come from. The vendor's pools are its own; this one is ours.
PUBLIC = IPv4Network("120.92.0.0/14")
# So often some are drawn before the pool counts as used up.
ROUNDS = 50


def free_public(count: int) -> list[str]:
    """So many public addresses that nobody has at this moment; their constraint tells when somebody
    was quicker.
    """
    chance = random.SystemRandom()
    found: dict[str, None] = {}
    for _ in range(ROUNDS):
        if len(found) >= count:
            return list(found)[:count]
        drawn = [
            str(PUBLIC[chance.randrange(256, PUBLIC.num_addresses - 1)]) for _ in range(2 * count)
        ]
        taken = set(ElasticIP.objects.filter(address__in=drawn).values_list("address", flat=True))
        found |= dict.fromkeys(address for address in drawn if address not in taken)
    raise IntegrityError("no public address is free")


def create(address: ElasticIP, *, context: Context) -> Outcome:
    """Make an address that is not saved yet, within the account's quota: the one it has, or any
    that is free.
    """

    def step(address: ElasticIP) -> No | None:
        if not may(context, address.account_id):
            return No(Refusal.ROLE)
        if Quota(address.account_id, lock=True).left_for(ElasticIP) < 1:
            return No(Refusal.QUOTA)
        address.address = address.address or free_public(1)[0]
        address.save(force_insert=True)
        record(context, ResourceAction.CREATE, Kind.EIP, address, account_id=address.account_id)
        return None

    return each(ResourceAction.CREATE, [address], context, step)


def associate(
    addresses: QuerySet[ElasticIP], target: Instance | LoadBalancer, *, context: Context
) -> Outcome:
    """Bind addresses to an instance, which takes one, or to a load balancer of their region. Never
    takes one away.
    """

    def step(address: ElasticIP) -> No | None:
        if not may(context, address.account_id):
            return No(Refusal.ROLE)
        if isinstance(target, Instance):
            return _to_instance(address, target, context)
        return _to_balancer(address, target, context)

    return each(ResourceAction.BIND, addresses, context, step)


def why_not_associate(
    address: ElasticIP | None, instance: Instance | None, *, has_one: bool
) -> No | None:
    """Why an address cannot be bound to an instance, of which `has_one` says whether it has an
    address.
    """
    if instance is None or address is None or address.account_id != instance.account_id:
        return No(Refusal.GONE)
    if address.instance_id == instance.pk:
        return No(Refusal.ALREADY, instance)
    if taker := address.instance or address.load_balancer:
        return No(Refusal.TAKEN, taker)
    if no := why_not_bind(instance):
        return no
    if address.region_id != instance.zone.region_id:
        return No(Refusal.OTHER_REGION, instance)
    return No(Refusal.TOO_MANY, instance) if has_one else None


def _to_instance(address: ElasticIP, target: Instance, context: Context) -> No | None:
    instance = lock_instance(target.pk)
    locked = lock(ElasticIP.objects.all(), address.pk)
    has_one = ElasticIP.objects.filter(instance=target.pk).exists()
    if no := why_not_associate(locked, instance, has_one=has_one):
        return no
    assert instance is not None
    assert locked is not None
    locked.instance = instance
    locked.save(update_fields=["instance", "zone"])
    record(
        context,
        ResourceAction.BIND,
        Kind.EIP,
        locked,
        account_id=locked.account_id,
        instance=instance,
    )
    return None


def _to_balancer(address: ElasticIP, target: LoadBalancer, context: Context) -> No | None:
    balancer = lock(LoadBalancer.objects.filter(account=address.account_id), target.pk)
    if balancer is None:
        return No(Refusal.GONE)
    locked = lock(ElasticIP.objects.all(), address.pk)
    if locked is None:
        return No(Refusal.GONE)
    if locked.load_balancer_id == balancer.pk:
        return No(Refusal.ALREADY, balancer)
    if taker := locked.instance or locked.load_balancer:
        return No(Refusal.TAKEN, taker)
    if locked.region_id != balancer.region_id:
        return No(Refusal.OTHER_REGION, balancer)
    if balancer.elastic_ips.exists():
        return No(Refusal.TOO_MANY, balancer)
    locked.load_balancer = balancer
    locked.save(update_fields=["load_balancer"])
    record(
        context,
        ResourceAction.BIND,
        Kind.EIP,
        locked,
        account_id=locked.account_id,
        load_balancer=str(balancer),
    )
    return None


def disassociate(addresses: QuerySet[ElasticIP], *, context: Context) -> Outcome:
    return each(
        ResourceAction.UNBIND, addresses, context, lambda address: _disassociate(address, context)
    )


def _disassociate(address: ElasticIP, context: Context) -> No | None:
    if not may(context, address.account_id):
        return No(Refusal.ROLE)
    instance = lock_instance(address.instance_id)
    locked = lock(ElasticIP.objects.all(), address.pk)
    if locked is None:
        return No(Refusal.GONE)
    if locked.instance_id is None and locked.load_balancer_id is None:
        return No(Refusal.NOT_BOUND)
    if (
        locked.instance_id != address.instance_id
        or locked.load_balancer_id != address.load_balancer_id
    ):
        return No(Refusal.CHANGED)
    if instance is not None and (no := why_not_unbind(instance)):
        return no
    detail = {"load_balancer": str(locked.load_balancer)} if locked.load_balancer else {}
    locked.instance = locked.load_balancer = None
    locked.save(update_fields=["instance", "zone", "load_balancer"])
    record(
        context,
        ResourceAction.UNBIND,
        Kind.EIP,
        locked,
        account_id=locked.account_id,
        instance=instance,
        **detail,
    )
    return None


def remove(addresses: QuerySet[ElasticIP], *, context: Context, unbind: bool = False) -> Outcome:
    """Release addresses for good. A bound one is refused, or with `unbind` disassociated first."""

    def step(address: ElasticIP) -> No | None:
        if not may(context, address.account_id):
            return No(Refusal.ROLE)
        if taker := address.instance or address.load_balancer:
            if not unbind:
                return No(Refusal.BOUND, taker)
            if no := _disassociate(address, context):
                return no
        locked = lock(ElasticIP.objects.all(), address.pk)
        if locked is None:
            return No(Refusal.GONE)
        if taker := locked.instance or locked.load_balancer:
            return No(Refusal.BOUND, taker)
        record(context, ResourceAction.REMOVE, Kind.EIP, locked, account_id=locked.account_id)
        locked.delete()
        return None

    return each(
        ResourceAction.REMOVE, addresses.select_related("instance", "load_balancer"), context, step
    )
