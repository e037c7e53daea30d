"""How long an account keeps instances in the bin."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.forms.scope import Scope, check_account
from recycle.forms.text import TextField
from recycle.labels import duration_label, standard_label
from recycle.policy import LONGEST_KEEP, STANDARDS

HOUR, DAY = 3_600, 86_400
MOST_HOURS = LONGEST_KEEP // timedelta(seconds=HOUR)
UNITS = [(HOUR, gettext_lazy("hours")), (DAY, gettext_lazy("days"))]


class KeepForWidget(forms.MultiWidget):
    """A number, and whether it means hours or days."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        number = forms.NumberInput(
            attrs={"min": 1, "max": MOST_HOURS, "class": "in", "aria-label": gettext_lazy("Number")}
        )
        unit = forms.Select(
            choices=UNITS, attrs={"class": "in", "aria-label": gettext_lazy("Unit")}
        )
        super().__init__([number, unit], attrs)

    def decompress(self, value: timedelta | None) -> list[Any]:
        if value is None:
            return [None, DAY]
        seconds = int(value.total_seconds())
        return [seconds // DAY, DAY] if seconds % DAY == 0 else [-(-seconds // HOUR), HOUR]


class KeepForField(forms.MultiValueField):
    """A time in the recycle bin: longer than the standard of some billing mode, up to LONGEST_KEEP.
    Empty is None.
    """

    def __init__(self, **kwargs: Any) -> None:
        fields = (
            forms.IntegerField(required=False, min_value=1, max_value=MOST_HOURS),
            forms.TypedChoiceField(required=False, coerce=int, empty_value=None, choices=UNITS),
        )
        kwargs.setdefault("label", gettext_lazy("Time in the recycle bin"))
        super().__init__(
            fields=fields,
            widget=KeepForWidget(),
            require_all_fields=False,
            required=False,
            **kwargs,
        )

    def compress(self, data_list: Sequence[Any]) -> timedelta | None:
        if not data_list or data_list[0] is None:
            return None
        keep_for = timedelta(seconds=data_list[0] * (data_list[1] or DAY))
        if not min(STANDARDS.values()) < keep_for <= LONGEST_KEEP:
            raise ValidationError(
                _(
                    "The time has to be longer than the standard, %(standard)s, and %(longest)s "
                    "at most."
                )
                % {
                    "standard": standard_label(),
                    "longest": duration_label(LONGEST_KEEP),
                }
            )
        return keep_for


class ConfirmedForm(forms.Form):
    """A change that is first previewed, then confirmed."""

    confirmed = forms.BooleanField(required=False)
    # The account the page was made for.
    scope = forms.CharField(required=False, max_length=64)

    def __init__(self, data: QueryDict, *, scope: Scope) -> None:
        super().__init__(data)
        self.asked_in = scope

    def clean(self) -> dict[str, Any]:
        check_account(self, self.asked_in)
        return self.cleaned_data


class KeepForm(forms.Form):
    """The time of the account."""

    keep_for = KeepForField()


class RuleForm(forms.Form):
    """A rule for a tag."""

    key = TextField(max_length=128, label=gettext_lazy("Tag key"))
    value = TextField(max_length=255, required=False, label=gettext_lazy("Tag value"))
    means = forms.ChoiceField(
        choices=[("keep", gettext_lazy("Keep for")), ("exclude", gettext_lazy("Standard only"))]
    )
    keep_for = KeepForField()

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("means") == "exclude":
            data["keep_for"] = None
            # What was typed beside it does not matter.
            self.errors.pop("keep_for", None)
        elif "keep_for" in data and data["keep_for"] is None:
            self.add_error("keep_for", _("Say for how long."))
        for name in ("key", "value"):
            if data.get(name, "").lower().startswith("ksc"):
                self.add_error(name, _("What begins with “ksc” is reserved."))
        return data
