"""The relationships of instances to EIPs, EBS volumes, load balancers and tags, for a whole chunk
at a time.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Func, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from recycle.models import ElasticIP, InstanceTag, Listener, RealServer, User, Volume
from recycle.models.sql import Dashed, Ids, JSONList, Truth


def _listed(rows: QuerySet[Any], **fields: str | Func) -> Subquery:
    """The rows bound to the outer instance as one JSON array of objects; null when there
    is none.
    """
    bound = rows.filter(instance=OuterRef("pk")).order_by().values("instance")
    return Subquery(bound.annotate(listed=JSONList(JSONObject(**fields))).values("listed"))


def described(by: User | None = None) -> JSONObject:
    """Every relationship of the outer instance, as an event keeps it when they are cancelled; only
    what `by` sees, where that is somebody who is restricted to projects.
    """
    eips, volumes, servers = ElasticIP.objects.all(), Volume.objects.all(), RealServer.objects.all()
    if by is not None and by.restrictions:
        eips, volumes = eips.visible_to(by), volumes.visible_to(by)
        servers = servers.visible_to(by)
    return JSONObject(
        eips=_listed(eips, id=Dashed("id"), address="address"),
        volumes=_listed(
            volumes,
            id=Dashed("id"),
            name="name",
            type="type",
            size_gb="size_gb",
            delete_with_instance=Truth("delete_with_instance"),
            mount_point="mount_point",
        ),
        real_servers=_listed(
            servers,
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


def seen(former: Sequence[Described | None], by: User | None) -> list[Described]:
    """Of former relationships, of several instances, what `by` sees: for somebody who is restricted
    to projects that which is still there and in theirs, and tags. Costs three statements then.
    """
    if by is None or not by.restrictions:
        return [each or {} for each in former]
    ids: dict[str, set[UUID]] = {}
    for kind, rows in (
        ("eips", ElasticIP.objects.visible_to(by)),
        ("volumes", Volume.objects.visible_to(by)),
        ("real_servers", Listener.objects.visible_to(by)),
    ):
        named = {_id(kind, each) for bound in former for each in (bound or {}).get(kind) or ()}
        ids[kind] = set(rows.filter(pk__among=named).values_list("pk", flat=True))
    return [
        {
            kind: [each for each in found or () if kind not in ids or _id(kind, each) in ids[kind]]
            for kind, found in (bound or {}).items()
            if kind in KNOWN_BY
        }
        for bound in former
    ]


def _id(kind: str, each: Mapping[str, Any]) -> UUID:
    return UUID(each["listener" if kind == "real_servers" else "id"])


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
