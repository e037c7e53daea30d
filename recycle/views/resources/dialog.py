"""A verb on rows named in a list: a dialog that says what it is about and asks what it needs, then
what came of it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import ngettext
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from recycle.actions import Blocker, Context, Outcome, Refused
from recycle.forms import NamedForm
from recycle.forms.resources import DetailsForm, RemoveForm
from recycle.http import Request, page_of, pick
from recycle.policy import Refusal, Role
from recycle.views.verbs.answer import BROKEN, because, finish, refuse, refuse_form, with_reasons
from recycle.views.verbs.dialog import stay_here

# Rows named in a dialog.
SHOWN = 200

Bound = Mapping[Any, Sequence[Model]]


@dataclass(frozen=True, kw_only=True)
class Verb:
    """What is done to the rows that a request names."""

    # The name of its address, and of the list that the person goes back to when the request does
    # not say.
    url: str
    home: str
    # What can be named.
    rows: Callable[[Request], QuerySet[Any, Any]]
    # Said of so many of them.
    title: Callable[[int], str]
    done: Callable[[int], str]
    carry_out: Callable[[Any, dict[str, Any], Context], Outcome]
    details: type[DetailsForm] = DetailsForm
    # What the rows are bound to, in one order.
    bound: Callable[[Sequence[Any]], Bound] = lambda rows: {}
    note: Callable[[], str] = lambda: ""
    # It deletes the rows.
    danger: bool = False


def removal(remove: Callable[..., Outcome]) -> Callable[[Any, dict[str, Any], Context], Outcome]:
    """A deletion that unbinds first where the person said so."""
    return lambda rows, answered, context: remove(
        rows, context=context, unbind=answered.get("unbind", False)
    )


@dataclass(frozen=True)
class Line:
    """A row in a dialog."""

    row: Model
    bound: Sequence[tuple[str, str]]

    @property
    def more(self) -> int:
        return max(0, len(self.bound) - 3)


def act(request: Request, verb: Verb) -> HttpResponse:
    if request.shell.role < Role.OPERATOR:
        return refuse(request, [str(Refusal.ROLE.label)], verb.home, status=403)
    form = NamedForm(
        request.POST if request.method == "POST" else request.GET,
        request=request,
        home=reverse(verb.home),
        rows=verb.rows,
    )
    if not form.is_valid():
        return refuse_form(request, form, verb.home)
    confirmed = request.method == "POST" and form.cleaned_data["confirmed"]
    rows = list(form.named)
    bound = verb.bound(rows)
    details = verb.details(
        request.POST if confirmed else None,
        request=request,
        rows=rows,
        bound=any(bound.values()),
        initial=_given(form),
    )
    if not confirmed or not details.is_valid():
        return _ask(request, verb, form, details, rows, bound)
    wanted, changed = _unchanged(form, rows, bound) if _undoes(verb, details) else (form.named, [])
    outcome = verb.carry_out(wanted, details.cleaned_data, request.context)
    outcome.refused += changed
    return _report(request, verb, form, outcome)


def _given(form: NamedForm) -> dict[str, Any]:
    """What a link to the dialog fills in already."""
    return {"other": form.data["other"]} if form.data.get("other") else {}


def _undoes(verb: Verb, details: DetailsForm) -> bool:
    """Whether bindings that the dialog showed come to an end."""
    return (
        details.cleaned_data.get("unbind", False)
        if isinstance(details, RemoveForm)
        else not details.fields
    )


def _fingerprint(bound: Sequence[Model]) -> str:
    """What something is bound to, in short: the same only for the same."""
    return hashlib.sha256(" ".join(str(each.pk) for each in bound).encode()).hexdigest()[:12]


def _unchanged(
    form: NamedForm, rows: Sequence[Model], bound: Bound
) -> tuple[QuerySet[Any, Any], list[Refused]]:
    """The rows that are bound to what the dialog said, and those that are bound to something else
    by now.
    """
    announced = form.cleaned_data["announced"]
    if announced is None:
        return form.named, []
    changed = []
    for row in rows:
        now = bound.get(row.pk, ())
        if now and announced.get(str(row.pk)) != _fingerprint(now):
            changed.append(Refused(row.pk, str(row), Refusal.CHANGED, Blocker.of(now[0])))
    return form.named.exclude(pk__in=[refused.id for refused in changed]), changed


def _ask(
    request: Request,
    verb: Verb,
    form: NamedForm,
    details: DetailsForm,
    rows: Sequence[Model],
    bound: Bound,
) -> HttpResponse:
    context = {
        "title": verb.title(len(rows)),
        "note": verb.note(),
        "danger": verb.danger,
        "ids": form.cleaned_data["ids"],
        "announced": ",".join(
            f"{pk}:{_fingerprint(found)}" for pk, found in bound.items() if found
        ),
        "lines": [
            Line(row, [_link(each) for each in bound.get(row.pk, ())]) for row in rows[:SHOWN]
        ],
        "more": max(0, len(rows) - SHOWN),
    }
    url, back = reverse(verb.url), form.cleaned_data["back"]
    stay_here(request, url, back, form.cleaned_data["ids"])
    return show_dialog(request, details, url, back, **context)


def _link(row: Model) -> tuple[str, str]:
    blocker = Blocker.of(row)
    assert blocker
    return str(row), page_of(blocker)


def show_dialog(
    request: Request, details: DetailsForm, url: str, back: str, **context: Any
) -> HttpResponse:
    """A dialog, or without htmx a page of its own; 422 when something in it is wrong."""
    partial = "resources/_dialog.html"
    template = pick(request, page="verbs/page.html", partial=partial)
    context |= {
        "details": details,
        "url": url,
        "back": back,
        "scope": request.shell.scope,
        "partial": partial,
        "piece": template == partial,
    }
    response = render(request, template, context, status=422 if details.errors else 200)
    if template == partial:
        response["HX-Retarget"], response["HX-Reswap"] = "#dialog", "innerHTML"
    return response


def _report(request: Request, verb: Verb, form: NamedForm, outcome: Outcome) -> HttpResponse:
    """Say what was done and what was not, and go back to where the person was, or to the list when
    that has gone.
    """
    if outcome.done:
        messages.success(request, verb.done(len(outcome.done)))
    if outcome.refused:
        count = len(outcome.refused)
        sentence = ngettext("%(n)d was left alone:", "%(n)d were left alone:", count) % {"n": count}
        reasons = [(refused.name, because(refused)) for refused in outcome.refused]
        messages.warning(request, with_reasons(sentence, reasons))
    if outcome.failed:
        count = len(outcome.failed)
        sentence = ngettext("%(n)d failed:", "%(n)d failed:", count) % {"n": count}
        messages.error(
            request, with_reasons(sentence, [(failed.name, BROKEN) for failed in outcome.failed])
        )
    back = form.cleaned_data["back"]
    if verb.danger and _has_gone(back, form, outcome):
        return _leave(request, reverse(verb.home))
    left = [
        *(str(refused.id) for refused in outcome.refused),
        *(str(failed.id) for failed in outcome.failed),
    ]
    return finish(request, back, left)


def _has_gone(back: str, form: NamedForm, outcome: Outcome) -> bool:
    """Whether the page that the person came from was about something that is not there any more."""
    kind = form.rows.model._meta.model_name or ""
    gone = [done.id for done in outcome.done if page_of(Blocker(done.id, done.name, kind)) == back]
    return bool(gone) and not form.rows.filter(pk__in=gone).exists()


def _leave(request: Request, address: str) -> HttpResponse:
    """To the list instead."""
    if not request.htmx:
        return HttpResponseRedirect(address)
    return trigger_client_event(HttpResponseClientRedirect(address), "done")
