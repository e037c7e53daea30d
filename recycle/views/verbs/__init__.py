"""What people ask for: each verb first says in a dialog what would happen, then, after OK, does it
and says what did.

The dialog is a dry run of the verb itself. Without htmx it is a page of its own. What would keep
the person waiting becomes a batch job.
"""

from dataclasses import replace
from functools import partial

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from recycle import actions
from recycle.actions import JobOrder
from recycle.forms import VERBS, SelectionDialogForm
from recycle.http import Request, sent
from recycle.lifecycle import Action
from recycle.text import as_seen
from recycle.views.answers import needs, refuse_form
from recycle.views.verbs.dialog import PREVIEWED, Preview, group, may_be_final, show_preview
from recycle.views.verbs.report import report_job, report_moves

# Where the person goes back to when the request does not say.
LIST, BIN, QUARANTINE = "recycle:instances", "recycle:bin", "recycle:quarantine"


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
@needs(Action.RENAME, LIST)
def rename(request: Request) -> HttpResponse:
    return _act(request, Action.RENAME, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.RESIZE, LIST)
def resize(request: Request) -> HttpResponse:
    return _act(request, Action.RESIZE, LIST)


@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "POST"])
@needs(Action.RESET_PASSWORD, LIST)
def reset_password(request: Request) -> HttpResponse:
    return _act(request, Action.RESET_PASSWORD, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.SCHEDULE, LIST)
def schedule(request: Request) -> HttpResponse:
    return _act(request, Action.SCHEDULE, LIST)


@require_http_methods(["GET", "POST"])
@needs(Action.UNSCHEDULE, LIST)
def unschedule(request: Request) -> HttpResponse:
    return _act(request, Action.UNSCHEDULE, LIST)


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


@require_http_methods(["GET", "POST"])
@needs(Action.RETRY, QUARANTINE)
def retry(request: Request) -> HttpResponse:
    return _act(request, Action.RETRY, QUARANTINE)


def _act(request: Request, action: Action, home: str) -> HttpResponse:
    form_class, carry_out = VERBS[action]
    page = SelectionDialogForm(sent(request), scope=request.shell.scope, home=home)
    form = form_class(sent(request), scope=request.shell.scope, shown=page.shown)
    form.is_valid()
    if not page.is_valid() or "instances" not in form.cleaned_data:
        return refuse_form(request, page, form)
    instances, assumed = form.cleaned_data["instances"], form.assumed()
    context = replace(request.context, reason=form.cleaned_data.get("reason", "").strip())
    act = partial(carry_out, instances, context=context)

    def carry_out_or_ask(*, retyped: bool) -> HttpResponse:
        parameters = form.parameters(retyped=retyped)
        if not form.is_large:
            return report_moves(request, page, form, act(**parameters))
        assert request.shell.account
        order = JobOrder(
            account=request.shell.account,
            action=action,
            parameters=parameters,
            chosen=page.cleaned_data["back"] if form.cleaned_data["all"] else "",
        )
        return report_job(request, page, actions.request_job(instances, order, context=context))

    answered = request.method == "POST" and page.cleaned_data["confirmed"]
    final = may_be_final(action, instances)
    if answered and not form.errors and not final:
        # Nothing has to be retyped, so that nothing has to be told apart once more before.
        return carry_out_or_ask(retyped=False)
    groups = group(request, action, act(dry_run=True, limit=PREVIEWED, **assumed), assumed)
    preview = Preview(groups, instances.count() if form.is_large else None, final=final)
    expected = preview.expected
    retyped = bool(expected) and as_seen(page.cleaned_data["confirm"]) == expected
    if not answered:
        # Nothing has been answered yet, so that nothing of it is wrong.
        form.errors.clear()
        return show_preview(request, action, page, form, preview, assumed)
    if expected and not retyped:
        page.add_error("confirm", _("Type exactly what is asked for."))
    if page.errors or form.errors:
        return show_preview(request, action, page, form, preview, assumed, status=422)
    return carry_out_or_ask(retyped=retyped)
