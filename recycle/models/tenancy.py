"""Accounts, their users, and what each user may do in them."""

from collections.abc import Collection
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.labels import tag_label
from recycle.models.folded import FoldedField
from recycle.policy import DEFAULT_PROJECT, LONGEST_KEEP, Reach, Role
from recycle.text import check_text

if TYPE_CHECKING:
    from collections.abc import Mapping


Owned = TypeVar("Owned", bound=models.Model)

# The roles that people are given.
ROLES = [(role.value, role.label) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)]


def check_time_zone(name: str) -> None:
    """ValidationError for what is not the name of a time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise ValidationError(
            _("There is no such time zone. Give one such as Asia/Shanghai.")
        ) from None


class AccountQuerySet(models.QuerySet["Account"]):
    def create(self, **fields: Any) -> "Account":
        """A new account, with its Default Project."""
        with transaction.atomic():
            account = super().create(**fields)
            account.add_default_project()
        return account


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

    objects = AccountQuerySet.as_manager()

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

    def add_default_project(self) -> None:
        """Whoever saves a new account by other ways than `create` calls it, in the transaction."""
        self.projects.create(number=DEFAULT_PROJECT)


class OwnedQuerySet(models.QuerySet[Owned]):
    """Rows that belong to an account: their own, or that of `owner`, a path to it."""

    owner = "account"

    def visible_to(self, user: "User") -> Self:
        """Rows of the accounts the user belongs to; where the membership is restricted, of its
        projects alone.
        """
        whole = Membership.objects.filter(user=user, restricted=False).values("account")
        seen = Q(**{f"{self.owner}__in": whole})
        # Nearly nobody is restricted, and nobody else pays for it.
        return self.filter(seen | self.within(user) if user.restrictions else seen)

    def within(self, user: "User") -> Q:
        """What a restricted user sees: nothing, unless the rows say how they belong to projects."""
        return Q(pk__in=[])

    def with_seen(self, user: "User", *relations: str) -> Self:
        """With the rows that these relations lead to, as far as the user sees them; None instead of
        any other one.
        """
        if not user.restrictions:
            return self.select_related(*relations)
        others: dict[str, Any] = {
            name: self.model._meta.get_field(name).related_model for name in relations
        }
        return self.prefetch_related(
            *(
                models.Prefetch(name, other._default_manager.visible_to(user))
                for name, other in others.items()
            )
        )

    def of(self, account: Account | None) -> Self:
        return self.filter(**{self.owner: account})


class InProjectQuerySet(OwnedQuerySet[Owned]):
    """Rows that belong to a project of their account: their own, or those of `projects`, paths to
    them. All of these have to be seen.
    """

    projects: ClassVar[tuple[str, ...]] = ("project_number",)

    def within(self, user: "User") -> Q:
        seen = Q(pk__in=[])
        for account, projects in user.restrictions.items():
            each = Q(**{self.owner: account})
            for path in self.projects:
                each &= Q(**{f"{path}__in": list(projects)})
            seen |= each
        return seen


class OfBalancerQuerySet(InProjectQuerySet[Owned]):
    owner = "load_balancer__account"
    projects = ("load_balancer__project_number",)


class OfInstanceQuerySet(InProjectQuerySet[Owned]):
    owner = "instance__account"
    projects: ClassVar[tuple[str, ...]] = ("instance__project_number",)


class BehindListenerQuerySet(OfInstanceQuerySet[Owned]):
    projects = ("instance__project_number", "listener__load_balancer__project_number")


class OfAllQuerySet(OwnedQuerySet[Owned]):
    """Rows that all members of an account share, whatever projects they are restricted to."""

    def within(self, user: "User") -> Q:
        return Q(
            account__in=[account for account, projects in user.restrictions.items() if projects]
        )


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
    def roles(self) -> "Mapping[int, Reach]":
        """What the memberships allow, by account id, read once per request: rights are those of the
        moment.
        """
        found = {
            account: Reach(Role(role), {} if restricted else None)
            for account, role, restricted in self.memberships.values_list(
                "account_id", "role", "restricted"
            )
        }
        if any(reach.projects is not None for reach in found.values()):
            roles = self.project_roles.values_list("project__account", "project__number", "role")
            for account, number, role in roles:
                projects = found[account].projects if account in found else None
                if projects is not None:
                    projects[number] = Role(role)
        return found

    @property
    def restrictions(self) -> "dict[int, Mapping[int, Role]]":
        """The projects of the restricted memberships, by account id; nearly always none."""
        return {
            account: reach.projects
            for account, reach in self.roles.items()
            if reach.projects is not None
        }

    def role_in(self, account_id: int, project: int | None = None) -> Role:
        """The role in a project of the account. None is the account as a whole, for what belongs to
        no project.
        """
        if reach := self._reach(account_id):
            return reach.role_in(project)
        return Role.NONE

    def best_role_in(self, account_id: int) -> Role:
        """The role in that project of the account in which the user may do most."""
        reach = self._reach(account_id)
        return reach.best if reach else Role.NONE

    def _reach(self, account_id: int) -> Reach | None:
        # Work that somebody has asked for may begin after they were deactivated.
        if not self.is_active:
            return None
        return Reach(Role.ADMINISTRATOR) if self.is_superuser else self.roles.get(account_id)


class Membership(models.Model):
    user = models.ForeignKey(
        User, models.CASCADE, related_name="memberships", verbose_name=_("user"), db_index=False
    )
    account = models.ForeignKey(
        Account, models.CASCADE, related_name="memberships", verbose_name=_("account")
    )
    role = models.PositiveSmallIntegerField(_("role"), choices=ROLES)
    # Then the role counts no more, but one in each project that is given: see `ProjectRole`.
    restricted = models.BooleanField(_("restricted to projects"), default=False, db_default=False)

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
        role = _("Restricted to projects") if self.restricted else Role(self.role).label
        return f"{self.user} · {self.account} · {role}"
