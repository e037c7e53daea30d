"""What the lists take from their address: filters, order and page."""

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.days import within
from recycle.forms.filters import FilterForm
from recycle.forms.scope import Scope
from recycle.forms.search import address_begins, address_is, has, id_begins, is_tag
from recycle.lifecycle import LIVING, Action, ResourceAction
from recycle.listing import Count, Cursor, Page, paginate
from recycle.models import ElasticIP, Event, InstanceQuerySet, InstanceTag, Tag
from recycle.models.instance import statuses_of
from recycle.models.tenancy import OwnedQuerySet
from recycle.policy import BillingMode
from recycle.text import fold

PAGE_SIZES = (10, 20, 50, 100)
DEFAULT_SIZE = 20
# A key of 128 characters, a value of 255, and the sign between them.
LONGEST_TAG = 384
# Of a batch query: so many whole ids make an address that every proxy takes.
MOST_MANY, LONGEST_MANY = 50, 1_900
# Instances that are named in a statement by their EIPs.
MOST_BOUND = 1_000


class ListForm(FilterForm):
    """What every list takes from its address: region, order, page. Subclasses add filters and
    `narrow`.
    """

    default_sort: ClassVar[str]
    sorts: ClassVar[Sequence[str]]
    # What the person may hide, with its heading.
    columns: ClassVar[dict[str, Any]] = {}

    q = forms.CharField(required=False, max_length=64, label=gettext_lazy("Search"))
    sort = forms.ChoiceField(required=False, widget=forms.HiddenInput)
    size = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[(size, str(size)) for size in PAGE_SIZES],
    )
    # Long enough for the longest name in any script.
    cursor = forms.CharField(required=False, max_length=2_000, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict, *, scope: Scope) -> None:
        super().__init__(data, scope=scope)
        # What "within an hour" is counted from.
        self.now = scope.now
        self._choices("sort").choices = [("", ""), *((sort, sort) for sort in self.sorts)]
        if "zone" in self.fields:
            self._choices("zone").choices = [("", _("All zones")), *scope.zone_choices()]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        data["sort"] = data.get("sort") or self.default_sort
        data["size"] = data.get("size") or DEFAULT_SIZE
        if data.get("cursor"):
            try:
                data["cursor"] = Cursor.read(data["cursor"], data["sort"])
            except ValidationError as error:
                # Of the field: what is not valid is in no address made from this one.
                self.add_error("cursor", error)
        return data

    @property
    def implied(self) -> dict[str, Any]:
        return {"sort": self.default_sort, "size": DEFAULT_SIZE}

    def as_text(self, name: str, value: Any) -> str | list[str]:
        # It stays as it came: signed anew, the same page had another address every second.
        if name == "cursor" and value is self.cleaned_data.get("cursor"):
            return str(self.data["cursor"])
        return super().as_text(name, value)

    def _check_order(self, first: str, last: str) -> None:
        """Complain about days that end before they begin, instead of finding nothing."""
        start, end = self.cleaned_data.get(first), self.cleaned_data.get(last)
        if start and end and start > end:
            self.add_error(last, _("The last day is before the first."))

    @property
    def chosen(self) -> dict[str, str]:
        """The filters that are set, without order and page: what "all that match" means."""
        return {
            name: value
            for name in self.fields
            if name not in {"sort", "size", "cursor"} and (value := self.data.get(name, ""))
        }

    def narrow(self, rows: Any) -> Any:
        raise NotImplementedError

    def page(self, rows: QuerySet[Any, Any]) -> Page:
        """The page the address asks for; an empty one when it asks for something that does not
        exist.
        """
        if not self.is_valid():
            return Page(rows=[], previous=None, next=None, count=Count(0, capped=False))
        data = self.cleaned_data
        return paginate(
            self.narrow(rows),
            sort=data["sort"],
            size=data["size"],
            cursor=data["cursor"] or None,
            narrowed=bool(self.chosen),
        )


def _matches(text: str, scope: Scope) -> Q:
    """The name contains `text`, or id, private IP or EIP begins with it; a whole id is nothing
    else. Each of these ways has its index, and the database joins what they find.
    """
    try:
        return Q(pk=UUID(text))
    except ValueError:
        matches = id_begins(text) | has(text, "name") | address_begins("private_ip", text)
    ours = ElasticIP.objects.visible_to(scope.by).of(scope.account).filter(instance__isnull=False)
    bound = ours.filter(address_begins("address", text))
    # Asked apart, since what stands in another table would make each row be looked at.
    few = list(bound.values_list("instance", flat=True)[: MOST_BOUND + 1])
    if len(few) > MOST_BOUND:
        return matches | Q(Exists(bound.filter(instance=OuterRef("pk"))))
    return matches | Q(pk__among=few) if few else matches


