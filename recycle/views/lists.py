"""What all lists do: show the page their address asks for, as a page or as a piece, and stream it
as CSV.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from itertools import islice
from operator import attrgetter
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from recycle.actions.bindings import seen
from recycle.forms import FilteredPage, ListForm
from recycle.http import Request, is_head, pick
from recycle.models import User
from recycle.reading import reading_in_chunks
from recycle.views.scope import find_batch

# What a spreadsheet would take for a formula, the full-width signs in East Asian ones.
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
# Rows fetched and written at once.
ROWS_AT_ONCE = 1_000

# The columns of a file: each with its heading, and an attribute or a function of the row.
Columns = Sequence[tuple[Any, str | Callable[[Any], Any]]]


def show_list(
    request: Request,
    name: str,
    form: ListForm,
    rows: QuerySet[Any, Any],
    folder: str = "",
    **context: Any,
) -> HttpResponse:
    """Show the list `name` with the templates index.html and _`name`.html of `folder`, which is
    called as the list is unless it is given. The status is 400 when the address makes no sense.
    """
    folder = folder or name
    page = form.page(rows)
    place = FilteredPage(form)
    request.shell.address = place.address()
    if not page.rows and form.is_valid():
        find_batch(request, form.cleaned_data.get("batch"))
    partial = f"{folder}/_{name}.html"
    template = pick(request, page=f"{folder}/index.html", partial=partial)
    for error in dict.fromkeys(str(error) for errors in form.errors.values() for error in errors):
        messages.error(request, error)
    hidden = set() if request.shell.projects else {"project"}
    shown = _columns_of(request, name, form) - hidden
    if not request.shell.sees_all:
        hide_former(page.rows, request.user)
    if "about" in context:
        batch = offered(request, context["about"]["batch"])
        context["about"] = {**context["about"], "batch": batch}
    context |= {
        "list_name": name,
        "form": form,
        "place": place,
        "page": page,
        "columns": shown,
        "all_columns": [
            (key, label, key in shown) for key, label in form.columns.items() if key not in hidden
        ],
        # What a download takes of the address: everything that matches, in this order.
        "exported": place.query(size=None, cursor=None),
        "partial": partial,
        "rows": f"{folder}/_{name}.jinja",
        "piece": template == partial,
        "now": request.now,
        "tip": name not in request.user.preferences.get("dismissed", []),
        # Rows that an action has just refused stay selected.
        "keep": request.session.pop("keep", []) if "keep" in request.session else [],
    }
    return render(request, template, context, status=400 if form.errors else 200)


def hide_former(rows: Sequence[Any], user: User) -> None:
    """Leave out of rows what their instances were bound to and the user does not see: of entries in
    the bin, and of events.
    """
    for name in ("former", "detail"):
        having = [row for row in rows if getattr(row, name, None)]
        found = seen([getattr(row, name) for row in having], user)
        for row, bound in zip(having, found, strict=True):
            setattr(row, name, {**getattr(row, name), **bound})


def offered(request: Request, verbs: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """These verbs, each the name of its dialog's address first; nothing is moved where there is
    only one project.
    """
    return [verb for verb in verbs if request.shell.projects or "move_" not in verb[0]]


def _columns_of(request: Request, name: str, form: ListForm) -> set[str]:
    """The columns of a list that this person wants to see: all, until they choose."""
    return set(request.user.preferences.get("columns", {}).get(name, form.columns))


class _Line:
    """Hands the csv writer's line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def stream_csv(
    request: Request,
    name: str,
    form: ListForm,
    rows: QuerySet[Any, Any],
    columns: Columns,
) -> HttpResponseBase:
    """Stream everything that matches the filter, however much it is, in constant memory."""
    if not form.is_valid():
        return HttpResponse(
            _("This filter is not valid."), status=400, content_type="text/plain; charset=utf-8"
        )
    sort = form.cleaned_data["sort"]
    matching = form.narrow(rows).order_by(sort, "-pk" if sort.startswith("-") else "pk")
    lines = _lines(matching, columns, timezone.get_current_timezone(), get_language())
    # `BeginMiddleware` runs the query when everything else of the request is done.
    response = StreamingHttpResponse(
        () if is_head(request) else lines, content_type="text/csv; charset=utf-8"
    )
    when = timezone.localtime(request.now)
    response["Content-Disposition"] = f'attachment; filename="{name}-{when:%Y%m%d-%H%M}.csv"'
    return response


def _lines(
    rows: QuerySet[Any, Any],
    columns: Columns,
    zone: tzinfo,
    language: str | None,
) -> Iterator[str]:
    """The file in pieces of many lines. The last line says that it is the last, and how many rows
    there are before it: a file without it was cut off.

    The pieces are asked for when the request is over, and zone and language of the thread are
    somebody else's: each piece is written in those given, and leaves the thread as it was.
    """
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    written, more = 0, True
    # Without the mark, Excel does not read Chinese names as UTF-8.
    start = "\ufeff"
    with reading_in_chunks():
        found = rows.iterator(chunk_size=ROWS_AT_ONCE)
        while more:
            chunk = list(islice(found, ROWS_AT_ONCE))
            more = len(chunk) == ROWS_AT_ONCE
            written += len(chunk)
            with timezone.override(zone), translation.override(language):
                if start:
                    start += writer.writerow([str(label) for label, _column in columns])
                lines = [
                    writer.writerow([_cell(_value(row, column)) for _label, column in columns])
                    for row in chunk
                ]
                if not more:
                    last = _("End of the file. Rows: %(count)d") % {"count": written}
                    # As many cells as every line has.
                    lines.append(writer.writerow([last, *[""] * (len(columns) - 1)]))
            yield start + "".join(lines)
            start = ""


def _value(row: Any, column: str | Callable[[Any], Any]) -> Any:
    value = attrgetter(column)(row) if isinstance(column, str) else column(row)
    return value() if callable(value) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        # As the page shows it, with its offset: a file is read elsewhere.
        value = timezone.localtime(value).isoformat(sep=" ", timespec="seconds")
    elif isinstance(value, bool):
        value = _("Yes") if value else _("No")
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
