"""Rows named one by one: what every verb on selected rows takes."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# Ids that one request may name.
MAX_NAMED = 1_000


class NamedForm(forms.Form):
    """Rows named by their ids. An unknown or foreign one refuses the whole request."""

    ids = forms.Field(required=False)

    data: QueryDict

    def __init__(self, data: QueryDict, *, rows: QuerySet[Any, Any]) -> None:
        """`rows` are all rows that can be named."""
        super().__init__(data)
        self.rows = rows

    def clean_ids(self) -> list[Any]:
        if self.data.get("all"):
            raise ValidationError(
                _("Select them one by one for this, at most %(max)d.") % {"max": MAX_NAMED}
            )
        try:
            ids = list(dict.fromkeys(self._id(text) for text in self.data.getlist("ids")))
        except ValidationError:
            raise ValidationError(_("That is not an ID."), code="not_found") from None
        if not ids:
            raise ValidationError(_("Select at least one of them."), code="empty")
        if len(ids) > MAX_NAMED:
            raise ValidationError(_("At most %(max)d can be named at once.") % {"max": MAX_NAMED})
        missing = len(ids) - self.rows.filter(pk__in=ids).count()
        if missing:
            raise ValidationError(
                ngettext(
                    "%(count)d of them was not found. Nothing was changed.",
                    "%(count)d of them were not found. Nothing was changed.",
                    missing,
                )
                % {"count": missing},
                code="not_found",
            )
        return ids

    def _id(self, text: str) -> Any:
        """A UUID, or a number that the database can hold."""
        field = self.rows.model._meta.pk
        value = field.to_python(text)
        field.run_validators(value)
        return value

    @property
    def named(self) -> QuerySet[Any, Any]:
        return self.rows.filter(pk__in=self.cleaned_data["ids"]).order_by("pk")
