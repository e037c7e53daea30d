"""Configure again: what instances were bound to when they were last deleted, and binding them to it
once more.

`plan` says of each former relationship what would become of it now; `configure` carries out those
that somebody picked. Both ask the functions of `resources`: the plan of what it has read, the deed
under its locks. Neither takes anything away from anybody, and nothing of this happens by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery, TextChoices
from django.utils.translation import gettext_lazy as _

from recycle.actions.bindings import described
from recycle.actions.context import Context
from recycle.actions.outcome import Blocker, Outcome
from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.actions.resources.base import No, may
from recycle.lifecycle import ResourceAction
from recycle.models import (
    ElasticIP,
    Event,
    Instance,
    InstanceQuerySet,
    Kind,
    Listener,
    RealServer,
    Tag,
    User,
    Volume,
)
from recycle.policy import Refusal

# In this order they are shown and bound.
KINDS = {
    Kind.REAL_SERVER: "real_servers",
    Kind.EIP: "eips",
    Kind.VOLUME: "volumes",
    Kind.TAG: "tags",
}


class Prospect(TextChoices):
    """What would become of a former relationship now."""

    FREE = "free", _("Can be bound")
    THERE = "there", _("Already there")
    TAKEN = "taken", _("Taken")
    GONE = "gone", _("Gone")
    IMPOSSIBLE = "impossible", _("Not possible")


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

    @property
    def name(self) -> str:
        detail = self.detail
        if self.kind is Kind.REAL_SERVER:
            return f"{detail['load_balancer_name']} {detail['protocol']}:{detail['listener_port']}"
        if self.kind is Kind.EIP:
            return str(detail["address"])
        if self.kind is Kind.VOLUME:
            return detail["name"] or str(self.id)
        return f"{detail['key']}={detail['value']}" if detail["value"] else str(detail["key"])

    @property
    def id(self) -> UUID:
        """Of the volume, the address or the listener. A tag is known by its key and value."""
        return UUID(self.detail["listener" if self.kind is Kind.REAL_SERVER else "id"])


@dataclass(frozen=True, slots=True)
class Line:
    """A former relationship, and what would become of it now."""

    former: Former
    refusal: Refusal | None = None
    blocker: Blocker | None = None
    # The instance that gets it first when all of this plan is carried out.
    rival: Blocker | None = None
    # Of what is gone: its end, where that is known.
    removed: Event | None = None

    @property
    def prospect(self) -> Prospect:
        if self.refusal is Refusal.GONE and self.blocker is not None:
            # It is the instance itself that is gone.
            return Prospect.IMPOSSIBLE
        known = {
            None: Prospect.FREE,
            Refusal.ALREADY: Prospect.THERE,
            Refusal.TAKEN: Prospect.TAKEN,
            Refusal.GONE: Prospect.GONE,
        }
        return known.get(self.refusal, Prospect.IMPOSSIBLE)

    @property
    def ticked(self) -> bool:
        """Whether it would be bound if all were: what the person is offered to begin with."""
        return self.refusal is None and self.rival is None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one line."""

    former: Former
    refusal: Refusal | None = None
    blocker: Blocker | None = None
    # The database rejected it.
    failed: bool = False

    @property
    def done(self) -> bool:
        return self.refusal is None and not self.failed


def plan(instances: InstanceQuerySet, *, context: Context) -> list[Line]:
    """Each former relationship of these instances, in the order of the instances. Changes and locks
    nothing.

    Costs eight queries, however many instances there are.
    """
    rows = list(
        instances.select_related("zone").annotate(bound=described(), cancelled=_last_cancelled())
    )
    formers = list(_formers(rows))
    facts = _Facts(context.person, rows, formers)
    # The same, with each line of the plan carried out before the next is asked.
    ahead = facts.copy()
    lines = []
    for former in formers:
        no = facts.why_not(former, context)
        later = None if no else ahead.why_not(former, context)
        if no is None and later is None:
            ahead.bind(former)
        refusal, blocker = (no.refusal, Blocker.of(no.blocker)) if no else (None, None)
        lines.append(
            Line(former, refusal, blocker, rival=Blocker.of(later.blocker) if later else None)
        )
    return _with_ends(lines)


