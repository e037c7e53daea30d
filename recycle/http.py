"""What every page has: who asks, for which account and region, and whether it wants the page or a piece of it."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django_htmx.middleware import HtmxDetails

from recycle.actions import Blocker
from recycle.models import Account, Instance, InstanceQuerySet, Membership, Region, User, Zone
from recycle.policy import Role


class Request(HttpRequest):
    """A request behind the login."""

    user: User
    htmx: HtmxDetails
    # The one moment this request is decided at.
    now: datetime
    shell: "Shell"


def pick(request: Request, *, page: str, partial: str) -> str:
    """The template to answer with: the piece for htmx, the page for everybody else.

    Boosted links and a restored history ask with htmx as well, but want the page.
    """
    htmx = request.htmx
    return partial if htmx and not htmx.boosted and not htmx.history_restore_request else page


# The pages of what can stand in the way, by the name of its model.
PAGES = {
    "instance": "recycle:instance",
    "volume": "recycle:volume",
    "elasticip": "recycle:address",
    "loadbalancer": "recycle:balancer",
    "tag": "recycle:tag",
}


def page_of(blocker: Blocker) -> str:
    """The address of what stands in the way; empty when it has no page of its own."""
    name = PAGES.get(blocker.kind)
    return reverse(name, args=[blocker.id]) if name else ""


class Shell:
    """The frame around every page. Nothing is read from the database before it is asked for."""

    def __init__(self, request: Request) -> None:
        self.request = request
        # Where the navigation says one is; a page that belongs elsewhere than its address may say so.
        self.here = request.path

    @cached_property
    def memberships(self) -> list[Membership]:
        user = self.request.user
        memberships = list(Membership.objects.filter(user=user).select_related("account").order_by("account__name"))
        # The actions ask the user; what was just read need not be read again.
        user.roles = {membership.account_id: Role(membership.role) for membership in memberships}
        return memberships

    @property
    def accounts(self) -> list[Account]:
        return [membership.account for membership in self.memberships]

    @cached_property
    def membership(self) -> Membership | None:
        """The chosen account's; the first one's when none, or none of the user's any more, is chosen."""
        chosen = self.request.session.get("account")
        found = (membership for membership in self.memberships if membership.account_id == chosen)
        return next(found, self.memberships[0] if self.memberships else None)

    @property
    def account(self) -> Account | None:
        return self.membership.account if self.membership else None

    @property
    def role(self) -> Role:
        return self.request.user.role_in(self.account.pk) if self.account else Role.NONE

    @property
    def role_label(self) -> str:
        return str(self.role.label)

    @cached_property
    def zones(self) -> list[Zone]:
        return list(Zone.objects.select_related("region").order_by("code"))

    @property
    def regions(self) -> list[Region]:
        return list({zone.region.pk: zone.region for zone in self.zones}.values())

    @cached_property
    def region(self) -> Region | None:
        """None: all regions. The address decides; without a word there, what was chosen last."""
        code = self.request.GET.get("region", self.request.session.get("region", ""))
        return next((region for region in self.regions if region.pk == code), None)

    @property
    def scope(self) -> str:
        """What a page was made for. A form sent from a window that shows something else is refused."""
        return f"{self.account.pk if self.account else ''}:{self.region.pk if self.region else ''}"

    def instances(self) -> InstanceQuerySet:
        """The instances of the chosen account, in every region."""
        return Instance.objects.visible_to(self.request.user).filter(account=self.account)

    @property
    def nav(self) -> list[dict[str, Any]]:
        access = [(_("Operation Log"), "log", "recycle:log")]
        if self.role >= Role.ADMINISTRATOR:
            access.append((_("Retention"), "clock", "recycle:retention"))
        groups = [
            ("", [(_("Overview"), "overview", "recycle:overview")]),
            (pgettext("navigation", "Instances"), [(_("Instance"), "server", "recycle:instances")]),
            (_("Storage"), [(_("EBS Volume"), "disk", "recycle:volumes")]),
            (
                _("Network"),
                [(_("EIP"), "eip", "recycle:addresses"), (_("Load Balancer"), "balancer", "recycle:balancers")],
            ),
            (_("Tags"), [(_("Tag"), "tag", "recycle:tags")]),
            (_("Recycle Bin"), [(_("KEC Instance Recycle Bin"), "recycle", "recycle:bin")]),
            (pgettext("navigation", "Access"), access),
        ]
        return [
            {
                "label": label,
                "items": [
                    {
                        "label": item,
                        "icon": icon,
                        "url": (url := reverse(name)),
                        "current": self.here == url or (name != "recycle:overview" and self.here.startswith(url)),
                    }
                    for item, icon, name in items
                ],
            }
            for label, items in groups
        ]


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Before the login, and on an error page without a request of ours, there is no shell."""
    user = getattr(request, "user", None)
    return {"shell": getattr(request, "shell", None) if user is not None and user.is_authenticated else None}


class ConsoleMiddleware:
    """Gives the request its moment and its shell, remembers the region, and speaks the browser's time zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        request.now = timezone.now()
        request.shell = Shell(request)
        with timezone.override(_time_zone_of(request)):
            response = self.get_response(request)
        self._remember_region(request)
        # The same address answers with a page or with a piece of it: no cache may take one for the other.
        patch_vary_headers(response, ["HX-Request"])
        return response

    def _remember_region(self, request: Request) -> None:
        match = request.resolver_match
        if match is None or not getattr(match.func, "login_required", True):
            return  # a public page has nobody to remember it for, and asks no session
        code = request.GET.get("region")
        if code is None or request.session.get("region") == code:
            return
        anonymous: bool = request.user.is_anonymous
        if not anonymous and (code == "" or request.shell.region):
            request.session["region"] = code


def _time_zone_of(request: HttpRequest) -> ZoneInfo | None:
    """The zone the page's script found in the browser; None, the server's, without it or when it is not one."""
    try:
        return ZoneInfo(unquote(request.COOKIES["tz"]))
    except (KeyError, ValueError, ZoneInfoNotFoundError, OSError):
        return None
