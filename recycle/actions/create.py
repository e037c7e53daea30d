"""Create instances with their disks, addresses and tags: all that were asked for, or none and the
reasons.
"""

import secrets
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, ip_address
from itertools import count as count_from
from itertools import islice
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet

from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.limits import Limit, Quota, Room
from recycle.actions.outcome import Blocker, Done, Failed, Outcome, Refused
from recycle.actions.resources.addresses import free_public
from recycle.actions.resources.base import (
    No,
    blocker_of,
    event,
    look_up,
    why_not_in_project,
)
from recycle.actions.resources.volumes import MOUNT_POINTS
from recycle.lifecycle import ResourceAction, State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    InstanceType,
    Kind,
    Tag,
    Volume,
    Zone,
)
from recycle.models.project import project_label
from recycle.policy import DEFAULT_PROJECT, MOST_TAGS, POLICIES, Refusal
from recycle.terms import term

# How often an order is tried when somebody who holds no lock of ours takes an address.
TRIES = 3
# What the console's own names begin with.
UNNAMED = "KSC-IN-"


def numbered(name: str, first: int, count: int) -> list[str]:
    """The names of so many instances: web-01, web-02, ...; a single one has the name alone."""
    last = first + count - 1
    return [name] if count == 1 else in_series(name, range(first, last + 1), last=last)


def in_series(name: str, numbers: Iterable[int], *, last: int) -> list[str]:
    """The names with these numbers, all as wide as the last one of the series."""
    width = max(2, len(str(last)))
    return [f"{name}-{number:0{width}}" for number in numbers]