def configure(lines: Iterable[Line], *, context: Context) -> list[Result]:
    """Bind what these lines name, each on its own: whatever becomes of one, the others are
    tried.
    """
    return [_carry_out(line.former, context) for line in lines]


def _carry_out(former: Former, context: Context) -> Result:
    if not may(context, former.instance.account_id):
        return Result(former, Refusal.ROLE)
    return _result(former, _bind(former, context))


def _bind(former: Former, context: Context) -> Outcome:
    by, instance, detail = context.person, former.instance, former.detail
    if former.kind is Kind.EIP:
        return addresses.associate(
            ElasticIP.objects.visible_to(by).filter(pk=former.id), instance, context=context
        )
    if former.kind is Kind.VOLUME:
        return volumes.attach(
            Volume.objects.visible_to(by).filter(pk=former.id),
            instance,
            context=context,
            delete_with_instance=bool(detail["delete_with_instance"]),
            wanted=detail["mount_point"],
        )
    itself = Instance.objects.visible_to(by).filter(pk=instance.pk)
    if former.kind is Kind.REAL_SERVER:
        behind = Listener(pk=former.id)
        return balancers.register(
            behind, itself, port=detail["port"], weight=detail["weight"], context=context
        )
    tag = Tag.objects.filter(
        account=instance.account_id, key=detail["key"], value=detail["value"]
    ).first()
    return (
        tags.add(tag, itself, context=context)
        if tag
        else Outcome(ResourceAction.BIND, context.batch)
    )


def _result(former: Former, outcome: Outcome) -> Result:
    if outcome.done:
        return Result(former)
    if outcome.failed:
        return Result(former, failed=True)
    if outcome.refused:
        return Result(former, outcome.refused[0].refusal, outcome.refused[0].blocker)
    # There was nothing left to try it on.
    return Result(former, Refusal.GONE)


def _last_cancelled() -> Subquery:
    """The event that last took an instance's relationships."""
    return Subquery(
        Event.objects.cancelling()
        .filter(instance_id=OuterRef("pk"))
        .order_by("-id")
        .values("pk")[:1]
    )


def _formers(rows: Sequence[Any]) -> Iterator[Former]:
    events = Event.objects.in_bulk([row.cancelled for row in rows if row.cancelled])
    for row in rows:
        if event := events.get(row.cancelled):
            for kind, name in KINDS.items():
                for each in sorted(event.detail.get(name) or [], key=_order):
                    yield Former(row, event, kind, each)


def _order(detail: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        detail.get(field) or ""
        for field in ("mount_point", "load_balancer_name", "key", "value", "address")
    )


def _with_ends(lines: list[Line]) -> list[Line]:
    """Say of what is gone when and by whom, if an event tells."""
    gone = [line for line in lines if line.prospect is Prospect.GONE]
    accounts = {line.former.instance.account_id for line in gone}
    named = {name for line in gone for name in _names_of_end(line.former)}
    if not gone:
        return lines
    ends = Event.objects.filter(
        account__in=accounts,
        action=ResourceAction.REMOVE,
        resource_id__in={resource for _kind, resource in named},
    )
    found = {
        (Kind(event.kind), event.resource_id): event for event in ends.order_by("id") if event.kind
    }

    def end(former: Former) -> Event | None:
        return next((found[name] for name in _names_of_end(former) if name in found), None)

    return [
        replace(line, removed=end(line.former)) if line.prospect is Prospect.GONE else line
        for line in lines
    ]


def _names_of_end(former: Former) -> list[tuple[Kind, str]]:
    """What the event would be about: the thing itself, or what it went with."""
    if former.kind is Kind.TAG:
        return [(Kind.TAG, str(former.detail["id"]))]
    if former.kind is Kind.REAL_SERVER:
        balancer = UUID(former.detail["load_balancer"])
        return [(Kind.LISTENER, str(former.id)), (Kind.LOAD_BALANCER, str(balancer))]
    return [(former.kind, str(former.id))]


