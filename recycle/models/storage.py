"""EBS data volumes. System disks go with their instance and are fields of it."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.models.agreement import Agreement, InProject
from recycle.models.catalogue import Zone
from recycle.models.folded import FoldedField
from recycle.models.instance import Instance
from recycle.models.tenancy import Account, InProjectQuerySet
from recycle.policy import DEFAULT_PROJECT, BillingMode
from recycle.text import check_text


class Volume(models.Model):
    """A data volume, attached to at most one instance, of its own account and in its own zone."""

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="volumes", verbose_name=_("account"), db_index=False
    )
    project_number = models.BigIntegerField(
        _("project"), default=DEFAULT_PROJECT, db_default=DEFAULT_PROJECT, editable=False
    )
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="+", verbose_name=_("zone"), db_index=False
    )
    name = models.CharField(_("name"), max_length=50, blank=True, validators=[check_text])
    name_folded = FoldedField("name")
    type = models.CharField(_("type"), max_length=32)
    size_gb = models.PositiveIntegerField(_("size (GB)"))
    billing_mode = models.CharField(
        _("billing mode"), max_length=32, choices=BillingMode, default=BillingMode.DAILY
    )
    instance = models.ForeignKey(
        Instance,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="volumes",
        verbose_name=_("instance"),
        db_constraint=False,
    )
    delete_with_instance = models.BooleanField(_("delete with instance"), default=False)
    mount_point = models.CharField(_("mount point"), max_length=32, blank=True)
    created_at = models.DateTimeField(_("created"))

    objects = InProjectQuerySet.as_manager()

    class Meta:
        verbose_name = _("EBS volume")
        verbose_name_plural = _("EBS volumes")
        constraints = [
            models.CheckConstraint(condition=Q(size_gb__gte=1), name="volume_has_a_size"),
            InProject(name="volume_in_a_project_of_its_account"),
            Agreement(
                relation="instance", on=("account", "zone"), name="volume_agrees_with_its_instance"
            ),
        ]
        indexes = [
            # The EBS Volume page, newest first, and by name.
            models.Index(fields=["account", "-created_at", "-id"], name="volume_newest"),
            models.Index(fields=["account", "name", "id"], name="volume_name"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)
