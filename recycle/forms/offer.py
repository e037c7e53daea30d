"""What an account can choose from when it orders instances: read once, and handed to the form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Count, Min
from django.utils.translation import gettext as _

from recycle.forms.scope import Scope
from recycle.lifecycle import State
from recycle.models import Account, ElasticIP, InstanceType, Tag, Zone

NEW = "new"
# The most subnets, groups and addresses that are offered to choose from.
OFFERED = 200

Choices = list[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Subnet:
    # None for a new one.
    id: UUID | None
    vpc_id: UUID | None
    label: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything by the value that a form sends for it."""

    account: Account
    zones: Mapping[str, Zone]
    zone_names: Mapping[str, str]
    types: Mapping[str, InstanceType]
    tags: Mapping[int, Tag]
    # What the chosen zone and its region have, and what can be made new there.
    subnets: Mapping[str, Subnet]
    # The VPC of each security group: that of the instances in it.
    groups: Mapping[str, UUID | None]
    addresses: Mapping[str, ElasticIP]

    def choices(self) -> dict[str, Choices]:
        """The choices of each field that depends on the account."""
        groups = [(key, f"{_short(key)} · VPC {_short(vpc)}") for key, vpc in self.groups.items()]
        return {
            "zone": [(zone.pk, self.zone_names[zone.pk]) for zone in self.zones.values()],
            "instance_type": [(kind, kind) for kind in self.types],
            "subnet": [(key, subnet.label) for key, subnet in self.subnets.items()],
            "security_group": [*groups, (NEW, _("A new one"))],
            "eip": [*self.eip_words, *((pk, str(eip)) for pk, eip in self.addresses.items())],
            "tags": [(pk, str(tag)) for pk, tag in self.tags.items()],
        }

    @property
    def eip_words(self) -> Choices:
        return [("", _("None")), (NEW, _("A new one for each instance"))]

    @property
    def families(self) -> list[tuple[str, list[InstanceType]]]:
        return [
            (family, list(kinds))
            for family, kinds in groupby(self.types.values(), key=lambda kind: kind.family)
        ]


def offered(scope: Scope, chosen: str | None) -> Offer:
    """Read what the account can choose from in the chosen zone; None is the first one there is."""
    account = scope.account
    assert account
    zones = {zone.pk: zone for zone in scope.zones}
    zone = zones.get(next(iter(zones), "") if chosen is None else chosen)
    tags = Tag.objects.visible_to(scope.by).of(account).order_by("key", "value")
    free = ElasticIP.objects.visible_to(scope.by).of(account).order_by("address")
    free = free.filter(region=zone.region_id if zone else None, instance=None, load_balancer=None)
    subnets, groups = _network_of(scope, zone)
    return Offer(
        account=account,
        zones=zones,
        zone_names=scope.zone_names,
        types=_by_key(InstanceType.objects.order_by("family", "vcpu", "memory_gb", "name")),
        tags=_by_key(tags),
        subnets=subnets,
        groups=groups,
        addresses={str(eip.pk): eip for eip in free[:OFFERED]},
    )


def _network_of(
    scope: Scope, zone: Zone | None
) -> tuple[dict[str, Subnet], dict[str, UUID | None]]:
    """The subnets of the zone, the one with most instances first, and the groups of its region."""
    rows = scope.instances().exclude(state=State.PURGED).order_by()
    region = rows.filter(zone__region=zone.region_id) if zone else rows.none()
    used = (
        region.filter(zone=zone)
        .values("subnet_id", "vpc_id")
        .annotate(n=Count("pk"), low=Min("private_ip"))
    )
    grouped = list(
        region.values_list("vpc_id", "security_group_ids")
        .annotate(n=Count("pk"))
        .order_by("-n")[:OFFERED]
    )
    subnets: dict[str, Subnet] = {}
    for row in used.order_by("-n", "subnet_id")[:OFFERED]:
        label = _("%(id)s · %(network)s · %(n)d instances") % {
            "id": _short(row["subnet_id"]), "network": _around(row["low"]), "n": row["n"],
        }  # fmt: skip
        subnets[str(row["subnet_id"])] = Subnet(row["subnet_id"], row["vpc_id"], label)
    for vpc in dict.fromkeys(vpc for vpc, _found, _n in grouped if vpc):
        label = _("New subnet in VPC %(id)s") % {"id": _short(vpc)}
        subnets[f"{NEW}:{vpc}"] = Subnet(None, vpc, label)
    subnets[NEW] = Subnet(None, None, _("New subnet in a new VPC"))
    groups: dict[str, UUID | None] = {}
    for vpc, found, _n in grouped:
        for group in found:
            groups.setdefault(str(group), vpc)
    return subnets, groups


def _by_key(rows: Iterable[Any]) -> dict[Any, Any]:
    return {row.pk: row for row in rows}


def _short(key: Any) -> str:
    return f"{str(key)[:8]}…" if key else "–"


def _around(address: str) -> str:
    """The network of 254, or for IPv6 the /64, that an address lies in."""
    return str(ip_network(f"{address}/{64 if ':' in address else 24}", strict=False))
