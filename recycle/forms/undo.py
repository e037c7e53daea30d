"""Which delete is undone."""

from django import forms
from django.http import QueryDict

from recycle.forms.places import own_address
from recycle.http import Request


class UndoForm(forms.Form):
    batch = forms.UUIDField()
    # The page the message stood on.
    back = forms.CharField(required=False)

    def __init__(self, data: QueryDict, *, request: Request) -> None:
        super().__init__(data)
        self.request = request

    def clean_back(self) -> str:
        return own_address(self.cleaned_data["back"], self.request)
