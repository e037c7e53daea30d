"""What a verb answers: what was done and what was not, or why the request was refused as a
whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from recycle.actions import Outcome, Refused
from recycle.actions.again import Result
from recycle.actions.undo import MOST_UNDONE, UNDO_FOR
from recycle.forms import DialogForm, SelectionForm
from recycle.http import Request, page_of, pick
from recycle.lifecycle import Action, ResourceAction
from recycle.policy import Refusal
from recycle.views import words

# Reasons named in a message, and refused rows that stay selected.
REASONS, KEPT = 10, 200
BROKEN = gettext_lazy("The database rejected the change. Try again, or ask who runs the console.")


def refuse_form(request: Request, page: DialogForm, *forms: Form) -> HttpResponse:
    """What is wrong with what a page sent, or with what it is about."""
    listed = [each for form in (page, *forms) for each in form.errors.as_data().values()]
    errors = [error for each in listed for error in each]
    sentences = [str(message) for error in errors for message in error.messages]
    if all(error.code == "empty" for error in errors) and not request.htmx:
        messages.error(request, sentences[0])
        return HttpResponseRedirect(page.cleaned_data.get("back") or reverse(page.home))
    status = 404 if any(error.code == "not_found" for error in errors) else 400
    return refuse(request, sentences, page.home, status=status)


def refuse(request: Request, sentences: Iterable[str], home: str, *, status: int) -> HttpResponse:
    """A request that is wrong as a whole: nothing was changed."""
    request.shell.address = reverse(home)
    if request.htmx:
        for sentence in sentences:
            messages.error(request, sentence)
        response = render(request, "_messages.html", status=status)
        response["HX-Reswap"] = "none"
        return response
    context = {
        "title": _("Nothing was changed"),
        "sentences": list(sentences),
        "back": reverse(home),
    }
    return render(request, "refused.html", context, status=status)


def render_dialog(
    request: Request, partial: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """A dialog, or without htmx a page of its own."""
    template = pick(request, page="verbs/page.html", partial=partial)
    context |= {"partial": partial, "piece": template == partial}
    response = render(request, template, context, status=status)
    if template == partial:
        response["HX-Retarget"], response["HX-Reswap"] = "#dialog", "innerHTML"
    return response


def report(
    request: Request, page: DialogForm, form: SelectionForm, outcome: Outcome
) -> HttpResponse:
    """Say what was done and what was not, and go back to the list, where what was refused stays
    selected.
    """
    announced = page.cleaned_data["announced"]
    if outcome.done:
        messages.success(request, _what_was_done(outcome), extra_tags=_undo(request, outcome))
    if after_all := [done.name for done in outcome.done if announced and str(done.id) in announced]:
        sentence = _("The dialog said that this cannot be done; in the meantime it could:")
        messages.info(request, with_reasons(sentence, [(name, "") for name in after_all]))
    if outcome.refused:
        reasons = [(refused.name, _why(refused, announced)) for refused in outcome.refused]
        count = len(reasons)
        sentence = ngettext(
            "%(n)d instance was left alone:", "%(n)d instances were left alone:", count
        ) % {"n": count}
        messages.warning(request, with_reasons(sentence, reasons))
    if outcome.failed:
        count = len(outcome.failed)
        sentence = ngettext("%(n)d instance failed:", "%(n)d instances failed:", count) % {
            "n": count
        }
        messages.error(
            request, with_reasons(sentence, [(failed.name, BROKEN) for failed in outcome.failed])
        )

    if form.cleaned_data.get("again") and outcome.done:
        return _configure_again(request, outcome)
    left = [
        *(str(refused.id) for refused in outcome.refused),
        *(str(failed.id) for failed in outcome.failed),
    ]
    return finish(request, page.cleaned_data["back"], left)


def finish(request: Request, back: str, left: Sequence[str] = ()) -> HttpResponse:
    """Close the dialog and show the messages where the person was; what was left alone stays
    selected.
    """
    request.shell.address = back
    if not request.htmx:
        request.session["keep"] = list(left[:KEPT])
        return HttpResponseRedirect(back)
    response = render(request, "_messages.html")
    response["HX-Reswap"] = "none"
    trigger_client_event(response, "done", {"keep": list(left[:KEPT])})
    return trigger_client_event(response, "changed")


def _undo(request: Request, outcome: Outcome) -> str:
    """What makes the message offer an undo, for as long as there is one: `_messages.html`
    shows it.
    """
    binned = sum(done.action is Action.RECYCLE for done in outcome.done)
    return (
        f"undo {outcome.batch} {(request.now + UNDO_FOR).isoformat()}"
        if 0 < binned <= MOST_UNDONE
        else ""
    )


def _configure_again(request: Request, outcome: Outcome) -> HttpResponse:
    """To the plan for all that came back."""
    address = f"{reverse('recycle:configure_again')}?batch={outcome.batch}"
    if not request.htmx:
        return HttpResponseRedirect(address)
    return trigger_client_event(HttpResponseClientRedirect(address), "done")


def _what_was_done(outcome: Outcome) -> SafeString:
    by_action: dict[Action | ResourceAction, list[str]] = {}
    for done in outcome.done:
        by_action.setdefault(done.action, []).append(done.name)
    sentences = [words.done(action, len(names)) for action, names in by_action.items()]
    if Action.RELEASE in by_action:
        sentences.append(_("What was released cannot be undone."))
    if Action.RESTORE in by_action:
        # Those named by their ids may lie in another region than the one that is shown.
        link = f"{reverse('recycle:instances')}?batch={outcome.batch}&region="
        return format_html('{} <a href="{}">{}</a>', " ".join(sentences), link, _("Show them"))
    if Action.RECYCLE in by_action:
        return format_html(
            '{} <a href="{}">{}</a>', " ".join(sentences), reverse("recycle:bin"), _("Recycle bin")
        )
    return format_html("{}", " ".join(sentences))


def _why(refused: Refused, announced: Mapping[str, str] | None) -> SafeString:
    """The reason, and whether it is another one than the dialog gave."""
    told = announced is None or announced.get(str(refused.id)) == refused.refusal.value
    if told or refused.refusal is Refusal.CHANGED:
        return because(refused)
    return format_html("{} {}", because(refused), _("This has changed since the dialog was shown."))


def because(refused: Refused | Result) -> SafeString:
    """Why something was left alone, with a link to what stands in the way."""
    if refused.refusal is None:
        return format_html("{}", BROKEN)
    if refused.blocker is None:
        return format_html("{}", refused.refusal.label)
    name, page = refused.blocker.name, page_of(refused.blocker)
    link = format_html('<a href="{}">{}</a>', page, name) if page else name
    return format_html("{} ({})", refused.refusal.label, link)


def with_reasons(sentence: str, reasons: Sequence[tuple[str, Any]]) -> SafeString:
    shown = format_html_join(
        "", "<li>{}{}{}</li>", ((name, ": " if why else "", why) for name, why in reasons[:REASONS])
    )
    more = len(reasons) - REASONS
    rest = format_html("<li>{}</li>", _("and %(n)d more") % {"n": more}) if more > 0 else ""
    return format_html("{}<ul>{}{}</ul>", sentence, shown, rest)
