"""What each list of an answer holds, and how its items become rows. A new list: a function and a line in KINDS."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import models

from recycle.inventory.answers import Place, Problem, Source
from recycle.inventory.fields import LARGEST_SMALL, NO_ID, Fields, shown
from recycle.lifecycle import State
from recycle.models import ElasticIP, Instance, InstanceTag, Listener, LoadBalancer, RealServer, Tag, Volume
from recycle.policy import BillingMode

STATES = {
    "stopped": State.STOPPED,
    "stopping": State.STOPPED,
    "error": State.STOPPED,
    "migrating_success_off_line": State.STOPPED,
}
LEAVING = frozenset({"recycling", "recycled", "deleting", "deleted", "terminating", "terminated"})
MODES = {mode.value: mode for mode in BillingMode}
# Both generations of names, for what is not an instance.
CHARGES = {
    **MODES,
    "Peak": BillingMode.DAILY,
    "TrafficMonthly": BillingMode.DAILY,
    "DailyPaidByTransfer": BillingMode.DAILY,
    "PrePaidByMonth": BillingMode.MONTHLY,
    "PostPaidByPeak": BillingMode.DAILY,
    "PostPaidByDay": BillingMode.DAILY,
    "PostPaidByTransfer": BillingMode.DAILY,
    "PostPaidByHour": BillingMode.HOURLY,
}
ASSOCIATED = {"associate": True, "disassociate": False}
TYPES = {kind.value: kind for kind in LoadBalancer.Type}
PROTOCOLS = {protocol.value: protocol for protocol in Listener.Protocol}
METHODS = {method.value: method for method in Listener.Method}
ZONE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+[a-z]")
# What the models have where an answer says nothing.
SYSTEM_DISK_GB, LINE = 20, "BGP"
PORTS = {"least": 1, "most": 65535}


@dataclass(slots=True)
class Entry:
    """One item of a list."""

    place: Place
    id: UUID
    # None: the item is left out, for the reason in `left_out`.
    row: Any = None
    left_out: str = ""
    problems: list[Problem] = field(default_factory=list)
    # Of an instance: its shape, its network interfaces, and for its disks whether they go with it.
    region: str = ""
    shape: tuple[int | None, int | None] = (None, None)
    interfaces: list[UUID] = field(default_factory=list)
    disks: dict[UUID, bool] = field(default_factory=dict)
    # Of what is bound: to which instance. None in `goes`: the answer does not say.
    instance: UUID | None = None
    interface: UUID | None = None
    goes: bool | None = None

    def wrong(self, field_: str, sentence: str) -> Problem:
        return Problem(self.place, sentence, field_)

    def looks(self) -> object:
        """All of it that matters: two items of the same id must agree in this."""
        row = self.row and [value for name, value in vars(self.row).items() if name != "_state"]
        return row, self.left_out, self.shape, self.instance, self.interface, self.goes


@dataclass(frozen=True, slots=True)
class Kind:
    """A list of the answers: where it is found, what it becomes, and how its rows lead to their account."""

    key: str
    id_field: str
    model: type[models.Model]
    owner: str
    nouns: tuple[str, str]
    build: Callable[[Fields, Entry], None]


def _instance(fields: Fields, entry: Entry) -> None:
    configure, disk = fields.inner("InstanceConfigure"), fields.inner("SystemDisk")
    state = fields.inner("InstanceState").text("Name", longest=64, required=True)
    mode = fields.one_of("ChargeType", MODES)
    monthly = fields.values.get("ChargeType") == BillingMode.MONTHLY
    stopped_for_free = fields.flag("ShutdownNoCharge") or fields.text("StoppedMode", longest=64) == "StopCharging"
    primary, groups = _interfaces(fields, entry)
    for data_disk in fields.each("DataDisks"):
        goes = data_disk.flag("DeleteWithInstance")
        if goes is not None and (disk_id := data_disk.reference("DiskId")):
            entry.disks[disk_id] = goes

    zone = _zone(fields)
    entry.region = zone[:-1] if ZONE.fullmatch(zone) else ""
    entry.shape = configure.whole("VCPU", least=1, most=LARGEST_SMALL), configure.whole("MemoryGb", least=1)
    disk_gb = disk.whole("DiskSize", least=1) or configure.whole("RootDiskGb") or SYSTEM_DISK_GB
    entry.row = Instance(
        id=entry.id,
        zone_id=zone,
        instance_type_id=_type(fields),
        name=fields.text("InstanceName", longest=64, required=True),
        state=STATES.get(state, State.ACTIVE),
        billing_mode=mode,
        image_id=fields.text("ImageId", longest=64),
        system_disk_type=disk.text("DiskType", longest=32),
        system_disk_gb=disk_gb,
        private_ip=_having("PrivateIpAddress", fields, primary).address("PrivateIpAddress"),
        subnet_id=_having("SubnetId", fields, primary).identity("SubnetId"),
        vpc_id=primary.reference("VpcId") if primary else None,
        security_group_ids=groups,
        created_at=fields.moment("CreationDate"),
        expires_at=fields.moment("ServiceEndTime") if monthly else None,
    )
    entry.row.no_fees = bool(stopped_for_free) and entry.row.state == State.STOPPED and mode == BillingMode.HOURLY
    if state in LEAVING:
        entry.left_out = "instances that are being deleted"


def _interfaces(fields: Fields, entry: Entry) -> tuple[Fields | None, list[str]]:
    """The primary network interface, or else the first one, and its security groups."""
    primary: Fields | None = None
    for interface in fields.each("NetworkInterfaceSet"):
        if id_ := interface.reference("NetworkInterfaceId"):
            entry.interfaces.append(id_)
        if primary is None or interface.values.get("NetworkInterfaceType") == "primary":
            primary = interface
    if primary is None:
        return None, []
    groups = [group.text("SecurityGroupId", longest=64) for group in primary.each("SecurityGroupSet")]
    groups += [group.text("GroupId", longest=64) for group in primary.each("GroupSet")]
    return primary, list(dict.fromkeys(filter(None, groups)))


def _having(name: str, fields: Fields, primary: Fields | None) -> Fields:
    return primary if primary and name not in fields and name in primary else fields


def _zone(fields: Fields) -> str:
    name = "AvailabilityZone" if "AvailabilityZone" in fields else "AvailabilityZoneName"
    zone = fields.text(name, longest=32, required=True)
    if zone and not ZONE.fullmatch(zone):
        fields.wrong(name, f"{shown(zone)} is not a zone: a region and a letter")
    return zone


def _type(fields: Fields) -> str:
    name = fields.text("InstanceType", longest=32, required=True)
    if name and not 1 <= len(name.partition(".")[0]) <= 16:
        fields.wrong("InstanceType", f"{shown(name)} is not an instance type: a family, a dot and a size")
    return name


def _load_balancer(fields: Fields, entry: Entry) -> None:
    entry.row = LoadBalancer(
        id=entry.id,
        name=fields.text("LoadBalancerName", longest=64, required=True),
        type=fields.one_of("Type", TYPES, default=LoadBalancer.Type.PUBLIC),
        vpc_id=fields.reference("VpcId"),
        created_at=fields.moment("CreateTime"),
    )


def _listener(fields: Fields, entry: Entry) -> None:
    entry.row = Listener(
        id=entry.id,
        load_balancer_id=fields.identity("LoadBalancerId"),
        name=fields.text("ListenerName", longest=64),
        protocol=fields.one_of("ListenerProtocol", PROTOCOLS),
        port=fields.number("ListenerPort", **PORTS),
        method=fields.one_of("Method", METHODS, default=Listener.Method.ROUND_ROBIN),
        created_at=fields.moment("CreateTime"),
    )


def _real_server(fields: Fields, entry: Entry) -> None:
    if fields.text("RealServerType", longest=64) not in ("", "host"):
        entry.left_out = "real servers that are not instances"
        return
    entry.instance, entry.interface = fields.reference("InstanceId"), fields.reference("NetworkInterfaceId")
    if entry.instance is None and entry.interface is None:
        fields.reference("InstanceId", required=True)
    weight = fields.whole("Weight", most=LARGEST_SMALL)
    entry.row = RealServer(
        id=entry.id,
        listener_id=fields.identity("ListenerId"),
        address=fields.address("RealServerIp"),
        port=fields.number("RealServerPort", **PORTS),
        weight=1 if weight is None else weight,
    )


def _elastic_ip(fields: Fields, entry: Entry) -> None:
    bandwidth = fields.whole("BandWidth")
    entry.row = ElasticIP(
        id=entry.id,
        address=fields.address("PublicIp"),
        bandwidth_mbps=1 if bandwidth is None else bandwidth,
        line=fields.text("LineId", longest=36) or LINE,
        billing_mode=fields.one_of("ChargeType", CHARGES, default=BillingMode.DAILY),
        created_at=fields.moment("CreateTime"),
    )
    bound_to, to, interface = (
        fields.text("InstanceType", longest=64),
        fields.reference("InstanceId"),
        fields.reference("NetworkInterfaceId"),
    )
    if not fields.one_of("State", ASSOCIATED, default=bool(to or interface)):
        return
    if bound_to == "Slb":
        entry.row.load_balancer_id = to or fields.identity("InstanceId")
    elif bound_to in ("Ipfwd", ""):
        entry.instance, entry.interface = to, interface
        if to is None and interface is None:
            fields.reference("InstanceId", required=True)


def _volume(fields: Fields, entry: Entry) -> None:
    if fields.text("VolumeCategory", longest=64) == "system":
        entry.left_out = "system disks"
        return
    if fields.text("VolumeStatus", longest=64) in LEAVING:
        entry.left_out = "EBS volumes that are being deleted"
        return
    attached = {fields.reference("InstanceId"): Fields({}, "-")}
    attached |= {each.reference("InstanceId"): each for each in fields.each("Attachment")}
    attached.pop(None, None)
    if len(attached) > 1:
        fields.wrong("Attachment", "it is attached to more than one instance")
    mount_point = ""
    for entry.instance, attachment in attached.items():
        entry.goes = attachment.flag("DeleteWithInstance")
        mount_point = attachment.text("MountPoint", longest=32)
    entry.row = Volume(
        id=entry.id,
        zone_id=_zone(fields),
        name=fields.text("VolumeName", longest=50),
        type=fields.text("VolumeType", longest=32, required=True),
        size_gb=fields.number("Size", least=1),
        billing_mode=fields.one_of("ChargeType", CHARGES, default=BillingMode.DAILY),
        mount_point=mount_point,
        created_at=fields.moment("CreateTime"),
    )


def _tag(fields: Fields, entry: Entry) -> None:
    key, value = fields.text("TagKey", longest=128, required=True), fields.text("TagValue", longest=255)
    entry.instance = entry.id
    entry.row = Tag(key=key, value=value)
    if key.lower().startswith("ksc") or value.lower().startswith("ksc"):
        entry.left_out = "tags that begin with ksc"


# In the order of what refers to what.
KINDS = (
    Kind("InstancesSet", "InstanceId", Instance, "account_id", ("instance", "instances"), _instance),
    Kind(
        "LoadBalancerDescriptions",
        "LoadBalancerId",
        LoadBalancer,
        "account_id",
        ("load balancer", "load balancers"),
        _load_balancer,
    ),
    Kind("ListenerSet", "ListenerId", Listener, "load_balancer__account_id", ("listener", "listeners"), _listener),
    Kind(
        "RealServerSet",
        "RegisterId",
        RealServer,
        "listener__load_balancer__account_id",
        ("real server", "real servers"),
        _real_server,
    ),
    Kind("AddressesSet", "AllocationId", ElasticIP, "account_id", ("EIP", "EIPs"), _elastic_ip),
    Kind("Volumes", "VolumeId", Volume, "account_id", ("EBS volume", "EBS volumes"), _volume),
    Kind("Tags", "ResourceUuid", InstanceTag, "tag__account_id", ("tag on an instance", "tags on instances"), _tag),
)
KEYS = frozenset(kind.key for kind in KINDS)


def read(source: Source, kind: Kind) -> Iterator[Entry]:
    """Every item of one kind in a file, one at a time."""
    for place, item in source.items(kind.key, KEYS):
        fields = Fields(item)
        entry = Entry(place, NO_ID)
        if not fields.problems:
            entry.id = fields.identity(kind.id_field)
            kind.build(fields, entry)
        # Dict, not set: in their order, and a field that two readings found wrong once.
        entry.problems = [entry.wrong(path, sentence) for path, sentence in dict.fromkeys(fields.problems)]
        yield entry
