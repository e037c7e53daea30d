"""What each action on instances asks beside them, what its function takes of that, and which
function it is. Every edge reads this one table.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle import actions
from recycle.actions import Outcome
from recycle.actions.create import numbered
from recycle.forms.create import LONGEST_NAME
from recycle.forms.selection import SelectionForm
from recycle.forms.text import MachinePasswordField, TextField
from recycle.lifecycle import Action
from recycle.models import InstanceType
from recycle.policy import LONGEST_TERM, RENEWAL_MONTHS


class StopForm(SelectionForm):
    mode = forms.ChoiceField(
        required=False,
        choices=[
            ("KeepCharging", gettext_lazy("Retain and Charge")),
            ("StopCharging", gettext_lazy("No Fees Upon Shutdown")),
        ],
    )

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        return {"no_fees": self.cleaned_data.get("mode") == "StopCharging"}

    def assumed(self) -> dict[str, Any]:
        # The dialog says beside the choice which of them it is for.
        return {}


class DeleteForm(SelectionForm):
    """A delete releases an instance that has no bin, which has to be confirmed."""

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        return {"may_release": retyped}


class RestoreForm(SelectionForm):
    # Go on to the plan of what the restored ones could be bound to again.
    again = forms.BooleanField(required=False)


class RenewForm(SelectionForm):
    months = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[(months, str(months)) for months in RENEWAL_MONTHS],
    )

    def clean_months(self) -> int:
        return self.cleaned_data["months"] or 1

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        return {"months": self.cleaned_data.get("months", 1)}


class ExtendForm(SelectionForm):
    hours = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            (1, gettext_lazy("1 hour")),
            (6, gettext_lazy("6 hours")),
            (24, gettext_lazy("1 day")),
            (72, gettext_lazy("3 days")),
            (168, gettext_lazy("7 days")),
        ],
    )

    def clean_hours(self) -> int:
        return self.cleaned_data["hours"] or 1

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        return {"longer": timedelta(hours=self.cleaned_data.get("hours", 1))}


class RenameForm(SelectionForm):
    answers = ("name", "number")

    name = TextField(
        required=False, min_length=2, max_length=LONGEST_NAME, label=gettext_lazy("Name")
    )
    number = forms.IntegerField(
        required=False, min_value=0, max_value=9_999, label=gettext_lazy("First number")
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if "instances" not in data:
            return data
        self.count = data["instances"].count() if data["all"] else len(data["ids"])
        if self.errors:
            return data
        if not data["name"]:
            self.add_error("name", _("Say what it is to be called."))
            return data
        number = self._number()
        if len(numbered(data["name"], number, self.count)[-1]) > LONGEST_NAME:
            self.add_error("name", _("With its number a name has at most 64 characters."))
        return data

    def _number(self) -> int:
        number = self.cleaned_data.get("number")
        return 1 if number is None else number

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        return {
            "name": self.cleaned_data.get("name", ""),
            "number": self._number(),
            "count": self.count,
        }


class ResizeForm(SelectionForm):
    answers = ("instance_type",)

    instance_type = forms.ModelChoiceField(
        InstanceType.objects.all(), required=False, label=gettext_lazy("Instance type")
    )

    @cached_property
    def offered(self) -> list[tuple[str, list[InstanceType]]]:
        """The types by their families."""
        kinds = InstanceType.objects.order_by("family", "vcpu", "memory_gb", "name")
        return [(family, list(each)) for family, each in groupby(kinds, lambda kind: kind.family)]

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.errors and data["instance_type"] is None:
            self.add_error("instance_type", _("Choose a type."))
        return data

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        chosen = self.cleaned_data.get("instance_type")
        return {"instance_type": chosen.pk if chosen else self._first()}

    def _first(self) -> str:
        """What is suggested: the next larger one of the family of the first instance."""
        first = self.cleaned_data["instances"].first()
        if first is None:
            return ""
        own = [kind for family, kinds in self.offered if family == first.family for kind in kinds]
        names = [kind.pk for kind in own]
        at = names.index(first.instance_type_id) if first.instance_type_id in names else -1
        return names[(at + 1) % len(names)] if names else first.instance_type_id


class ResetPasswordForm(SelectionForm):
    answers = ("password", "password_again")

    password = MachinePasswordField(required=False, label=gettext_lazy("New password"))
    password_again = MachinePasswordField(required=False, label=gettext_lazy("New password, again"))

    def clean_password_again(self) -> str:
        """Compared here, and kept nowhere."""
        if "password" in self.cleaned_data and self.data.get("password") != self.data.get(
            "password_again"
        ):
            raise ValidationError(_("The two passwords differ."))
        return ""

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.errors and not data["password"]:
            self.add_error("password", _("Type a password."))
        return data


class ScheduleForm(SelectionForm):
    answers = ("delete_at",)

    # As the browser's field writes it, in the zone of who asks.
    delete_at = forms.DateTimeField(
        required=False, label=gettext_lazy("Delete at"), input_formats=["%Y-%m-%dT%H:%M"]
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if self.errors:
            return data
        if data["delete_at"] is None:
            self.add_error("delete_at", _("Say when it is to be deleted."))
        elif data["delete_at"] <= self.scope.now:
            self.add_error("delete_at", _("The moment has to be in the future."))
        elif data["delete_at"] > self.scope.now + LONGEST_TERM:
            self.add_error("delete_at", _("The moment is too far ahead."))
        return data

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        return {"delete_at": self.cleaned_data.get("delete_at") or self._tomorrow()}

    def _tomorrow(self) -> datetime:
        """What is suggested: a day from now, at the full hour."""
        later = self.scope.now + timedelta(days=1, hours=1)
        return later.replace(minute=0, second=0, microsecond=0)

    @property
    def typed(self) -> str:
        moment = self.parameters(retyped=False)["delete_at"]
        return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


class HoldForm(SelectionForm):
    review_on = forms.DateField(required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not data.get("reason", "").strip():
            self.add_error("reason", _("A legal hold needs a reason."))
        review_on = data.get("review_on")
        if review_on and review_on <= timezone.localdate(self.scope.now):
            self.add_error("review_on", _("The review has to be in the future."))
        return data

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        return {"review_on": self.cleaned_data.get("review_on")}


class Verb(NamedTuple):
    """`carry_out` takes the form's instances, its `parameters`, a context, a limit, and whether it
    is a dry run.
    """

    form: type[SelectionForm]
    carry_out: Callable[..., Outcome]


VERBS: dict[Action, Verb] = {
    Action.START: Verb(SelectionForm, actions.start),
    Action.STOP: Verb(StopForm, actions.stop),
    Action.RESTART: Verb(SelectionForm, actions.restart),
    Action.DELETE: Verb(DeleteForm, actions.delete),
    Action.RENEW: Verb(RenewForm, actions.renew),
    Action.RESTORE: Verb(RestoreForm, actions.restore),
    Action.PURGE: Verb(SelectionForm, actions.purge),
    Action.EXTEND: Verb(ExtendForm, actions.extend),
    Action.RENAME: Verb(RenameForm, actions.rename),
    Action.RESIZE: Verb(ResizeForm, actions.resize),
    Action.RESET_PASSWORD: Verb(ResetPasswordForm, actions.reset_password),
    Action.SCHEDULE: Verb(ScheduleForm, actions.schedule_deletion),
    Action.UNSCHEDULE: Verb(SelectionForm, actions.cancel_deletion),
    Action.PROTECT: Verb(SelectionForm, actions.protect),
    Action.UNPROTECT: Verb(SelectionForm, actions.unprotect),
    Action.HOLD: Verb(HoldForm, actions.hold),
    Action.UNHOLD: Verb(SelectionForm, actions.unhold),
    Action.RETRY: Verb(SelectionForm, actions.retry),
}
