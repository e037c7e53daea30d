"""What is selected in a list, and what a verb asks beside it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from recycle.forms.lists import BinFilter, ExpiredFilter, InstanceFilter, InstanceListForm
from recycle.forms.named import MAX_NAMED, BackForm
from recycle.forms.places import filter_of
from recycle.forms.text import MAX_RETYPED, TextField
from recycle.models import InstanceQuerySet
from recycle.policy import RENEWAL_MONTHS

# Instances that one request works through.
MAX_SELECTED = 10_000

# By how much the clock of another node may be ahead.
CLOCKS_DIFFER = timedelta(seconds=10)

# The lists instances can be selected in, by the name of their address.
LISTS: dict[str, type[InstanceListForm]] = {
    "instances": InstanceFilter,
    "bin": BinFilter,
    "expired": ExpiredFilter,
}


class SelectionForm(BackForm):
    """Instances named one by one, or all that matched a list's filter when it was shown.

    Nothing here ever means more than what was named: an unknown or foreign id refuses the whole
    request, and so does a form from a window that showed another account or region.
    """

    ids = forms.Field(required=False)
    all = forms.BooleanField(required=False)
    as_of = forms.CharField(required=False, max_length=40)
    reason = TextField(required=False, max_length=200)
    # Retyped name or number, where nothing brings the instance back.
    confirm = forms.CharField(required=False, max_length=MAX_RETYPED)

    def clean_ids(self) -> list[UUID]:
        try:
            ids = list(dict.fromkeys(UUID(text) for text in self.data.getlist("ids")))
        except ValueError:
            raise ValidationError(
                _("That is not the ID of an instance."), code="not_found"
            ) from None
        if len(ids) > MAX_NAMED:
            raise ValidationError(
                _("At most %(max)d instances can be named at once. Select all that match instead.")
                % {"max": MAX_NAMED}
            )
        known = self.request.shell.instances().filter(pk__among=ids).count()
        if known < len(ids):
            raise ValidationError(
                ngettext(
                    "%(count)d instance was not found. Nothing was changed.",
                    "%(count)d instances were not found. Nothing was changed.",
                    len(ids) - known,
                )
                % {"count": len(ids) - known},
                code="not_found",
            )
        return ids

    def clean_as_of(self) -> datetime | None:
        try:
            moment = parse_datetime(self.cleaned_data["as_of"])
            moment = moment.astimezone(UTC) if moment and moment.tzinfo else None
        except (ValueError, OverflowError):
            return None
        # No list has been shown at such a time.
        if moment is None or moment > self.request.now + CLOCKS_DIFFER:
            return None
        return min(moment, self.request.now)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.errors:
            return data
        # Instances named by id are the same in every region; "all that match" is not.
        shown, present = data["scope"], self.request.shell.scope
        if not data["all"]:
            shown, present = shown.partition(":")[0], present.partition(":")[0]
        if shown and shown != present:
            raise ValidationError(
                _(
                    "You have switched the account or region in another window. Nothing was "
                    "changed."
                ),
                code="scope",
            )
        if data["all"]:
            instances = self._all_that_match(data)
        elif data["ids"]:
            instances = self.request.shell.instances().filter(pk__among=data["ids"])
        else:
            raise ValidationError(_("Select at least one instance."), code="empty")
        # In one order: of more than MAX_SELECTED, the dialog and the action mean the same ones.
        data["instances"] = instances.order_by("name", "pk")
        return data

    def _all_that_match(self, data: dict[str, Any]) -> InstanceQuerySet:
        """What matched when the list was shown: whatever was acted on since then is left alone."""
        invalid = ValidationError(
            _("The filter of this list is not valid. Nothing was changed."), code="filter"
        )
        # The filter that was shown, and no other: the way home that stands in for a bad one would
        # mean everything.
        query = filter_of(self.data.get("back", ""), self.request)
        if not isinstance(query, InstanceListForm) or not query.is_valid():
            raise invalid
        if not data["scope"] or data["as_of"] is None:
            raise invalid
        # "Ends within 15 minutes" goes on from when the list was shown, not from now.
        query.now = data["as_of"]
        instances: InstanceQuerySet = query.narrow(self.request.shell.instances())
        return instances.filter(changed_at__lte=data["as_of"])


class StopForm(SelectionForm):
    mode = forms.ChoiceField(
        required=False,
        choices=[
            ("KeepCharging", gettext_lazy("Retain and Charge")),
            ("StopCharging", gettext_lazy("No Fees Upon Shutdown")),
        ],
    )


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


class HoldForm(SelectionForm):
    review_on = forms.DateField(required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("confirmed"):
            if not data.get("reason", "").strip():
                self.add_error("reason", _("A legal hold needs a reason."))
            review_on = data.get("review_on")
            if review_on and review_on <= timezone.localdate(self.request.now):
                self.add_error("review_on", _("The review has to be in the future."))
        return data
