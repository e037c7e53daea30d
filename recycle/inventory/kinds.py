"""What each list of an answer holds, and how its items become rows. A new list: a function and a
line in LISTINGS.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Self
from uuid import UUID

from django.db import models

from recycle.inventory.fields import LARGEST_SMALL, NO_ID, Fields
from recycle.inventory.place import Place, Problem, as_shown
from recycle.inventory.words import (
    ASSOCIATED,
    BARE_METAL,
    CHARGE_TYPES,
    CHARGES,
    LEAVING,
    LISTENER_STATES,
    METHODS,
    NESTED_SERVERS,
    PLAIN_STATES,
    PROTOCOLS,
    STATES,
    TO_INSTANCE,
    TO_LOAD_BALANCER,
    TYPES,
)
from recycle.lifecycle import State
from recycle.models import (
    ElasticIP,
    Instance,
    InstanceTag,
    Listener,
    LoadBalancer,
    RealServer,
    Volume,
)
from recycle.offer import PORTS
from recycle.policy import DEFAULT_PROJECT, POLICIES, SHARING, BillingMode

ZONE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-[a-z0-9]*[a-z]")
# What the models have where an answer says nothing.
SYSTEM_DISK_GB, LINE = 20, "BGP"
PORT_RANGE = {"least": PORTS[0], "most": PORTS[1]}
LARGEST_PROJECT = 2**63 - 1
DISKS_ALONE = "data disks without an EBS volume of their own"


def region_of(zone: str) -> str:
    """A region is its zone without the last letter: cn-beijing-6a, cn-beijing-fin-a."""
    return zone[:-1].rstrip("-")


@dataclass(slots=True)
class Entry:
    """One item of a list."""

    # In words, once the entry has been remembered.
    place: Place | str
    id: UUID
    # The columns of the row that it becomes.
    values: dict[str, Any] = field(default_factory=dict)
    # Why it becomes none; empty where it does.
    left_out: str = ""
    # Words in it that nobody knows, and how many things are in it that nobody reads, by their name.
    notes: list[str] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=Counter)
    # What an instance says of itself: its shape, its network interfaces, and its disks, with
    # whether they go with it.
    region: str = ""
    # What its project is called, where it says that.
    project: str = ""
    shape: tuple[int | None, int | None] = (None, None)
    interfaces: list[UUID] = field(default_factory=list)
    disks: dict[UUID, bool | None] = field(default_factory=dict)
    # What this is bound to, and whether it goes with that; None when the answer does not say.
    instance: UUID | None = None
    interface: UUID | None = None
    goes: bool | None = None
    problems: list[Problem] = field(default_factory=list)
    # Items of other lists that were found in this one.
    nested: list[tuple[str, Fields]] = field(default_factory=list)
    # Made of `values` when it is written.
    row: Any = None

    def wrong(self, field_: str, sentence: str) -> Problem:
        return Problem(self.place, sentence, field_)

    def packed(self) -> tuple[Any, ...]:
        """All of it that matters, to be remembered. Of two with one identity that differ in this,
        the later counts.
        """
        return (
            self.id,
            self.values,
            self.left_out,
            self.notes,
            dict(self.unread),
            self.region,
            self.project,
            self.shape,
            self.interfaces,
            self.disks,
            self.instance,
            self.interface,
            self.goes,
        )

    @classmethod
    def unpacked(cls, place: str, packed: tuple[Any, ...]) -> Self:
        return cls(place, *packed)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of the answers: where it is found, what it becomes, and how its rows lead to their
    account.
    """

    key: str
    id_field: str
    model: type[models.Model]
    owner: str
    nouns: tuple[str, str]
    build: Callable[[Fields, Entry], None]
    # Its items have no identity of their own: all that an item says is its identity.
    anonymous: bool = False

    def identity(self, entry: Entry) -> bytes:
        if not self.anonymous:
            return entry.id.bytes
        return blake2b(
            repr((entry.id, entry.values, entry.left_out)).encode(), digest_size=16
        ).digest()