def acted_on_by(batch: UUID | None, rows: InstanceQuerySet) -> InstanceQuerySet:
    """Those of `rows` that one request or one batch job acted on; all of them without one."""
    if batch is None:
        return rows
    return rows.filter(Exists(Event.objects.filter(instance_id=OuterRef("pk"), batch=batch)))


class ManyField(forms.CharField):
    """Whole ids, names or addresses between commas or lines, each of them once. Between spaces as
    well, which a name may have too.
    """

    def __init__(self) -> None:
        super().__init__(required=False, max_length=LONGEST_MANY, label=gettext_lazy("Batch query"))

    def to_python(self, value: Any) -> Any:
        parts = re.split(r"[,;，；、\r\n\t]+", super().to_python(value) or "")
        terms = [term for part in parts for term in (part.strip(), *part.split())]
        return list(dict.fromkeys(filter(None, terms)))

    def run_validators(self, value: Any) -> None:
        super().run_validators(",".join(value))
        if len(value) > MOST_MANY:
            raise ValidationError(
                _("Ask for %(most)d at most.") % {"most": MOST_MANY}, code="too_many"
            )


def _is_one_of(terms: Sequence[str], scope: Scope) -> Q:
    """The id, the name, the private IP or an EIP is one of these, whole."""
    ids, addresses, found = [], [], Q()
    for term in terms:
        try:
            ids.append(UUID(term))
        except ValueError:
            found |= Q(name_folded=fold(term))
            # The beginning has an index.
            found |= address_is("private_ip", term) & address_begins("private_ip", term)
            addresses.append(address_is("address", term))
    bound = ElasticIP.objects.visible_to(scope.by).of(scope.account).filter(instance__isnull=False)
    if addresses:
        ids += bound.filter(reduce(or_, addresses)).values_list("instance", flat=True)
    return found | Q(pk__among=ids)


class InstanceListForm(ListForm):
    """What the lists of instances have in common."""

    many = ManyField()

    zone = forms.ChoiceField(required=False, label=gettext_lazy("Zone"))
    billing = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Billing mode"),
        choices=[("", gettext_lazy("All billing modes")), *BillingMode.choices],
    )

    def narrow(self, rows: InstanceQuerySet) -> InstanceQuerySet:
        data = self.cleaned_data
        if data["region"]:
            rows = rows.filter(zone__region=data["region"])
        if data["zone"]:
            rows = rows.filter(zone=data["zone"])
        if data.get("project"):
            rows = rows.filter(project_number=data["project"])
        if data["billing"]:
            rows = rows.filter(billing_mode=data["billing"])
        if text := data["q"].strip():
            rows = rows.filter(_matches(text, self.scope))
        if data["many"]:
            rows = rows.filter(_is_one_of(data["many"], self.scope))
        return rows

    def as_text(self, name: str, value: Any) -> str | list[str]:
        return ",".join(value) if name == "many" else super().as_text(name, value)


class InstanceFilter(InstanceListForm):
    default_sort = "-created_at"
    sorts = ("created_at", "-created_at", "name", "-name")
    columns = {
        "configuration": gettext_lazy("Type"),
        "network": gettext_lazy("Network"),
        "ip": gettext_lazy("Private IP / EIP"),
        "project": gettext_lazy("Project"),
        "billing": gettext_lazy("Billing mode / Created"),
        "tags": gettext_lazy("Tags"),
    }

    status = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Status"),
        choices=[("", gettext_lazy("All statuses")), *statuses_of(LIVING)],
    )
    # As a person types it: KEY or KEY=VALUE.
    tag = forms.CharField(required=False, max_length=LONGEST_TAG, label=gettext_lazy("Tag"))
    # As a link names it. Whatever and however much key and value hold, the address is short.
    tagged = forms.IntegerField(required=False)
    # The instances one request acted on: where its message leads.
    batch = forms.UUIDField(required=False)

    # The tag that `tagged` names, for the page to say in words.
    named_tag: Tag | None = None

    @property
    def _tags(self) -> OwnedQuerySet[Tag]:
        return Tag.objects.visible_to(self.scope.by).of(self.scope.account)

    def clean_tagged(self) -> int | None:
        pk: int | None = self.cleaned_data["tagged"]
        if pk is not None:
            self.named_tag = self._tags.filter(pk=pk).first()
            if self.named_tag is None:
                raise ValidationError(_("There is no such tag any more."), code="tagged")
        return pk

    def narrow(self, rows: InstanceQuerySet) -> InstanceQuerySet:
        data = self.cleaned_data
        rows = super().narrow(rows.living())
        if data["status"]:
            rows = rows.with_status(data["status"])
        on = InstanceTag.objects.filter(instance=OuterRef("pk"))
        if data["tag"]:
            rows = rows.filter(Exists(on.filter(tag__in=self._tags.filter(is_tag(data["tag"])))))
        if data["tagged"] is not None:
            rows = rows.filter(Exists(on.filter(tag=data["tagged"])))
        return acted_on_by(data["batch"], rows)


