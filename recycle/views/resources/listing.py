"""A list of volumes, addresses, load balancers or tags: what is said around its rows, and what can
be done to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse

from recycle.forms.resources import FILTERS
from recycle.http import Request
from recycle.views.lists import show_list


@dataclass(frozen=True, kw_only=True)
class Listing:
    # Of its address, its templates, and its filter.
    name: str
    picture: str
    group: Any
    title: Any
    tip: Any
    search: Any
    # What to do when there is none.
    empty: Any
    create: str
    create_label: Any
    # The buttons over the list: address, label, whether it deletes.
    batch: Sequence[tuple[str, Any, bool]]

    @property
    def export(self) -> str:
        return f"recycle:export_{self.name}"


def show(request: Request, listing: Listing, rows: QuerySet[Any, Any]) -> HttpResponse:
    form = FILTERS[listing.name](request.GET, scope=request.shell.scope)
    return show_list(
        request, listing.name, form, rows, listing.name, about=listing, export=listing.export
    )
