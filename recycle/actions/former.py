"""The relationships that an instance had before it was deleted: a class for each kind.

`KINDS` has them in the order in which they are shown and bound. A new kind is a class here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.outcome import Outcome
from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.actions.resources.base import No
from recycle.labels import tag_label
from recycle.lifecycle import ResourceAction
from recycle.models import (
    ElasticIP,
    Event,
    Instance,
    Kind,
    Listener,
    RealServer,
    Tag,
    User,
    Volume,
)


@dataclass(frozen=True, slots=True)
class Former:
    """A relationship that an instance had, as the event of its end keeps it."""

    instance: Instance
    event: Event
    kind: Kind
    detail: Mapping[str, Any]

    @property
    def key(self) -> str:
        return f"{self.instance.pk}.{self.kind.value}.{self.detail['id']}"

    def __str__(self) -> str:
        return f"{self.instance.name} · {self.name}"

    @property
    def name(self) -> str:
        return KINDS[self.kind].name(self.detail)

    @property
    def id(self) -> UUID:
        """The id of the volume, address or listener; a tag is known by its key and value."""
        return UUID(self.detail[KINDS[self.kind].id_in])


class Relationships(ABC):
    """Relationships of one kind: what decides whether they can be bound, read for a whole plan at
    once, and the action that binds one.

    `rows` are what `pretend` changes, by what a `Former` is known by; `has` is what each instance
    has of the kind at present, by the instance's id.
    """

    kind: ClassVar[Kind]
    # The key under which the detail of an event lists them, and in each the key of its id.
    found_in: ClassVar[str]
    id_in: ClassVar[str] = "id"

    rows: dict[Any, Any]
    has: dict[UUID, list[Any]]

    @abstractmethod
    def __init__(self, by: User, instances: Sequence[Any], formers: Sequence[Former]) -> None:
        """Read what decides about `formers`, which are of this kind and `by` wants to bind.

        `instances` are annotated with what is `bound` to them now.
        """

    def copy(self) -> Self:
        """Return a copy for `pretend` to change."""
        other = copy(self)
        other.rows = dict(self.rows)
        other.has = {pk: list(each) for pk, each in self.has.items()}
        return other

    @staticmethod
    @abstractmethod
    def name(detail: Mapping[str, Any]) -> str:
        """What an event's detail calls one."""

    @staticmethod
    def removed_with(former: Former) -> Iterable[tuple[Kind, UUID | int]]:
        """What may have been removed when it is gone: the thing itself, or what it went with."""
        return [(former.kind, former.id)]

    @abstractmethod
    def why_not(self, former: Former) -> No | None:
        """Why it cannot be bound now; None when it can."""

    @abstractmethod
    def pretend(self, former: Former) -> None:
        """Take it for bound, so that the next one is judged as it would be after it."""

    @staticmethod
    @abstractmethod
    def bind(former: Former, context: Context) -> Outcome:
        """Bind it by the action of its kind, which asks everything again under its locks."""

    def _give(self, former: Former) -> None:
        row = self.rows[former.id] = copy(self.rows[former.id])
        row.instance = former.instance


def _named_by(formers: Sequence[Former], rows: QuerySet[Any]) -> dict[UUID, Any]:
    return {row.pk: row for row in rows.filter(pk__among=[former.id for former in formers])}


class FormerRealServers(Relationships):
    """`rows` are the real servers that stand behind the listeners now, by their place."""

    kind, found_in, id_in = Kind.REAL_SERVER, "real_servers", "listener"

    def __init__(self, by: User, instances: Sequence[Any], formers: Sequence[Former]) -> None:
        listeners = Listener.objects.visible_to(by).select_related("load_balancer")
        self.listeners = _named_by(formers, listeners)
        servers = RealServer.objects.filter(
            listener__id__among=list(self.listeners),
            address__in={instance.private_ip for instance in instances},
        ).select_related("instance")
        self.rows = {(row.listener_id, row.address, row.port): row for row in servers}
        self.has = {}

    @staticmethod
    def name(detail: Mapping[str, Any]) -> str:
        return f"{detail['load_balancer_name']} {detail['protocol']}:{detail['listener_port']}"

    @staticmethod
    def removed_with(former: Former) -> Iterable[tuple[Kind, UUID | int]]:
        balancer = UUID(former.detail["load_balancer"])
        return [(Kind.LISTENER, former.id), (Kind.LOAD_BALANCER, balancer)]

    def why_not(self, former: Former) -> No | None:
        return balancers.why_not_register(
            self.listeners.get(former.id), former.instance, same=self.rows.get(self._place(former))
        )

    def pretend(self, former: Former) -> None:
        self.rows[self._place(former)] = RealServer(instance=former.instance)

    @staticmethod
    def bind(former: Former, context: Context) -> Outcome:
        seen = Listener.objects.visible_to(context.person).select_related("load_balancer")
        listener = seen.filter(pk=former.id).first()
        if listener is None:
            return Outcome(ResourceAction.BIND, context.batch)
        return balancers.register(
            listener,
            Instance.objects.visible_to(context.person).filter(pk=former.instance.pk),
            port=former.detail["port"],
            weight=former.detail["weight"],
            context=context,
        )

    @staticmethod
    def _place(former: Former) -> tuple[UUID, str, int]:
        return former.id, former.instance.private_ip, former.detail["port"]


