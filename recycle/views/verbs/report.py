"""What came of an action on instances: said where the person was, with the way on."""

from collections.abc import Mapping

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from recycle.actions import Outcome
from recycle.actions.undo import MOST_UNDONE, UNDO_FOR
from recycle.forms import DialogForm, SelectionForm
from recycle.http import Request
from recycle.lifecycle import Action
from recycle.outcomes import (
    INSTANCES_FAILED,
    INSTANCES_LEFT,
    say_outcome,
    what_was_done,
    with_reasons,
)
from recycle.policy import Refusal
from recycle.views.answers import finish, refuse


def report_moves(
    request: Request, page: DialogForm, form: SelectionForm, outcome: Outcome
) -> HttpResponse:
    """Say what was done and what was not, and go back to the list, where what was refused stays
    selected.
    """
    announced = page.cleaned_data["announced"]
    say_outcome(
        request,
        outcome,
        _what_was_done(outcome),
        left=INSTANCES_LEFT,
        failed=INSTANCES_FAILED,
        announced=announced,
    )
    if after_all := [done.name for done in outcome.done if announced and str(done.id) in announced]:
        sentence = _("The dialog said that this cannot be done; in the meantime it could:")
        messages.info(request, with_reasons(sentence, [(name, "") for name in after_all]))
    if form.cleaned_data.get("again") and outcome.done:
        return _configure_again(request, outcome)
    return finish(request, page.cleaned_data["back"], outcome, undo=_undo(request, outcome))


def report_job(request: Request, page: DialogForm, outcome: Outcome) -> HttpResponse:
    """Go on to the page of the batch job that was asked for."""
    if outcome.refused:
        return refuse(request, [str(Refusal.ROLE.label)], page.home, status=403)
    if not outcome.done:
        messages.info(request, _("None of the selected instances is there any more."))
        return finish(request, page.cleaned_data["back"])
    messages.success(request, _("This goes on as a batch job. You can leave this page."))
    return _go_on(request, reverse("recycle:job", args=[outcome.done[0].id]))


def _undo(request: Request, outcome: Outcome) -> Mapping[str, str] | None:
    """The batch that the message offers to undo, and until when; None when it offers nothing."""
    binned = sum(done.action is Action.RECYCLE for done in outcome.done)
    if not 0 < binned <= MOST_UNDONE:
        return None
    return {"batch": str(outcome.batch), "until": (request.now + UNDO_FOR).isoformat()}


def _configure_again(request: Request, outcome: Outcome) -> HttpResponse:
    """Go on to the plan of what the restored instances could be bound to again."""
    return _go_on(request, f"{reverse('recycle:configure_again')}?batch={outcome.batch}")


def _go_on(request: Request, address: str) -> HttpResponse:
    if not request.htmx:
        return HttpResponseRedirect(address)
    return trigger_client_event(HttpResponseClientRedirect(address), "done")


def _what_was_done(outcome: Outcome) -> SafeString:
    """With a link to where the instances are now."""
    sentence, actions = what_was_done(outcome), {done.action for done in outcome.done}
    if Action.RESTORE in actions:
        # Those named by their ids may lie in another region than the one that is shown.
        link = f"{reverse('recycle:instances')}?batch={outcome.batch}&region="
        return format_html('{} <a href="{}">{}</a>', sentence, link, _("Show them"))
    if Action.RECYCLE in actions:
        link = reverse("recycle:bin")
        return format_html('{} <a href="{}">{}</a>', sentence, link, _("Recycle bin"))
    return format_html("{}", sentence)
