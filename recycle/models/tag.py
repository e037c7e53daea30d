"""Tags and their attachment to instances."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.models.folded import FoldedField
from recycle.models.instance import Instance
from recycle.models.tenancy import Account, OfInstanceQuerySet, OwnedQuerySet


class Tag(models.Model):
    account = models.ForeignKey(Account, models.PROTECT, related_name="tags", verbose_name=_("account"), db_index=False)
    key = models.CharField(_("key"), max_length=128)
    value = models.CharField(_("value"), max_length=255, blank=True)
    key_folded = FoldedField("key")
    value_folded = FoldedField("value")

    objects = OwnedQuerySet.as_manager()

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        constraints = [
            models.UniqueConstraint(fields=["account", "key", "value"], name="tag_once_per_account"),
            models.CheckConstraint(
                condition=~(Q(key__istartswith="ksc") | Q(value__istartswith="ksc")), name="tag_ksc_is_reserved"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}={self.value}" if self.value else self.key


class InstanceTag(models.Model):
    """A tag on an instance."""

    instance = models.ForeignKey(
        Instance, models.PROTECT, related_name="instance_tags", verbose_name=_("instance"), db_index=False
    )
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="instance_tags", verbose_name=_("tag"))

    objects = OfInstanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("tag of an instance")
        verbose_name_plural = _("tags of instances")
        constraints = [
            models.UniqueConstraint(fields=["instance", "tag"], name="instance_tag_once"),
        ]

    def __str__(self) -> str:
        return str(self.tag)
