"""Whose former relationships are configured again, and which of them."""

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from recycle.forms.selection import SelectionForm
from recycle.models import Event

# Instances on one page.
MOST_PLANNED = 100


class AgainForm(SelectionForm):
    """Instances named one by one, or all that one request acted on, `MOST_PLANNED` at a time."""

    batch = forms.UUIDField(required=False)
    skip = forms.IntegerField(required=False, min_value=0, max_value=1_000_000)
    lines = forms.Field(required=False)

    def clean_ids(self) -> list[UUID]:
        ids = super().clean_ids()
        if len(ids) > MOST_PLANNED:
            raise ValidationError(
                _("At most %(max)d instances can be configured again at once.")
                % {"max": MOST_PLANNED}
            )
        return ids

    def clean_all(self) -> bool:
        # A plan is made for instances that are named, never for all that match.
        return False

    def clean_lines(self) -> set[str]:
        return set(self.data.getlist("lines"))

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        batch = data.get("batch")
        if self.errors or not batch:
            return super().clean()
        acted_on = Event.objects.filter(instance_id=OuterRef("pk"), batch=batch)
        instances = self.scope.instances().filter(Exists(acted_on)).order_by("name", "pk")
        skip = data["skip"] or 0
        ids = list(instances.values_list("pk", flat=True)[skip : skip + MOST_PLANNED + 1])
        if not ids:
            raise ValidationError(_("None of these instances was found."), code="not_found")
        # A form names those that it showed, and brings the batch along for the way to the next
        # ones.
        data["ids"] = data["ids"] or ids[:MOST_PLANNED]
        data["next"] = skip + MOST_PLANNED if len(ids) > MOST_PLANNED else None
        return super().clean()
