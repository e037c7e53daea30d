"""The relationships of instances to EIPs, EBS volumes, load balancers and tags, for a whole chunk
at a time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Func, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from recycle.models import ElasticIP, InstanceTag, RealServer, Volume
from recycle.models.sql import Dashed, Ids, JSONList, Truth


def _listed(rows: QuerySet[Any], **fields: str | Func) -> Subquery:
    """The rows bound to the outer instance as one JSON array of objects; null when there
    is none.
    """
    bound = rows.filter(instance=OuterRef("pk")).order_by().values("instance")
    return Subquery(bound.annotate(listed=JSONList(JSONObject(**fields))).values("listed"))


def described() -> JSONObject:
    """Every relationship of the outer instance, as an event keeps it when they are cancelled."""
    return JSONObject(
        eips=_listed(ElasticIP.objects.all(), id=Dashed("id"), address="address"),
        volumes=_listed(
            Volume.objects.all(),
            id=Dashed("id"),
            name="name",
            type="type",
            size_gb="size_gb",
            delete_with_instance=Truth("delete_with_instance"),
            mount_point="mount_point",
        ),
        real_servers=_listed(
            RealServer.objects.all(),
            id=Dashed("id"),
            listener=Dashed("listener_id"),
            listener_name="listener__name",
            load_balancer=Dashed("listener__load_balancer_id"),
            load_balancer_name="listener__load_balancer__name",
            protocol="listener__protocol",
            listener_port="listener__port",
            address="address",
            port="port",
            weight="weight",
        ),
        tags=_listed(InstanceTag.objects.all(), id="tag_id", key="tag__key", value="tag__value"),
    )


# The fields by which a relationship is recognised: a real server or a tag that is bound anew has
# another id.
KNOWN_BY = {
    "real_servers": ("listener", "address", "port"),
    "eips": ("id",),
    "volumes": ("id",),
    "tags": ("key", "value"),
}

# The relationships of one instance by kind, as `described` tells them.
Described = Mapping[str, Sequence[Mapping[str, Any]] | None]


def missing(former: Described, present: Described) -> dict[str, list[Mapping[str, Any]]]:
    """What of former relationships is not bound at present, by kind; empty when all of it is."""

    def keys(bound: Described, kind: str) -> list[tuple[Any, ...]]:
        return [tuple(each[name] for name in KNOWN_BY[kind]) for each in bound.get(kind) or ()]

    left = {}
    for kind in KNOWN_BY:
        there = set(keys(present, kind))
        gone = [
            each
            for each, key in zip(former.get(kind) or (), keys(former, kind), strict=True)
            if key not in there
        ]
        if gone:
            left[kind] = gone
    return left


def cancel(ids: Ids, *, released: bool) -> None:
    """Take every relationship off these instances.

    EIPs and volumes survive unbound; on release, volumes attached with `delete_with_instance` go.
    """
    RealServer.objects.filter(instance__id__among=ids).delete()
    InstanceTag.objects.filter(instance__id__among=ids).delete()
    ElasticIP.objects.filter(instance__id__among=ids).update(instance=None, zone=None)
    volumes = Volume.objects.filter(instance__id__among=ids)
    if released:
        volumes.filter(delete_with_instance=True).delete()
    volumes.update(instance=None, mount_point="", delete_with_instance=False)
