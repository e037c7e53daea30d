"""What every page has: who asks, for which account and region, and whether it wants the page or a
piece of it.
"""

import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import unquote, urlencode
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import BadRequest
from django.db import OperationalError
from django.db.models import Count, Exists, F, OuterRef, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from recycle import policy
from recycle.actions import Blocker, Context
from recycle.clock import clock
from recycle.forms.places import named_path
from recycle.forms.scope import Scope
from recycle.models import (
    Account,
    BatchJob,
    Edge,
    InstanceQuerySet,
    Membership,
    Origin,
    Project,
    Region,
    User,
)
from recycle.models.project import project_label
from recycle.navigation import NAVIGATION, Branch, Leaf
from recycle.policy import DEFAULT_PROJECT, Reach, Role
from recycle.waiting import waiting_at_most

# What a proxy gives a request to be known by: nginx's $request_id has no dashes.
UUID_FORM = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
# A longer way on from the login than any page of ours has.
LONGEST_ONWARD = 2_000


class Request(HttpRequest):
    """A request behind the login."""

    user: User
    htmx: HtmxDetails
    # The number of the request in the logs and in its answer, and where the request came from.
    id: UUID
    origin: Origin
    # The one moment this request is decided at.
    now: datetime
    # What every action that this request asks for is told.
    context: Context
    shell: "Shell"


def wants_piece(request: Request) -> bool:
    """Whether a part of a page is asked for, to be put into one that is already there.

    Boosted links and a restored history ask with htmx as well, but want the page.
    """
    htmx = request.htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def is_head(request: HttpRequest) -> bool:
    """Whether only the head of the answer is asked for; to a view it looks like any other GET."""
    return bool(request.META.get("REQUEST_METHOD") == "HEAD")


def pick(request: Request, *, page: str, partial: str) -> str:
    """The template to answer with: the piece for htmx, the page for everybody else."""
    return partial if wants_piece(request) else page


def sent(request: HttpRequest) -> QueryDict:
    """What a form was sent with, or a link."""
    return request.POST if request.method == "POST" else request.GET


def knows_token(request: HttpRequest, token: str) -> bool:
    """Whether it carries this token as `Authorization: Bearer`. An empty one nobody knows."""
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    return (
        bool(token) and scheme.lower() == "bearer" and constant_time_compare(given.strip(), token)
    )


def leads_here(address: str) -> bool:
    """Whether it is a path of this console, and never another host, however that is spelt."""
    return address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)


