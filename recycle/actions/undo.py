"""Undo a delete: out of the bin, bound to what is still free, and running where it ran. For half a
minute only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from recycle.actions import again
from recycle.actions.again import Result
from recycle.actions.context import Context
from recycle.actions.outcome import Key, Outcome, Refused
from recycle.actions.verbs import restore, start
from recycle.lifecycle import IN_USE, Action, Right, State
from recycle.models import Event, Instance, InstanceQuerySet, User
from recycle.policy import WRONG_STATE, Refusal

UNDO_FOR = timedelta(seconds=30)
# A click at the last moment is still on its way.
ON_ITS_WAY = timedelta(seconds=5)
# All of it is done while the person waits.
MOST_UNDONE = 100


@dataclass(slots=True)
class Undone:
    # Why nothing was done at all.
    refusal: Refusal | None = None
    restored: Outcome = field(default_factory=lambda: Outcome(Action.RESTORE))
    # A result for every relationship that the restored ones had.
    configured: list[Result] = field(default_factory=list)
    started: Outcome = field(default_factory=lambda: Outcome(Action.START))


def undo(batch: UUID, *, context: Context, dry_run: bool = False) -> Undone | None:
    """Bring back what one delete moved to the bin and what still lies there since; None when who
    acts cannot see any.

    What is taken, gone or impossible by now is left alone, and named. A dry run says what would
    come back; what that is bound to and whether it runs is found out once it is there.
    """
    by = context.person
    context = replace(context, reason="undo")
    events = list(
        Event.objects.visible_to(by)
        .filter(batch=batch, action=Action.RECYCLE)
        .order_by("instance_name")
    )
    if not events:
        return None
    if refusal := _why_not(events, context):
        return Undone(refusal)

    names = {event.instance_id: event.instance_name for event in events if event.instance_id}
    # The moment of entry tells this stay in the bin from a later one, also under the lock.
    binned = (
        Instance.objects.visible_to(by)
        .filter(pk__in=list(names))
        .in_bin()
        .filter(recycled_at=events[0].at)
    )
    elsewhere = names.keys() - set(binned.values_list("pk", flat=True))
    restored = restore(binned.order_by("name", "pk"), context=context, dry_run=dry_run)
    states = dict(Instance.objects.filter(pk__in=list(elsewhere)).values_list("pk", "state"))
    for pk in sorted(elsewhere, key=lambda pk: (names[pk], pk)):
        state = states.get(pk, State.PURGED)
        # Recycled still means recycled again, by somebody else's delete.
        refusal = Refusal.CHANGED if state == State.RECYCLED else WRONG_STATE[state]
        refusal = Refusal.BACK if state in IN_USE else refusal
        restored.refused.append(Refused(pk, names[pk], refusal))

    if dry_run:
        return Undone(restored=restored)
    back = [done.id for done in restored.done]
    ran = [
        event.instance_id
        for event in events
        if event.from_state == State.ACTIVE and event.instance_id in back
    ]
    lines = again.plan(_only(back, by), context=context)
    return Undone(
        restored=restored,
        configured=again.configure(lines, context=context),
        started=start(_only(ran, by), context=context),
    )


def _why_not(events: list[Event], context: Context) -> Refusal | None:
    first = events[0]
    mine = first.by_id == context.person.pk
    if not mine and not context.may(Right.UNDO_OTHERS, first.account_id):
        return Refusal.NOT_YOURS
    if context.now > first.at + UNDO_FOR + ON_ITS_WAY:
        return Refusal.TOO_LATE
    return Refusal.TOO_LARGE if len(events) > MOST_UNDONE else None


def _only(ids: Iterable[Key | None], by: User) -> InstanceQuerySet:
    return Instance.objects.visible_to(by).filter(pk__in=list(ids)).order_by("name", "pk")
