"""What people ask for: each verb first says in a dialog what would happen, then, after OK, does it
and says what did.

The dialog is a dry run of the verb itself. Without htmx it is a page of its own.
"""

from dataclasses import replace
from functools import partial

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from recycle.forms import MAX_SELECTED, VERBS, SelectionDialogForm
from recycle.http import Request, sent
from recycle.lifecycle import Action
from recycle.text import as_seen
from recycle.views.answers import needs, refuse_form
from recycle.views.verbs.dialog import group, may_be_final, show_preview, to_retype
from recycle.views.verbs.report import report_moves

# Where the person goes back to when the request does not say.
LIST, BIN = "recycle:instances", "recycle:bin"


@require_http_methods(["GET", "POST"])
@needs(Action.START, LIST)
def start(request: Request) -> HttpResponse:
    return _act(request, Action.START, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.STOP, LIST)
def stop(request: Request) -> HttpResponse:
    return _act(request, Action.STOP, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.RESTART, LIST)
def restart(request: Request) -> HttpResponse:
    return _act(request, Action.RESTART, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.DELETE, LIST)
def delete(request: Request) -> HttpResponse:
    return _act(request, Action.DELETE, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.RENEW, LIST)
def renew(request: Request) -> HttpResponse:
    return _act(request, Action.RENEW, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.RESTORE, BIN)
def restore(request: Request) -> HttpResponse:
    return _act(request, Action.RESTORE, BIN)


@require_http_methods(["GET", "POST"])
@needs(Action.PURGE, BIN)
def purge(request: Request) -> HttpResponse:
    return _act(request, Action.PURGE, BIN)


@require_http_methods(["GET", "POST"])
@needs(Action.EXTEND, BIN)
def extend(request: Request) -> HttpResponse:
    return _act(request, Action.EXTEND, BIN)


@require_http_methods(["GET", "POST"])
@needs(Action.PROTECT, LIST)
def protect(request: Request) -> HttpResponse:
    return _act(request, Action.PROTECT, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.UNPROTECT, LIST)
def unprotect(request: Request) -> HttpResponse:
    return _act(request, Action.UNPROTECT, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.HOLD, BIN)
def hold(request: Request) -> HttpResponse:
    return _act(request, Action.HOLD, BIN)


@require_http_methods(["GET", "POST"])
@needs(Action.UNHOLD, BIN)
def unhold(request: Request) -> HttpResponse:
    return _act(request, Action.UNHOLD, BIN)


def _act(request: Request, action: Action, home: str) -> HttpResponse:
    form_class, carry_out = VERBS[action]
    page = SelectionDialogForm(sent(request), scope=request.shell.scope, home=home)
    form = form_class(sent(request), scope=request.shell.scope, shown=page.shown)
    form.is_valid()
    if not page.is_valid() or "instances" not in form.cleaned_data:
        return refuse_form(request, page, form)
    instances, assumed = form.cleaned_data["instances"], form.assumed()
    context = replace(request.context, reason=form.cleaned_data.get("reason", "").strip())
    act = partial(carry_out, instances, context=context, limit=MAX_SELECTED)
    answered = request.method == "POST" and page.cleaned_data["confirmed"]
    if answered and not form.errors and not may_be_final(action, instances):
        # Nothing has to be retyped, so that nothing has to be told apart once more before.
        return report_moves(request, page, form, act(**form.parameters(retyped=False)))
    groups = group(request, action, act(dry_run=True, **assumed), assumed)
    expected = to_retype(groups)
    retyped = bool(expected) and as_seen(page.cleaned_data["confirm"]) == expected
    if not answered:
        # Nothing has been answered yet, so that nothing of it is wrong.
        form.errors.clear()
        return show_preview(request, action, page, form, groups, expected)
    if expected and not retyped:
        page.add_error("confirm", _("Type exactly what is asked for."))
    if page.errors or form.errors:
        return show_preview(request, action, page, form, groups, expected, status=422)
    return report_moves(request, page, form, act(**form.parameters(retyped=retyped)))
