"""Accounts, their users, and what each user may do in them."""

from functools import cached_property
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.policy import Role

if TYPE_CHECKING:
    from collections.abc import Mapping


class Account(models.Model):
    """A tenant: what instances, volumes, addresses and tags belong to."""

    name = models.CharField(_("name"), max_length=64, unique=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person. What they see is decided by their memberships alone, superuser or not."""

    # How the person likes the lists: {"columns": {"bin": [...]}, "dismissed": [...]}.
    preferences = models.JSONField(_("preferences"), default=dict, blank=True)

    @cached_property
    def roles(self) -> "Mapping[int, Role]":
        """Role by account id, read once per request: rights are those of the moment."""
        return {account: Role(role) for account, role in self.memberships.values_list("account_id", "role")}

    def role_in(self, account_id: int) -> Role:
        if self.is_superuser:
            return Role.ADMINISTRATOR
        return self.roles.get(account_id, Role.NONE)


class Membership(models.Model):
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", verbose_name=_("user"), db_index=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="memberships", verbose_name=_("account"))
    role = models.PositiveSmallIntegerField(
        _("role"), choices=[(role.value, role.label) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)]
    )

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["user", "account"], name="membership_once_per_user_and_account"),
            models.CheckConstraint(
                condition=Q(role__in=[Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR]), name="membership_role_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.account} · {Role(self.role).label}"
