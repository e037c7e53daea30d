"""What the navigation leads to, in the order and the groups of the vendor's console as far as the
pages are here.
"""

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from recycle.lifecycle import Right


class Leaf(NamedTuple):
    """A page, by the name of its address and an icon of `icons.svg`."""

    label: Promise
    icon: str
    name: str
    # What a role has to allow, and whether it is there for superusers alone.
    right: Right | None = None
    superuser: bool = False


class Branch(NamedTuple):
    """Pages under a heading of their own, which can be folded."""

    label: Promise
    icon: str
    pages: tuple[Leaf, ...]


class Group(NamedTuple):
    """A product."""

    label: Promise
    items: tuple[Leaf | Branch, ...]


NAVIGATION = (
    Group(
        pgettext_lazy("navigation", "KEC"),
        (
            Leaf(_("Overview"), "overview", "recycle:overview"),
            Leaf(_("Instance"), "server", "recycle:instances"),
            Leaf(_("EBS Volume"), "disk", "recycle:volumes"),
            # Security groups stand here.
            Branch(
                _("Recycle Bin"),
                "recycle",
                (
                    Leaf(_("KEC Instance Recycle Bin"), "recycle", "recycle:bin"),
                    Leaf(_("Retention"), "clock", "recycle:retention", Right.RETENTION),
                ),
            ),
        ),
    ),
    Group(
        _("Network"),
        (
            Leaf(_("EIP"), "eip", "recycle:addresses"),
            Leaf(_("Load Balancer"), "balancer", "recycle:balancers"),
        ),
    ),
    Group(_("Tags"), (Leaf(_("Tag"), "tag", "recycle:tags"),)),
    # Not in the vendor's access control, which is about people and their keys.
    Group(
        _("Monitor and Management"),
        (
            Leaf(_("Operation Log"), "log", "recycle:log"),
            Leaf(_("Batch Jobs"), "batch", "recycle:jobs"),
            Leaf(pgettext_lazy("navigation", "Project"), "team", "recycle:projects"),
            Leaf(_("Audit Log"), "account", "recycle:audit", superuser=True),
        ),
    ),
)
