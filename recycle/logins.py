"""Who logs in and out, and who tries: written into the log of the installation and the process's.

It is told by the signals that every login sends which stands on `django.contrib.auth`, whatever
its pages are.
"""

import logging
from dataclasses import replace
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from recycle.actions import Context, audit
from recycle.clock import clock
from recycle.models import AuditAction, Edge, User

logger = logging.getLogger(__name__)


def hear_logins() -> None:
    user_logged_in.connect(logged_in, dispatch_uid="audit")
    user_logged_out.connect(logged_out, dispatch_uid="audit")
    user_login_failed.connect(login_failed, dispatch_uid="audit")


def logged_in(*, request: HttpRequest | None, user: User, **_signal: Any) -> None:
    context = _context(request, user)
    audit.record_in_installation(AuditAction.LOGIN, user, context=context)
    logger.info("login as %s from %s", user.get_username(), context.origin.address)


def logged_out(*, request: HttpRequest | None, user: User | None, **_signal: Any) -> None:
    """`user` is None for who was not logged in: nothing was done then."""
    if user is not None:
        audit.record_in_installation(AuditAction.LOGOUT, user, context=_context(request, user))


def login_failed(
    *, credentials: dict[str, Any], request: HttpRequest | None, **_signal: Any
) -> None:
    """Django has taken the password out of `credentials`."""
    name, context = str(credentials.get(User.USERNAME_FIELD, "")), _context(request, None)
    user = User.objects.filter(**{User.USERNAME_FIELD: name}).first()
    # What is not a name here may be a password in the wrong field.
    who = f"as {user.get_username()}" if user else "with an unknown name"
    logger.warning("login %s from %s failed", who, context.origin.address)
    audit.failed_login(user, context=context)


def _context(request: HttpRequest | None, user: User | None) -> Context:
    """A login that no middleware has seen, as from the shell, comes from nowhere."""
    context: Context | None = getattr(request, "context", None)
    if context is None:
        return Context(by=user, now=clock.now(), edge=Edge.COMMAND)
    return replace(context, by=user)