def _instance(fields: Fields, entry: Entry) -> None:
    configure, disk = fields.inner("InstanceConfigure"), fields.inner("SystemDisk")
    states = fields.inner("InstanceState")
    said = states.text("Name", longest=64, required=True)
    if said in LEAVING:
        entry.left_out = "instances that are being deleted"
    charge = fields.text("ChargeType", longest=64, required=True)
    if charge and charge not in CHARGE_TYPES:
        fields.wrong("ChargeType", f"{as_shown(charge)} is not one of {', '.join(CHARGE_TYPES)}")
    mode = CHARGE_TYPES.get(charge, BillingMode.DAILY)
    stopped_for_free = (
        fields.flag("ShutdownNoCharge") or fields.text("StoppedMode", longest=64) == "StopCharging"
    )
    primary, groups = _interfaces(fields, entry)
    for data_disk in fields.each("DataDisks"):
        goes = data_disk.flag("DeleteWithInstance")
        if disk_id := data_disk.reference("DiskId"):
            entry.disks[disk_id] = goes
        else:
            entry.unread[DISKS_ALONE] += 1

    zone = _zone(fields)
    entry.region = region_of(zone) if ZONE.fullmatch(zone) else ""
    entry.shape = (
        configure.whole("VCPU", least=1, most=LARGEST_SMALL),
        configure.whole("MemoryGb", least=1),
    )
    disk_gb = disk.whole("DiskSize", least=1) or configure.whole("RootDiskGb") or SYSTEM_DISK_GB
    # What nobody says is stopped may be in use.
    state = State.ACTIVE if said in LEAVING else states.word("Name", STATES, otherwise=State.ACTIVE)
    if said in STATES and said not in PLAIN_STATES:
        states.notes.append((f"{states.path}.Name", f"{as_shown(said)} counts as {state.value}"))
    entry.values = {
        "id": entry.id,
        "project_number": _project(fields, entry),
        "zone_id": zone,
        "instance_type_id": _type(fields),
        "name": fields.text("InstanceName", longest=64, required=True),
        "state": state,
        "billing_mode": mode,
        "charge_type": charge if charge in SHARING else None,
        "no_fees": (
            bool(stopped_for_free)
            and state == State.STOPPED
            and POLICIES[mode].no_fees_upon_shutdown
        ),
        "image_id": fields.text("ImageId", longest=64),
        "system_disk_type": disk.text("DiskType", longest=32),
        "system_disk_gb": disk_gb,
        "private_ip": _having("PrivateIpAddress", fields, primary).address("PrivateIpAddress"),
        "subnet_id": _having("SubnetId", fields, primary).identity("SubnetId"),
        "vpc_id": primary.reference("VpcId") if primary else None,
        "security_group_ids": groups,
        "created_at": fields.moment("CreationDate"),
        "expires_at": fields.moment("ServiceEndTime") if POLICIES[mode].expires else None,
        "delete_at": _deletion(fields, entry, mode),
        "protected": bool(fields.flag("IsProtect") or fields.flag("IsProtection")),
    }


def _deletion(fields: Fields, entry: Entry, mode: str) -> datetime | None:
    """The moment of a scheduled deletion; a subscription has none, it expires."""
    if "AutoDeleteTime" not in fields:
        return None
    if fields.flag("AutoDeleteEip"):
        entry.unread["EIPs that were to be deleted with their instance"] += 1
    moment = fields.moment("AutoDeleteTime")
    if POLICIES[mode].deletable:
        return moment
    entry.unread["scheduled deletions of subscriptions"] += 1
    return None


def _interfaces(fields: Fields, entry: Entry) -> tuple[Fields | None, list[str]]:
    """The primary network interface, or else the first one, and its security groups."""
    primary: Fields | None = None
    interfaces = fields.each("NetworkInterfaceSet")
    for interface in interfaces:
        if id_ := interface.reference("NetworkInterfaceId"):
            entry.interfaces.append(id_)
        if primary is None or interface.values.get("NetworkInterfaceType") == "primary":
            primary = interface
    for interface in interfaces:
        if interface is not primary:
            interface.pass_over()
            entry.unread["network interfaces beside the primary one"] += 1
    if primary is None:
        return None, []
    groups = [
        group.text("SecurityGroupId", longest=64) for group in primary.each("SecurityGroupSet")
    ]
    groups += [group.text("GroupId", longest=64) for group in primary.each("GroupSet")]
    return primary, list(dict.fromkeys(filter(None, groups)))


def _having(name: str, fields: Fields, primary: Fields | None) -> Fields:
    return primary if primary and name not in fields and name in primary else fields


def _project(fields: Fields, entry: Entry) -> int:
    """The number of its project, which some answers write as a text."""
    entry.project = fields.text("ProjectName", longest=64)
    if not isinstance(fields.values.get("ProjectId"), str):
        return fields.whole("ProjectId", most=LARGEST_PROJECT) or DEFAULT_PROJECT
    text = fields.text("ProjectId", longest=18)
    if text and not (text.isdecimal() and text.isascii()):
        fields.wrong("ProjectId", f"{as_shown(text)} is not a whole number")
        return DEFAULT_PROJECT
    return int(text or DEFAULT_PROJECT)