class Elsewhere(Exception):
    """What was asked for belongs to another account of the same person than the chosen one."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account


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


@dataclass(frozen=True)
class Running:
    """Batch jobs that are not over: how many, and how far they are together."""

    count: int
    total: int
    worked: int

    @property
    def percent(self) -> int:
        return 100 * self.worked // self.total if self.total else 0


class Shell:
    """The frame around every page. Nothing is read from the database before it is asked for."""

    def __init__(self, request: Request, account: Account | None = None) -> None:
        """`account` is the one that the page is about; None means the one that was chosen."""
        self.request = request
        self._other = account
        # Where the navigation says one is; a page that belongs elsewhere than its address may say
        # so.
        self.here = request.path
        self._address = ""

    @cached_property
    def memberships(self) -> list[Membership]:
        user = self.request.user
        jobs = BatchJob.objects.filter(account=OuterRef("account")).unfinished()
        more = Project.objects.filter(account=OuterRef("account"))
        more = more.exclude(number=DEFAULT_PROJECT, name="")
        found = Membership.objects.filter(user=user).select_related("account")
        # Most pages have nothing to show of jobs, and are told so beside what they ask anyway.
        memberships: list[Membership] = list(
            found.annotate(busy=Exists(jobs), divided=Exists(more)).order_by("account__name")
        )
        # The actions ask the user; what was just read need not be read again. The roles of somebody
        # who is restricted stand elsewhere.
        if not any(membership.restricted for membership in memberships):
            user.roles = {each.account_id: Reach(Role(each.role)) for each in memberships}
        return memberships

    @property
    def accounts(self) -> list[Account]:
        return [membership.account for membership in self.memberships]

    @cached_property
    def membership(self) -> Membership | None:
        """The chosen account's; the first one's when none, or none of the user's any more, is
        chosen.
        """
        chosen = self._other.pk if self._other else self.request.session.get("account")
        found = (each for each in self.memberships if each.account_id == chosen)
        return next(found, self.memberships[0] if self.memberships else None)

    @property
    def account(self) -> Account | None:
        return self.membership.account if self.membership else None

    @property
    def role(self) -> Role:
        """The role in the account, or in that project of it where the person may do most."""
        return self.request.user.best_role_in(self.account.pk) if self.account else Role.NONE

    def role_for(self, row: Any) -> Role:
        """The role in the project of a row of the account."""
        return self.request.user.role_in(row.account_id, row.project_number)

    @property
    def may(self) -> dict[str, bool]:
        """For every action, by its value, whether the role allows it, in some project at least."""
        whole = self.request.user.role_in(self.account.pk) if self.account else Role.NONE
        return {
            action.value: policy.may(whole if action in policy.OF_ACCOUNT else self.role, action)
            for action in policy.NEEDED
        }

    @property
    def role_label(self) -> str:
        return str(self.role.label)

    @property
    def address(self) -> str:
        """The address of this page, to come back to: its path, and of its query what it understood.

        Never the raw one. What is put there would be carried from link to link, and grow with each.
        """
        return self._address or _path_of(self.request)

    @address.setter
    def address(self, address: str) -> None:
        self._address = address

    @property
    def path(self) -> str:
        """The page without its filter."""
        return self.address.partition("?")[0]

    @cached_property
    def scope(self) -> Scope:
        """What the page is about, and what its forms are read in. A form sent from a window that
        shows something else is refused.
        """
        request = self.request
        # The address decides; without a word there, what was chosen last.
        code = request.GET.get("region", request.session.get("region", ""))
        # The number of a project means another one in another account.
        chosen = "" if self._other else request.session.get("project", "")
        number = request.GET.get("project", chosen)
        divided = getattr(self.membership, "divided", True)
        return Scope(request.user, self.account, request.now, code, number, divided)

    @property
    def regions(self) -> list[Region]:
        return self.scope.all_regions

    @property
    def region(self) -> Region | None:
        """The region that the page is about; None means all regions."""
        return self.scope.region

    @property
    def projects(self) -> list[Project]:
        """The projects to choose from; none where there is nothing to choose."""
        return self.scope.projects if self.scope.has_projects else []

    @property
    def project(self) -> Project | None:
        """The project that the page is about; None means all projects."""
        return self.scope.project

    @property
    def sees_all(self) -> bool:
        """Whether the person is restricted to no projects of the account."""
        return self.account is None or self.account.pk not in self.request.user.restrictions

    def project_label(self, number: int) -> str:
        """What a project of the account is called."""
        found = (each.name for each in self.scope.projects if each.number == number)
        return project_label(number, next(found, ""))

    def instances(self) -> InstanceQuerySet:
        """The instances of the chosen account, in every region."""
        return self.scope.instances()

    @cached_property
    def running(self) -> "Running | None":
        """The batch jobs of the account that are not over; None when there is none."""
        if not getattr(self.membership, "busy", False):
            return None
        jobs = BatchJob.objects.of(self.account).unfinished()
        if not self.sees_all:
            jobs = jobs.visible_to(self.request.user)
        worked = F("done") + F("refused") + F("failed")
        found = jobs.aggregate(count=Count("pk"), total=Sum("total"), worked=Sum(worked))
        return Running(**found) if found["count"] else None

    @cached_property
    def nav(self) -> list[dict[str, Any]]:
        """The pages that there are for who asks, as the navigation shows them."""
        return [{"label": group.label, "items": self._links(group.items)} for group in NAVIGATION]

    def _links(self, items: Iterable[Leaf | Branch]) -> list[dict[str, Any]]:
        return [self._link(item) for item in items if isinstance(item, Branch) or self._has(item)]

    def _link(self, item: Leaf | Branch) -> dict[str, Any]:
        if isinstance(item, Branch):
            return {"label": item.label, "icon": item.icon, "pages": self._links(item.pages)}
        url = named_path(item.name)
        here = self.here == url or (item.name != "recycle:overview" and self.here.startswith(url))
        return {"label": item.label, "icon": item.icon, "url": url, "current": here}

    def _has(self, page: Leaf) -> bool:
        """Whether the page is there for who asks."""
        if page.superuser:
            return self.request.user.is_superuser
        return page.right is None or self.may[page.right]


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor. There is no shell before the login, nor on an error page of another's
    request.

    `here` is the address that a switch of language or theme leads back to; `moment` is what the
    page's script counts down by.
    """
    user = getattr(request, "user", None)
    found = getattr(request, "shell", None) if user is not None and user.is_authenticated else None
    return {
        "shell": found,
        "here": found.address if found else _before_login(request),
        "moment": clock.known().isoformat(),
    }


def _path_of(request: HttpRequest) -> str:
    """The path, where it can be asked for again; else, as after a POST, that of the Overview."""
    found = request.method in ("GET", "HEAD") and request.resolver_match
    return request.path if found else reverse("recycle:overview")


def _before_login(request: HttpRequest) -> str:
    """The login, with the page that it leads on to."""
    path, onward = _path_of(request), request.GET.get("next", "")
    ours = leads_here(onward) and len(onward) <= LONGEST_ONWARD
    return f"{path}?{urlencode({'next': onward})}" if ours else path


