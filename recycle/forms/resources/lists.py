"""The lists of volumes, addresses, load balancers and tags."""

from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from recycle.forms.lists import ListForm
from recycle.forms.search import address_begins, has, has_tag, id_begins
from recycle.models import ElasticIP, Instance, LoadBalancer, Project, Tag, Volume
from recycle.offer import DATA_DISKS
from recycle.policy import BillingMode

BILLING_MODES = [("", _("All billing modes")), *BillingMode.choices]
FREE = Q(instance=None, load_balancer=None)


class BoundListForm(ListForm):
    """The list of what is bound to something."""

    def _bound_to(self, text: str, *relations: str) -> Q:
        """What one of these relations leads to has such a name, and is seen."""
        if not self.scope.by.restrictions:
            return has(text, *(f"{relation}__name" for relation in relations))
        found = Q(pk__in=[])
        for relation, model in (("instance", Instance), ("load_balancer", LoadBalancer)):
            if relation in relations:
                seen = model._default_manager.visible_to(self.scope.by).filter(has(text, "name"))
                found |= Q(**{f"{relation}__in": seen})
        return found


class VolumeFilter(BoundListForm):
    default_sort = "-created_at"
    sorts = ("created_at", "-created_at", "name", "-name")
    columns = {
        "type": _("Type / Size"),
        "instance": _("Instance"),
        "billing": _("Billing mode / Zone"),
        "project": _("Project"),
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
        if data.get("project"):
            rows = rows.filter(project_number=data["project"])
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
            found = id_begins(text) | has(text, "name") | self._bound_to(text, "instance")
            rows = rows.filter(found)
        return rows


class AddressFilter(BoundListForm):
    default_sort = "-created_at"
    sorts = ("created_at", "-created_at", "address", "-address")
    columns = {
        "bandwidth": _("Bandwidth / Line"),
        "bound": _("Bound to"),
        "billing": _("Billing mode / Region"),
        "project": _("Project"),
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
        if data.get("project"):
            rows = rows.filter(project_number=data["project"])
        if data["region"]:
            rows = rows.filter(region=data["region"])
        if data["status"]:
            rows = rows.filter(FREE if data["status"] == "disassociate" else ~FREE)
        if data["billing"]:
            rows = rows.filter(billing_mode=data["billing"])
        if text := data["q"].strip():
            bound = self._bound_to(text, "instance", "load_balancer")
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
        "project": _("Project"),
        "created": _("Created"),
    }

    type = forms.ChoiceField(
        required=False, label=_("Type"), choices=[("", _("All types")), *LoadBalancer.Type.choices]
    )

    def narrow(self, rows: QuerySet[LoadBalancer]) -> QuerySet[LoadBalancer]:
        data = self.cleaned_data
        if data.get("project"):
            rows = rows.filter(project_number=data["project"])
        if data["region"]:
            rows = rows.filter(region=data["region"])
        if data["type"]:
            rows = rows.filter(type=data["type"])
        if text := data["q"].strip():
            eips = ElasticIP.objects.all()
            if self.scope.by.restrictions:
                eips = eips.visible_to(self.scope.by)
            bound = eips.filter(address_begins("address", text), load_balancer=OuterRef("pk"))
            rows = rows.filter(id_begins(text) | has(text, "name") | Exists(bound))
        return rows


class TagFilter(ListForm):
    """Tags belong to no region, and to no project."""

    by_region = False
    by_project = False
    default_sort = "key"
    sorts = ("key", "-key")

    def narrow(self, rows: QuerySet[Tag]) -> QuerySet[Tag]:
        if text := self.cleaned_data["q"].strip():
            rows = rows.filter(has_tag(text))
        return rows


class ProjectFilter(ListForm):
    by_region = False
    by_project = False
    default_sort = "number"
    sorts = ("number", "-number", "name", "-name")

    def narrow(self, rows: QuerySet[Project]) -> QuerySet[Project]:
        if text := self.cleaned_data["q"].strip():
            rows = rows.filter(has(text, "name"))
        return rows


FILTERS: dict[str, Any] = {
    "volumes": VolumeFilter,
    "addresses": AddressFilter,
    "balancers": BalancerFilter,
    "tags": TagFilter,
    "projects": ProjectFilter,
}
