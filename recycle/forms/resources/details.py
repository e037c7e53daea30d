"""What every dialog about volumes, addresses, load balancers and tags asks: for a yes, and, where
something is lost, for a name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.forms.scope import Scope
from recycle.forms.text import MAX_RETYPED
from recycle.text import as_seen


class DetailsForm(forms.Form):
    """What a dialog asks. The form has no data before the dialog has been answered.

    `rows` are the rows that the dialog is about, and `bound` says whether any of them is bound to
    something.
    """

    def __init__(
        self,
        data: QueryDict | None,
        *,
        scope: Scope,
        rows: Sequence[Any] = (),
        bound: bool = False,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        # Filters in the same page have fields of the same names.
        super().__init__(data, auto_id="new_%s", initial=dict(initial or {}))
        self.scope = scope
        self.rows = rows
        self.something_bound = bound
        self.prepare()
        for field in self.fields.values():
            if not isinstance(
                field.widget, forms.CheckboxInput | forms.HiddenInput | forms.RadioSelect
            ):
                field.widget.attrs.setdefault("class", "in full")

    def prepare(self) -> None:
        """Fill in what depends on the scope and the rows."""

    def offer(self, name: str, choices: Sequence[tuple[Any, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class RemoveForm(DetailsForm):
    """Asks whether to delete rows, and whether to unbind them first."""

    unbind = forms.BooleanField(
        required=False,
        label=gettext_lazy("Unbind first"),
        help_text=gettext_lazy("Otherwise what is bound is left alone."),
    )

    def prepare(self) -> None:
        if not self.something_bound:
            del self.fields["unbind"]

    @property
    def unbinds(self) -> bool:
        return bool(self.cleaned_data.get("unbind"))


class RetypeForm(RemoveForm):
    """Asks the same where data is lost: the name or the number of the rows is typed as well."""

    confirm = forms.CharField(required=False, max_length=MAX_RETYPED)

    @property
    def expected(self) -> str:
        name = as_seen(str(self.rows[0])) if len(self.rows) == 1 else ""
        return name or str(len(self.rows))

    def prepare(self) -> None:
        super().prepare()
        field = self.fields["confirm"]
        field.label = format_html(
            _("This cannot be undone. Type {} to confirm."), format_html("<b>{}</b>", self.expected)
        )
        field.widget.attrs |= {
            "data-must-equal": self.expected,
            "autocomplete": "off",
            "spellcheck": "false",
        }

    def clean_confirm(self) -> str:
        typed = as_seen(self.cleaned_data["confirm"])
        if typed != self.expected:
            raise ValidationError(_("Type exactly what is asked for."))
        return typed
