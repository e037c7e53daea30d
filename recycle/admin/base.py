"""What the lists and forms of the admin share: what they read, what they fix and what they show."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.functional import cached_property

from recycle.actions.limits import Limit
from recycle.listing import counted
from recycle.logged import LoggedAdmin
from recycle.models import Account, Zone
from recycle.text import fold


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than the lists of the console do."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return counted(rows).number if isinstance(rows, QuerySet) else len(rows)


class FoldedSearch:
    """Searches as the console does: a text is found by its folded column, whatever its case."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found: tuple[QuerySet[Any], bool] = super().get_search_results(  # type: ignore[misc]
            request, queryset, fold(search_term)
        )
        return found


class BoundedLookups:
    """A value that no column can hold, in an address or a selection, is no error of ours: it is
    answered as Django answers nonsense.
    """

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        try:
            return super().changelist_view(request, extra_context)  # type: ignore[misc]
        except (OverflowError, DataError):
            return HttpResponseRedirect("?e=1")

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **options: Any
    ) -> Any:
        key = self.model._meta.pk  # type: ignore[attr-defined]
        try:
            for text in request.POST.getlist(ACTION_CHECKBOX_NAME):
                key.to_python(text)
        except ValidationError:
            return HttpResponseRedirect("?e=1")
        return super().response_action(request, queryset, *args, **options)  # type: ignore[misc]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        try:
            return super().get_object(request, object_id, from_field)  # type: ignore[misc]
        except (OverflowError, DataError):
            return None


class ConsoleAdmin(BoundedLookups, FoldedSearch, LoggedAdmin):
    # As Django orders a list that says nothing. What is looked for while one types needs it said.
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50


class ReadOnlyAdmin(ConsoleAdmin):
    """To look at. Nothing is added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class FixedAdmin(ConsoleAdmin):
    """What a row is known by and what others rest on is said when it is made, and read-only from
    then on.

    A primary key that people chose is one of these: changed in a form, it would make a second row.
    So are the account, region and zone, which everything bound to a row must agree with.
    """

    fixed: tuple[str, ...] = ()

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return self.fixed if obj else ()


class BindingAdmin(FixedAdmin):
    """Bindings are changed by the actions alone: here they are read-only, and nothing is deleted.

    Deleting would unbind, and nothing would say so in the Operation Log.
    """

    bound: tuple[str, ...] = ("instance",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return (*self.bound, *super().get_readonly_fields(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def used(limit: Limit) -> Callable[[Any, Account | Zone], str]:
    """A column that says how much of a limit is used."""

    @admin.display(description=limit.label)
    def column(_admin: Any, row: Account | Zone) -> str:
        amount, most = getattr(row, f"used_{limit}"), getattr(row, limit)
        return f"{amount:,} / {'∞' if most is None else f'{most:,}'}"

    return column
