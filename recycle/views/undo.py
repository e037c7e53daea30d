"""Undo, as the message after a delete offers it."""

from collections import Counter

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from recycle import actions
from recycle.actions import Outcome
from recycle.forms import DialogForm, UndoForm
from recycle.http import Request
from recycle.lifecycle import Action, ResourceAction
from recycle.outcomes import NOT_UNDONE, NOTHING_UNDONE, reasons_of, say_left
from recycle.policy import Refusal
from recycle.views.answers import refuse

# Why a delete is not undone at all, and the status that says so. Whatever else an undo leaves alone
# does not keep it from the rest.
AS_A_WHOLE = {Refusal.NOT_YOURS: 403, Refusal.TOO_LATE: 409, Refusal.TOO_LARGE: 409}


@require_POST
def undo(request: Request) -> HttpResponse:
    page = DialogForm(request.POST, scope=request.shell.scope, home="recycle:instances")
    form = UndoForm(request.POST)
    undone = (
        actions.undo(form.cleaned_data["batch"], context=request.context)
        if page.is_valid() and form.is_valid()
        else None
    )
    if undone is None or not undone.items:
        return refuse(
            request, [_("There is nothing of this kind to undo.")], "recycle:bin", status=404
        )
    whole = next((each.refusal for each in undone.refused if each.refusal in AS_A_WHOLE), None)
    if whole:
        return refuse(request, [str(whole.label)], "recycle:bin", status=AS_A_WHOLE[whole])
    _say(request, undone)
    if not request.htmx:
        return HttpResponseRedirect(page.cleaned_data["back"])
    response = render(request, "_messages.html")
    response["HX-Reswap"] = "none"
    return trigger_client_event(response, "changed")


def _say(request: Request, undone: Outcome) -> None:
    times = Counter(each.action for each in undone.done)
    back, bound, running = (
        times[action] for action in (Action.RESTORE, ResourceAction.BIND, Action.START)
    )
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
    say_left(request, NOT_UNDONE if done else NOTHING_UNDONE, reasons_of(undone))