class FormerAddresses(Relationships):
    kind, found_in = Kind.EIP, "eips"

    def __init__(self, by: User, instances: Sequence[Any], formers: Sequence[Former]) -> None:
        found = ElasticIP.objects.visible_to(by).select_related("instance", "load_balancer")
        self.rows = _named_by(formers, found)
        self.has = {instance.pk: instance.bound["eips"] or [] for instance in instances}

    @staticmethod
    def name(detail: Mapping[str, Any]) -> str:
        return str(detail["address"])

    def why_not(self, former: Former) -> No | None:
        return addresses.why_not_associate(
            self.rows.get(former.id), former.instance, has_one=bool(self.has[former.instance.pk])
        )

    def pretend(self, former: Former) -> None:
        self._give(former)
        self.has[former.instance.pk].append(former.detail)

    @staticmethod
    def bind(former: Former, context: Context) -> Outcome:
        found = ElasticIP.objects.visible_to(context.person).filter(pk=former.id)
        return addresses.associate(found, former.instance, context=context)


class FormerVolumes(Relationships):
    """`has` are the mount points that an instance has in use."""

    kind, found_in = Kind.VOLUME, "volumes"

    def __init__(self, by: User, instances: Sequence[Any], formers: Sequence[Former]) -> None:
        self.rows = _named_by(formers, Volume.objects.visible_to(by).select_related("instance"))
        self.has = {
            instance.pk: [each["mount_point"] for each in instance.bound["volumes"] or []]
            for instance in instances
        }

    @staticmethod
    def name(detail: Mapping[str, Any]) -> str:
        return detail["name"] or str(UUID(detail["id"]))

    def why_not(self, former: Former) -> No | None:
        return volumes.why_not_attach(
            self.rows.get(former.id), former.instance, taken=self.has[former.instance.pk]
        )

    def pretend(self, former: Former) -> None:
        self._give(former)
        taken = self.has[former.instance.pk]
        taken.append(volumes.mount_point(taken, former.detail["mount_point"]))

    @staticmethod
    def bind(former: Former, context: Context) -> Outcome:
        return volumes.attach(
            Volume.objects.visible_to(context.person).filter(pk=former.id),
            former.instance,
            context=context,
            delete_with_instance=bool(former.detail["delete_with_instance"]),
            wanted=former.detail["mount_point"],
        )


class FormerTags(Relationships):
    """A tag that was deleted and made again is the same one: it is known by its key and value.
    `has` are the ids of the tags that an instance has.
    """

    kind, found_in = Kind.TAG, "tags"

    def __init__(self, by: User, instances: Sequence[Any], formers: Sequence[Former]) -> None:
        found = Tag.objects.visible_to(by).filter(
            key__in={former.detail["key"] for former in formers}
        )
        self.rows = {(row.account_id, row.key, row.value): row for row in found}
        self.has = {
            instance.pk: [each["id"] for each in instance.bound["tags"] or []]
            for instance in instances
        }

    @staticmethod
    def name(detail: Mapping[str, Any]) -> str:
        return tag_label(detail["key"], detail["value"])

    @staticmethod
    def removed_with(former: Former) -> Iterable[tuple[Kind, UUID | int]]:
        return [(Kind.TAG, former.detail["id"])]

    def why_not(self, former: Former) -> No | None:
        tag = self.rows.get(self._named(former))
        return tags.why_not_add(tag, former.instance, has=self.has[former.instance.pk])

    def pretend(self, former: Former) -> None:
        self.has[former.instance.pk].append(self.rows[self._named(former)].pk)

    @classmethod
    def bind(cls, former: Former, context: Context) -> Outcome:
        account_id, key, value = cls._named(former)
        tag = Tag.objects.filter(account=account_id, key=key, value=value).first()
        if tag is None:
            return Outcome(ResourceAction.BIND, context.batch)
        itself = Instance.objects.visible_to(context.person).filter(pk=former.instance.pk)
        return tags.add(tag, itself, context=context)

    @staticmethod
    def _named(former: Former) -> tuple[int, str, str]:
        return former.instance.account_id, former.detail["key"], former.detail["value"]


KINDS: dict[Kind, type[Relationships]] = {
    each.kind: each for each in (FormerRealServers, FormerAddresses, FormerVolumes, FormerTags)
}
