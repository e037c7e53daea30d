"""What belongs to the person alone: their password and their sessions."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from allauth.account.signals import password_changed
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import HASH_SESSION_KEY, update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recycle import actions
from recycle.actions import audit
from recycle.forms import EndSessionForm, PasswordForm
from recycle.http import Request
from recycle.login import is_own_password, wait_of
from recycle.models import Session
from recycle.sessions import BEGAN

# The most that the page shows; "end all others" ends more.
SESSIONS_SHOWN = 100

# What browsers call themselves, the more particular first: all of them also say what they are like.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "MicroMessenger": "WeChat",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
    "curl/": "curl",
}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: Request) -> HttpResponse:
    """Change the password. All other sessions of the person end."""
    form = PasswordForm(
        request.POST if request.method == "POST" else None,
        by=request.user,
        is_own=partial(is_own_password, request),
    )
    if not request.user.has_usable_password() or not form.is_valid():
        return _show_password(request, form)
    user = request.user
    user.set_password(form.cleaned_data["new"])
    audit.save_password(user, keep=request.session.session_key, context=request.context)
    # This one goes on, under a new key.
    update_session_auth_hash(request, user)
    password_changed.send(sender=type(user), request=request, user=user)
    messages.success(request, _("Your password is changed. All your other sessions have ended."))
    return redirect("recycle:sessions")


def _show_password(request: Request, form: PasswordForm) -> HttpResponse:
    status = 422 if form.is_bound else 200
    response = render(request, "me/password.html", {"form": form}, status=status)
    if wait := wait_of(form.errors.as_data().get("old", [])):
        response.status_code = 429
        response["Retry-After"] = str(wait)
    return response


@dataclass(frozen=True)
class ShownSession:
    """A session as the person sees it."""

    handle: str
    current: bool
    began: datetime | None
    ends: datetime
    address: str
    browser: str
    agent: str


@require_safe
def sessions(request: Request) -> HttpResponse:
    """Where the person is logged in."""
    rows = (
        Session.objects.of(request.user)
        .live(request.now)
        .order_by("-expire_date")[: SESSIONS_SHOWN + 1]
    )
    shown = [shown for row in rows if (shown := _shown(row, request))]
    # The session that was used last comes first, and the one that asks before all others.
    shown.sort(key=lambda session: not session.current)
    context = {
        "sessions": shown[:SESSIONS_SHOWN],
        "more": len(shown) > SESSIONS_SHOWN,
        "idle": settings.SESSION_IDLE,
    }
    return render(request, "me/sessions.html", context)


def _shown(row: Session, request: Request) -> ShownSession | None:
    data = row.data
    # Made with a password that was changed since in a shell: it is not accepted any more.
    made_with = data.get(HASH_SESSION_KEY, "")
    if not constant_time_compare(made_with, request.user.get_session_auth_hash()):
        return None
    began = data.get(BEGAN, {})
    return ShownSession(
        handle=row.handle,
        current=row.pk == request.session.session_key,
        began=datetime.fromisoformat(began["at"]) if began else None,
        ends=row.expire_date,
        address=began.get("address", ""),
        browser=browser_of(began.get("agent", "")),
        agent=began.get("agent", ""),
    )


def browser_of(agent: str) -> str:
    """The browser and its system, "Firefox · Windows"; what it says of itself when that is
    neither.
    """

    def named(table: dict[str, str]) -> str:
        return next((name for sign, name in table.items() if sign in agent), "")

    return " · ".join(filter(None, (named(BROWSERS), named(SYSTEMS)))) or agent[:40]


@require_POST
def end_session(request: Request) -> HttpResponse:
    """End one session, or all others. The one that asks ends by logging out."""
    form = EndSessionForm(request.POST)
    if form.is_valid():
        handle = form.cleaned_data["session"]
        key = request.session.session_key
        handles = [handle] if handle else None
        outcome = actions.end_sessions(
            request.user, but=key, handles=handles, context=request.context
        )
        ended = len(outcome.done)
        words = ngettext("%(n)d session has ended.", "%(n)d sessions have ended.", ended)
        messages.success(request, words % {"n": ended})
    return redirect("recycle:sessions")
