"""Tags and their attachment to instances."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.labels import tag_label
from recycle.models.agreement import Agreement, Repeated
from recycle.models.catalogue import Zone
from recycle.models.folded import FoldedField
from recycle.models.instance import Instance
from recycle.models.tenancy import Account, OfAllQuerySet, OfInstanceQuerySet
from recycle.text import check_text


class Tag(models.Model):
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="tags", verbose_name=_("account"), db_index=False
    )
    key = models.CharField(_("key"), max_length=128, validators=[check_text])
    value = models.CharField(_("value"), max_length=255, blank=True, validators=[check_text])
    key_folded = FoldedField("key")
    value_folded = FoldedField("value")

    objects = OfAllQuerySet.as_manager()

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "key", "value"], name="tag_once_per_account"
            ),
            # What the agreement of a tag on an instance refers to.
            models.UniqueConstraint(fields=["id", "account"], name="tag_with_account"),
            models.CheckConstraint(
                condition=~(Q(key__istartswith="ksc") | Q(value__istartswith="ksc")),
                name="tag_ksc_is_reserved",
            ),
        ]
        indexes = [
            # The Tag page, in both of its orders: in that of the constraint above, the key alone
            # does not say where a page begins.
            models.Index(fields=["account", "key", "id"], name="tag_key"),
        ]

    def __str__(self) -> str:
        return tag_label(self.key, self.value)


class InstanceTag(models.Model):
    """A tag on an instance, both of one account."""

    instance = models.ForeignKey(
        Instance,
        models.PROTECT,
        related_name="instance_tags",
        verbose_name=_("instance"),
        db_index=False,
        db_constraint=False,
    )
    tag = models.ForeignKey(
        Tag,
        models.CASCADE,
        related_name="instance_tags",
        verbose_name=_("tag"),
        db_constraint=False,
    )
    account = Repeated(Account, of="instance", verbose_name=_("account"))
    # A tag has no use for it; with it, what is bound to instances refers to one and the same key.
    zone = Repeated(Zone, of="instance", verbose_name=_("zone"))

    objects = OfInstanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("tag of an instance")
        verbose_name_plural = _("tags of instances")
        constraints = [
            models.UniqueConstraint(fields=["instance", "tag"], name="instance_tag_once"),
            Agreement(
                relation="instance",
                on=("account", "zone"),
                name="instance_tag_agrees_with_its_instance",
            ),
            Agreement(relation="tag", on=("account",), name="instance_tag_agrees_with_its_tag"),
        ]

    def __str__(self) -> str:
        return str(self.tag)
