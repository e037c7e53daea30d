"""The log of the installation: logins, people, accounts and the catalogue.

What concerns one account is an Event of that account instead.
"""

from datetime import timedelta
from typing import Self

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from recycle.lifecycle import ResourceAction
from recycle.models.changes import changes_in_words
from recycle.models.folded import FoldedField
from recycle.models.origin import Edge
from recycle.models.tenancy import User

# Failed logins from one address for one name within this time are one row with a number.
FOLDED_FOR = timedelta(hours=1)


class AuditAction(models.TextChoices):
    LOGIN = "login", _("Log in")
    LOGIN_FAILED = "login_failed", _("Failed login")
    LOGOUT = "logout", _("Log out")
    PASSWORD = "password", _("Change password")
    CREATE = ResourceAction.CREATE.value, ResourceAction.CREATE.label
    UPDATE = ResourceAction.UPDATE.value, ResourceAction.UPDATE.label
    REMOVE = ResourceAction.REMOVE.value, ResourceAction.REMOVE.label


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: User) -> Self:
        """Everything for superusers, nothing for anybody else."""
        return self.all() if user.is_superuser else self.none()


class AuditEvent(models.Model):
    """One thing that was done. Nothing changes or deletes it, save that failed logins add up."""

    at = models.DateTimeField(_("time"))
    action = models.CharField(_("action"), max_length=16, choices=AuditAction)
    # What it is about: the name of its model, its key and its name at the time. Not a foreign key:
    # the row may go. A failed login with a name that nobody has is about nobody: what was typed may
    # be a password, and is not kept.
    kind = models.CharField(_("resource"), max_length=100)
    subject_id = models.CharField(_("resource ID"), max_length=64, blank=True)
    subject_name = models.CharField(_("name"), max_length=400, blank=True)
    subject_name_folded = FoldedField("subject_name")
    by = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
        db_index=False,
    )
    # The user's name at the time; empty when nobody was logged in.
    by_name = models.CharField(_("by"), max_length=150, blank=True)
    by_name_folded = FoldedField("by_name")
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    request_id = models.UUIDField(_("request ID"), null=True, blank=True)
    # Through what it was asked for; null in what was written before this was kept.
    edge = models.CharField(_("through"), max_length=16, choices=Edge, null=True, blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    # How many failed logins the row stands for, and when the last one was.
    count = models.PositiveIntegerField(_("count"), default=1)
    last_at = models.DateTimeField(_("last"), null=True, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        indexes = [
            models.Index(
                fields=["request_id"],
                name="audit_of_request",
                condition=Q(request_id__isnull=False),
            ),
            # The row that a failed login is added to.
            models.Index(
                fields=["address", "-id"],
                name="audit_failed_from",
                condition=Q(action=AuditAction.LOGIN_FAILED),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(count=1) | Q(action=AuditAction.LOGIN_FAILED),
                name="audit_only_failed_logins_add_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.subject_name}"

    @property
    def model(self) -> type[models.Model] | None:
        """None when there is no such model any more."""
        return apps.all_models["recycle"].get(self.kind)

    @property
    def kind_label(self) -> str:
        return capfirst(str(self.model._meta.verbose_name)) if self.model else self.kind

    @property
    def changes(self) -> list[str]:
        return changes_in_words(self.model, self.detail)
