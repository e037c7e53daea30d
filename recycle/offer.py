"""What can be ordered: families of types, images, kinds of disks, sizes. Tables, no queries."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# What families are called, by the letters that they begin with. The vendor does not publish all of
# the English names.
FAMILIES: dict[str, Promise] = {
    "N": _("General Purpose"),
    "S": _("Standard"),
    "SN": _("Standard Network"),
    "C": _("Compute Optimized"),
    "I": _("IO Optimized"),
    "AC": _("ARM Compute"),
    "SE": _("High Efficiency"),
}


def family_name(family: str) -> str:
    """A family in words and by its own name, as General Purpose N3; its name alone where the words
    are not known.
    """
    words = FAMILIES.get(family.rstrip("0123456789"))
    return _("%(words)s %(family)s") % {"words": words, "family": family} if words else family


# The vendor's images change by region and day; this list is ours.
IMAGES = {
    "IMG-8f1d7c52-0a63-4c9e-9a55-6f0f3c1b2d01": "Debian 12",
    "IMG-8f1d7c52-0a63-4c9e-9a55-6f0f3c1b2d02": "Ubuntu 22.04",
    "IMG-8f1d7c52-0a63-4c9e-9a55-6f0f3c1b2d03": "Ubuntu 24.04",
    "IMG-8f1d7c52-0a63-4c9e-9a55-6f0f3c1b2d04": "CentOS 7.9",
    "IMG-8f1d7c52-0a63-4c9e-9a55-6f0f3c1b2d05": "Rocky Linux 9.4",
    "IMG-8f1d7c52-0a63-4c9e-9a55-6f0f3c1b2d06": "Windows Server 2022",
}

SYSTEM_DISKS = (
    "SSD3.0",
    "EHDD",
    "ESSD_SYSTEM_PL0",
    "ESSD_SYSTEM_PL1",
    "ESSD_SYSTEM_PL2",
    "Local_SSD",
)
SYSTEM_DISK_GB = (20, 500)

# GB from and to.
DATA_DISKS = {
    "SSD3.0": (10, 32_000),
    "EHDD": (10, 32_000),
    "ESSD_PL0": (40, 32_768),
    "ESSD_PL1": (40, 32_768),
    "ESSD_PL2": (461, 32_768),
    "ESSD_PL3": (1_761, 32_768),
}

BANDWIDTH_MBPS = (1, 15_000)
# Of a listener, and of what stands behind it.
PORTS = (1, 65_535)
# How much of what a listener gets a backend server takes, beside the others.
WEIGHTS = (1, 255)
# Instances made by one request.
MOST_AT_ONCE = 100
