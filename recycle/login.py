"""What the login does otherwise than django-allauth by itself: whom it throttles, where it
leads.
"""

import logging
import math
import time
from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from django.contrib.auth.models import AbstractBaseUser
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import Error
from django.http import HttpRequest
from django.utils.translation import gettext as _

from recycle.http import Request, address_of, leads_here
from recycle.labels import duration_label
from recycle.passwords import Busy
from recycle.sessions import begin

logger = logging.getLogger(__name__)

# The limits, in ACCOUNT_RATE_LIMITS.
APP = "allauth.account"
LOGIN, PASSWORD = "login_failed", "change_password"


class TooMany(ValidationError):
    """Too many failed attempts."""

    def __init__(self, wait: int) -> None:
        self.wait = wait
        # In whole minutes, rounded up: who comes back then is let in.
        minutes = timedelta(minutes=math.ceil(wait / 60))
        sentence = _("Too many failed attempts. Try again in %(time)s.")
        super().__init__(sentence % {"time": duration_label(minutes)})


def wait_of(errors: list[ValidationError]) -> int:
    """Seconds to wait, when that is what is wrong; else 0."""
    return next((error.wait for error in errors if isinstance(error, TooMany)), 0)


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    # --- Throttling ---

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # Name and address together. By the name alone, a stranger's guesses would lock the owner
        # out.
        return f"{ratelimit.get_ip(request)} {credentials['username'].casefold()}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            logger.warning("login from %s refused: too many failed attempts", address_of(request))
            key = self._get_login_attempts_cache_key(request, **credentials)
            raise TooMany(_wait(request, LOGIN, key=key)) from None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        try:
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        except (Busy, Error):
            # Nobody has said that the password is wrong, so that this counts as no attempt: who
            # tries again and again while the database is away is let in when it is back.
            self._rollback_login_failed_rl_usage()
            raise
        return user

    def get_client_ip(self, request: HttpRequest) -> str:
        # Without an address, as behind a Unix socket, all of them share a limit.
        return address_of(request) or "0.0.0.0"  # noqa: S104

    # --- Pages ---

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        super().login(request, user)
        address = address_of(request) or ""
        begin(request.session, address=address, agent=self.get_http_user_agent(request))

    def is_safe_url(self, url: str | None) -> bool:
        """Only pages of this console: a path, never another host, however it is spelt."""
        return url is not None and leads_here(url)

    def is_ajax(self, request: HttpRequest) -> bool:
        # One answer for everybody, which is the page.
        return False

    def add_message(self, *args: Any, **options: Any) -> None:
        """Nothing: our pages say themselves what was done."""


def is_own_password(request: Request, password: str) -> bool:
    """Whether it is the password of who asks. TooMany after too many that were not."""
    attempt = ratelimit.consume(request, app=APP, action=PASSWORD)
    if attempt is None:
        logger.warning("change of password by %s refused: too many failed attempts", request.user)
        raise TooMany(_wait(request, PASSWORD))
    try:
        right = request.user.check_password(password)
    except (Busy, Error):
        # Nobody has said that the password is wrong, so that this counts as no attempt.
        attempt.rollback()
        raise
    if right:
        attempt.rollback()
    return right


def _wait(request: HttpRequest, action: str, key: str | None = None) -> int:
    """Seconds until the next attempt is counted again: until the oldest of each full limit is
    forgotten.
    """
    now, longest = time.time(), 1.0
    for rate in ratelimit.get_rates(app=APP, action=action):
        entry = ratelimit.get_cache_key(request, app=APP, action=action, rate=rate, key=key)
        attempts = cache.get(entry, [])
        if len(attempts) >= rate.amount:
            longest = max(longest, attempts[-1] + rate.duration - now)
    return math.ceil(longest)
