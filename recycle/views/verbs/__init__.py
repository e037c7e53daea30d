"""What people ask for: each verb first says in a dialog what would happen, then, after OK, does it
and says what did.

The dialog is a dry run of the verb itself. Without htmx it is a page of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from recycle import actions
from recycle.actions import Outcome
from recycle.forms import (
    MAX_SELECTED,
    ExtendForm,
    HoldForm,
    RenewForm,
    RestoreForm,
    SelectionForm,
    StopForm,
)
from recycle.http import Request
from recycle.lifecycle import Action
from recycle.policy import NEEDED, Refusal
from recycle.text import as_seen
from recycle.views.verbs.answer import refuse, refuse_form, report
from recycle.views.verbs.dialog import ask, group, to_retype


@dataclass(frozen=True)
class Verb:
    action: Action
    carry_out: Callable[..., Outcome]
    form: type[SelectionForm] = SelectionForm
    # Where the person goes back to when the request does not say.
    home: str = "recycle:instances"
    # What `carry_out` needs beside the instances, made of the form: for the dialog, and once it is
    # answered.
    assumed: Callable[[dict[str, Any]], dict[str, Any]] = lambda answered: {}
    parameters: Callable[[dict[str, Any]], dict[str, Any]] = lambda answered: {}


def _stop(answered: dict[str, Any]) -> dict[str, Any]:
    return {"no_fees": answered["mode"] == "StopCharging"}


def _delete(answered: dict[str, Any]) -> dict[str, Any]:
    # What would be released at once has been retyped by now; without it, the form says nothing.
    return {"may_release": bool(answered["confirm"])}


def _announce_release(answered: dict[str, Any]) -> dict[str, Any]:
    return {"may_release": True}


def _renew(answered: dict[str, Any]) -> dict[str, Any]:
    return {"months": answered.get("months", 1)}


def _extend(answered: dict[str, Any]) -> dict[str, Any]:
    return {"longer": timedelta(hours=answered.get("hours", 1))}


def _hold(answered: dict[str, Any]) -> dict[str, Any]:
    return {"review_on": answered["review_on"]}


@require_http_methods(["GET", "POST"])
def start(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.START, actions.start))


@require_http_methods(["GET", "POST"])
def stop(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.STOP, actions.stop, form=StopForm, parameters=_stop))


@require_http_methods(["GET", "POST"])
def restart(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.RESTART, actions.restart))


@require_http_methods(["GET", "POST"])
def delete(request: Request) -> HttpResponse:
    return _act(
        request, Verb(Action.DELETE, actions.delete, assumed=_announce_release, parameters=_delete)
    )


@require_http_methods(["GET", "POST"])
def renew(request: Request) -> HttpResponse:
    return _act(
        request,
        Verb(Action.RENEW, actions.renew, form=RenewForm, assumed=_renew, parameters=_renew),
    )


@require_http_methods(["GET", "POST"])
def restore(request: Request) -> HttpResponse:
    return _act(
        request, Verb(Action.RESTORE, actions.restore, form=RestoreForm, home="recycle:bin")
    )


@require_http_methods(["GET", "POST"])
def purge(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.PURGE, actions.purge, home="recycle:bin"))


@require_http_methods(["GET", "POST"])
def extend(request: Request) -> HttpResponse:
    return _act(
        request,
        Verb(
            Action.EXTEND,
            actions.extend,
            form=ExtendForm,
            home="recycle:bin",
            assumed=_extend,
            parameters=_extend,
        ),
    )


@require_http_methods(["GET", "POST"])
def protect(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.PROTECT, actions.protect))


@require_http_methods(["GET", "POST"])
def unprotect(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.UNPROTECT, actions.unprotect))


@require_http_methods(["GET", "POST"])
def hold(request: Request) -> HttpResponse:
    return _act(
        request,
        Verb(Action.HOLD, actions.hold, form=HoldForm, home="recycle:bin", parameters=_hold),
    )


@require_http_methods(["GET", "POST"])
def unhold(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.UNHOLD, actions.unhold, home="recycle:bin"))


def _act(request: Request, verb: Verb) -> HttpResponse:
    form = verb.form(
        request.POST if request.method == "POST" else request.GET,
        request=request,
        home=reverse(verb.home),
    )
    if request.shell.role < NEEDED[verb.action]:
        return refuse(request, [str(Refusal.ROLE.label)], verb.home, status=403)
    form.is_valid()
    answered = form.cleaned_data
    if "instances" not in answered:
        return refuse_form(request, form, verb.home)

    # In one order, so that of more than fit one request the dialog and the deed mean the same ones.
    instances = answered["instances"].order_by("name", "pk")

    context = replace(request.context, reason=answered.get("reason", "").strip())

    def carry_out(**parameters: Any) -> Outcome:
        return verb.carry_out(instances, context=context, limit=MAX_SELECTED, **parameters)

    assumed = verb.assumed(answered)
    groups = group(request, verb.action, carry_out(dry_run=True, **assumed), assumed)
    expected = to_retype(groups)
    if request.method == "GET" or not answered["confirmed"]:
        return ask(request, verb.action, form, groups, expected)
    if expected and as_seen(answered.get("confirm", "")) != expected:
        form.add_error("confirm", _("Type exactly what is asked for."))
    if form.errors:
        return ask(request, verb.action, form, groups, expected, status=422)
    if not expected:
        # Whatever was typed, nothing that needs it was shown.
        answered["confirm"] = ""
    return report(request, form, carry_out(**verb.parameters(answered)))
