"""Configure again: the plan of what instances could be bound to once more, and what became of the
lines picked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from recycle import actions
from recycle.actions.again import Line, Result
from recycle.forms import AgainForm, PlanPage
from recycle.http import Request, pick
from recycle.models import Event, Instance
from recycle.policy import Refusal, Role
from recycle.views.scope import find_batch
from recycle.views.verbs.answer import because, refuse, refuse_form, with_reasons


@dataclass
class Group:
    """An instance with its lines, each with what became of it if it was picked."""

    instance: Instance
    # What ended the relationships.
    event: Event | None = None
    rows: list[tuple[Line, Result | None]] = field(default_factory=list)


@require_http_methods(["GET", "POST"])
def configure_again(request: Request) -> HttpResponse:
    home = "recycle:instances"
    form = AgainForm(
        request.POST if request.method == "POST" else request.GET,
        request=request,
        home=reverse(home),
    )
    if request.shell.role < Role.OPERATOR:
        return refuse(request, [str(Refusal.ROLE.label)], home, status=403)
    if not form.is_valid():
        find_batch(request, form.cleaned_data.get("batch"))
        return refuse_form(request, form, home)
    if request.method == "GET":
        return _show(request, form)

    picked: set[str] = form.cleaned_data["lines"]
    lines = [line for line in _plan(request, form) if line.former.key in picked]
    if len(lines) < len(picked):
        messages.error(
            request, _("The plan has changed in the meantime. Nothing was bound; look at it again.")
        )
        return _show(request, form, status=409)
    results = actions.configure(lines, context=request.context)
    _say(request, results)
    return _show(request, form, results)


def _plan(request: Request, form: AgainForm) -> list[Line]:
    return actions.plan(form.cleaned_data["instances"], context=request.context)


def _show(
    request: Request, form: AgainForm, results: Sequence[Result] = (), status: int = 200
) -> HttpResponse:
    lines = _plan(request, form)
    groups = {instance.pk: Group(instance) for instance in form.cleaned_data["instances"]}
    became = {result.former.key: result for result in results}
    for line in lines:
        group = groups[line.former.instance.pk]
        group.event = line.former.event
        group.rows.append((line, became.get(line.former.key)))
    page = PlanPage(form.data, request=request)
    address = request.shell.address = page.address()
    template = pick(request, page="again/index.html", partial="again/_plan.html")
    context: dict[str, Any] = {
        "form": form,
        "groups": list(groups.values()),
        "only": next(iter(groups.values())).instance if len(groups) == 1 else None,
        "lines": len(lines),
        "free": sum(line.refusal is None for line in lines),
        "results": results,
        "address": address,
        "url": page.path,
        "onward": page.address(skip=form.cleaned_data["next"])
        if form.cleaned_data.get("next")
        else "",
        "back": form.cleaned_data["back"],
        "piece": template == "again/_plan.html",
        "now": request.now,
    }
    return render(request, template, context, status=status)


def _say(request: Request, results: Sequence[Result]) -> None:
    done = sum(result.done for result in results)
    if done:
        sentence = ngettext(
            "Bound %(n)d relationship again.", "Bound %(n)d relationships again.", done
        )
        messages.success(request, sentence % {"n": done})
    reasons = [(label(result), because(result)) for result in results if not result.done]
    if reasons:
        n = len(reasons)
        sentence = ngettext(
            "%(n)d relationship was left alone:", "%(n)d relationships were left alone:", n
        ) % {"n": n}
        messages.warning(request, with_reasons(sentence, reasons))
    if not results:
        messages.info(request, _("No relationship was picked. Nothing was bound."))


def label(result: Result) -> str:
    """A relationship in a message: whose it is, and what."""
    return f"{result.former.instance.name} · {result.former.name}"
