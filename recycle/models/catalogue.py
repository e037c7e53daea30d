"""What instances are made of and where they stand."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from recycle.models.folded import FoldedField
from recycle.places import region_name, with_region, zone_name
from recycle.policy import NO_FEES_FAMILIES
from recycle.text import check_text


class Region(models.Model):
    code = models.CharField(_("code"), max_length=32, primary_key=True, validators=[check_text])
    # Empty, or the code, where the region goes by the name that it is known by.
    name = models.CharField(_("English name"), max_length=64, blank=True, validators=[check_text])
    name_folded = FoldedField("name")
    chinese_name = models.CharField(
        _("Chinese name"), max_length=64, null=True, blank=True, validators=[check_text]
    )
    chinese_name_folded = FoldedField("chinese_name")

    class Meta:
        verbose_name = _("region")
        verbose_name_plural = _("regions")

    def __str__(self) -> str:
        return _with_code(self.label, self.code)

    @property
    def label(self) -> str:
        """What people read, in their language."""
        return region_name(self.code, self.name, self.chinese_name)


class Zone(models.Model):
    code = models.CharField(_("code"), max_length=32, primary_key=True, validators=[check_text])
    region = models.ForeignKey(
        Region, models.PROTECT, related_name="zones", verbose_name=_("region")
    )
    name = models.CharField(
        _("English name"), max_length=64, null=True, blank=True, validators=[check_text]
    )
    name_folded = FoldedField("name")
    chinese_name = models.CharField(
        _("Chinese name"), max_length=64, null=True, blank=True, validators=[check_text]
    )
    chinese_name_folded = FoldedField("chinese_name")
    # What the zone can give; empty means no limit. What is used is summed up when it matters.
    vcpu_capacity = models.PositiveIntegerField(_("vCPU at most"), null=True, blank=True)
    memory_gb_capacity = models.PositiveIntegerField(
        _("memory (GB) at most"), null=True, blank=True
    )

    class Meta:
        verbose_name = _("zone")
        verbose_name_plural = _("zones")
        constraints = [
            # What the agreements of elastic IPs and real servers refer to.
            models.UniqueConstraint(fields=["code", "region"], name="zone_with_region"),
        ]

    def __str__(self) -> str:
        return _with_code(self.label, self.code)

    @property
    def label(self) -> str:
        """What people read within its region, in their language."""
        return zone_name(self.code, self.region_id, self.name, self.chinese_name)

    @property
    def full_label(self) -> str:
        """The same with its region, which has to be there."""
        return with_region(self.label, self.region.label)


def _with_code(label: str, code: str) -> str:
    return code if label == code else f"{code} · {label}"


class InstanceType(models.Model):
    """A shape such as N3.2B. The vendor's own figures are not public; vCPU and memory here are
    ours.
    """

    name = models.CharField(_("name"), max_length=32, primary_key=True, validators=[check_text])
    family = models.CharField(_("family"), max_length=16, validators=[check_text])
    vcpu = models.PositiveSmallIntegerField("vCPU")
    memory_gb = models.PositiveIntegerField(_("memory (GB)"))

    class Meta:
        verbose_name = _("instance type")
        verbose_name_plural = _("instance types")
        constraints = [
            # `Instance.family` reads the family off the name and saves a join.
            models.CheckConstraint(
                condition=Q(name__startswith=F("family")),
                name="instance_type_name_starts_with_its_family",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def no_fees_upon_shutdown(self) -> bool:
        return self.family in NO_FEES_FAMILIES
