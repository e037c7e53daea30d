"""What a page takes from its address, and the address that is made from it again."""

from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from recycle.http import Request


class PageForm(forms.Form):
    """The filter of a page. Every link to the page with a filter is made by `address`.

    It says what was understood, and nothing else. What somebody, or a script, put into an address
    beside that ends here: it is not carried from link to link.
    """

    # The name of the page's address.
    url: ClassVar[str]
    # Whether what it shows is narrowed by the region.
    by_region: ClassVar[bool] = True

    region = forms.ChoiceField(required=False, widget=forms.HiddenInput)

    data: QueryDict

    def __init__(self, data: QueryDict, *, request: Request) -> None:
        self.shell = shell = request.shell
        data = data.copy()
        if "region" not in data and shell.region:
            data["region"] = shell.region.pk
        super().__init__(data)
        self.now = request.now
        self._choices("region").choices = [
            ("", ""),
            *((region.pk, region.pk) for region in shell.regions),
        ]

    def _choices(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        return field

    @property
    def implied(self) -> dict[str, Any]:
        """What goes without saying, by field."""
        return {}

    def said(self, **changes: Any) -> dict[str, Any]:
        """The filter as text, in one order, with these changes: what is valid and has to
        be said.
        """
        self.is_valid()
        values = {**self.cleaned_data, **changes}
        said: dict[str, Any] = {
            name: self.as_text(name, values[name])
            for name in self.fields
            if name != "region"
            and values.get(name) not in (None, "", False, [], self.implied.get(name))
        }
        # Without a word, a page begins where the session says. So "all regions" has to be said,
        # and the account by who has several.
        account = self.shell.account
        if self.by_region and "region" in values:
            said = {"region": values["region"]} | said
        if account and len(self.shell.accounts) > 1:
            said = {"account": str(account.pk)} | said
        return said

    def as_text(self, name: str, value: Any) -> str | list[str]:
        """The value of a field as it stands in an address, or its values."""
        return [str(each) for each in value] if isinstance(value, list) else str(value)

    def query(self, **changes: Any) -> str:
        return urlencode(self.said(**changes), doseq=True)

    @property
    def path(self) -> str:
        """The page without a filter."""
        return reverse(self.url)

    def address(self, **changes: Any) -> str:
        query = self.query(**changes)
        return f"{self.path}?{query}" if query else self.path


class OverviewForm(PageForm):
    url = "recycle:overview"

    # How far the forecast looks; without a word, 24 hours.
    span = forms.ChoiceField(required=False, choices=[("", ""), ("7d", "7d")])


class PlanPage(PageForm):
    """Configure again: whose relationships, by the request that acted on them or one by one."""

    url = "recycle:configure_again"
    by_region = False

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