class BinFilter(InstanceListForm):
    default_sort = "-recycled_at"
    sorts = ("recycled_at", "-recycled_at", "purge_at", "-purge_at")
    columns = {
        "configuration": gettext_lazy("Configuration"),
        "ip": gettext_lazy("Private IP / Zone"),
        "deleted": gettext_lazy("Deleted"),
        "former": gettext_lazy("Former relationships"),
    }

    deleted_by = forms.CharField(required=False, max_length=150, label=gettext_lazy("Deleted by"))
    deleted_from = forms.DateField(
        required=False,
        label=gettext_lazy("Deleted from"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    deleted_to = forms.DateField(
        required=False,
        label=gettext_lazy("Deleted until"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    ends = forms.TypedChoiceField(
        required=False,
        label=gettext_lazy("Ends"),
        coerce=int,
        empty_value=None,
        choices=[
            ("", gettext_lazy("Ends: any time")),
            ("15", gettext_lazy("Ends within 15 min")),
            ("60", gettext_lazy("Ends within 1 h")),
            ("1440", gettext_lazy("Ends within 24 h")),
        ],
    )
    # The instances that one request, or one batch job, acted on.
    batch = forms.UUIDField(required=False)

    def clean(self) -> dict[str, Any]:
        self._check_order("deleted_from", "deleted_to")
        return super().clean()

    def narrow(self, rows: InstanceQuerySet) -> InstanceQuerySet:
        data = self.cleaned_data
        rows = super().narrow(rows.in_bin())
        if data["deleted_by"]:
            rows = rows.filter(has(data["deleted_by"], "recycled_by_name"))
        rows = rows.filter(within("recycled_at", data["deleted_from"], data["deleted_to"]))
        if data["ends"]:
            rows = rows.ending().filter(purge_at__lte=self.now + timedelta(minutes=data["ends"]))
        return acted_on_by(data["batch"], rows)


class ExpiredFilter(InstanceListForm):
    default_sort = "purge_at"
    sorts = ("purge_at", "-purge_at")
    columns = {
        "configuration": gettext_lazy("Configuration"),
        "ip": gettext_lazy("Private IP / Zone"),
        "expired": gettext_lazy("Expired at"),
    }

    def narrow(self, rows: InstanceQuerySet) -> InstanceQuerySet:
        return super().narrow(rows.expired())


class QuarantineFilter(InstanceListForm):
    """What could not be deleted, or expired, in many tries."""

    default_sort = "-quarantined_at"
    sorts = ("quarantined_at", "-quarantined_at")
    columns = {
        "configuration": gettext_lazy("Configuration"),
        "ip": gettext_lazy("Private IP / Zone"),
        "attempts": gettext_lazy("Failed attempts"),
    }

    def narrow(self, rows: InstanceQuerySet) -> InstanceQuerySet:
        return super().narrow(rows.in_quarantine())


# The fields of a log's filter that are folded away.
DETAILS = frozenset({"by", "ip", "request_id", "since", "until"})


class LogFilter(ListForm):
    """The Operation Log. It is not divided by region: its instances may be gone."""

    by_region = False
    by_project = False
    default_sort = "-at"
    sorts = ("-at", "at")

    action = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Action"),
        choices=[("", gettext_lazy("All actions")), *Action.choices, *ResourceAction.choices],
    )
    by = forms.CharField(required=False, max_length=150, label=gettext_lazy("By"))
    batch = forms.UUIDField(required=False, label=gettext_lazy("Batch"))
    # What an answer says in X-Request-Id.
    request_id = forms.UUIDField(required=False, label=gettext_lazy("Request ID"))
    since = forms.DateField(
        required=False, label=gettext_lazy("From"), widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label=gettext_lazy("Until"), widget=forms.DateInput(attrs={"type": "date"})
    )

    def clean(self) -> dict[str, Any]:
        self._check_order("since", "until")
        return super().clean()

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        data = self.cleaned_data
        if text := data["q"].strip():
            rows = rows.filter(self.about(text))
        if data["action"]:
            rows = rows.filter(action=data["action"])
        if data["by"]:
            rows = rows.filter(has(data["by"], "by_name"))
        if data.get("batch"):
            rows = rows.filter(batch=data["batch"])
        if data["request_id"]:
            rows = rows.filter(request_id=data["request_id"])
        return rows.filter(within("at", data["since"], data["until"]))

    @property
    def is_detailed(self) -> bool:
        """Whether it asks for more than the two fields that are always shown."""
        return any(value for name, value in self.cleaned_data.items() if name in DETAILS)

    def about(self, text: str) -> Q:
        """The instance by its id, or what an event is about by its name."""
        try:
            return Q(instance_id=UUID(text))
        except ValueError:
            return has(text, "instance_name") | has(text, "resource_name")
