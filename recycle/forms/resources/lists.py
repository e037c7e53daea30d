"""The lists of volumes, addresses, load balancers and tags."""

from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from recycle.forms.lists import ListForm
from recycle.forms.search import address_begins, has, has_tag, id_begins
from recycle.models import ElasticIP, LoadBalancer, Tag, Volume
from recycle.offer import DATA_DISKS
from recycle.policy import BillingMode

BILLING_MODES = [("", _("All billing modes")), *BillingMode.choices]
FREE = Q(instance=None, load_balancer=None)


class VolumeFilter(ListForm):
    default_sort = "-created_at"
    sorts = ("created_at", "-created_at", "name", "-name")
    columns = {
        "type": _("Type / Size"),
        "instance": _("Instance"),
        "billing": _("Billing mode / Zone"),
        "created": _("Created"),
    }

    status = forms.ChoiceField(
        required=False,
        label=_("Status"),
        choices=[("", _("All statuses")), ("available", _("Available")), ("in-use", _("In use"))],
    )
    type = forms.ChoiceField(
        required=False,
        label=_("Type"),
        choices=[("", _("All types")), *((kind, kind) for kind in DATA_DISKS)],
    )
    zone = forms.ChoiceField(required=False, label=_("Zone"))
    billing = forms.ChoiceField(required=False, label=_("Billing mode"), choices=BILLING_MODES)

    def narrow(self, rows: QuerySet[Volume]) -> QuerySet[Volume]:
        data = self.cleaned_data
        if data["region"]:
            rows = rows.filter(zone__region=data["region"])
        if data["status"]:
            rows = rows.filter(instance__isnull=data["status"] == "available")
        for field, value in (
            ("type", data["type"]),
            ("zone", data["zone"]),
            ("billing_mode", data["billing"]),
        ):
            if value:
                rows = rows.filter(**{field: value})
        if text := data["q"].strip():
            rows = rows.filter(id_begins(text) | has(text, "name", "instance__name"))
        return rows


class AddressFilter(ListForm):
    default_sort = "-created_at"
    sorts = ("created_at", "-created_at", "address", "-address")
    columns = {
        "bandwidth": _("Bandwidth / Line"),
        "bound": _("Bound to"),
        "billing": _("Billing mode / Region"),
        "created": _("Created"),
    }

    status = forms.ChoiceField(
        required=False,
        label=_("Status"),
        choices=[
            ("", _("All statuses")),
            ("associate", _("Bound")),
            ("disassociate", _("Not bound")),
        ],
    )
    billing = forms.ChoiceField(required=False, label=_("Billing mode"), choices=BILLING_MODES)

    def narrow(self, rows: QuerySet[ElasticIP]) -> QuerySet[ElasticIP]:
        data = self.cleaned_data
        if data["region"]:
            rows = rows.filter(region=data["region"])
        if data["status"]:
            rows = rows.filter(FREE if data["status"] == "disassociate" else ~FREE)
        if data["billing"]:
            rows = rows.filter(billing_mode=data["billing"])
        if text := data["q"].strip():
            bound = has(text, "instance__name", "load_balancer__name")
            rows = rows.filter(id_begins(text) | address_begins("address", text) | bound)
        return rows


class BalancerFilter(ListForm):
    default_sort = "-created_at"
    sorts = ("created_at", "-created_at", "name", "-name")
    columns = {
        "type": _("Type"),
        "address": _("EIP"),
        "listeners": _("Listeners"),
        "region": _("Region / VPC"),
        "created": _("Created"),
    }

    type = forms.ChoiceField(
        required=False, label=_("Type"), choices=[("", _("All types")), *LoadBalancer.Type.choices]
    )

    def narrow(self, rows: QuerySet[LoadBalancer]) -> QuerySet[LoadBalancer]:
        data = self.cleaned_data
        if data["region"]:
            rows = rows.filter(region=data["region"])
        if data["type"]:
            rows = rows.filter(type=data["type"])
        if text := data["q"].strip():
            bound = ElasticIP.objects.filter(
                address_begins("address", text), load_balancer=OuterRef("pk")
            )
            rows = rows.filter(id_begins(text) | has(text, "name") | Exists(bound))
        return rows


class TagFilter(ListForm):
    """Tags belong to no region."""

    by_region = False
    default_sort = "key"
    sorts = ("key", "-key")

    def narrow(self, rows: QuerySet[Tag]) -> QuerySet[Tag]:
        if text := self.cleaned_data["q"].strip():
            rows = rows.filter(has_tag(text))
        return rows


FILTERS: dict[str, Any] = {
    "volumes": VolumeFilter,
    "addresses": AddressFilter,
    "balancers": BalancerFilter,
    "tags": TagFilter,
}
