"""What the Audit Log takes from its address."""

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy

from recycle.forms.lists import LogFilter
from recycle.forms.search import address_is, has
from recycle.models import AuditAction


class AuditFilter(LogFilter):
    """The log of the installation: like the Operation Log, but by address instead of by batch."""

    # How a form leaves out a field of its parent's.
    batch = None  # type: ignore[assignment]
    action = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Action"),
        choices=[("", gettext_lazy("All actions")), *AuditAction.choices],
    )
    ip = forms.GenericIPAddressField(required=False, label=gettext_lazy("Address"))

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().narrow(rows)
        if address := self.cleaned_data["ip"]:
            rows = rows.filter(address_is("address", address))
        return rows

    def about(self, text: str) -> Q:
        return has(text, "subject_name") | Q(subject_id=text)