def _zone(fields: Fields) -> str:
    name = "AvailabilityZone" if "AvailabilityZone" in fields else "AvailabilityZoneName"
    zone = fields.text(name, longest=32, required=True)
    if zone and not ZONE.fullmatch(zone):
        fields.wrong(name, f"{as_shown(zone)} is not a zone: a region and a letter")
    return zone


def _type(fields: Fields) -> str:
    name = fields.text("InstanceType", longest=32, required=True)
    if name and not 1 <= len(name.partition(".")[0]) <= 16:
        fields.wrong(
            "InstanceType", f"{as_shown(name)} is not an instance type: a family, a dot and a size"
        )
    return name


def _load_balancer(fields: Fields, entry: Entry) -> None:
    _tags_of_its_own(fields, entry)
    entry.values = {
        "id": entry.id,
        "project_number": _project(fields, entry),
        "name": fields.text("LoadBalancerName", longest=64, required=True),
        "type": fields.word("Type", TYPES, otherwise=LoadBalancer.Type.PUBLIC),
        "vpc_id": fields.reference("VpcId"),
        "created_at": fields.moment("CreateTime"),
    }


def _listener(fields: Fields, entry: Entry) -> None:
    for name in NESTED_SERVERS:
        for server in fields.each(name):
            if server.values:
                entry.nested.append(("RealServerSet", Fields(server.values, server.path)))
            server.pass_over()
    protocol = fields.text("ListenerProtocol", longest=64, required=True)
    if protocol and protocol not in PROTOCOLS:
        entry.left_out = f"listeners of the protocol {protocol}"
    entry.values = {
        "id": entry.id,
        "load_balancer_id": fields.identity("LoadBalancerId"),
        "name": fields.text("ListenerName", longest=64),
        "protocol": PROTOCOLS.get(protocol),
        "port": fields.number("ListenerPort", **PORT_RANGE),
        "method": fields.word("Method", METHODS, otherwise=Listener.Method.ROUND_ROBIN),
        "enabled": fields.word("ListenerState", LISTENER_STATES, otherwise=True),
        "created_at": fields.moment("CreateTime"),
    }


def _real_server(fields: Fields, entry: Entry) -> None:
    if fields.text("RealServerType", longest=64) not in ("", "host"):
        entry.left_out = "real servers that are not instances"
    entry.instance, entry.interface = (
        fields.reference("InstanceId"),
        fields.reference("NetworkInterfaceId"),
    )
    if entry.instance is None and entry.interface is None:
        fields.reference("InstanceId", required=True)
    weight = fields.whole("Weight", most=LARGEST_SMALL)
    entry.values = {
        "id": entry.id,
        "listener_id": fields.identity("ListenerId"),
        "address": fields.address("RealServerIp"),
        "port": fields.number("RealServerPort", **PORT_RANGE),
        "weight": 1 if weight is None else weight,
    }


def _elastic_ip(fields: Fields, entry: Entry) -> None:
    _tags_of_its_own(fields, entry)
    bandwidth = fields.whole("BandWidth")
    entry.values = {
        "id": entry.id,
        "project_number": _project(fields, entry),
        "address": fields.address("PublicIp"),
        "bandwidth_mbps": 1 if bandwidth is None else bandwidth,
        "line": fields.text("LineId", longest=36) or LINE,
        "billing_mode": fields.word("ChargeType", CHARGES, otherwise=BillingMode.DAILY),
        "load_balancer_id": None,
        "created_at": fields.moment("CreateTime"),
    }
    bound = "InstanceId" in fields or "NetworkInterfaceId" in fields
    if not fields.word("State", ASSOCIATED, otherwise=bound):
        return
    bound_to = fields.text("InstanceType", longest=64)
    if bound_to == TO_LOAD_BALANCER:
        entry.values["load_balancer_id"] = fields.identity("InstanceId")
    elif fields.text("HostType", longest=64) == BARE_METAL:
        entry.unread["bindings of EIPs to bare metal"] += 1
    elif bound_to in TO_INSTANCE:
        entry.instance, entry.interface = (
            fields.reference("InstanceId", required="NetworkInterfaceId" not in fields),
            fields.reference("NetworkInterfaceId"),
        )
    else:
        # What it is bound to need not have a UUID.
        entry.unread[f"bindings of EIPs to {bound_to}"] += 1


