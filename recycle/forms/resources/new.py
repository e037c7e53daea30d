"""What dialogs ask for a new volume, address, load balancer, listener or tag."""

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.forms.resources.details import DetailsForm
from recycle.forms.resources.projects import offer_projects
from recycle.forms.text import TextField
from recycle.lifecycle import ResourceAction
from recycle.models import Account, ElasticIP, Listener, LoadBalancer, Tag, Volume
from recycle.offer import BANDWIDTH_MBPS, DATA_DISKS, PORTS
from recycle.policy import BillingMode


class NewForm(DetailsForm):
    """Asks for a new one. Its id comes along, so that the same dialog sent twice makes one."""

    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)

    @property
    def account(self) -> Account:
        assert self.scope.account
        return self.scope.account


class InProjectForm(NewForm):
    """A new one, in a project where the person may make it."""

    project = forms.TypedChoiceField(coerce=int, label=gettext_lazy("Project"))

    def prepare(self) -> None:
        self.likeliest = offer_projects(self, self.scope, ResourceAction.CREATE)

    @property
    def project_number(self) -> int:
        number: int = self.cleaned_data.get("project", self.likeliest)
        return number


class VolumeForm(InProjectForm):
    zone = forms.ChoiceField(label=gettext_lazy("Zone"))
    type = forms.ChoiceField(
        label=gettext_lazy("Type"),
        choices=[(kind, f"{kind} · {low}–{high} GB") for kind, (low, high) in DATA_DISKS.items()],
    )
    size_gb = forms.IntegerField(
        label=gettext_lazy("Size (GB)"), initial=100, min_value=1, max_value=32_768
    )
    billing_mode = forms.ChoiceField(
        label=gettext_lazy("Billing mode"), choices=BillingMode.choices, initial=BillingMode.DAILY
    )
    name = TextField(
        required=False,
        min_length=2,
        max_length=50,
        label=gettext_lazy("Name (optional)"),
        help_text=gettext_lazy("2 to 50 characters."),
    )

    def prepare(self) -> None:
        super().prepare()
        self.offer("zone", self.scope.zone_choices())

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if {"type", "size_gb"} <= data.keys():
            low, high = DATA_DISKS[data["type"]]
            if not low <= data["size_gb"] <= high:
                self.add_error(
                    "size_gb",
                    _("%(type)s has %(low)d to %(high)d GB.")
                    % {"type": data["type"], "low": low, "high": high},
                )
        return data

    def new(self) -> Volume:
        """The row that was asked for, not saved."""
        data = self.cleaned_data
        return Volume(
            pk=data["token"],
            account=self.account,
            project_number=self.project_number,
            zone_id=data["zone"],
            name=data["name"],
            type=data["type"],
            size_gb=data["size_gb"],
            billing_mode=data["billing_mode"],
            created_at=self.scope.now,
        )


class AddressForm(InProjectForm):
    region = forms.ChoiceField(label=gettext_lazy("Region"))
    bandwidth_mbps = forms.IntegerField(
        label=gettext_lazy("Bandwidth (Mbps)"),
        min_value=BANDWIDTH_MBPS[0],
        max_value=BANDWIDTH_MBPS[1],
        initial=5,
    )
    billing_mode = forms.ChoiceField(
        label=gettext_lazy("Billing mode"), choices=BillingMode.choices, initial=BillingMode.DAILY
    )

    def prepare(self) -> None:
        super().prepare()
        self.offer("region", self.scope.region_choices())

    def new(self) -> ElasticIP:
        """The row that was asked for, not saved; the action gives it an address."""
        data = self.cleaned_data
        return ElasticIP(
            pk=data["token"],
            account=self.account,
            project_number=self.project_number,
            region_id=data["region"],
            bandwidth_mbps=data["bandwidth_mbps"],
            billing_mode=data["billing_mode"],
            created_at=self.scope.now,
        )


class BalancerForm(InProjectForm):
    name = TextField(min_length=2, max_length=64, label=gettext_lazy("Name"))
    region = forms.ChoiceField(label=gettext_lazy("Region"))
    type = forms.ChoiceField(
        label=gettext_lazy("Type"),
        choices=LoadBalancer.Type.choices,
        initial=LoadBalancer.Type.PUBLIC,
    )
    vpc_id = forms.ChoiceField(
        required=False,
        label=gettext_lazy("VPC"),
        help_text=gettext_lazy(
            "Only instances of this VPC can be registered. An internal load balancer needs one."
        ),
    )

    def prepare(self) -> None:
        super().prepare()
        regions = {region.pk for region in self.scope.regions}
        rows = self.scope.instances().exclude(vpc_id=None).filter(zone__region__in=regions)
        found = (
            rows.order_by("zone__region", "vpc_id")
            .values_list("vpc_id", "zone__region")
            .distinct()[:200]
        )
        self.region_of: dict[str, str] = {str(vpc): region for vpc, region in found}
        name = self.scope.region_name
        labels = [(vpc, f"{vpc} · {name(region)}") for vpc, region in self.region_of.items()]
        self.offer("region", self.scope.region_choices())
        self.offer("vpc_id", [("", _("Any")), *labels])

    def clean_vpc_id(self) -> UUID | None:
        text = self.cleaned_data["vpc_id"]
        return UUID(text) if text else None

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        vpc = data.get("vpc_id")
        if vpc and data.get("region") and self.region_of[str(vpc)] != data["region"]:
            self.add_error("vpc_id", _("This VPC is in another region."))
        if data.get("type") == LoadBalancer.Type.INTERNAL and "vpc_id" in data and vpc is None:
            self.add_error("vpc_id", _("An internal load balancer needs a VPC."))
        return data

    def new(self) -> LoadBalancer:
        """The row that was asked for, not saved."""
        data = self.cleaned_data
        return LoadBalancer(
            pk=data["token"],
            account=self.account,
            project_number=self.project_number,
            region_id=data["region"],
            name=data["name"],
            type=data["type"],
            vpc_id=data["vpc_id"],
            created_at=self.scope.now,
        )


class ListenerForm(NewForm):
    protocol = forms.ChoiceField(label=gettext_lazy("Protocol"), choices=Listener.Protocol.choices)
    port = forms.IntegerField(label=gettext_lazy("Port"), min_value=PORTS[0], max_value=PORTS[1])
    method = forms.ChoiceField(label=gettext_lazy("Method"), choices=Listener.Method.choices)
    name = TextField(required=False, max_length=64, label=gettext_lazy("Name (optional)"))

    def new(self, balancer: LoadBalancer) -> Listener:
        """The row that was asked for, not saved."""
        data = self.cleaned_data
        return Listener(
            pk=data["token"],
            load_balancer=balancer,
            name=data["name"],
            protocol=data["protocol"],
            port=data["port"],
            method=data["method"],
            created_at=self.scope.now,
        )


class TagForm(NewForm):
    key = TextField(max_length=128, label=gettext_lazy("Key"))
    value = TextField(required=False, max_length=255, label=gettext_lazy("Value (optional)"))

    def clean(self) -> dict[str, Any]:
        for name in ("key", "value"):
            if self.cleaned_data.get(name, "").lower().startswith("ksc"):
                self.add_error(name, _("What begins with “ksc” is reserved."))
        return self.cleaned_data

    def new(self) -> Tag:
        """The row that was asked for, not saved."""
        data = self.cleaned_data
        return Tag(account=self.account, key=data["key"], value=data["value"])
