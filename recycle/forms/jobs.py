"""What the list of batch jobs, and the file of what became of one, take from their address."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from recycle.forms.lists import ListForm
from recycle.forms.search import has
from recycle.forms.verbs import VERBS
from recycle.models import JobState


class JobFilter(ListForm):
    """Batch jobs are of all regions: the instances of one may lie in several."""

    by_region = False
    by_project = False
    default_sort = "-created_at"
    sorts = ("-created_at", "created_at")

    state = forms.ChoiceField(
        required=False,
        label=gettext_lazy("State"),
        choices=[("", gettext_lazy("All states")), *JobState.choices],
    )
    action = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Action"),
        choices=[
            ("", gettext_lazy("All actions")),
            *((action.value, action.label) for action in VERBS),
        ],
    )

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        data = self.cleaned_data
        if data["state"]:
            rows = rows.filter(state=data["state"])
        if data["action"]:
            rows = rows.filter(action=data["action"])
        if text := data["q"].strip():
            rows = rows.filter(has(text, "by_name"))
        return rows


class ResultFilter(ListForm):
    """Everything that became of a job, in the order of the work."""

    by_region = False
    by_project = False
    default_sort = "id"
    sorts = ("id",)

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows
