"""What a page sends along with what it asks for: where the person was, what the page was made for,
and whether the dialog has been answered.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from recycle.forms.lists import InstanceListForm
from recycle.forms.places import filter_of, own_address
from recycle.forms.scope import Scope, account_of, check_account
from recycle.forms.text import MAX_RETYPED


class DialogForm(forms.Form):
    """What every dialog and list sends along."""

    # Ignored when it is too long or leads elsewhere: no action fails for where somebody came from.
    back = forms.CharField(required=False)
    # What the page was made for.
    scope = forms.CharField(required=False, max_length=64)
    # The dialog has been seen and answered.
    confirmed = forms.BooleanField(required=False)
    # What the dialog said of each row: "id:word,id:word". Missing when no dialog was shown, or when
    # it said too much to be sent.
    announced = forms.CharField(required=False)

    data: QueryDict

    def __init__(self, data: QueryDict, *, scope: Scope, home: str) -> None:
        """`home` names the page to go back to when the request does not say one that exists."""
        super().__init__(data)
        self.asked_in = scope
        self.home = home

    def clean_back(self) -> str:
        return own_address(self.cleaned_data["back"], self.asked_in) or reverse(self.home)

    def clean_announced(self) -> dict[str, str] | None:
        if "announced" not in self.data:
            return None
        pairs = (pair.partition(":") for pair in self.cleaned_data["announced"].split(",") if pair)
        return {pk: word for pk, _colon, word in pairs}

    def clean(self) -> dict[str, Any]:
        # A link has no scope; a dialog and a list do.
        if self.cleaned_data.get("scope"):
            check_account(self, self.asked_in)
        return self.cleaned_data


class SelectionDialogForm(DialogForm):
    """What a page about instances sends along. "All that match" depends on the region as well."""

    all = forms.BooleanField(required=False)
    # Retyped name or number, where nothing brings an instance back.
    confirm = forms.CharField(required=False, max_length=MAX_RETYPED)

    def clean(self) -> dict[str, Any]:
        # Instances named by id are the same in every region; "all that match" is not.
        shown, present = self.cleaned_data.get("scope", ""), str(self.asked_in)
        if not self.cleaned_data.get("all"):
            shown, present = account_of(shown), account_of(present)
        if shown and shown != present:
            raise ValidationError(
                _(
                    "You have switched the account, the region or the project in another window. "
                    "Nothing was changed."
                ),
                code="scope",
            )
        return self.cleaned_data

    @property
    def shown(self) -> InstanceListForm | None:
        """The filter of the list that was shown, and no other: the way home that stands in for a
        bad one would mean everything. None when the page does not say what it was made for.
        """
        found = filter_of(self.data.get("back", ""), self.asked_in)
        return found if self.data.get("scope") and isinstance(found, InstanceListForm) else None
