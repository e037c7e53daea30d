"""What somebody wants made: one form for the instances and everything that comes with them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.actions.create import UNNAMED, Disk, Order, numbered
from recycle.actions.resources.volumes import MOST_VOLUMES
from recycle.forms.offer import NEW, Offer
from recycle.forms.resources.projects import offer_projects
from recycle.forms.scope import Scope, check_account
from recycle.forms.text import TextField
from recycle.lifecycle import ResourceAction
from recycle.offer import (
    BANDWIDTH_MBPS,
    DATA_DISKS,
    IMAGES,
    MOST_AT_ONCE,
    SYSTEM_DISK_GB,
    SYSTEM_DISKS,
)
from recycle.policy import MOST_TAGS, RENEWAL_MONTHS, BillingMode
from recycle.text import check_text

LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class DiskRow:
    """A data disk as it was entered."""

    type: str
    size: str
    delete: bool
    error: str = ""


def filled_in(data: QueryDict, scope: Scope, offer: Offer) -> QueryDict:
    """What somebody begins with who has only just come here, perhaps by a link that chooses
    something already.
    """
    data = data.copy()
    defaults = {
        "billing_mode": BillingMode.DAILY.value,
        "zone": next(iter(offer.zones), ""),
        "shown_zone": "",
        "instance_type": next(iter(offer.types), ""),
        "image": next(iter(IMAGES)),
        "system_disk_type": SYSTEM_DISKS[0],
        "system_disk_gb": "40",
        "eip": "",
        "bandwidth": "5",
        "number": "1",
        "count": "1",
        "token": str(uuid4()),
        "scope": str(scope),
    }
    if allowed := scope.projects_for(ResourceAction.CREATE):
        likeliest = next((each for each in allowed if each == scope.project), allowed[0])
        defaults["project"] = str(likeliest.number)
    for name, value in defaults.items():
        data.setdefault(name, value)
    return data


def with_likeliest_network(data: QueryDict, offer: Offer) -> QueryDict:
    """The likeliest choice in a zone that was just chosen: the subnet that most instances stand
    in.
    """
    data = data.copy()
    data["shown_zone"] = data.get("zone", "")
    if data.get("subnet") not in offer.subnets:
        data["subnet"] = next(iter(offer.subnets))
    vpc = offer.subnets[str(data["subnet"])].vpc_id
    if offer.groups.get(data.get("security_group", ""), NEW) != vpc:
        data["security_group"] = next(
            (key for key, of in offer.groups.items() if vpc and of == vpc), NEW
        )
    if data.get("eip") not in ("", NEW, *offer.addresses):
        data["eip"] = ""
    return data


class CreateForm(forms.Form):
    """Create Instance, out of what the account is offered."""

    billing_mode = forms.ChoiceField(
        label=gettext_lazy("Billing mode"), choices=BillingMode.choices
    )
    months = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None, choices=[(n, str(n)) for n in RENEWAL_MONTHS]
    )
    zone = forms.ChoiceField(label=gettext_lazy("Zone"))
    # The zone that the choices of the network were made for.
    shown_zone = forms.CharField(required=False, max_length=32)
    instance_type = forms.ChoiceField(label=gettext_lazy("Instance type"))
    image = forms.ChoiceField(label=gettext_lazy("Image"), choices=list(IMAGES.items()))
    system_disk_type = forms.ChoiceField(
        label=gettext_lazy("System disk"), choices=[(kind, kind) for kind in SYSTEM_DISKS]
    )
    system_disk_gb = forms.IntegerField(
        label=gettext_lazy("System disk (GB)"),
        min_value=SYSTEM_DISK_GB[0],
        max_value=SYSTEM_DISK_GB[1],
    )
    subnet = forms.ChoiceField(label=gettext_lazy("Subnet"))
    security_group = forms.ChoiceField(label=gettext_lazy("Security group"))
    eip = forms.ChoiceField(required=False, label=gettext_lazy("EIP"))
    bandwidth = forms.IntegerField(
        required=False,
        label=gettext_lazy("Bandwidth (Mbps)"),
        min_value=BANDWIDTH_MBPS[0],
        max_value=BANDWIDTH_MBPS[1],
    )
    tags = forms.TypedMultipleChoiceField(required=False, coerce=int, label=gettext_lazy("Tags"))
    new_tags = forms.CharField(required=False, max_length=4_000, label=gettext_lazy("New tags"))
    project = forms.TypedChoiceField(coerce=int, label=gettext_lazy("Project"))
    name = TextField(
        required=False, min_length=2, max_length=LONGEST_NAME, label=gettext_lazy("Name")
    )
    number = forms.IntegerField(
        required=False, min_value=0, max_value=9_999, label=gettext_lazy("First number")
    )
    count = forms.IntegerField(min_value=1, max_value=MOST_AT_ONCE, label=gettext_lazy("Count"))
    protected = forms.BooleanField(required=False, label=gettext_lazy("Protected"))
    # The same page sent twice makes the instances once.
    token = forms.UUIDField()
    # The account the page was made for.
    scope = forms.CharField(required=False, max_length=64)

    # What a name begins with that nobody chose.
    unnamed = UNNAMED
    data: QueryDict

    def __init__(self, data: QueryDict, *, scope: Scope, offer: Offer) -> None:
        self.asked_in, self.offer = scope, offer
        # Without script the zone may have changed while the network shows the old one's.
        self.zone_changed = data.get("shown_zone", "") != data.get("zone", "")
        super().__init__(with_likeliest_network(data, offer) if self.zone_changed else data)
        self.likeliest_project = offer_projects(self, scope, ResourceAction.CREATE)
        for name, choices in offer.choices().items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = choices

    # --- Data disks -------------------------------------------------------------------------------

    @property
    def disk_types(self) -> list[tuple[str, int, int]]:
        return [(kind, low, high) for kind, (low, high) in DATA_DISKS.items()]

    @property
    def may_add_disk(self) -> bool:
        return len(self.rows) < MOST_VOLUMES

    @cached_property
    def rows(self) -> list[DiskRow]:
        """The data disks as entered, with one more or one less where a button asks for that."""
        types, sizes = self.data.getlist("disk_type"), self.data.getlist("disk_size")
        deletes = set(self.data.getlist("disk_delete"))
        rows = [
            DiskRow(kind, size.strip(), str(index) in deletes, _disk_error(kind, size.strip()))
            for index, (kind, size) in enumerate(zip(types, sizes, strict=False))
        ]
        removed = self.data.get("remove_disk", "")
        if removed.isdecimal() and int(removed) < len(rows):
            del rows[int(removed)]
        if "add_disk" in self.data and len(rows) < MOST_VOLUMES:
            rows.append(DiskRow(next(iter(DATA_DISKS)), "100", delete=False))
        return rows

    # --- What it means ----------------------------------------------------------------------------

    def clean_new_tags(self) -> list[tuple[str, str]]:
        pairs = []
        for line in self.cleaned_data["new_tags"].splitlines():
            key, _equals, value = (part.strip() for part in line.partition("="))
            if not key and not value:
                continue
            if not key:
                raise ValidationError(_("A tag needs a key: “%(line)s”.") % {"line": line.strip()})
            for part in filter(None, (key, value)):
                check_text(part)
            if len(key) > 128 or len(value) > 255:
                raise ValidationError(_("A key has 128 characters at most, a value 255."))
            if key.lower().startswith("ksc") or value.lower().startswith("ksc"):
                raise ValidationError(_("What begins with “ksc” is reserved."))
            pairs.append((key, value))
        return list(dict.fromkeys(pairs))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        return name

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        check_account(self, self.asked_in)
        if len(self.data.getlist("disk_type")) > MOST_VOLUMES:
            self.add_error(
                None, _("An instance takes %(n)d data disks at most.") % {"n": MOST_VOLUMES}
            )
        for number, row in enumerate(self.rows, start=1):
            if row.error:
                self.add_error(
                    None, _("Data disk %(n)d: %(error)s") % {"n": number, "error": row.error}
                )
        self._check_network(data)
        if len(data.get("tags", ())) + len(data.get("new_tags", ())) > MOST_TAGS:
            self.add_error("new_tags", _("An instance has %(n)d tags at most.") % {"n": MOST_TAGS})
        if {"name", "count"} <= data.keys() and data["name"]:
            last = numbered(data["name"], self._number(), data["count"])[-1]
            if len(last) > LONGEST_NAME:
                self.add_error(
                    "name",
                    _("With its number, the name has more than %(n)d characters.")
                    % {"n": LONGEST_NAME},
                )
        return data

    def _number(self) -> int:
        number = self.cleaned_data.get("number")
        return 1 if number is None else number

    def _check_network(self, data: dict[str, Any]) -> None:
        if data.get("eip") == NEW and "bandwidth" in data and data["bandwidth"] is None:
            self.add_error("bandwidth", _("Say how many Mbps the EIP has."))
        if data.get("eip") in self.offer.addresses and data.get("count", 1) > 1:
            self.add_error("eip", _("An EIP that is there already goes to one instance only."))
        if data.get("subnet") and data.get("security_group"):
            subnet, group = self.offer.subnets[data["subnet"]], data["security_group"]
            # New ones are made for the VPC; those of a VPC of its own do not reach into another.
            if group != NEW and self.offer.groups[group] != subnet.vpc_id:
                self.add_error(
                    "security_group",
                    _("It belongs to another VPC. Choose one of the subnet's VPC, or a new one."),
                )

    def order(self) -> Order:
        """What the valid form asks for."""
        data, offer = self.cleaned_data, self.offer
        subnet = offer.subnets[data["subnet"]]
        return Order(
            account=offer.account,
            project_number=data.get("project", self.likeliest_project),
            zone=offer.zones[data["zone"]],
            instance_type=offer.types[data["instance_type"]],
            billing_mode=data["billing_mode"],
            months=data["months"] or 1,
            image_id=data["image"],
            image_name=IMAGES[data["image"]],
            system_disk=Disk(data["system_disk_type"], data["system_disk_gb"]),
            disks=[Disk(row.type, int(row.size), row.delete) for row in self.rows],
            subnet_id=subnet.id,
            vpc_id=subnet.vpc_id,
            security_group_id=None
            if data["security_group"] == NEW
            else UUID(data["security_group"]),
            address=offer.addresses.get(data["eip"]),
            bandwidth_mbps=data["bandwidth"] if data["eip"] == NEW else 0,
            tags=[offer.tags[pk] for pk in data["tags"]],
            new_tags=data["new_tags"],
            name=data["name"],
            number=self._number(),
            count=data["count"],
            protected=data["protected"],
            token=data["token"],
        )


def _disk_error(kind: str, size: str) -> str:
    if kind not in DATA_DISKS:
        return _("there is no such type.")
    low, high = DATA_DISKS[kind]
    if not (
        size.isdecimal()
        and size.isascii()
        and len(size) <= len(str(high))
        and low <= int(size) <= high
    ):
        return _("%(type)s has %(low)d to %(high)d GB.") % {"type": kind, "low": low, "high": high}
    return ""
