"""Undo a delete: out of the bin, bound to what is still free, and running where it ran. For half a
minute only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from recycle.actions import again
from recycle.actions.context import Context
from recycle.actions.counting import tallied, tally_refused
from recycle.actions.judged import Judged
from recycle.actions.move import carry_out
from recycle.actions.outcome import Key, Outcome, Refused
from recycle.actions.verbs import Start, restore
from recycle.lifecycle import IN_USE, TRANSITIONS, Action, Right, State
from recycle.models import Event, Instance, InstanceQuerySet, User
from recycle.policy import WRONG_STATE, Refusal

UNDO_FOR = timedelta(seconds=30)
# A click at the last moment is still on its way.
ON_ITS_WAY = timedelta(seconds=5)
# All of it is done while the person waits.
MOST_UNDONE = 100


# As what an undo has to start stands once it has been restored.
RESTORED = TRANSITIONS[Action.RESTORE][State.RECYCLED]


class StartOfRestored(Start):
    """A dry run of a start, of what lies in the bin as if it had been restored before."""

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        super().prepare([_restored(instance) for instance in instances], lock=lock)

    def refuses(self, instance: Judged) -> Refusal | None:
        return super().refuses(_restored(instance))


def _restored(instance: Judged) -> Judged:
    return instance._replace(state=RESTORED)


def undo(batch: UUID, *, context: Context, dry_run: bool = False) -> Outcome:
    """Bring back what one delete moved to the bin and what still lies there since, bind it and
    start it. What is taken, gone or impossible by now is left alone, and named.

    Of the outcome's items each has its own action: restore of an instance, bind of a relationship
    that a restored one had, start of one that ran. It has no item when who acts cannot see anything
    that this batch moved to the bin.
    """
    by = context.person
    context = replace(context, reason="undo")
    events = list(
        Event.objects.visible_to(by)
        .filter(batch=batch, action=Action.RECYCLE)
        .order_by("instance_name")
    )
    outcome = Outcome(Action.RESTORE, context.batch)
    if not events:
        return outcome
    names = {event.instance_id: event.instance_name for event in events if event.instance_id}
    if refusal := _why_not(events, context):
        outcome.refused += [Refused(pk, name, refusal) for pk, name in names.items()]
        return outcome if dry_run else tallied(outcome, context.edge)

    # The moment of entry tells this stay in the bin from a later one, also under the lock.
    binned = (
        Instance.objects.visible_to(by)
        .filter(pk__in=list(names))
        .in_bin()
        .filter(recycled_at=events[0].at)
    )
    elsewhere = names.keys() - set(binned.values_list("pk", flat=True))
    outcome.extend(restore(binned.order_by("name", "pk"), context=context, dry_run=dry_run))
    back = [done.id for done in outcome.done]
    outcome.refused += _left(sorted((names[pk], pk) for pk in elsewhere))
    if not dry_run:
        tally_refused(Action.RESTORE, len(elsewhere), context.edge)

    as_if = RESTORED if dry_run else None
    lines = again.plan(_only(back, by), context=context, as_if=as_if)
    outcome.extend(again.configure(lines, context=context, dry_run=dry_run))

    ran = [
        event.instance_id
        for event in events
        if event.from_state == State.ACTIVE and event.instance_id in back
    ]
    starting = (StartOfRestored if dry_run else Start)(_only(ran, by), context)
    outcome.extend(carry_out(starting, dry_run=dry_run))
    return outcome


def _why_not(events: list[Event], context: Context) -> Refusal | None:
    first = events[0]
    mine = first.by_id == context.person.pk
    projects = {event.project_number for event in events}
    if not mine and not all(
        context.may(Right.UNDO_OTHERS, first.account_id, project) for project in projects
    ):
        return Refusal.NOT_YOURS
    if context.now > first.at + UNDO_FOR + ON_ITS_WAY:
        return Refusal.TOO_LATE
    return Refusal.TOO_LARGE if len(events) > MOST_UNDONE else None


def _left(named: Sequence[tuple[str, UUID]]) -> Iterator[Refused]:
    """Why each of these, which lie in the bin from this delete no more, does not come back."""
    states = dict(
        Instance.objects.filter(pk__in=[pk for _, pk in named]).values_list("pk", "state")
    )
    for name, pk in named:
        state = states.get(pk, State.PURGED)
        # Recycled still means recycled again, by somebody else's delete.
        refusal = Refusal.CHANGED if state == State.RECYCLED else WRONG_STATE[state]
        yield Refused(pk, name, Refusal.BACK if state in IN_USE else refusal)


def _only(ids: Iterable[Key | None], by: User) -> InstanceQuerySet:
    return Instance.objects.visible_to(by).filter(pk__in=list(ids)).order_by("name", "pk")
