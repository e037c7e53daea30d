"""What people ask for: each verb first says in a dialog what would happen, then, after OK, does it
and says what did.

The dialog is a dry run of the verb itself. Without htmx it is a page of its own.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from recycle import actions
from recycle.actions import Outcome
from recycle.forms import FORMS, MAX_SELECTED, SelectionDialogForm
from recycle.http import Request, sent
from recycle.lifecycle import Action
from recycle.policy import NEEDED, Refusal
from recycle.text import as_seen
from recycle.views.answers import refuse, refuse_form
from recycle.views.verbs.dialog import ask, group, to_retype
from recycle.views.verbs.report import report


@require_http_methods(["GET", "POST"])
def start(request: Request) -> HttpResponse:
    return _act(request, Action.START, actions.start, home="recycle:instances")


@require_http_methods(["GET", "POST"])
def stop(request: Request) -> HttpResponse:
    return _act(request, Action.STOP, actions.stop, home="recycle:instances")


@require_http_methods(["GET", "POST"])
def restart(request: Request) -> HttpResponse:
    return _act(request, Action.RESTART, actions.restart, home="recycle:instances")


@require_http_methods(["GET", "POST"])
def delete(request: Request) -> HttpResponse:
    return _act(request, Action.DELETE, actions.delete, home="recycle:instances")


@require_http_methods(["GET", "POST"])
def renew(request: Request) -> HttpResponse:
    return _act(request, Action.RENEW, actions.renew, home="recycle:instances")


@require_http_methods(["GET", "POST"])
def restore(request: Request) -> HttpResponse:
    return _act(request, Action.RESTORE, actions.restore, home="recycle:bin")


@require_http_methods(["GET", "POST"])
def purge(request: Request) -> HttpResponse:
    return _act(request, Action.PURGE, actions.purge, home="recycle:bin")


@require_http_methods(["GET", "POST"])
def extend(request: Request) -> HttpResponse:
    return _act(request, Action.EXTEND, actions.extend, home="recycle:bin")


@require_http_methods(["GET", "POST"])
def protect(request: Request) -> HttpResponse:
    return _act(request, Action.PROTECT, actions.protect, home="recycle:instances")


@require_http_methods(["GET", "POST"])
def unprotect(request: Request) -> HttpResponse:
    return _act(request, Action.UNPROTECT, actions.unprotect, home="recycle:instances")


@require_http_methods(["GET", "POST"])
def hold(request: Request) -> HttpResponse:
    return _act(request, Action.HOLD, actions.hold, home="recycle:bin")


@require_http_methods(["GET", "POST"])
def unhold(request: Request) -> HttpResponse:
    return _act(request, Action.UNHOLD, actions.unhold, home="recycle:bin")


def _act(
    request: Request, action: Action, carry_out: Callable[..., Outcome], *, home: str
) -> HttpResponse:
    """`home` names the list that the person goes back to when the request does not say."""
    if request.shell.role < NEEDED[action]:
        return refuse(request, [str(Refusal.ROLE.label)], home, status=403)
    page = SelectionDialogForm(sent(request), scope=request.shell.scope, home=home)
    form = FORMS[action](sent(request), scope=request.shell.scope, shown=page.shown)
    form.is_valid()
    if not page.is_valid() or "instances" not in form.cleaned_data:
        return refuse_form(request, page, form)

    context = replace(request.context, reason=form.cleaned_data.get("reason", "").strip())

    def act(**parameters: Any) -> Outcome:
        return carry_out(
            form.cleaned_data["instances"],
            context=context,
            limit=MAX_SELECTED,
            **parameters,
        )

    groups = group(request, action, act(dry_run=True, **form.assumed()), form.assumed())
    expected = to_retype(groups)
    retyped = bool(expected) and as_seen(page.cleaned_data["confirm"]) == expected
    if request.method == "GET" or not page.cleaned_data["confirmed"]:
        # Nothing has been answered yet, so that nothing of it is wrong.
        form.errors.clear()
        return ask(request, action, page, form, groups, expected)
    if expected and not retyped:
        page.add_error("confirm", _("Type exactly what is asked for."))
    if page.errors or form.errors:
        return ask(request, action, page, form, groups, expected, status=422)
    return report(request, page, form, act(**form.parameters(retyped=retyped)))
