"""How a person likes the console."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _

from recycle.forms.lists import ListForm
from recycle.forms.resources import FILTERS
from recycle.forms.selection import LISTS

COLUMNS: dict[str, type[ListForm]] = {**LISTS, **FILTERS}


class ColumnsForm(forms.Form):
    """Which columns of a list a person wants to see."""

    data: QueryDict

    list = forms.ChoiceField(choices=[(name, name) for name in COLUMNS])
    columns = forms.Field(required=False)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if "list" in data:
            known = COLUMNS[data["list"]].columns
            wanted = self.data.getlist("columns")
            if unknown := set(wanted) - set(known):
                raise ValidationError(_("There is no column %(name)s.") % {"name": min(unknown)})
            data["columns"] = [name for name in known if name in wanted]
        return data


class TipForm(forms.Form):
    tip = forms.ChoiceField(choices=[(name, name) for name in COLUMNS])


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(choices=[("light", "light"), ("dark", "dark"), ("auto", "auto")])
