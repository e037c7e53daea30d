"""Accounts, their users, and what each user may do in them."""

from collections.abc import Collection
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.labels import tag_label
from recycle.models.folded import FoldedField
from recycle.policy import LONGEST_KEEP, Role
from recycle.text import check_text

if TYPE_CHECKING:
    from collections.abc import Mapping


Owned = TypeVar("Owned", bound=models.Model)


def check_time_zone(name: str) -> None:
    """ValidationError for what is not the name of a time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise ValidationError(
            _("There is no such time zone. Give one such as Asia/Shanghai.")
        ) from None


class Account(models.Model):
    """A tenant: what instances, volumes, addresses and tags belong to."""

    name = models.CharField(_("name"), max_length=64, unique=True, validators=[check_text])
    name_folded = FoldedField("name")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    # Quotas; empty means no limit. What is used is counted when it matters, never kept in a
    # counter.
    max_instances = models.PositiveIntegerField(_("instances at most"), null=True, blank=True)
    max_elastic_ips = models.PositiveIntegerField(_("EIPs at most"), null=True, blank=True)
    max_volumes = models.PositiveIntegerField(_("EBS volumes at most"), null=True, blank=True)
    max_volume_gb = models.PositiveIntegerField(
        _("GB of EBS volumes at most"), null=True, blank=True
    )
    max_load_balancers = models.PositiveIntegerField(
        _("load balancers at most"), null=True, blank=True
    )
    max_tags = models.PositiveIntegerField(_("tags at most"), null=True, blank=True)
    # Time in the recycle bin; empty means the standard of the billing mode. Longer, never shorter.
    keep_for = models.DurationField(_("time in the recycle bin"), null=True, blank=True)
    # Where the months of subscriptions are counted; empty means where the installation bills.
    billing_time_zone = models.CharField(
        _("billing time zone"),
        max_length=64,
        blank=True,
        db_default="",
        validators=[check_time_zone],
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.CheckConstraint(
                condition=Q(keep_for=None)
                | Q(keep_for__gt=timedelta(0), keep_for__lte=LONGEST_KEEP),
                name="account_keeps_30_days_at_most",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def billing_zone(self) -> ZoneInfo:
        return ZoneInfo(self.billing_time_zone or settings.BILLING_TIME_ZONE)


class OwnedQuerySet(models.QuerySet[Owned]):
    """Rows that belong to an account: their own, or that of `owner`, a path to it."""

    owner = "account"

    def visible_to(self, user: "User") -> Self:
        """Rows of the accounts the user belongs to."""
        return self.filter(
            **{f"{self.owner}__in": Membership.objects.filter(user=user).values("account")}
        )

    def of(self, account: Account | None) -> Self:
        return self.filter(**{self.owner: account})


class OfBalancerQuerySet(OwnedQuerySet[Owned]):
    owner = "load_balancer__account"


class OfInstanceQuerySet(OwnedQuerySet[Owned]):
    owner = "instance__account"


class RetentionRule(models.Model):
    """How long instances with a tag are kept in the bin. A rule without a time excludes them from
    longer ones.
    """

    account = models.ForeignKey(
        Account,
        models.CASCADE,
        related_name="retention_rules",
        verbose_name=_("account"),
        db_index=False,
    )
    key = models.CharField(_("tag key"), max_length=128, validators=[check_text])
    # Empty matches every value.
    value = models.CharField(_("tag value"), max_length=255, blank=True, validators=[check_text])
    key_folded = FoldedField("key")
    value_folded = FoldedField("value")
    keep_for = models.DurationField(_("time in the recycle bin"), null=True, blank=True)

    class Meta:
        verbose_name = _("retention rule")
        verbose_name_plural = _("retention rules")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "key", "value"], name="retention_rule_once_per_tag"
            ),
            models.CheckConstraint(
                condition=Q(keep_for=None)
                | Q(keep_for__gt=timedelta(0), keep_for__lte=LONGEST_KEEP),
                name="retention_rule_keeps_30_days_at_most",
            ),
        ]

    def __str__(self) -> str:
        return tag_label(self.key, self.value)

    def matches(self, tags: Collection[tuple[str, str]]) -> bool:
        return any(key == self.key and self.value in ("", value) for key, value in tags)


class User(AbstractUser):
    """A person. What they see is decided by their memberships alone, superuser or not."""

    # How the person likes the lists: {"columns": {"bin": [...]}, "dismissed": [...]}.
    preferences = models.JSONField(_("preferences"), default=dict, blank=True)

    username_folded = FoldedField("username")
    first_name_folded = FoldedField("first_name")
    last_name_folded = FoldedField("last_name")

    @cached_property
    def roles(self) -> "Mapping[int, Role]":
        """Role by account id, read once per request: rights are those of the moment."""
        return {
            account: Role(role)
            for account, role in self.memberships.values_list("account_id", "role")
        }

    def role_in(self, account_id: int) -> Role:
        # Work that somebody has asked for may begin after they were deactivated.
        if not self.is_active:
            return Role.NONE
        if self.is_superuser:
            return Role.ADMINISTRATOR
        return self.roles.get(account_id, Role.NONE)


class Membership(models.Model):
    user = models.ForeignKey(
        User, models.CASCADE, related_name="memberships", verbose_name=_("user"), db_index=False
    )
    account = models.ForeignKey(
        Account, models.CASCADE, related_name="memberships", verbose_name=_("account")
    )
    role = models.PositiveSmallIntegerField(
        _("role"),
        choices=[
            (role.value, role.label) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)
        ],
    )

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "account"], name="membership_once_per_user_and_account"
            ),
            models.CheckConstraint(
                condition=Q(role__in=[Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR]),
                name="membership_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.account} · {Role(self.role).label}"
