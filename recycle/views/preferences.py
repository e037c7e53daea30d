"""How a person likes the console: account, theme, columns, dismissed tips."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from recycle.forms import ColumnsForm, ThemeForm, TipForm, own_address
from recycle.http import Request, Shell, leads_here

YEAR = 365 * 24 * 3600


def _back(request: HttpRequest) -> HttpResponse:
    """Go back to where the person was, and never to another host."""
    target = request.POST.get("next", "")
    return redirect(target if leads_here(target) else settings.LOGIN_REDIRECT_URL)


def _refuse(form: Form) -> HttpResponse:
    return HttpResponseBadRequest(form.errors.as_text(), content_type="text/plain; charset=utf-8")


@require_POST
def account(request: Request) -> HttpResponse:
    chosen = request.POST.get("account", "")
    if chosen not in {str(account.pk) for account in request.shell.accounts}:
        raise Http404
    request.session["account"] = int(chosen)
    # A number that means another one there.
    request.session.pop("project", None)
    request.shell = Shell(request)
    # What an address filtered belongs to the account that was left, unless it leads to this one.
    onward = own_address(request.POST.get("next", ""), request.shell.scope)
    return redirect(onward or settings.LOGIN_REDIRECT_URL)


@require_POST
@login_not_required
def theme(request: HttpRequest) -> HttpResponse:
    form = ThemeForm(request.POST)
    if not form.is_valid():
        return _refuse(form)
    response = _back(request)
    response.set_cookie(
        "theme",
        form.cleaned_data["theme"],
        max_age=YEAR,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return response


@require_POST
def columns(request: Request) -> HttpResponse:
    form = ColumnsForm(request.POST)
    if not form.is_valid():
        return _refuse(form)
    chosen = {form.cleaned_data["list"]: form.cleaned_data["columns"]}
    request.user.preferences["columns"] = {**request.user.preferences.get("columns", {}), **chosen}
    request.user.save(update_fields=["preferences"])
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Trigger": "changed"})
    return _back(request)


@require_POST
def dismiss_tip(request: Request) -> HttpResponse:
    form = TipForm(request.POST)
    if not form.is_valid():
        return _refuse(form)
    dismissed = set(request.user.preferences.get("dismissed", [])) | {form.cleaned_data["tip"]}
    request.user.preferences["dismissed"] = sorted(dismissed)
    request.user.save(update_fields=["preferences"])
    return _back(request)
