"""The dialog before OK: the selected instances, grouped by what would become of them, by the verb
that then does it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from recycle import wording
from recycle.actions import Done, Outcome, Refused
from recycle.actions.bindings import described
from recycle.actions.keeping import Retentions
from recycle.actions.machine import new_names
from recycle.actions.outcome import Key
from recycle.actions.verbs import renewed
from recycle.forms import MAX_NAMED, SelectionDialogForm, SelectionForm
from recycle.http import Request
from recycle.labels import refusal_label, retention_label
from recycle.lifecycle import Action, ResourceAction, State
from recycle.models import Instance, InstanceQuerySet
from recycle.policy import (
    RELEASED,
    Refusal,
    Retention,
    deletable_from,
    deletion_of,
    why_not_no_fees,
)
from recycle.text import as_seen
from recycle.views.answers import render_dialog, stay_here

# Instances that a dialog looks at. Of a larger batch job it shows what would become of the first.
PREVIEWED = 1_000
# Instances named in one group.
INSTANCES_SHOWN = 200


@dataclass
class Fate:
    """A group of instances to which the same would happen."""

    title: str
    tone: str
    # Nothing brings these back, so something has to be retyped.
    final: bool = False
    members: list[Done | Refused] = field(default_factory=list)
    # What is said of the first ones: the instance, a note, and its relationships as an event keeps
    # them.
    lines: list[tuple[Instance, str, dict[str, Any]]] = field(default_factory=list)

    @property
    def more(self) -> int:
        return len(self.members) - len(self.lines)


@dataclass
class Preview:
    """What a dialog says of what is selected."""

    groups: list[Fate]
    # How many are selected, where that becomes a batch job.
    selected: int | None
    # Nothing would bring some of them back.
    final: bool

    @property
    def is_partial(self) -> bool:
        """Whether the groups are of the first ones only."""
        return self.selected is not None and self.selected > PREVIEWED

    @property
    def total(self) -> int:
        seen = sum(len(group.members) for group in self.groups)
        return self.selected if self.selected is not None and self.is_partial else seen

    @property
    def going(self) -> int:
        """How many it would be done to, as far as is known."""
        if self.is_partial:
            return self.total
        return sum(len(group.members) for group in self.groups if group.tone != "off")

    @property
    def expected(self) -> str:
        """What has to be typed before OK; empty where something brings all of them back."""
        if self.is_partial:
            return str(self.total) if self.final else ""
        return to_retype(self.groups)


def group(
    request: Request, action: Action, outcome: Outcome, assumed: Mapping[str, Any]
) -> list[Fate]:
    """The instances of a dry run by what would become of them; empty groups are left out.

    `assumed` is what the dry run was asked with: the months of a renewal, the length of an
    extension.
    """
    done, released, refused = (
        Fate(str(wording.PROSPECTS[action]), "ok"),
        Fate(_("Will be released at once, for good"), "danger", final=True),
        Fate(_("Cannot be done"), "off"),
    )
    if action is Action.PURGE:
        done.tone, done.final = "danger", True
    for each in outcome.done:
        (released if each.action is Action.RELEASE else done).members.append(each)
    refused.members += outcome.refused
    groups = [group for group in (done, released, refused) if group.members]
    _describe(request, action, groups, assumed)
    return groups


def may_be_final(action: Action, instances: InstanceQuerySet) -> bool:
    """Whether nothing would bring some of these back, so that something may have to be retyped."""
    if action is Action.DELETE:
        return instances.filter(billing_mode__in=RELEASED).exists()
    return action is Action.PURGE


def to_retype(groups: Sequence[Fate]) -> str:
    """What has to be typed where nothing brings an instance back: its name, or how many
    they are.
    """
    final = [member for group in groups if group.final for member in group.members]
    if not final:
        return ""
    name = as_seen(final[0].name)
    return name if len(final) == 1 and name else str(len(final))


def show_preview(
    request: Request,
    action: Action,
    page: SelectionDialogForm,
    form: SelectionForm,
    preview: Preview,
    assumed: Mapping[str, Any],
    status: int = 200,
) -> HttpResponse:
    groups = preview.groups
    going = [group for group in groups if group.tone != "off"]
    url, back = reverse(f"recycle:{action.value}"), page.cleaned_data["back"]
    stay_here(request, url, back, form.cleaned_data["ids"])
    context = {
        "action": action,
        "url": url,
        "title": wording.title(action, preview.total),
        "preview": preview,
        "assumed": assumed,
        "previewed": PREVIEWED,
        "groups": groups,
        "going": preview.going,
        "form": form,
        "retyped": page["confirm"],
        "back": back,
        "scope": request.shell.scope,
        "expected": preview.expected,
        # Of a batch job, its own page says what was left alone and why.
        "announced": _announced(groups) if preview.selected is None else None,
        **_about_no_fees(
            action, [instance for group in going for instance, _note, _bound in group.lines]
        ),
    }
    return render_dialog(request, f"verbs/_{action.value}.html", context, status)


def _announced(groups: Sequence[Fate]) -> str | None:
    """What is said to be impossible, for the form to bring back: the answer may have changed until
    then.
    """
    refused = [
        member for group in groups for member in group.members if isinstance(member, Refused)
    ]
    return (
        ",".join(f"{each.id}:{each.refusal.value}" for each in refused)
        if len(refused) <= MAX_NAMED
        else None
    )


def _describe(
    request: Request, action: Action, groups: list[Fate], assumed: Mapping[str, Any]
) -> None:
    """Say of the first instances of each group what is worth knowing before OK."""
    shown = [member.id for group in groups for member in group.members[:INSTANCES_SHOWN]]
    rows = request.shell.instances().filter(pk__among=shown)
    instances: dict[Key, Instance] = {row.pk: row for row in rows}
    relationships: dict[Any, Any] = {}
    if action is Action.DELETE:
        relationships = dict(
            rows.annotate(bound=described(request.user)).values_list("pk", "bound")
        )
    retentions = Retentions(list(instances.values()))
    if action is Action.RENAME and assumed["name"]:
        going = [
            instances[done.id]
            for group in groups
            for done in group.members
            if isinstance(done, Done) and done.id in instances
        ]
        names = new_names(going, assumed["name"], assumed["number"], assumed["count"])
        assumed = {**assumed, "names": names}
    for group in groups:
        for member in sorted(group.members[:INSTANCES_SHOWN], key=lambda member: member.name):
            instance = instances.get(member.id)
            if instance is None:
                continue
            if isinstance(member, Refused):
                group.lines.append((instance, _reason(instance, member.refusal), {}))
            else:
                kept = retentions.of(instance) if member.action is Action.RECYCLE else None
                note = _prospect(request, member.action, instance, kept, assumed)
                group.lines.append((instance, note, relationships.get(instance.pk) or {}))


def _prospect(
    request: Request,
    action: Action | ResourceAction,
    instance: Instance,
    kept: Retention | None,
    assumed: Mapping[str, Any],
) -> str:
    """What is worth knowing of one instance before OK."""
    if kept:
        until = _moment(request.now + kept.keep_for)
        return _("until %(time)s (%(basis)s)") % {
            "time": until,
            "basis": retention_label(kept.kind, kept.subject, kept.keep_for),
        }
    if action is Action.RENEW:
        assert request.shell.account
        zone = request.shell.account.billing_zone
        new = renewed(instance, assumed["months"], zone=zone, now=request.now).expires_at
        expires = (
            _("expired %(time)s → %(new)s")
            if instance.state == State.EXPIRED
            else _("expires %(time)s → %(new)s")
        )
        return expires % {"time": _moment(instance.expires_at), "new": _moment(new)}
    if action is Action.RENAME:
        new_name = assumed.get("names", {}).get(instance.pk)
        return f"→ {new_name}" if new_name else ""
    if action is Action.RESIZE:
        return f"{instance.instance_type_id} → {assumed['instance_type']}"
    if action is Action.SCHEDULE:
        at_the_end = deletion_of(instance.billing_mode)
        fate = (
            _("into the recycle bin")
            if at_the_end is Action.RECYCLE
            else _("released at once, for good")
        )
        return f"{_moment(assumed['delete_at'])} · {fate}"
    if action is Action.UNSCHEDULE:
        return _moment(instance.delete_at)
    if action is Action.EXTEND:
        assert instance.purge_at
        new = instance.purge_at + assumed["longer"]
        return _("ends %(time)s → %(new)s") % {
            "time": _moment(instance.purge_at),
            "new": _moment(new),
        }
    return ""


def _reason(instance: Instance, refusal: Refusal) -> str:
    if refusal is Refusal.TOO_YOUNG:
        since = _("From %(time)s on.") % {"time": _moment(deletable_from(instance))}
        return f"{refusal_label(refusal, instance)} {since}"
    return refusal_label(refusal, instance)


def _moment(moment: Any) -> str:
    return formats.date_format(timezone.localtime(moment), "Y-m-d H:i")


def _about_no_fees(action: Action, instances: Sequence[Instance]) -> dict[str, Any]:
    """Whether the stop may be one with no fees, or why not; on a delete, that it is the gentler
    way.
    """
    if action is Action.STOP:
        refusals = [refusal for instance in instances if (refusal := why_not_no_fees(instance))]
        return {
            "can_stop_charging": len(refusals) < len(instances),
            "no_fees_reason": refusals[0].label if refusals else "",
        }
    if action is Action.DELETE and any(why_not_no_fees(instance) is None for instance in instances):
        return {
            "hint": _(
                "To stop paying without losing anything, stop an instance with No Fees Upon "
                "Shutdown instead."
            )
        }
    return {}
