"""What views answer beside a page: a dialog, the end of one, or why the request was refused as a
whole.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django_htmx.http import trigger_client_event

from recycle.actions import Failed, Outcome, Refused
from recycle.forms import DialogForm, dialog_link
from recycle.http import Request, pick
from recycle.lifecycle import AnyAction
from recycle.policy import Refusal

# Rows that stay selected because they were left alone.
KEPT = 200

View = Callable[..., HttpResponse]


def needs(action: AnyAction, home: str) -> Callable[[View], View]:
    """Make a view refuse people whose role in the chosen account is not enough for this action.

    `home` names the page that they can go back to.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.shell.may[action]:
                return refuse(request, [str(Refusal.ROLE.label)], home, status=403)
            return view(request, *args, **kwargs)

        return wrapper

    return decorate


def refuse_form(request: Request, page: DialogForm, *forms: Form) -> HttpResponse:
    """Answer that something the page sent, or something it is about, is wrong.

    Where only nothing was selected, the person is sent back with a message. An unknown row makes
    the answer a 404, anything else a 400.
    """
    listed = [each for form in (page, *forms) for each in form.errors.as_data().values()]
    errors = [error for each in listed for error in each]
    sentences = [str(message) for error in errors for message in error.messages]
    if all(error.code == "empty" for error in errors) and not request.htmx:
        messages.error(request, sentences[0])
        return HttpResponseRedirect(page.cleaned_data.get("back") or reverse(page.home))
    status = 404 if any(error.code == "not_found" for error in errors) else 400
    return refuse(request, sentences, page.home, status=status)


def refuse(request: Request, sentences: Iterable[str], home: str, *, status: int) -> HttpResponse:
    """Answer that the request is wrong as a whole and that nothing was changed."""
    request.shell.address = reverse(home)
    if request.htmx:
        for sentence in sentences:
            messages.error(request, sentence)
        response = render(request, "_messages.html", status=status)
        response["HX-Reswap"] = "none"
        return response
    context = {
        # Who only looked at a page has not tried to change anything.
        "title": _("Nothing was changed") if request.method == "POST" else _("Not possible"),
        "sentences": list(sentences),
        "back": reverse(home),
    }
    return render(request, "refused.html", context, status=status)


def stay_here(request: Request, url: str, back: str, ids: Sequence[Any]) -> None:
    """Say where the person is while a dialog is open.

    A dialog that a link opened can be asked for again; one about a selection leads back.
    """
    request.shell.address = dialog_link(url, back, ids) if request.method == "GET" else back


def render_dialog(
    request: Request, partial: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Answer with a dialog, which is a page of its own without htmx."""
    template = pick(request, page="verbs/page.html", partial=partial)
    context |= {"partial": partial, "piece": template == partial}
    response = render(request, template, context, status=status)
    if template == partial:
        response["HX-Retarget"], response["HX-Reswap"] = "#dialog", "innerHTML"
    return response


def finish(
    request: Request,
    back: str,
    outcome: Outcome | None = None,
    undo: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Close the dialog and show the messages where the person was; what was left alone stays
    selected.

    `undo` names the batch that the message offers to undo, and until when.
    """
    request.shell.address = back
    left: list[Refused | Failed] = []
    if outcome:
        left += [*outcome.refused, *outcome.failed]
    keep = [str(each.id) for each in left[:KEPT]]
    if not request.htmx:
        request.session["keep"] = keep
        if undo:
            request.session["undo"] = undo
        return HttpResponseRedirect(back)
    response = render(request, "_messages.html", {"undo": undo})
    response["HX-Reswap"] = "none"
    trigger_client_event(response, "done", {"keep": keep})
    return trigger_client_event(response, "changed")
