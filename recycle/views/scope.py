"""Which account and region a window is about. Asked of every request, before a page is made for it.

The session is shared by all windows of a browser: it chooses where the next page begins, and says
nothing of the pages that are open.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from recycle.forms import own_address
from recycle.http import Elsewhere, Request, Shell, wants_piece
from recycle.models import Account, Event


class ScopeMiddleware:
    """Answers what belongs to another account than the chosen one before a view mixes the two."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: Request, view: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        ours = request.resolver_match and request.resolver_match.app_name == "recycle"
        # A POST brings its scope along in the form, which refuses it there. Asked last: a probe
        # must not wait for who asks.
        if not ours or request.method not in ("GET", "HEAD") or request.user.is_anonymous:
            return None
        return _outdated(request) or _in_named_account(request)

    def process_exception(self, request: Request, exception: Exception) -> HttpResponse | None:
        return _offer(request, exception.account) if isinstance(exception, Elsewhere) else None


def _outdated(request: Request) -> HttpResponse | None:
    """Have a page made anew that shows another account or region than the one chosen by now."""
    shown, present = request.headers.get("X-Scope"), str(request.shell.scope)
    if shown is None or shown == present:
        return None
    piece = wants_piece(request)
    account = shown.partition(":")[0]
    if account == present.partition(":")[0]:
        if not piece:
            # A link may well lead to another region.
            return None
        sentence = (
            _("You have switched the project in another window.")
            if shown.split(":")[1:2] == present.split(":")[1:2]
            else _("You have switched the region in another window.")
        )
    elif account in {str(each.pk) for each in request.shell.accounts}:
        sentence = _("You have switched the account in another window.")
    else:
        sentence = _("You do not belong to the account any more that this window showed.")
    now = _("This page shows what is chosen now.")
    messages.warning(request, f"{sentence} {now}")
    # A whole page brings its own head along, and the message.
    return HttpResponse(status=409, headers={"HX-Refresh": "true"}) if piece else None


def _in_named_account(request: Request) -> HttpResponse | None:
    """An address may name its account: nothing of another one is shown for it."""
    named, present = request.GET.get("account", ""), request.shell.account
    if not named or (present and named == str(present.pk)):
        return None
    account = next((each for each in request.shell.accounts if str(each.pk) == named), None)
    if account is None:
        # Whether there is such an account is no stranger's business.
        raise Http404
    return _offer(request, account)


def _offer(request: Request, account: Account) -> HttpResponse:
    """Ask whether to switch to the account, and go on to what was asked for there."""
    there = Shell(request, account).scope
    onward = request.shell.address = own_address(request.get_full_path(), there)
    return render(request, "elsewhere.html", {"account": account, "onward": onward}, status=409)


def find(request: Request, rows: QuerySet[Any, Any], pk: Any) -> Any:
    """The row of the chosen account. 404 for a stranger, as for what never was."""
    row = rows.filter(pk=pk).first()
    if row is None:
        visible = rows.model._default_manager.visible_to(request.user).filter(pk=pk)
        raise _elsewhere(visible.values(getattr(rows, "owner", "account"))) or Http404
    return row


def find_batch(request: Request, batch: UUID | None) -> None:
    """Look where a request acted, of which nothing is found in the chosen account."""
    if batch is None:
        return
    events = Event.objects.visible_to(request.user).filter(batch=batch)
    if not events.filter(account=request.shell.account).exists() and (
        elsewhere := _elsewhere(events.values("account"))
    ):
        raise elsewhere


def _elsewhere(accounts: Any) -> Elsewhere | None:
    account = Account.objects.filter(pk__in=accounts).order_by("name").first()
    return Elsewhere(account) if account else None
