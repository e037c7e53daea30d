"""Ending sessions: one's own, and those that are over."""

from collections.abc import Iterable
from itertools import islice

from django.db import transaction

from recycle.actions.claim import CHUNK
from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.heartbeat import came_by
from recycle.actions.outcome import Done, Outcome
from recycle.actions.schedule import LIMIT
from recycle.lifecycle import ResourceAction
from recycle.models import Session, SessionQuerySet, User


def end_sessions(
    user: User,
    *,
    but: str | None,
    handles: Iterable[str] | None = None,
    context: Context,
    dry_run: bool = False,
) -> Outcome:
    """End sessions of a person, all of them unless some are named, but never the one with the key
    `but`.
    """
    sessions = Session.objects.of(user).exclude(pk=but or "")
    if handles is not None:
        wanted = set(handles)
        keys = sessions.only("session_key").order_by().iterator()
        sessions = sessions.filter(pk__in=[row.pk for row in keys if row.handle in wanted])
    outcome = _ended(sessions, context)
    if not dry_run:
        sessions.delete()
    return outcome if dry_run else tallied(outcome, context.edge)


def clear_sessions(*, context: Context, dry_run: bool = False, limit: int = LIMIT) -> Outcome:
    """Delete what nobody can use any more: sessions that are over, and those of
    deactivated people.
    """
    outcome = Outcome(ResourceAction.REMOVE, context.batch)
    for sessions in (Session.objects.over(context.now), Session.objects.of_deactivated()):
        left = max(limit - len(outcome.done), 0)
        keys = iter(list(sessions.order_by().values_list("pk", flat=True)[:left]))
        # What the next pass finds again need not be kept from it: each chunk is a short
        # transaction of its own.
        while chunk := list(islice(keys, CHUNK)):
            outcome.extend(_clear(sessions.filter(pk__in=chunk), context, dry_run=dry_run))
    if dry_run:
        return outcome
    came_by("clear_sessions", context.now, done=len(outcome.done), failed=0)
    return tallied(outcome, context.edge)


def _clear(sessions: SessionQuerySet, context: Context, *, dry_run: bool) -> Outcome:
    if dry_run:
        return _ended(sessions, context)
    with transaction.atomic():
        # This is asked once more: a session that was used in between has a new end.
        outcome = _ended(sessions.select_for_update(of=("self",)).order_by("pk"), context)
        sessions.delete()
    return outcome


def _ended(sessions: SessionQuerySet, context: Context) -> Outcome:
    """Sessions go by their handles: their keys are as good as passwords."""
    done = [Done(row.handle, "", ResourceAction.REMOVE) for row in sessions.only("session_key")]
    return Outcome(ResourceAction.REMOVE, context.batch, done)
