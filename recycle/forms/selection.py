"""Which instances an action is about: named one by one, or all that match a list's filter."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from recycle.forms.lists import (
    BinFilter,
    ExpiredFilter,
    InstanceFilter,
    InstanceListForm,
    QuarantineFilter,
)
from recycle.forms.named import MAX_NAMED
from recycle.forms.scope import Scope
from recycle.forms.text import TextField
from recycle.models import InstanceQuerySet

# Instances named one by one that are acted on while the person waits. More of them, and whatever a
# filter has found, become a batch job.
AT_ONCE = 200

# By how much the clock of another node may be ahead.
CLOCKS_DIFFER = timedelta(seconds=10)

# The lists instances can be selected in, by the name of their address.
LISTS: dict[str, type[InstanceListForm]] = {
    "instances": InstanceFilter,
    "bin": BinFilter,
    "expired": ExpiredFilter,
    "quarantine": QuarantineFilter,
}


class ShownList(Protocol):
    """The filter of a list of instances, as far as "all that match" needs it."""

    # The moment at which the list was shown.
    now: datetime

    def is_valid(self) -> bool: ...

    def narrow(self, rows: InstanceQuerySet) -> InstanceQuerySet:
        """Those of `rows` that the list shows."""
        ...


class SelectionForm(forms.Form):
    """Instances named one by one, or all that matched a list's filter when it was shown.

    Nothing here ever means more than what was named: an unknown or foreign id refuses the whole
    request.
    """

    # The fields whose errors the dialog shows beside them; any other refuses the request.
    answers: ClassVar[tuple[str, ...]] = ()

    ids = forms.Field(required=False)
    all = forms.BooleanField(required=False)
    as_of = forms.CharField(required=False, max_length=40)
    reason = TextField(required=False, max_length=200)

    data: QueryDict

    def __init__(self, data: QueryDict, *, scope: Scope, shown: ShownList | None = None) -> None:
        """`shown` is the filter that `all` is about; without one, `all` is refused."""
        super().__init__(data)
        self.scope = scope
        self.shown = shown

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
        known = self.scope.instances().filter(pk__among=ids).count()
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
        if moment is None or moment > self.scope.now + CLOCKS_DIFFER:
            return None
        return min(moment, self.scope.now)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.errors.keys() - set(self.answers):
            return data
        if data["all"]:
            instances = self._all_that_match(data["as_of"])
        elif data["ids"]:
            instances = self.scope.instances().filter(pk__among=data["ids"])
        else:
            raise ValidationError(_("Select at least one instance."), code="empty")
        # In one order: the dialog shows those first that are acted on first.
        data["instances"] = instances.order_by("name", "pk")
        return data

    @property
    def is_large(self) -> bool:
        """Whether what is selected becomes a batch job."""
        return bool(self.cleaned_data["all"]) or len(self.cleaned_data["ids"]) > AT_ONCE

    def _all_that_match(self, as_of: datetime | None) -> InstanceQuerySet:
        """What matched when the list was shown: whatever was acted on since then is left alone."""
        if self.shown is None or not self.shown.is_valid() or as_of is None:
            raise ValidationError(
                _("The filter of this list is not valid. Nothing was changed."), code="filter"
            )
        # "Ends within 15 minutes" goes on from when the list was shown, not from now.
        self.shown.now = as_of
        instances = self.shown.narrow(self.scope.instances())
        return instances.filter(changed_at__lte=as_of)

    def parameters(self, *, retyped: bool) -> dict[str, Any]:
        """What the action takes beside the instances and the reason.

        `retyped` says that what cannot be undone has been confirmed as such.
        """
        return {}

    def assumed(self) -> dict[str, Any]:
        """The parameters of the dry run that a dialog shows before it has been answered."""
        return self.parameters(retyped=True)
