"""Where a person may be sent back to: pages of the console, with a filter that is understood."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import QueryDict
from django.urls import Resolver404, resolve

from recycle.forms.audit import AuditFilter
from recycle.forms.lists import BinFilter, ExpiredFilter, InstanceFilter, LogFilter
from recycle.forms.page import OverviewForm, PageForm, PlanPage
from recycle.forms.resources.lists import FILTERS
from recycle.http import Request

# A longer address is none of ours: the longest filter there is stays below it, in any script.
LONGEST = 8_000
# A link goes through proxies that take no more than a few thousand characters in a line.
LONGEST_LINK = 2_000

# The pages with a filter, by the name of their address.
FILTERED: dict[str, type[PageForm]] = {
    form.url: form
    for form in (
        OverviewForm,
        PlanPage,
        InstanceFilter,
        BinFilter,
        ExpiredFilter,
        LogFilter,
        AuditFilter,
        *FILTERS.values(),
    )
}
# The pages without one.
PLAIN = frozenset(
    f"recycle:{name}"
    for name in ("create", "retention", "instance", "volume", "address", "balancer", "tag")
)


def filter_of(address: str, request: Request) -> PageForm | None:
    """The filter in the address of a page that has one, valid or not; None for any other
    address.
    """
    path, query = _parts(address)
    try:
        # Who asked for a download goes to its list.
        name = resolve(path).view_name.replace(":export_", ":")
        return FILTERED[name](QueryDict(query), request=request)
    except (Resolver404, KeyError):
        return None


def own_address(address: str, request: Request) -> str:
    """The same page as `address`, named by what is understood of it.

    Empty when that is no page to go back to. No address carries another one, so that going there
    and back makes nothing longer.
    """
    if form := filter_of(address, request):
        return form.address()
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
    here = address.startswith("/") and len(address) <= LONGEST and not parts.netloc
    return (parts.path, parts.query) if here else ("", "")
