"""Rows named one by one: what every verb on selected rows takes."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from recycle.forms.places import own_address
from recycle.forms.scope import check_account
from recycle.http import Request

# Ids that one request may name.
MAX_NAMED = 1_000


class BackForm(forms.Form):
    """Where the person came from and goes back to."""

    # Left aside when it is too long or leads elsewhere: where somebody came from refuses no action.
    back = forms.CharField(required=False)
    # What the page was made for.
    scope = forms.CharField(required=False, max_length=64)
    # The dialog has been seen and answered.
    confirmed = forms.BooleanField(required=False)
    # What it said of each row: "id:word,id:word". Missing: no dialog was shown, or it was too much.
    announced = forms.CharField(required=False)

    data: QueryDict

    def __init__(self, data: QueryDict, *, request: Request, home: str) -> None:
        super().__init__(data)
        self.request = request
        self.home = home

    def clean_back(self) -> str:
        return own_address(self.cleaned_data["back"], self.request) or self.home

    def clean_announced(self) -> dict[str, str] | None:
        if "announced" not in self.data:
            return None
        pairs = (pair.partition(":") for pair in self.cleaned_data["announced"].split(",") if pair)
        return {pk: word for pk, _colon, word in pairs}

    def clean(self) -> dict[str, Any]:
        # A link has no scope; a dialog and a list do.
        if self.cleaned_data.get("scope"):
            check_account(self, self.request)
        return self.cleaned_data


class NamedForm(BackForm):
    """Rows named by their ids. An unknown or foreign one refuses the whole request."""

    ids = forms.Field(required=False)

    def __init__(
        self,
        data: QueryDict,
        *,
        request: Request,
        home: str,
        rows: Callable[[Request], QuerySet[Any, Any]],
    ) -> None:
        super().__init__(data, request=request, home=home)
        self.rows = rows(request)

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
