"""What a form knows of whoever sends it, and what a page was made for when its form is sent."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django import forms
from django.utils.translation import gettext as _

from recycle.lifecycle import AnyAction
from recycle.models import Account, Instance, InstanceQuerySet, Project, Region, User, Zone
from recycle.places import region_name
from recycle.policy import DEFAULT_PROJECT, may


@dataclass(frozen=True)
class Scope:
    """Who asks, about which account and region, and at which moment.

    Whoever reads a form makes one: pages from the request, and anything else from what it has. The
    database is read when something is asked for, and once.
    """

    by: User
    # None for somebody who belongs to no account.
    account: Account | None
    now: datetime
    # The region's code. One that is not known means all regions, as the empty one does.
    code: str = ""
    # The project's number, as the code.
    number: str = ""
    # False where it is known that the account has no project but the one that each has.
    divided: bool = True

    def __str__(self) -> str:
        """As a page says what it was made for: "account:region", the latter empty for all, and
        ":project" where one is chosen.
        """
        said = f"{self.account.pk if self.account else ''}:{self.region.pk if self.region else ''}"
        return f"{said}:{self.project.number}" if self.project else said

    @cached_property
    def all_zones(self) -> list[Zone]:
        return list(Zone.objects.select_related("region").order_by("code"))

    @property
    def all_regions(self) -> list[Region]:
        return list({zone.region.pk: zone.region for zone in self.all_zones}.values())

    @property
    def region(self) -> Region | None:
        """The region that is asked about; None for all regions."""
        return next((region for region in self.all_regions if region.pk == self.code), None)

    @property
    def zones(self) -> list[Zone]:
        """The zones of the region, or of all regions."""
        region = self.region
        return [zone for zone in self.all_zones if not region or zone.region_id == region.pk]

    @property
    def regions(self) -> list[Region]:
        return [self.region] if self.region else self.all_regions

    @cached_property
    def zone_names(self) -> dict[str, str]:
        """What to call each zone: with its region, where those of several are shown."""
        several = len(self.regions) > 1
        return {zone.pk: zone.full_label if several else zone.label for zone in self.all_zones}

    def region_name(self, code: str) -> str:
        """What to call a region, also one that has no zone."""
        found = (region.label for region in self.all_regions if region.pk == code)
        return next(found, "") or region_name(code)

    def zone_choices(self) -> list[tuple[str, str]]:
        return [(zone.pk, self.zone_names[zone.pk]) for zone in self.zones]

    def region_choices(self) -> list[tuple[str, str]]:
        return [(region.pk, region.label) for region in self.regions]

    @cached_property
    def projects(self) -> list[Project]:
        """The projects of the account that are seen, that which each account has first."""
        if self.account is None:
            return []
        if not self.divided:
            return [Project(account=self.account, number=DEFAULT_PROJECT)]
        return list(Project.objects.visible_to(self.by).of(self.account).order_by("number"))

    @property
    def has_projects(self) -> bool:
        """Whether there is anything to choose."""
        return len(self.projects) > 1

    @property
    def project(self) -> Project | None:
        """The project that is asked about; None for all projects."""
        return next((each for each in self.projects if str(each.number) == self.number), None)

    def projects_for(self, action: AnyAction) -> list[Project]:
        """The projects that take something new, and in which the action is allowed."""
        assert self.account
        account = self.account.pk
        return [
            project
            for project in self.projects
            if project.disabled_at is None and may(self.by.role_in(account, project.number), action)
        ]

    def instances(self) -> InstanceQuerySet:
        """The instances of the account, in every region."""
        return Instance.objects.visible_to(self.by).filter(account=self.account)


class WholeScope(Scope):
    """Every account, as a superuser sees them in the admin; nothing for anybody else.

    What may be done to an instance is still decided in its own account, by the action.
    """

    def instances(self) -> InstanceQuerySet:
        return Instance.objects.all() if self.by.is_superuser else Instance.objects.none()


def account_of(scope: object) -> str:
    """The first half of a scope as a page says it."""
    return str(scope).partition(":")[0]


def check_account(form: forms.Form, scope: Scope) -> None:
    """Refuse a form from a window that showed another account; its field is called `scope`."""
    if account_of(form.cleaned_data.get("scope", "")) != account_of(scope):
        form.add_error(
            None, _("You have switched the account in another window. Nothing was changed.")
        )
