"""Configure again: what instances were bound to when they were last deleted, and binding them to it
once more.

`plan` says of each former relationship what would become of it now; `configure` carries out those
that somebody picked. Both ask the functions of `resources`: the plan of what it has read, the deed
under its locks. Neither takes anything away from anybody, and nothing of this happens by itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import OuterRef, Subquery, TextChoices
from django.utils.translation import gettext_lazy as _

from recycle.actions.bindings import described, seen
from recycle.actions.context import Context
from recycle.actions.counting import tally_refused
from recycle.actions.former import KINDS, Former, Relationships
from recycle.actions.outcome import Became, Blocker, Done, Outcome, Refused
from recycle.actions.resources.base import No, blocker_of
from recycle.lifecycle import ResourceAction, State
from recycle.models import Event, InstanceQuerySet, Kind, User
from recycle.policy import Refusal


class Prospect(TextChoices):
    """What would become of a former relationship now."""

    FREE = "free", _("Can be bound")
    THERE = "there", _("Already there")
    TAKEN = "taken", _("Taken")
    GONE = "gone", _("Gone")
    IMPOSSIBLE = "impossible", _("Not possible")


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


def plan(
    instances: InstanceQuerySet, *, context: Context, as_if: State | None = None
) -> list[Line]:
    """Each former relationship of these instances, in the order of the instances. Changes and locks
    nothing.

    With `as_if`, the instances are judged as if they were in that state already: a dry run asks
    what could be bound once they are.

    Costs eight queries, however many instances there are.
    """
    rows = list(
        instances.select_related("zone").annotate(bound=described(), cancelled=_last_cancelled())
    )
    for row in rows:
        row.state = as_if or row.state
    formers = list(_formers(rows, context.person))
    facts = _read(rows, formers, context)
    # The same, with each line of the plan carried out before the next is asked.
    ahead = {kind: each.copy() for kind, each in facts.items()}
    lines = []
    for former in formers:
        no = _why_not(facts[former.kind], former, context)
        later = None if no else _why_not(ahead[former.kind], former, context)
        if no is None and later is None:
            ahead[former.kind].pretend(former)
        refusal, blocker = (no.refusal, blocker_of(no, context)) if no else (None, None)
        lines.append(
            Line(former, refusal, blocker, rival=blocker_of(later, context) if later else None)
        )
    return _with_ends(lines)


def _read(
    rows: Sequence[Any], formers: Sequence[Former], context: Context
) -> dict[Kind, Relationships]:
    return {
        kind: relationships(context.person, rows, [each for each in formers if each.kind is kind])
        for kind, relationships in KINDS.items()
    }


def _why_not(relationships: Relationships, former: Former, context: Context) -> No | None:
    if not _may_bind(former, context):
        return No(Refusal.ROLE)
    return relationships.why_not(former)


def _may_bind(former: Former, context: Context) -> bool:
    instance = former.instance
    return context.may(ResourceAction.BIND, instance.account_id, instance.project_number)


def configure(lines: Iterable[Line], *, context: Context, dry_run: bool = False) -> Outcome:
    """Bind what these lines name, each on its own: whatever becomes of one, the others are
    tried.

    An item of the outcome goes by the key of its former relationship.
    """
    outcome = Outcome(ResourceAction.BIND, context.batch)
    formers = [line.former for line in lines]
    for item in _foretell(formers, context) if dry_run else _bind(formers, context):
        outcome.add(item)
    return outcome


def _foretell(formers: Sequence[Former], context: Context) -> Iterator[Became]:
    """What would become of each, were those before it bound."""
    rows = list({former.instance.pk: former.instance for former in formers}.values())
    facts = _read(rows, formers, context)
    for former in formers:
        if no := _why_not(facts[former.kind], former, context):
            yield Refused(former.key, str(former), no.refusal, blocker_of(no, context))
        else:
            facts[former.kind].pretend(former)
            yield Done(former.key, str(former), ResourceAction.BIND)


def _bind(formers: Iterable[Former], context: Context) -> Iterator[Became]:
    for former in formers:
        if not _may_bind(former, context):
            tally_refused(ResourceAction.BIND, 1, context.edge)
            yield Refused(former.key, str(former), Refusal.ROLE)
        elif items := KINDS[former.kind].bind(former, context).items:
            yield replace(items[0], id=former.key, name=str(former))
        else:
            # There was nothing left to try it on.
            tally_refused(ResourceAction.BIND, 1, context.edge)
            yield Refused(former.key, str(former), Refusal.GONE)


def _last_cancelled() -> Subquery:
    """The event that last took an instance's relationships."""
    return Subquery(
        Event.objects.cancelling()
        .filter(instance_id=OuterRef("pk"))
        .order_by("-id")
        .values("pk")[:1]
    )


def _formers(rows: Sequence[Any], by: User) -> Iterator[Former]:
    events = Event.objects.in_bulk([row.cancelled for row in rows if row.cancelled])
    details = seen([event.detail for event in events.values()], by)
    former = dict(zip(events, details, strict=True))
    for row in rows:
        if event := events.get(row.cancelled):
            for kind, relationships in KINDS.items():
                found = former[event.pk].get(relationships.found_in) or []
                for each in sorted(found, key=_order):
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
    """What the event of its end may be about, as events name it."""
    return [(kind, str(key)) for kind, key in KINDS[former.kind].removed_with(former)]
