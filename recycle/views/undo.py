"""Undo, as the message after a delete offers it."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from recycle import actions
from recycle.actions.undo import Undone
from recycle.forms import DialogForm, UndoForm
from recycle.http import Request
from recycle.outcomes import NOT_UNDONE, NOTHING_UNDONE, reasons_of, say_left
from recycle.policy import Refusal
from recycle.views.again import not_bound
from recycle.views.answers import refuse


@require_POST
def undo(request: Request) -> HttpResponse:
    page = DialogForm(request.POST, scope=request.shell.scope, home="recycle:instances")
    form = UndoForm(request.POST)
    undone = (
        actions.undo(form.cleaned_data["batch"], context=request.context)
        if page.is_valid() and form.is_valid()
        else None
    )
    if undone is None:
        return refuse(
            request, [_("There is nothing of this kind to undo.")], "recycle:bin", status=404
        )
    if undone.refusal:
        status = 403 if undone.refusal is Refusal.NOT_YOURS else 409
        return refuse(request, [str(undone.refusal.label)], "recycle:bin", status=status)
    _say(request, undone)
    if not request.htmx:
        return HttpResponseRedirect(page.cleaned_data["back"])
    response = render(request, "_messages.html")
    response["HX-Reswap"] = "none"
    return trigger_client_event(response, "changed")


def _say(request: Request, undone: Undone) -> None:
    back, running = len(undone.restored.done), len(undone.started.done)
    bound = sum(result.done for result in undone.configured)
    sentences = [
        ngettext("%(n)d instance is back.", "%(n)d instances are back.", back) % {"n": back},
        ngettext(
            "%(n)d relationship is bound again.", "%(n)d relationships are bound again.", bound
        )
        % {"n": bound},
        ngettext("%(n)d instance runs again.", "%(n)d instances run again.", running)
        % {"n": running},
    ]
    done = [sentence for sentence, n in zip(sentences, (back, bound, running), strict=True) if n]
    if done:
        messages.success(request, " ".join(done))
    reasons = (
        reasons_of(undone.restored) + not_bound(undone.configured) + reasons_of(undone.started)
    )
    say_left(request, NOT_UNDONE if done else NOTHING_UNDONE, reasons)
