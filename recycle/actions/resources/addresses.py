"""Elastic IPs: allocate, associate with an instance or a load balancer, disassociate, release."""

import random
from ipaddress import IPv4Network
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    No,
    each,
    look_up,
    look_up_instance,
    record_one,
    why_not_bind,
    why_not_in,
    why_not_unbind,
)
from recycle.lifecycle import ResourceAction
from recycle.models import ElasticIP, Instance, Kind, LoadBalancer
from recycle.policy import Refusal

# Where public addresses come from. The vendor's pools are its own; this one is ours.
PUBLIC = IPv4Network("120.92.0.0/14")
# How often addresses are drawn before the pool counts as used up.
ROUNDS = 50


def free_public(count: int) -> list[str]:
    """Return `count` public addresses that nobody has at this moment; their constraint tells when
    somebody was quicker. IntegrityError when the pool has so many no more.
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


def create(address: ElasticIP, *, context: Context, dry_run: bool = False) -> Outcome:
    """Make an address that is not saved yet, within the account's quota: the one it has, or any
    that is free.
    """

    def step(address: ElasticIP) -> No | None:
        if Quota(address.account_id, lock=not dry_run).left_for(ElasticIP) < 1:
            return No(Refusal.QUOTA)
        if no := why_not_in(address):
            return no
        if dry_run:
            return None
        address.address = address.address or free_public(1)[0]
        address.save(force_insert=True)
        record_one(context, ResourceAction.CREATE, Kind.EIP, address, account_id=address.account_id)
        return None

    return each(ResourceAction.CREATE, [address], step, context=context, dry_run=dry_run)


def associate(
    addresses: QuerySet[ElasticIP],
    target: Instance | LoadBalancer,
    *,
    context: Context,
    dry_run: bool = False,
) -> Outcome:
    """Bind addresses to an instance, which takes one, or to a load balancer of their region. Never
    takes one away.
    """
    # The address that a dry run would have given to the target before.
    given: list[ElasticIP] = []

    def step(address: ElasticIP) -> No | None:
        taker: Instance | LoadBalancer | None = (
            look_up_instance(target.pk, lock=not dry_run)
            if isinstance(target, Instance)
            else look_up(LoadBalancer.objects.all(), target.pk, lock=not dry_run)
        )
        locked = look_up(ElasticIP.objects.all(), address.pk, lock=not dry_run)
        has_one = bool(given) or (taker is not None and taker.elastic_ips.exists())
        if no := why_not_associate(locked, taker, has_one=has_one):
            return no
        assert locked is not None
        if dry_run:
            given.append(locked)
        else:
            _associate(locked, taker, context)
        return None

    bind = ResourceAction.BIND
    return each(bind, addresses, step, context=context, dry_run=dry_run, other=target)


def why_not_associate(
    address: ElasticIP | None, taker: Instance | LoadBalancer | None, *, has_one: bool
) -> No | None:
    """Why an address cannot be bound to an instance or a load balancer, of which `has_one` says
    whether it has an address.
    """
    if taker is None or address is None or address.account_id != taker.account_id:
        return No(Refusal.GONE)
    if taker in (address.instance, address.load_balancer):
        return No(Refusal.ALREADY, taker)
    if other := address.instance or address.load_balancer:
        return No(Refusal.TAKEN, other)
    if isinstance(taker, Instance) and (no := why_not_bind(taker)):
        return no
    place = taker.zone if isinstance(taker, Instance) else taker
    if address.region_id != place.region_id:
        return No(Refusal.OTHER_REGION, taker)
    return No(Refusal.TOO_MANY, taker) if has_one else None


def _associate(address: ElasticIP, taker: Instance | LoadBalancer | None, context: Context) -> None:
    if isinstance(taker, Instance):
        address.instance = taker
        address.save(update_fields=["instance", "zone"])
        about: dict[str, Any] = {"instance": taker}
    else:
        address.load_balancer = taker
        address.save(update_fields=["load_balancer"])
        about = {"load_balancer": str(taker), "beside": taker}
    account_id = address.account_id
    record_one(context, ResourceAction.BIND, Kind.EIP, address, account_id=account_id, **about)


def disassociate(
    addresses: QuerySet[ElasticIP], *, context: Context, dry_run: bool = False
) -> Outcome:
    """Take addresses off what they are bound to; the account keeps them."""

    def step(address: ElasticIP) -> No | None:
        instance = look_up_instance(address.instance_id, lock=not dry_run)
        locked = look_up(ElasticIP.objects.all(), address.pk, lock=not dry_run)
        if no := _why_not_disassociate(address, locked, instance):
            return no
        if not dry_run:
            _disassociate(locked, instance, context)
        return None

    return each(ResourceAction.UNBIND, addresses, step, context=context, dry_run=dry_run)


def _why_not_disassociate(
    chosen: ElasticIP, address: ElasticIP | None, instance: Instance | None
) -> No | None:
    """Why an address cannot be taken off what it was on when it was `chosen`; `instance` is that,
    or None for a load balancer.
    """
    if address is None:
        return No(Refusal.GONE)
    if address.instance_id is None and address.load_balancer_id is None:
        return No(Refusal.NOT_BOUND)
    if (
        address.instance_id != chosen.instance_id
        or address.load_balancer_id != chosen.load_balancer_id
    ):
        return No(Refusal.CHANGED)
    return why_not_unbind(instance) if instance is not None else None


def _disassociate(address: ElasticIP | None, instance: Instance | None, context: Context) -> None:
    assert address is not None
    balancer = address.load_balancer
    detail = {"load_balancer": str(balancer)} if balancer else {}
    address.instance = address.load_balancer = None
    address.save(update_fields=["instance", "zone", "load_balancer"])
    record_one(
        context,
        ResourceAction.UNBIND,
        Kind.EIP,
        address,
        account_id=address.account_id,
        instance=instance,
        beside=balancer,
        **detail,
    )


def remove(
    addresses: QuerySet[ElasticIP],
    *,
    unbind: bool = False,
    context: Context,
    dry_run: bool = False,
) -> Outcome:
    """Release addresses for good. A bound one is refused, or with `unbind` disassociated first."""

    def step(address: ElasticIP) -> No | None:
        taker = address.instance or address.load_balancer
        if taker and not unbind:
            return No(Refusal.BOUND, taker)
        instance = look_up_instance(address.instance_id, lock=not dry_run)
        locked = look_up(ElasticIP.objects.all(), address.pk, lock=not dry_run)
        if locked is None:
            return No(Refusal.GONE)
        if taker and (no := _why_not_disassociate(address, locked, instance)):
            return no
        if not taker and (taken_by := locked.instance or locked.load_balancer):
            # It came after the person had said yes.
            return No(Refusal.BOUND, taken_by)
        if dry_run:
            return None
        if taker:
            _disassociate(locked, instance, context)
        record_one(context, ResourceAction.REMOVE, Kind.EIP, locked, account_id=locked.account_id)
        locked.delete()
        return None

    chosen = addresses.select_related("instance", "load_balancer")
    return each(ResourceAction.REMOVE, chosen, step, context=context, dry_run=dry_run)
