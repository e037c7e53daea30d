"""What is entered about volumes, addresses, load balancers and tags."""

from recycle.forms.resources.bind import (
    AddTagForm,
    AssociateAddressForm,
    AssociateForm,
    AssociateWithBalancerForm,
    AttachForm,
    AttachVolumeForm,
    RegisterForm,
    RegisterInstancesForm,
    TagInstanceForm,
    WeightForm,
)
from recycle.forms.resources.choice import CHOICES, SuggestForm, suggest
from recycle.forms.resources.details import (
    DetailsForm,
    RemoveForm,
    RetypeForm,
)
from recycle.forms.resources.lists import (
    FILTERS,
    AddressFilter,
    BalancerFilter,
    ProjectFilter,
    TagFilter,
    VolumeFilter,
)
from recycle.forms.resources.new import (
    AddressForm,
    BalancerForm,
    ListenerForm,
    NewForm,
    TagForm,
    VolumeForm,
)
from recycle.forms.resources.projects import MoveForm, ProjectForm

__all__ = [
    "CHOICES",
    "FILTERS",
    "AddTagForm",
    "AddressFilter",
    "AddressForm",
    "AssociateAddressForm",
    "AssociateForm",
    "AssociateWithBalancerForm",
    "AttachForm",
    "AttachVolumeForm",
    "BalancerFilter",
    "BalancerForm",
    "DetailsForm",
    "ListenerForm",
    "MoveForm",
    "NewForm",
    "ProjectFilter",
    "ProjectForm",
    "RegisterForm",
    "RegisterInstancesForm",
    "RemoveForm",
    "RetypeForm",
    "SuggestForm",
    "TagFilter",
    "TagForm",
    "TagInstanceForm",
    "VolumeFilter",
    "VolumeForm",
    "WeightForm",
    "suggest",
]
