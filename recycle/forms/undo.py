"""Which delete is undone."""

from django import forms
from django.utils.http import url_has_allowed_host_and_scheme


class UndoForm(forms.Form):
    batch = forms.UUIDField()
    # The page the message stood on.
    back = forms.CharField(required=False, max_length=4_000)

    def clean_back(self) -> str:
        back: str = self.cleaned_data["back"]
        return back if back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None) else ""
