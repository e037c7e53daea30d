"""Ending sessions: one's own, and those that are over."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from django.utils import timezone

from recycle.actions.move import CHUNK
from recycle.actions.schedule import LIMIT, ran
from recycle.models import Session, SessionQuerySet, User


def end_sessions(user: User, *, but: str | None, handles: Iterable[str] | None = None) -> int:
    """End sessions of a person, all of them unless some are named, but never the one with the key
    `but`.
    """
    sessions = Session.objects.of(user)
    if handles is not None:
        wanted = set(handles)
        keys = sessions.only("session_key").order_by().iterator()
        named = [session.pk for session in keys if session.handle in wanted]
        sessions = sessions.filter(pk__in=named)
    return sessions.exclude(pk=but or "").delete()[0]


def clear_sessions(*, now: datetime | None = None, limit: int = LIMIT) -> int:
    """Delete what nobody can use any more: sessions that are over, and those of
    deactivated people.
    """
    now = now or timezone.now()
    over = _clear(Session.objects.over(now), limit)
    cleared = over + _clear(Session.objects.of_deactivated(), limit - over)
    ran("clear_sessions", now, done=cleared, failed=0)
    return cleared


def _clear(sessions: SessionQuerySet, limit: int) -> int:
    # What the next pass finds again need not be kept from it: each chunk is a short transaction of
    # its own.
    keys = iter(list(sessions.order_by().values_list("pk", flat=True)[: max(limit, 0)]))
    cleared = 0
    while chunk := list(islice(keys, CHUNK)):
        # Asked once more: a session that was used in between has a new end.
        cleared += sessions.filter(pk__in=chunk).delete()[0]
    return cleared
