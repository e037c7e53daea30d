"""Undo, as the message after a delete offers it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from recycle import actions
from recycle.actions.undo import Undone
from recycle.forms import UndoForm
from recycle.http import Request
from recycle.policy import Refusal
from recycle.views.again import label
from recycle.views.verbs.answer import BROKEN, because, refuse, with_reasons


@require_POST
def undo(request: Request) -> HttpResponse:
    form = UndoForm(request.POST, request=request)
    undone = (
        actions.undo(form.cleaned_data["batch"], context=request.context)
        if form.is_valid()
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
        return HttpResponseRedirect(form.cleaned_data["back"] or reverse("recycle:instances"))
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
    reasons: list[tuple[str, Any]] = [
        (refused.name, because(refused)) for refused in undone.restored.refused
    ]
    reasons += [(label(result), because(result)) for result in undone.configured if not result.done]
    reasons += [(refused.name, because(refused)) for refused in undone.started.refused]
    reasons += [
        (failed.name, BROKEN) for failed in (*undone.restored.failed, *undone.started.failed)
    ]
    if reasons:
        messages.warning(request, with_reasons(_("Not everything could be undone:"), reasons))