@dataclass(frozen=True, slots=True)
class Disk:
    type: str
    size_gb: int
    delete_with_instance: bool = False


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants made. The same `token` is carried out once, however often it is sent."""

    account: Account
    zone: Zone
    # What is made is in it: the instances, their volumes and their new addresses.
    project_number: int = DEFAULT_PROJECT
    instance_type: InstanceType
    billing_mode: str
    # How long a subscription is paid for; other billing modes have no term.
    months: int = 1
    image_id: str = ""
    image_name: str = ""
    system_disk: Disk = Disk("SSD3.0", 40)
    disks: Sequence[Disk] = ()
    # None asks for a new subnet.
    subnet_id: UUID | None = None
    vpc_id: UUID | None = None
    security_group_id: UUID | None = None
    # A free address of the account, or a new one for each instance with so many Mbps, or neither.
    address: ElasticIP | None = None
    bandwidth_mbps: int = 0
    tags: Sequence[Tag] = ()
    new_tags: Sequence[tuple[str, str]] = ()
    # Empty leaves the names to the console.
    name: str = ""
    # The number of the first instance, where several are made.
    number: int = 1
    count: int = 1
    protected: bool = False
    token: UUID = field(default_factory=uuid4)

    @property
    def expires(self) -> bool:
        return POLICIES[self.billing_mode].expires

    def ids(self) -> list[UUID]:
        return [uuid5(self.token, str(index)) for index in range(self.count)]

    def names(self) -> list[str]:
        if not self.name:
            return [f"{UNNAMED}{_letters(10)}" for _ in range(self.count)]
        return numbered(self.name, self.number, self.count)


def create(order: Order, *, context: Context, dry_run: bool = False) -> Outcome:
    """Make the instances, running, with all that is ordered for them, in one transaction; or
    nothing.
    """
    # An order that is sent again has the same batch.
    context = replace(context, batch=order.token)
    if dry_run:
        return _judge(order, context, lock_rows=False)[0]
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return tallied(_make(order, context), context.edge)
        except IntegrityError as error:
            # An address or a tag was taken by somebody who does not lock the account. Look again.
            if not left:
                outcome = Outcome(ResourceAction.CREATE, context.batch)
                outcome.failed.append(Failed(order.token, order.name, str(error)))
                return tallied(outcome, context.edge)
    raise AssertionError


def _letters(length: int) -> str:
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length))


def _judge(order: Order, context: Context, *, lock_rows: bool) -> tuple[Outcome, Order, list[str]]:
    """What stands in the way, the order with its rows as they are now, and the private addresses.

    Locks in the order of all actions: what will be bound, then zone and account.
    """
    outcome = Outcome(ResourceAction.CREATE, context.batch)
    refuse = outcome.refused.append
    account, project = order.account, order.project_number
    if not context.may(ResourceAction.CREATE, account.pk, project):
        refuse(Refused(account.pk, account.name, Refusal.ROLE))
        return outcome, order, []
    if no := why_not_in_project(account.pk, project):
        refuse(Refused(account.pk, project_label(project), no.refusal, Blocker.of(no.blocker)))
    if order.address:
        address = _address(order, lock_rows=lock_rows)
        if refused := _why_not_address(order, address, context):
            refuse(refused)
        order = replace(order, address=address)
    order, missing = _tags(order, lock_rows=lock_rows)
    outcome.refused += [Refused(tag.pk, str(tag), Refusal.GONE) for tag in missing]
    if order.new_tags and not context.may(ResourceAction.CREATE, account.pk):
        # The tags of an account are there for all of its projects.
        refuse(Refused(order.token, str(Limit.TAGS.label), Refusal.ROLE))
    outcome.refused += Room([order.zone.pk], lock=lock_rows).shorts(
        order.zone.pk, order.instance_type, order.count
    )
    quota = Quota(order.account.pk, lock=lock_rows)
    if Instance.objects.filter(pk=order.ids()[0]).exists():
        # It was sent twice. This is asked under the lock: of two at once, one is first.
        outcome.refused = [Refused(order.token, order.name, Refusal.ALREADY)]
        return outcome, order, []
    shorts = quota.shorts(
        instances=order.count,
        addresses=order.count if order.bandwidth_mbps else 0,
        volumes=order.count * len(order.disks),
        gb=order.count * sum(disk.size_gb for disk in order.disks),
        tags=len(order.new_tags),
    )
    # How much is left tells somebody who sees some projects only what is in the others.
    seen = context.by is None or account.pk not in context.by.restrictions
    outcome.refused += shorts if seen else [replace(short, left=None) for short in shorts]
    if len(order.tags) + len(order.new_tags) > MOST_TAGS:
        refuse(Refused(order.token, str(Limit.TAGS.label), Refusal.TOO_MANY))
    private = list(islice(_free_private(order), order.count))
    if len(private) < order.count:
        refuse(Refused(order.subnet_id or order.token, str(order.subnet_id), Refusal.TOO_MANY))
    if not outcome.refused:
        pairs = zip(order.ids(), order.names(), strict=True)
        outcome.done = [Done(pk, name, ResourceAction.CREATE) for pk, name in pairs]
    return outcome, order, private


def _address(order: Order, *, lock_rows: bool) -> ElasticIP | None:
    assert order.address
    # Without joins: a row that had to be waited for is read anew, what is joined to it is not.
    rows = ElasticIP.objects.all()
    return look_up(rows, order.address.pk, lock=lock_rows)


def _why_not_address(order: Order, address: ElasticIP | None, context: Context) -> Refused | None:
    assert order.address
    key, name = order.address.pk, str(order.address)
    if address is None or address.account_id != order.account.pk:
        return Refused(key, name, Refusal.GONE)
    if not context.may(ResourceAction.BIND, address.account_id, address.project_number):
        return Refused(key, name, Refusal.ROLE)
    if taker := address.instance or address.load_balancer:
        return Refused(key, name, Refusal.TAKEN, blocker_of(No(Refusal.TAKEN, taker), context))
    if address.region_id != order.zone.region_id:
        return Refused(key, name, Refusal.OTHER_REGION)
    # One address goes to one instance.
    return Refused(key, name, Refusal.TOO_MANY) if order.count > 1 else None


def _tags(order: Order, *, lock_rows: bool) -> tuple[Order, list[Tag]]:
    """The order with the tags that are there, and those that have gone in the meantime."""
    rows: QuerySet[Tag] = Tag.objects.filter(account=order.account).order_by("pk")
    if lock_rows:
        rows = rows.select_for_update(no_key=True)
    there = list(rows.filter(pk__in=[tag.pk for tag in order.tags])) if order.tags else []
    missing = [tag for tag in order.tags if tag not in there]
    if order.new_tags:
        pairs = dict.fromkeys(order.new_tags)
        same = {
            (tag.key, tag.value): tag for tag in rows.filter(key__in={key for key, _value in pairs})
        }
        there += [same[pair] for pair in pairs if pair in same and same[pair] not in there]
        order = replace(order, new_tags=[pair for pair in pairs if pair not in same])
    return replace(order, tags=there), missing


def _free_private(order: Order) -> Iterator[str]:
    """Yield private addresses that nobody has: in the networks of 254 that the subnet's instances
    stand in, or in a new one.
    """
    living = Instance.objects.exclude(state=State.PURGED)
    if order.subnet_id:
        taken = _v4(living.filter(subnet_id=order.subnet_id))
        networks = iter(sorted(_networks(taken))) if taken else iter([IPv4Network("10.0.0.0/24")])
    else:
        taken = (
            _v4(living.filter(account=order.account, vpc_id=order.vpc_id))
            if order.vpc_id
            else set()
        )
        used = _networks(taken)
        private = IPv4Network("10.0.0.0/8").subnets(new_prefix=24)
        networks = islice((network for network in private if network not in used), 1)
    for network in networks:
        # The first one is the gateway's.
        for host in islice(network.hosts(), 1, None):
            if host not in taken:
                yield str(host)


def _v4(rows: QuerySet[Instance]) -> set[IPv4Address]:
    found = (ip_address(text) for text in rows.order_by().values_list("private_ip", flat=True))
    return {ip for ip in found if isinstance(ip, IPv4Address)}


def _networks(addresses: set[IPv4Address]) -> set[IPv4Network]:
    return {IPv4Network((int(address) & ~0xFF, 24)) for address in addresses}


def _make(order: Order, context: Context) -> Outcome:
    outcome, order, private = _judge(order, context, lock_rows=True)
    if outcome.refused:
        return outcome
    now = context.now
    subnet, vpc = order.subnet_id or uuid4(), order.vpc_id
    if order.subnet_id is None and vpc is None:
        vpc = uuid4()
    group = order.security_group_id or uuid4()
    paid = term(now, order.months, order.account.billing_zone) if order.expires else None
    instances = [
        Instance(
            id=pk,
            account=order.account,
            project_number=order.project_number,
            zone=order.zone,
            instance_type=order.instance_type,
            name=done.name,
            state=State.ACTIVE,
            billing_mode=order.billing_mode,
            image_id=order.image_id,
            image_name=order.image_name,
            system_disk_type=order.system_disk.type,
            system_disk_gb=order.system_disk.size_gb,
            private_ip=address,
            subnet_id=subnet,
            vpc_id=vpc,
            security_group_ids=[str(group)],
            # Newest first is then the order of their numbers.
            created_at=now - timedelta(microseconds=index),
            changed_at=now,
            expires_at=paid.expires_at if paid else None,
            anchor_day=paid.anchor_day if paid else None,
            protected=order.protected,
        )
        for index, (pk, done, address) in enumerate(
            zip(order.ids(), outcome.done, private, strict=True)
        )
    ]
    Instance.objects.bulk_create(instances)
    log = _Log(order, context)
    for instance in instances:
        log.add_instance(instance)
    _make_volumes(order, instances, now, log)
    _make_addresses(order, instances, now, log)
    _make_tags(order, instances, log)
    Event.objects.bulk_create(log.events, batch_size=500)
    return outcome


class _Log:
    """The events of one order, written together at its end."""

    def __init__(self, order: Order, context: Context) -> None:
        self.account = order.account
        self.context = context
        self.events: list[Event] = []

    def add_instance(self, instance: Instance) -> None:
        context = self.context
        self.events.append(
            Event(
                account=self.account,
                at=context.now,
                batch=context.batch,
                action=ResourceAction.CREATE,
                instance_id=instance.pk,
                instance_name=instance.name,
                project_number=instance.project_number,
                to_state=instance.state,
                reason=context.reason,
                **context.signature,
            )
        )

    def add(
        self, kind: Kind, resource: Model, instance: Instance | None, *, new: bool, **detail: Any
    ) -> None:
        """Note that something was made, bound to an instance, or both."""
        account_id = self.account.pk
        if new:
            made = event(self.context, ResourceAction.CREATE, kind, resource, account_id=account_id)
            self.events.append(made)
        if instance:
            bound = event(
                self.context,
                ResourceAction.BIND,
                kind,
                resource,
                account_id=account_id,
                instance=instance,
                **detail,
            )
            self.events.append(bound)


def _make_volumes(order: Order, instances: Sequence[Instance], now: datetime, log: _Log) -> None:
    pairs = [
        (
            instance,
            Volume(
                account=order.account,
                project_number=order.project_number,
                zone=order.zone,
                name=f"{instance.name[:40]}-data-{number}",
                type=disk.type,
                size_gb=disk.size_gb,
                billing_mode=order.billing_mode,
                instance=instance,
                delete_with_instance=disk.delete_with_instance,
                mount_point=point,
                created_at=now,
            ),
        )
        for instance in instances
        for number, disk, point in zip(count_from(1), order.disks, MOUNT_POINTS, strict=False)
    ]
    Volume.objects.bulk_create([volume for _instance, volume in pairs])
    for instance, volume in pairs:
        log.add(Kind.VOLUME, volume, instance, new=True, mount_point=volume.mount_point)


def _make_addresses(order: Order, instances: Sequence[Instance], now: datetime, log: _Log) -> None:
    if order.address:
        [instance] = instances
        order.address.instance = instance
        order.address.save(update_fields=["instance", "zone"])
        log.add(Kind.EIP, order.address, instance, new=False)
    if not order.bandwidth_mbps:
        return
    made = [
        ElasticIP(
            account=order.account,
            project_number=order.project_number,
            region_id=order.zone.region_id,
            address=address,
            bandwidth_mbps=order.bandwidth_mbps,
            billing_mode=order.billing_mode,
            instance=instance,
            created_at=now,
        )
        for instance, address in zip(instances, free_public(len(instances)), strict=True)
    ]
    ElasticIP.objects.bulk_create(made)
    for instance, address in zip(instances, made, strict=True):
        log.add(Kind.EIP, address, instance, new=True)


def _make_tags(order: Order, instances: Sequence[Instance], log: _Log) -> None:
    new = Tag.objects.bulk_create(
        Tag(account=order.account, key=key, value=value) for key, value in order.new_tags
    )
    for tag in new:
        log.add(Kind.TAG, tag, None, new=True)
    tags = [*order.tags, *new]
    InstanceTag.objects.bulk_create(
        InstanceTag(instance=instance, tag=tag) for instance in instances for tag in tags
    )
    for instance in instances:
        for tag in tags:
            log.add(Kind.TAG, tag, instance, new=False)