def _volume(fields: Fields, entry: Entry) -> None:
    if fields.text("VolumeCategory", longest=64) == "system":
        entry.left_out = "system disks"
    elif fields.text("VolumeStatus", longest=64) in LEAVING:
        entry.left_out = "EBS volumes that are being deleted"
    _tags_of_its_own(fields, entry)
    owner = fields.reference("InstanceId")
    attached = {owner: Fields({}, "-")}
    attached |= {each.reference("InstanceId") or owner: each for each in fields.each("Attachment")}
    attached.pop(None, None)
    mount_point = ""
    if len(attached) > 1:
        entry.unread["attachments of one EBS volume to several instances"] += len(attached)
        attached = {}
    for entry.instance, attachment in attached.items():
        entry.goes = attachment.flag("DeleteWithInstance")
        mount_point = attachment.text("MountPoint", longest=32)
    entry.values = {
        "id": entry.id,
        "project_number": _project(fields, entry),
        "zone_id": _zone(fields),
        "name": fields.text("VolumeName", longest=50),
        "type": fields.text("VolumeType", longest=32, required=True),
        "size_gb": fields.number("Size", least=1),
        "billing_mode": fields.word("ChargeType", CHARGES, otherwise=BillingMode.DAILY),
        "mount_point": mount_point,
        "created_at": fields.moment("CreateTime"),
    }


def _tags_of_its_own(fields: Fields, entry: Entry) -> None:
    """Leave out the tags of what is not an instance: the console has none."""
    for tag in fields.each("TagSet"):
        tag.pass_over()
        entry.unread["tags of what is not an instance"] += 1


def _tag(fields: Fields, entry: Entry) -> None:
    key, value = (
        fields.text("TagKey", longest=128, required=True),
        fields.text("TagValue", longest=255),
    )
    entry.instance = entry.id
    entry.values = {"key": key, "value": value}
    if key.lower().startswith("ksc") or value.lower().startswith("ksc"):
        entry.left_out = "tags that begin with ksc"


# In the order of what refers to what.
LISTINGS = (
    Listing(
        "InstancesSet", "InstanceId", Instance, "account_id", ("instance", "instances"), _instance
    ),
    Listing(
        "LoadBalancerDescriptions",
        "LoadBalancerId",
        LoadBalancer,
        "account_id",
        ("load balancer", "load balancers"),
        _load_balancer,
    ),
    Listing(
        "ListenerSet",
        "ListenerId",
        Listener,
        "load_balancer__account_id",
        ("listener", "listeners"),
        _listener,
    ),
    Listing(
        "RealServerSet",
        "RegisterId",
        RealServer,
        "listener__load_balancer__account_id",
        ("real server", "real servers"),
        _real_server,
    ),
    Listing("AddressesSet", "AllocationId", ElasticIP, "account_id", ("EIP", "EIPs"), _elastic_ip),
    Listing("Volumes", "VolumeId", Volume, "account_id", ("EBS volume", "EBS volumes"), _volume),
    Listing(
        "Tags",
        "ResourceUuid",
        InstanceTag,
        "tag__account_id",
        ("tag on an instance", "tags on instances"),
        _tag,
        anonymous=True,
    ),
)
BY_KEY = {kind.key: kind for kind in LISTINGS}


def built(kind: Listing, place: Place, item: Any) -> Iterator[tuple[Listing, Entry]]:
    """The entry that an item is, and those of the items in it."""
    fields = Fields(item)
    entry = Entry(place, NO_ID)
    if not fields.problems:
        if kind.anonymous and kind.id_field not in fields and "Key" in fields:
            # The answer of ListTags: tags that exist, on nothing.
            entry.left_out = "tags without what they are on"
            entry.values = {name: fields.values.get(name) for name in ("Id", "Key", "Value")}
        else:
            entry.id = fields.identity(kind.id_field)
            nameless = bool(fields.problems)
            kind.build(fields, entry)
            if entry.left_out and not nameless:
                # What is left out need not be whole.
                fields.problems.clear()
        for path, things in fields.unread():
            name = f"{kind.key}.{path}"
            entry.unread[name] = entry.unread.get(name, 0) + things
    # Dict, not set: in their order, and a field that two readings found wrong once.
    entry.problems = [entry.wrong(path, said) for path, said in dict.fromkeys(fields.problems)]
    entry.notes = [f"{path}: {said}" for path, said in dict.fromkeys(fields.notes)]
    yield kind, entry
    for key, within in entry.nested:
        inside = Place(place.file, place.answer, place.key, place.index, within.path)
        yield from built(BY_KEY[key], inside, {**within.values, "ListenerId": str(entry.id)})
