"""A dialog that asks for a new volume, address, load balancer, listener or tag, and makes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from recycle.actions import Blocker, Outcome
from recycle.actions.limits import Limit, uses, with_account_use
from recycle.forms import BackForm
from recycle.forms.resources import NewForm
from recycle.http import Request, page_of
from recycle.models import Account
from recycle.policy import Refusal, Role
from recycle.views.resources.dialog import show_dialog
from recycle.views.verbs.answer import BROKEN, because, finish, refuse, refuse_form
from recycle.views.verbs.dialog import stay_here


@dataclass(frozen=True, kw_only=True)
class Maker:
    """How one kind is made."""

    home: str
    model: type[Model]
    title: Callable[[], str]
    done: Callable[[], str]
    details: type[NewForm]
    # The row as it was asked for, not saved.
    new: Callable[[dict[str, Any], Account, Any], Model]
    carry_out: Callable[..., Outcome]
    limits: tuple[Limit, ...] = ()


def make(request: Request, maker: Maker, url: str) -> HttpResponse:
    if request.shell.role < Role.OPERATOR or not request.shell.account:
        return refuse(request, [str(Refusal.ROLE.label)], maker.home, status=403)
    form = BackForm(
        request.POST if request.method == "POST" else request.GET,
        request=request,
        home=reverse(maker.home),
    )
    if not form.is_valid():
        return refuse_form(request, form, maker.home)
    confirmed = request.method == "POST" and form.cleaned_data["confirmed"]
    details = maker.details(request.POST if confirmed else None, request=request)
    if confirmed and details.is_valid() and (response := _carry_out(request, maker, form, details)):
        return response
    account = with_account_use(Account.objects.filter(pk=request.shell.account.pk)).get()
    limited = [use for use in uses(account) if use.limit in maker.limits and use.most is not None]
    stay_here(request, url, form.cleaned_data["back"], ())
    return show_dialog(
        request, details, url, form.cleaned_data["back"], title=maker.title(), uses=limited
    )


def _carry_out(
    request: Request, maker: Maker, form: BackForm, details: NewForm
) -> HttpResponse | None:
    """Make it; None when it was refused, which the dialog then says."""
    assert request.shell.account
    row = maker.new(details.cleaned_data, request.shell.account, request.now)
    token = details.cleaned_data["token"]
    if maker.model._meta.pk.get_internal_type() == "UUIDField":
        if maker.model._default_manager.filter(pk=token).exists():
            messages.info(request, _("It has been created already."))
            return finish(request, form.cleaned_data["back"])
        row.pk = token
    outcome = maker.carry_out(row, context=request.context)
    for refused in outcome.refused:
        details.add_error(None, because(refused))
    if outcome.failed:
        details.add_error(None, str(BROKEN))
    if not outcome.done:
        return None
    blocker = Blocker.of(row)
    page = page_of(blocker) if blocker else ""
    name = format_html('<a href="{}">{}</a>', page, row) if page else row
    messages.success(request, format_html("{} {}", maker.done(), name))
    return finish(request, form.cleaned_data["back"])
