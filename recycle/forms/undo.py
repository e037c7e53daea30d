"""Which delete is undone."""

from django import forms


class UndoForm(forms.Form):
    batch = forms.UUIDField()