Respond = Callable[[HttpRequest], HttpResponse]


def identify(get_response: Respond) -> Respond:
    """Middleware, the first of all: a request gets an id, its answer the same in `X-Request-Id`."""

    def middleware(request: Any) -> HttpResponse:
        request.id = _id_given_to(request) or uuid4()
        request.origin = Origin(address_of(request), request.id)
        response = get_response(request)
        response["X-Request-Id"] = str(request.id)
        return response

    return middleware


def _id_given_to(request: HttpRequest) -> UUID | None:
    """The id that a proxy of our own has given it, a UUID with or without dashes.

    Without one in front an id that came along is not taken over: it would name what somebody else
    did.
    """
    given = request.META.get("HTTP_X_REQUEST_ID", "") if settings.TRUSTED_PROXIES else ""
    return UUID(given) if UUID_FORM.fullmatch(given) else None


def address_of(request: HttpRequest) -> str | None:
    """Where a request comes from; None when that is no address, as behind a Unix socket.

    `X-Forwarded-For` grows at its end, by one entry a proxy: only what our own have added is
    believed.
    """
    address = request.META.get("REMOTE_ADDR", "")
    proxies: int = settings.TRUSTED_PROXIES
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < proxies <= len(forwarded):
        address = forwarded[-proxies].strip()
    try:
        # Without the zone of a link-local address, which the database does not keep.
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return str(ip.ipv4_mapped if isinstance(ip, IPv6Address) and ip.ipv4_mapped else ip)


class ConsoleMiddleware:
    """Gives the request its moment and its shell, remembers region and project, and speaks the
    browser's time zone.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        if request.encoding and codecs.lookup(request.encoding).name != "utf-8":
            # Other charsets can bring halves of characters, which no database takes. Browsers send
            # none.
            raise BadRequest("The text of a request is UTF-8.")
        # The clock is not asked, and the user is not read, before somebody asks: a probe must not
        # wait for the database.
        request.now = clock.known()
        request.context = Context(
            by=request.user, now=request.now, edge=Edge.PAGE, origin=request.origin
        )
        request.shell = Shell(request)
        with timezone.override(_time_zone_of(request)):
            response = self.get_response(request)
        # Only a page is somewhere to go on from. What an open one asks for is its own affair.
        if not wants_piece(request) and not response.streaming:
            self._remember(request)
        # The same address answers with a page or with a piece of it: no cache may take one for the
        # other.
        patch_vary_headers(response, ["HX-Request"])
        _keep_fresh(response)
        # The page's script counts down by it. `Date` is of the machine, or of a proxy in front.
        response["X-Console-Time"] = clock.known().isoformat()
        return response

    def process_view(
        self,
        request: Request,
        view: Callable[..., Any],
        _arguments: Any,
        _options: Any,
    ) -> None:
        """Have the right moment for what looks at the database anyway: pages, and logging in."""
        if getattr(view, "login_required", True) or request.method == "POST":
            request.now = clock.now()
            request.context = replace(request.context, now=request.now)

    def _remember(self, request: Request) -> None:
        """Keep the region and the project that the address chose for the pages to come."""
        match = request.resolver_match
        if match is None or not getattr(match.func, "login_required", True):
            return  # a public page has nobody to remember it for, and asks no session
        asked = {
            "region": request.GET.get("region"),
            "project": request.GET.get("project"),
        }
        for name, code in asked.items():
            if code is None or request.session.get(name) == code:
                continue
            anonymous: bool = request.user.is_anonymous
            if not anonymous and (code == "" or getattr(request.shell, name)):
                _keep(request.session, name, code)


def _keep_fresh(response: HttpResponseBase) -> None:
    """Keep no answer in a browser or a cache: what is shown is for one person, at this moment.

    `no-cache` is not enough: browsers still go back to a page that they have kept.
    """
    # The admin and the login say so themselves.
    if not response.has_header("Cache-Control"):
        patch_cache_control(response, private=True, no_cache=True, no_store=True)


def _keep(session: SessionBase, name: str, code: str) -> None:
    """Remember where the next page starts, unless somebody else writes for so long that this page
    would have to wait.
    """
    alone = not session.modified
    session[name] = code
    if not alone:
        return
    try:
        with waiting_at_most(0):
            session.save()
    except OperationalError:
        pass
    # It has been saved by now, or is not to be.
    session.modified = False


def _time_zone_of(request: HttpRequest) -> ZoneInfo | None:
    """The zone the page's script found in the browser; None, the server's, without it or when it is
    not one.
    """
    try:
        return ZoneInfo(unquote(request.COOKIES["tz"]))
    except (KeyError, ValueError, ZoneInfoNotFoundError, OSError):
        return None
