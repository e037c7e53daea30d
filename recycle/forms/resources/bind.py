"""What dialogs ask that bind volumes, addresses, load balancers and tags: the other side."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from recycle.forms.resources.choice import LABELS, ChoiceField
from recycle.forms.resources.details import DetailsForm
from recycle.offer import PORTS, WEIGHTS


class BindForm(DetailsForm):
    """Asks what to bind the rows to."""

    kind: str
    # The path from a row to its zone or region: it can be bound to what is there, and nothing else.
    place = "zone_id"

    other = forms.Field()

    def prepare(self) -> None:
        field = ChoiceField(self.kind, label=LABELS[self.kind])
        places = {_follow(row, self.place) for row in self.rows} if self.place else set()
        field.offer(self.scope, places.pop() if len(places) == 1 else "")
        self.fields["other"] = field


def _follow(row: Any, path: str) -> str:
    for name in path.split("."):
        row = getattr(row, name)
    return str(row)


class AttachForm(BindForm):
    kind = "instance"
    delete_with_instance = forms.BooleanField(
        required=False,
        label=gettext_lazy("Delete with the instance"),
        help_text=gettext_lazy(
            "It goes when the instance is released while it is attached, not when it is recycled."
        ),
    )


class AttachVolumeForm(AttachForm):
    kind = "volume"


class AssociateForm(BindForm):
    kind = "holder"
    place = "region_id"


class AssociateAddressForm(BindForm):
    kind = "address"
    place = "zone.region_id"


class AssociateWithBalancerForm(BindForm):
    kind = "address"
    place = "region_id"


class WeightField(forms.IntegerField):
    def __init__(self, **options: Any) -> None:
        least, most = WEIGHTS
        super().__init__(min_value=least, max_value=most, label=gettext_lazy("Weight"), **options)


class WeightForm(DetailsForm):
    weight = WeightField()


class RegisterForm(BindForm):
    kind = "instance"
    place = "load_balancer.region_id"
    port = forms.IntegerField(
        min_value=PORTS[0], max_value=PORTS[1], label=gettext_lazy("Port of the instance")
    )
    weight = WeightField(initial=1)


class RegisterInstancesForm(RegisterForm):
    kind = "listener"
    place = "zone.region_id"


class TagInstanceForm(BindForm):
    kind = "instance"
    place = ""


class AddTagForm(BindForm):
    kind = "tag"
    place = ""
