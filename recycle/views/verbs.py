"""What people ask for: each verb first says in a dialog what would happen, then, after OK, does it and says what did.

The dialog's groups and the outcome come from the same `why_not`. Without htmx the dialog is a page of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods
from django_htmx.http import trigger_client_event

from recycle import actions
from recycle.actions import Outcome
from recycle.actions.bindings import described
from recycle.forms import MAX_SELECTED, RenewForm, SelectionForm, StopForm
from recycle.http import Request, pick
from recycle.lifecycle import Action, State
from recycle.models import Instance
from recycle.policy import NEEDED, Refusal, deadline, deletable_from, deletion_of, why_not, why_not_no_fees

# Instances named in one group of a dialog, and reasons named in a message.
SHOWN, REASONS = 200, 10


@dataclass
class Group:
    """Instances of a dialog that would all fare alike."""

    title: str
    tone: str
    # Nothing brings these back, so something has to be retyped.
    final: bool = False
    instances: list[Instance] = field(default_factory=list)
    notes: dict[UUID, str] = field(default_factory=dict)
    # Their relationships, as an event keeps them.
    bound: dict[UUID, dict[str, Any]] = field(default_factory=dict)

    def add(self, instance: Instance, note: str = "") -> None:
        self.instances.append(instance)
        self.notes[instance.pk] = note

    @property
    def shown(self) -> list[tuple[Instance, str, dict[str, Any]]]:
        return [
            (instance, self.notes[instance.pk], self.bound.get(instance.pk, {})) for instance in self.instances[:SHOWN]
        ]

    @property
    def more(self) -> int:
        return max(0, len(self.instances) - SHOWN)


@dataclass(frozen=True)
class Verb:
    action: Action
    carry_out: Callable[..., Outcome]
    form: type[SelectionForm] = SelectionForm
    home: str = "recycle:instances"


@require_http_methods(["GET", "POST"])
def start(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.START, actions.start))


@require_http_methods(["GET", "POST"])
def stop(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.STOP, actions.stop, form=StopForm))


@require_http_methods(["GET", "POST"])
def restart(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.RESTART, actions.restart))


@require_http_methods(["GET", "POST"])
def delete(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.DELETE, actions.delete))


@require_http_methods(["GET", "POST"])
def renew(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.RENEW, actions.renew, form=RenewForm))


@require_http_methods(["GET", "POST"])
def restore(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.RESTORE, actions.restore, home="recycle:bin"))


@require_http_methods(["GET", "POST"])
def purge(request: Request) -> HttpResponse:
    return _act(request, Verb(Action.PURGE, actions.purge, home="recycle:bin"))


def _act(request: Request, verb: Verb) -> HttpResponse:
    data = request.POST if request.method == "POST" else request.GET
    form = verb.form(data, request=request, home=reverse(verb.home))
    if request.shell.role < NEEDED[verb.action]:
        return _refuse(request, [str(Refusal.ROLE.label)], verb.home, status=403)
    if not form.is_valid():
        return _refuse_form(request, form, verb)
    groups = _groups(request, verb, form)
    expected = _to_retype(groups)
    confirmed = request.method == "POST" and form.cleaned_data["confirmed"]
    if not confirmed:
        return _ask(request, verb, form, groups, expected)
    if expected and form.cleaned_data["confirm"].strip() != expected:
        form.add_error("confirm", _("Type exactly what is asked for."))
        return _ask(request, verb, form, groups, expected, status=422)
    outcome = verb.carry_out(
        form.cleaned_data["instances"],
        by=request.user,
        now=request.now,
        reason=form.cleaned_data["reason"].strip(),
        limit=MAX_SELECTED,
        **_parameters(verb, form, groups),
    )
    return _report(request, form, outcome)


def _parameters(verb: Verb, form: SelectionForm, groups: Sequence[Group]) -> dict[str, Any]:
    """What a verb needs beside the instances."""
    match verb.action:
        case Action.STOP:
            return {"no_fees": form.cleaned_data["mode"] == "StopCharging"}
        case Action.RENEW:
            return {"months": form.cleaned_data["months"]}
        case Action.DELETE:
            # What is released at once has been retyped by now.
            return {"may_release": any(group.final for group in groups)}
        case _:
            return {}


# --- The dialog -----------------------------------------------------------------------------------


def _groups(request: Request, verb: Verb, form: SelectionForm) -> list[Group]:
    """The selected instances, grouped by what would become of them now; empty groups are left out."""
    instances = form.cleaned_data["instances"][:MAX_SELECTED]
    done, released, refused = (
        Group(_done_title(verb.action), "ok"),
        Group(_("Will be released at once, for good"), "danger", final=True),
        Group(_("Cannot be done"), "off"),
    )
    if verb.action is Action.PURGE:
        done.tone, done.final = "danger", True
    for instance in instances:
        refusal = why_not(verb.action, instance, role=request.shell.role, now=request.now)
        if refusal:
            refused.add(instance, _reason(instance, refusal))
        elif verb.action is Action.DELETE and deletion_of(instance.billing_mode) is Action.RELEASE:
            released.add(instance)
        else:
            done.add(instance, _prospect(request, verb.action, instance))
    return [group for group in (done, released, refused) if group.instances]


def _done_title(action: Action) -> str:
    return {
        Action.START: _("Will be started"),
        Action.STOP: _("Will be stopped"),
        Action.RESTART: _("Will be restarted"),
        Action.DELETE: _("Will move to the recycle bin"),
        Action.RENEW: _("Will be renewed"),
        Action.RESTORE: _("Will be restored"),
        Action.PURGE: _("Will be deleted for good"),
    }[action]


def _prospect(request: Request, action: Action, instance: Instance) -> str:
    """What is worth knowing of one instance before OK."""
    if action is Action.DELETE:
        return _("until %(time)s") % {"time": _moment(deadline(instance, State.RECYCLED, request.now))}
    if action is Action.RENEW:
        expires = _("expired %(time)s") if instance.state == State.EXPIRED else _("expires %(time)s")
        return expires % {"time": _moment(instance.expires_at)}
    return ""


def _reason(instance: Instance, refusal: Refusal) -> str:
    if refusal is Refusal.TOO_YOUNG:
        since = _("From %(time)s on.") % {"time": _moment(deletable_from(instance))}
        return f"{refusal.label} {since}"
    return str(refusal.label)


def _moment(moment: Any) -> str:
    return formats.date_format(timezone.localtime(moment), "Y-m-d H:i")


def _to_retype(groups: Sequence[Group]) -> str:
    """What has to be typed where nothing brings an instance back: its name, or how many they are."""
    final = [instance for group in groups if group.final for instance in group.instances]
    if not final:
        return ""
    name = final[0].name.strip()
    return name if len(final) == 1 and name else str(len(final))


def _ask(
    request: Request, verb: Verb, form: SelectionForm, groups: list[Group], expected: str, status: int = 200
) -> HttpResponse:
    going = [group for group in groups if group.tone != "off"]
    shown = [instance for group in going for instance in group.instances[:SHOWN]]
    if verb.action is Action.DELETE:
        ids = [instance.pk for instance in shown]
        bound = dict(Instance.objects.filter(pk__among=ids).annotate(bound=described()).values_list("pk", "bound"))
        for group in going:
            group.bound = bound
    partial = f"verbs/_{verb.action.value}.html"
    template = pick(request, page="verbs/page.html", partial=partial)
    context = {
        "partial": partial,
        "piece": template == partial,
        "action": verb.action,
        "url": reverse(f"recycle:{verb.action.value}"),
        "title": _title(verb.action, sum(len(group.instances) for group in groups)),
        "groups": groups,
        "going": sum(len(group.instances) for group in going),
        "form": form,
        "back": form.cleaned_data["back"],
        "scope": request.shell.scope,
        "expected": expected,
        **_about_no_fees(verb.action, [instance for group in going for instance in group.instances]),
    }
    response = render(request, template, context, status=status)
    if template == partial:
        response["HX-Retarget"], response["HX-Reswap"] = "#dialog", "innerHTML"
    return response


def _about_no_fees(action: Action, instances: Sequence[Instance]) -> dict[str, Any]:
    """Whether the stop may be one with no fees, or why not; on a delete, that it is the gentler way."""
    if action is Action.STOP:
        refusals = [refusal for instance in instances if (refusal := why_not_no_fees(instance))]
        return {
            "can_stop_charging": len(refusals) < len(instances),
            "no_fees_reason": refusals[0].label if refusals else "",
        }
    if action is Action.DELETE and any(why_not_no_fees(instance) is None for instance in instances):
        return {
            "hint": _(
                "To stop paying without losing anything, stop Pay-As-You-Go instances with No Fees Upon Shutdown."
            )
        }
    return {}


def _title(action: Action, count: int) -> str:
    titles = {
        Action.START: ngettext("Start %(n)d instance", "Start %(n)d instances", count),
        Action.STOP: ngettext("Stop %(n)d instance", "Stop %(n)d instances", count),
        Action.RESTART: ngettext("Restart %(n)d instance", "Restart %(n)d instances", count),
        Action.DELETE: ngettext("Delete %(n)d instance", "Delete %(n)d instances", count),
        Action.RENEW: ngettext("Renew %(n)d instance", "Renew %(n)d instances", count),
        Action.RESTORE: ngettext("Restore %(n)d instance", "Restore %(n)d instances", count),
        Action.PURGE: ngettext("Delete %(n)d instance permanently", "Delete %(n)d instances permanently", count),
    }
    return titles[action] % {"n": count}


# --- The answer -----------------------------------------------------------------------------------


def _refuse_form(request: Request, form: SelectionForm, verb: Verb) -> HttpResponse:
    errors = [error for listed in form.errors.as_data().values() for error in listed]
    sentences = [str(message) for error in errors for message in error.messages]
    if all(error.code == "empty" for error in errors) and not request.htmx:
        messages.error(request, sentences[0])
        return HttpResponseRedirect(form.cleaned_data.get("back") or reverse(verb.home))
    status = 404 if any(error.code == "not_found" for error in errors) else 400
    return _refuse(request, sentences, verb.home, status=status)


def _refuse(request: Request, sentences: Iterable[str], home: str, *, status: int) -> HttpResponse:
    """A request that is wrong as a whole: nothing was changed."""
    if request.htmx:
        for sentence in sentences:
            messages.error(request, sentence)
        response = render(request, "_messages.html", status=status)
        response["HX-Reswap"] = "none"
        return response
    context = {"title": _("Nothing was changed"), "sentences": list(sentences), "back": reverse(home)}
    return render(request, "refused.html", context, status=status)


def _report(request: Request, form: SelectionForm, outcome: Outcome) -> HttpResponse:
    """Say what was done and what was not, and go back to the list, where what was refused stays selected."""
    if outcome.done:
        messages.success(request, _what_was_done(outcome))
    if outcome.refused:
        reasons = [(refused.name, refused.refusal.label) for refused in outcome.refused]
        count = len(reasons)
        sentence = ngettext("%(n)d instance was left alone:", "%(n)d instances were left alone:", count) % {"n": count}
        messages.warning(request, _with_reasons(sentence, reasons))
    if outcome.failed:
        count = len(outcome.failed)
        sentence = ngettext("%(n)d instance failed:", "%(n)d instances failed:", count) % {"n": count}
        reason = _("The database rejected the change. Try again, or ask who runs the console.")
        messages.error(request, _with_reasons(sentence, [(failed.name, reason) for failed in outcome.failed]))

    left = [*(str(refused.id) for refused in outcome.refused), *(str(failed.id) for failed in outcome.failed)]
    if not request.htmx:
        request.session["keep"] = left[:SHOWN]
        return HttpResponseRedirect(form.cleaned_data["back"])
    response = render(request, "_messages.html")
    response["HX-Reswap"] = "none"
    trigger_client_event(response, "done", {"keep": left[:SHOWN]})
    return trigger_client_event(response, "changed")


def _what_was_done(outcome: Outcome) -> SafeString:
    by_action: dict[Action, list[str]] = {}
    for done in outcome.done:
        by_action.setdefault(done.action, []).append(done.name)
    sentences = [_sentence(action, len(names)) for action, names in by_action.items()]
    if Action.RESTORE in by_action:
        link = f"{reverse('recycle:instances')}?batch={outcome.batch}"
        return format_html('{} <a href="{}">{}</a>', " ".join(sentences), link, _("Show them"))
    if Action.RECYCLE in by_action:
        return format_html('{} <a href="{}">{}</a>', " ".join(sentences), reverse("recycle:bin"), _("Recycle bin"))
    return format_html("{}", " ".join(sentences))


def _sentence(action: Action, count: int) -> str:
    sentences = {
        Action.START: ngettext("Started %(n)d instance.", "Started %(n)d instances.", count),
        Action.STOP: ngettext("Stopped %(n)d instance.", "Stopped %(n)d instances.", count),
        Action.RESTART: ngettext("Restarted %(n)d instance.", "Restarted %(n)d instances.", count),
        Action.RECYCLE: ngettext(
            "Moved %(n)d instance to the recycle bin.", "Moved %(n)d instances to the recycle bin.", count
        ),
        Action.RELEASE: ngettext("Released %(n)d instance for good.", "Released %(n)d instances for good.", count),
        Action.RENEW: ngettext("Renewed %(n)d instance.", "Renewed %(n)d instances.", count),
        Action.RESTORE: ngettext(
            "Restored %(n)d instance. It is stopped.", "Restored %(n)d instances. They are stopped.", count
        ),
        Action.PURGE: ngettext("Deleted %(n)d instance for good.", "Deleted %(n)d instances for good.", count),
    }
    return sentences[action] % {"n": count}


def _with_reasons(sentence: str, reasons: Sequence[tuple[str, Any]]) -> SafeString:
    shown = format_html_join("", "<li>{}: {}</li>", reasons[:REASONS])
    more = len(reasons) - REASONS
    rest = format_html("<li>{}</li>", _("and %(n)d more") % {"n": more}) if more > 0 else ""
    return format_html("{}<ul>{}{}</ul>", sentence, shown, rest)
