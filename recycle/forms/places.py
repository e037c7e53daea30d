"""Pages of the console and their addresses: links to them, and where a person may be sent back to.

An address is made from a filter that was understood, never from the one that was asked for.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import QueryDict
from django.urls import Resolver404, get_script_prefix, resolve, reverse

from recycle.forms.audit import AuditFilter
from recycle.forms.filters import FilterForm, OverviewForm, PlanFilter
from recycle.forms.jobs import JobFilter
from recycle.forms.lists import (
    BinFilter,
    ExpiredFilter,
    InstanceFilter,
    LogFilter,
    QuarantineFilter,
)
from recycle.forms.resources.lists import (
    AddressFilter,
    BalancerFilter,
    ProjectFilter,
    TagFilter,
    VolumeFilter,
)
from recycle.forms.scope import Scope

# A longer address is none of ours: the longest filter there is stays below it, in any script.
LONGEST_ADDRESS = 8_000
# A link goes through proxies that take no more than a few thousand characters in a line.
LONGEST_LINK = 2_000

# The pages with a filter, by the name of their address.
FILTERED: dict[str, type[FilterForm]] = {
    "recycle:overview": OverviewForm,
    "recycle:configure_again": PlanFilter,
    "recycle:instances": InstanceFilter,
    "recycle:bin": BinFilter,
    "recycle:expired": ExpiredFilter,
    "recycle:jobs": JobFilter,
    "recycle:quarantine": QuarantineFilter,
    "recycle:log": LogFilter,
    "recycle:audit": AuditFilter,
    "recycle:volumes": VolumeFilter,
    "recycle:addresses": AddressFilter,
    "recycle:balancers": BalancerFilter,
    "recycle:tags": TagFilter,
    "recycle:projects": ProjectFilter,
}
NAMES = {form: name for name, form in FILTERED.items()}
# The pages without one.
PLAIN = frozenset(
    f"recycle:{name}"
    for name in (
        "create",
        "event",
        "retention",
        "instance",
        "job",
        "volume",
        "address",
        "balancer",
        "listener",
        "tag",
    )
)


class FilteredPage:
    """The page that a filter is of. Every link to it with a filter is made here."""

    def __init__(self, form: FilterForm) -> None:
        self.form = form

    @property
    def path(self) -> str:
        """The page without a filter."""
        return named_path(NAMES[type(self.form)])

    def said(self, **changes: Any) -> dict[str, Any]:
        """The filter with these changes, and the account where the person has several."""
        scope, said = self.form.scope, self.form.said(**changes)
        if scope.account and len(scope.by.roles) > 1:
            said = {"account": str(scope.account.pk)} | said
        return said

    def query(self, **changes: Any) -> str:
        return urlencode(self.said(**changes), doseq=True)

    def address(self, **changes: Any) -> str:
        query = self.query(**changes)
        return f"{self.path}?{query}" if query else self.path

    @property
    def carried(self) -> list[tuple[str, str]]:
        """What a new filter keeps of the address, though no field shows it; the page of the list is
        not kept.
        """
        hidden = {"account", *(field.name for field in self.form.hidden_fields())}
        return [(name, value) for name, value in self.said(cursor=None).items() if name in hidden]

    @property
    def canonical(self) -> str:
        """The same for the same filter of a list, however the address spells it."""
        valid = self.form.is_valid()
        return self.query(sort=None, size=None, cursor=None) if valid else "invalid"


def named_path(name: str) -> str:
    """The address of this name, without a key: a page says dozens of them."""
    return _path_under(get_script_prefix(), name)


@cache
def _path_under(_prefix: str, name: str) -> str:
    return reverse(name)


def filter_of(address: str, scope: Scope) -> FilterForm | None:
    """The filter in the address of a page that has one, valid or not; None for any other
    address.
    """
    path, query = _parts(address)
    try:
        # Who asked for a download goes to its list.
        name = resolve(path).view_name.replace(":export_", ":")
        return FILTERED[name](QueryDict(query), scope=scope)
    except (Resolver404, KeyError):
        return None


def own_address(address: str, scope: Scope) -> str:
    """The same page as `address`, named by what is understood of it.

    Empty when that is no page to go back to. No address carries another one, so that going there
    and back makes nothing longer.
    """
    if form := filter_of(address, scope):
        return FilteredPage(form).address()
    path, _query = _parts(address)
    try:
        return path if resolve(path).view_name in PLAIN else ""
    except Resolver404:
        return ""


def dialog_link(dialog: str, back: str, ids: Sequence[Any] = ()) -> str:
    """The address of a dialog about the rows with these ids; OK and Cancel lead back."""
    query = [*(("ids", pk) for pk in ids), ("back", back)]
    link = f"{dialog}?{urlencode(query)}"
    # Who came from the longest of filters goes back to the list without it.
    return link if len(link) <= LONGEST_LINK else f"{dialog}?{urlencode(query[:-1])}"


def _parts(address: str) -> tuple[str, str]:
    """Path and query of an address on this host; for any other two empty ones, as no page has."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", ""
    here = address.startswith("/") and len(address) <= LONGEST_ADDRESS and not parts.netloc
    return (parts.path, parts.query) if here else ("", "")
