"""The session of a person who is logged in: the one row that counts for the browser, the list and
its end.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from recycle.models.tenancy import User

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase


class SessionQuerySet(models.QuerySet["Session"]):
    def of(self, user: User) -> Self:
        return self.filter(user=user)

    def live(self, now: datetime) -> Self:
        return self.filter(expire_date__gt=now)

    def over(self, now: datetime) -> Self:
        """Sessions past their idle limit or their end: nobody can use them any more."""
        return self.filter(expire_date__lte=now)

    def of_deactivated(self) -> Self:
        """Sessions of people who may not log in. Activated again, these people log in anew."""
        return self.filter(user__in=User.objects.filter(is_active=False))


class Session(AbstractBaseSession):
    """Django's own table, and whose session it is.

    A second table of sessions beside Django's would have to be kept in step with it at every login,
    every change of password and every clearing; the person as a column of the one row is never out
    of step.
    """

    # Empty before the login. With the person go their sessions.
    user = models.ForeignKey(
        User, models.CASCADE, null=True, related_name="sessions", verbose_name=_("user")
    )

    objects = BaseSessionManager.from_queryset(SessionQuerySet)()  # type: ignore[misc]

    class Meta(AbstractBaseSession.Meta):
        verbose_name = _("session")  # type: ignore[assignment]
        verbose_name_plural = _("sessions")  # type: ignore[assignment]

    @classmethod
    def get_session_store_class(cls) -> "type[SessionBase]":
        # The store needs this model.
        from recycle.sessions import SessionStore

        return SessionStore

    @property
    def handle(self) -> str:
        """What a page calls the session: its key is as good as a password, and no page may show
        that.
        """
        return salted_hmac("recycle.session", self.session_key, algorithm="sha256").hexdigest()[:32]

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.get_decoded())
