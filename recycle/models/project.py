"""Projects: what an account divides its instances, volumes, EIPs and load balancers into."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from recycle.models.folded import FoldedField
from recycle.models.tenancy import ROLES, Account, OwnedQuerySet, User
from recycle.policy import DEFAULT_PROJECT, Role
from recycle.text import check_text

DEFAULT_NAME = _("Default Project")


class ProjectQuerySet(OwnedQuerySet["Project"]):
    def within(self, user: User) -> Q:
        seen = Q(pk__in=[])
        for account, projects in user.restrictions.items():
            seen |= Q(account=account, number__in=list(projects))
        return seen

    def open(self) -> Self:
        """Projects that take something new."""
        return self.filter(disabled_at=None)


class Project(models.Model):
    """Known by its number, which is the vendor's ProjectId. Never deleted, since what is in it and
    what the log says of it stay; a disabled one takes nothing new.
    """

    account = models.ForeignKey(
        Account,
        models.CASCADE,
        related_name="projects",
        verbose_name=_("account"),
        db_index=False,
    )
    # 0 is the Default Project, which every account has.
    number = models.BigIntegerField(_("project ID"), editable=False)
    # Empty where nobody has given it one: see `label`.
    name = models.CharField(_("name"), max_length=64, blank=True, validators=[check_text])
    name_folded = FoldedField("name")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    disabled_at = models.DateTimeField(_("disabled"), null=True, blank=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        verbose_name = _("project")
        verbose_name_plural = _("projects")
        constraints = [
            # What the agreements of all that is in a project refer to.
            models.UniqueConstraint(fields=["account", "number"], name="project_number_once"),
            models.UniqueConstraint(
                fields=["account", "name"],
                condition=~Q(name=""),
                name="project_name_once_per_account",
            ),
            models.CheckConstraint(
                condition=Q(number__gte=DEFAULT_PROJECT), name="project_number_is_one"
            ),
            models.CheckConstraint(
                condition=~Q(number=DEFAULT_PROJECT) | Q(disabled_at=None),
                name="project_default_is_never_disabled",
            ),
        ]

    def __str__(self) -> str:
        return str(self.label)

    @property
    def label(self) -> str:
        return project_label(self.number, self.name)


def project_label(number: int, name: str = "") -> str:
    """What a project is called where nobody has given it a name."""
    if name:
        return name
    default = number == DEFAULT_PROJECT
    return str(DEFAULT_NAME if default else format_lazy(_("Project {number}"), number=number))


class ProjectRole(models.Model):
    """What a member may do in one project, where their membership is restricted: without any they
    see nothing. Of somebody who is not restricted, or no member, it says nothing.
    """

    user = models.ForeignKey(
        User, models.CASCADE, related_name="project_roles", verbose_name=_("user"), db_index=False
    )
    project = models.ForeignKey(
        Project, models.CASCADE, related_name="roles", verbose_name=_("project")
    )
    role = models.PositiveSmallIntegerField(_("role"), choices=ROLES)

    class Meta:
        verbose_name = _("role in a project")
        verbose_name_plural = _("roles in projects")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "project"], name="project_role_once_per_user_and_project"
            ),
            models.CheckConstraint(
                condition=Q(role__in=[role for role, _label in ROLES]),
                name="project_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.project} · {Role(self.role).label}"
