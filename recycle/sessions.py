"""How long a login lasts: Django's sessions in the database, with a person, an idle limit and an
end.

SESSION_ENGINE names this module. A session ends SESSION_IDLE after its last use, and
SESSION_COOKIE_AGE after the login whatever happens. Pages do not write the session for that: one
UPDATE of its end every few minutes is enough.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse

from recycle.clock import clock
from recycle.waiting import waiting_at_most

# The end is moved when at least so much is won by it: no page writes more often than that.
LEAST_WON = timedelta(minutes=5)
AGENT_LENGTH = 200
BEGAN = "began"


class SessionStore(DatabaseStore):
    # The end that the row had when it was read; None without a row.
    ends_at: datetime | None = None

    @classmethod
    def get_model_class(cls) -> Any:
        # Django imports this module before there are any models.
        from recycle.models import Session

        return Session

    def _get_session_from_db(self) -> Any:
        """Not as Django does, which goes by the clock of the machine."""
        rows = self.get_model_class().objects.live(clock.now())
        row = rows.filter(pk=self.session_key).first()
        self.ends_at = row.expire_date if row else None
        if row is None:
            self._session_key = None
        return row

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        row.user_id = data.get(SESSION_KEY)
        return row

    def save(self, must_create: bool = False) -> None:
        try:
            super().save(must_create)
        except UpdateError as error:
            if isinstance(error.__context__, OperationalError):
                # The database is busy or away. Django would say that the session had been deleted.
                raise error.__context__ from error.__context__.__cause__
            raise

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        end: datetime = (kwargs.get("modification") or clock.now()) + settings.SESSION_IDLE
        if began := self.get(BEGAN):
            longest = timedelta(seconds=settings.SESSION_COOKIE_AGE)
            end = min(end, datetime.fromisoformat(began["at"]) + longest)
        return end


def begin(session: SessionBase, *, address: str, agent: str) -> None:
    """Note in the session when, from where and with what the person logged in."""
    now = clock.now().isoformat()
    session[BEGAN] = {"at": now, "address": address, "agent": agent[:AGENT_LENGTH]}


class KeepSessionMiddleware:
    """Moves the end of a session that is in use."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # What a page does by itself is no use: a browser left open overnight would never log out.
        if "X-Unattended" not in request.headers:
            _keep(request.session)
        return response


def _keep(session: SessionBase) -> None:
    # Nobody has asked whose request it was: a probe must not wait for the database.
    if not session.accessed:
        return
    # A session that was changed gets its new end when it is saved.
    if not isinstance(session, SessionStore) or session.ends_at is None or session.modified:
        return
    end = session.get_expiry_date()
    if end - session.ends_at < LEAST_WON:
        return
    rows = session.get_model_class().objects
    row = rows.filter(pk=session.session_key, expire_date=session.ends_at)
    try:
        with waiting_at_most(0):
            row.update(expire_date=end)
    except OperationalError:
        # Somebody else writes to the database for long. The page is more urgent, and the next one
        # tries again.
        pass
