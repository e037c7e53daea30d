"""What narrows a page, and the filters of pages that are no lists."""

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.forms.scope import Scope


class FilterForm(forms.Form):
    """What narrows a page. It says what was understood, and nothing else.

    What somebody, or a script, put beside that ends here: `FilteredPage` makes every address of a
    page from what is said, so that nothing else is carried from link to link.
    """

    # Whether what it shows is narrowed by the region.
    by_region: ClassVar[bool] = True

    # Whether it is narrowed by the project.
    by_project: ClassVar[bool] = True

    region = forms.ChoiceField(required=False, widget=forms.HiddenInput)
    project = forms.ChoiceField(required=False, label=gettext_lazy("Project"))

    data: QueryDict

    def __init__(self, data: QueryDict, *, scope: Scope) -> None:
        self.scope = scope
        data = data.copy()
        if "region" not in data and scope.region:
            data["region"] = scope.region.pk
        if "project" not in data and scope.project:
            data["project"] = str(scope.project.number)
        super().__init__(data)
        if not (self.by_project and scope.has_projects):
            del self.fields["project"]
        else:
            projects = [(str(each.number), each.label) for each in scope.projects]
            self._choices("project").choices = [("", _("All projects")), *projects]
        regions = [(region.pk, region.pk) for region in scope.all_regions]
        self._choices("region").choices = [("", ""), *regions]

    def _choices(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        return field

    @property
    def implied(self) -> dict[str, Any]:
        """The values that an address need not say, by field."""
        return {}

    def said(self, **changes: Any) -> dict[str, Any]:
        """The values that are valid and have to be said, as text and in one order.

        `changes` replace some of them; None leaves one out.
        """
        self.is_valid()
        values = {**self.cleaned_data, **changes}
        said: dict[str, Any] = {
            name: self.as_text(name, values[name])
            for name in self.fields
            if name not in ("region", "project")
            and values.get(name) not in (None, "", False, [], self.implied.get(name))
        }
        # Without a word, a page begins where the session says: "all regions" has to be said.
        if "project" in self.fields and "project" in values:
            said = {"project": values["project"]} | said
        return (
            {"region": values["region"]} | said if self.by_region and "region" in values else said
        )

    def as_text(self, name: str, value: Any) -> str | list[str]:
        """The value of a field as it stands in an address, or its values."""
        return [str(each) for each in value] if isinstance(value, list) else str(value)


class OverviewForm(FilterForm):
    # How far the forecast looks; without a word, 24 hours.
    span = forms.ChoiceField(required=False, choices=[("", ""), ("7d", "7d")])


class PlanFilter(FilterForm):
    """Configure again: whose relationships, by the request that acted on them or one by one."""

    by_region = False
    by_project = False

    batch = forms.UUIDField(required=False)
    skip = forms.IntegerField(required=False, min_value=0, max_value=1_000_000)
    ids = forms.Field(required=False)

    def clean_ids(self) -> list[UUID]:
        try:
            return [UUID(text) for text in self.data.getlist("ids")]
        except ValueError:
            raise ValidationError(
                _("That is not the ID of an instance."), code="not_found"
            ) from None

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("batch"):
            data.pop("ids", None)
        return data