class _Facts:
    """What the deciding functions look at, read for a whole plan at once."""

    def __init__(self, by: User, rows: Sequence[Any], formers: Sequence[Former]) -> None:
        wanted = defaultdict(list)
        for former in formers:
            wanted[former.kind].append(former)
        ids = {
            kind: [former.id for former in wanted[kind]] for kind in KINDS if kind is not Kind.TAG
        }
        self.addresses = {
            row.pk: row
            for row in ElasticIP.objects.visible_to(by)
            .filter(pk__among=ids[Kind.EIP])
            .select_related("instance", "load_balancer")
        }
        self.volumes = {
            row.pk: row
            for row in Volume.objects.visible_to(by)
            .filter(pk__among=ids[Kind.VOLUME])
            .select_related("instance")
        }
        self.listeners = {
            row.pk: row
            for row in Listener.objects.visible_to(by)
            .filter(pk__among=ids[Kind.REAL_SERVER])
            .select_related("load_balancer")
        }
        self.servers = {
            (row.listener_id, row.address, row.port): row
            for row in RealServer.objects.filter(
                listener__id__among=list(self.listeners),
                address__in={row.private_ip for row in rows},
            ).select_related("instance")
        }
        tags = Tag.objects.visible_to(by).filter(
            key__in={former.detail["key"] for former in wanted[Kind.TAG]}
        )
        self.tags = {(row.account_id, row.key, row.value): row for row in tags}
        # What the instances have at present.
        self.addressed = {row.pk for row in rows if row.bound["eips"]}
        self.mounted = {
            row.pk: [each["mount_point"] for each in row.bound["volumes"] or []] for row in rows
        }
        self.tagged = {row.pk: {each["id"] for each in row.bound["tags"] or []} for row in rows}

    def copy(self) -> "_Facts":
        other = copy(self)
        other.addresses = {pk: copy(row) for pk, row in self.addresses.items()}
        other.volumes = {pk: copy(row) for pk, row in self.volumes.items()}
        other.servers, other.addressed = dict(self.servers), set(self.addressed)
        other.tagged = {pk: set(ids) for pk, ids in self.tagged.items()}
        other.mounted = {pk: list(points) for pk, points in self.mounted.items()}
        return other

    def why_not(self, former: Former, context: Context) -> No | None:
        instance = former.instance
        if not may(context, instance.account_id):
            return No(Refusal.ROLE)
        if former.kind is Kind.EIP:
            address = self.addresses.get(former.id)
            return addresses.why_not_associate(
                address, instance, has_one=instance.pk in self.addressed
            )
        if former.kind is Kind.VOLUME:
            return volumes.why_not_attach(
                self.volumes.get(former.id), instance, taken=self.mounted[instance.pk]
            )
        if former.kind is Kind.REAL_SERVER:
            same = self.servers.get(self._place(former))
            return balancers.why_not_register(self.listeners.get(former.id), instance, same=same)
        return tags.why_not_add(self._tag(former), instance, has=self.tagged[instance.pk])

    def bind(self, former: Former) -> None:
        """As if it were done."""
        instance = former.instance
        if former.kind is Kind.EIP:
            self.addresses[former.id].instance = instance
            self.addressed.add(instance.pk)
        elif former.kind is Kind.VOLUME:
            taken = self.mounted[instance.pk]
            self.volumes[former.id].instance = instance
            taken.append(volumes.mount_point(taken, former.detail["mount_point"]))
        elif former.kind is Kind.REAL_SERVER:
            self.servers[self._place(former)] = RealServer(instance=instance)
        elif tag := self._tag(former):
            self.tagged[instance.pk].add(tag.pk)

    def _place(self, former: Former) -> tuple[UUID, str, int]:
        return former.id, former.instance.private_ip, former.detail["port"]

    def _tag(self, former: Former) -> Tag | None:
        return self.tags.get(
            (former.instance.account_id, former.detail["key"], former.detail["value"])
        )
