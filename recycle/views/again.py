"""Configure again: the plan of what instances could be bound to once more, and what became of the
lines picked.
"""

from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from recycle import actions
from recycle.actions import Became, Outcome
from recycle.actions.again import Line
from recycle.forms import AgainForm, FilteredPage, PlanFilter, SelectionDialogForm
from recycle.http import Request, pick, sent
from recycle.lifecycle import ResourceAction
from recycle.models import Event, Instance
from recycle.outcomes import RELATIONSHIPS_LEFT, reasons_of, say_left
from recycle.views.answers import needs, refuse_form
from recycle.views.scope import find_batch

_HOME = "recycle:instances"


@dataclass
class InstancePlan:
    """An instance with its lines, each with what became of it if it was picked."""

    instance: Instance
    # What ended the relationships.
    event: Event | None = None
    rows: list[tuple[Line, Became | None]] = field(default_factory=list)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, _HOME)
def configure_again(request: Request) -> HttpResponse:
    page = SelectionDialogForm(sent(request), scope=request.shell.scope, home=_HOME)
    form = AgainForm(sent(request), scope=request.shell.scope)
    if not form.is_valid() or not page.is_valid():
        find_batch(request, form.cleaned_data.get("batch"))
        return refuse_form(request, page, form)
    if request.method == "GET":
        return _show(request, page, form)

    picked: set[str] = form.cleaned_data["lines"]
    lines = [line for line in _plan(request, form) if line.former.key in picked]
    if len(lines) < len(picked):
        messages.error(
            request, _("The plan has changed in the meantime. Nothing was bound; look at it again.")
        )
        return _show(request, page, form, status=409)
    outcome = actions.configure(lines, context=request.context)
    _say(request, outcome)
    return _show(request, page, form, outcome)


def _plan(request: Request, form: AgainForm) -> list[Line]:
    return actions.plan(form.cleaned_data["instances"], context=request.context)


def _show(
    request: Request,
    page: SelectionDialogForm,
    form: AgainForm,
    outcome: Outcome | None = None,
    status: int = 200,
) -> HttpResponse:
    lines = _plan(request, form)
    groups = {instance.pk: InstancePlan(instance) for instance in form.cleaned_data["instances"]}
    became = {item.id: item for item in outcome.items} if outcome else {}
    for line in lines:
        group = groups[line.former.instance.pk]
        group.event = line.former.event
        group.rows.append((line, became.get(line.former.key)))
    place = FilteredPage(PlanFilter(form.data, scope=request.shell.scope))
    address = request.shell.address = place.address()
    template = pick(request, page="again/index.html", partial="again/_plan.html")
    context: dict[str, Any] = {
        "form": form,
        "groups": list(groups.values()),
        "only": next(iter(groups.values())).instance if len(groups) == 1 else None,
        "lines": len(lines),
        "free": sum(line.refusal is None for line in lines),
        "results": became,
        "address": address,
        "url": place.path,
        "onward": place.address(skip=form.cleaned_data["next"])
        if form.cleaned_data.get("next")
        else "",
        "back": page.cleaned_data["back"],
        "piece": template == "again/_plan.html",
        "now": request.now,
    }
    return render(request, template, context, status=status)


def _say(request: Request, outcome: Outcome) -> None:
    done = len(outcome.done)
    if done:
        sentence = ngettext(
            "Bound %(n)d relationship again.", "Bound %(n)d relationships again.", done
        )
        messages.success(request, sentence % {"n": done})
    say_left(request, RELATIONSHIPS_LEFT, reasons_of(outcome))
    if not outcome.items:
        messages.info(request, _("No relationship was picked. Nothing was bound."))
