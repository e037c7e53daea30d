"""What all lists do: show the page their address asks for, as a page or as a piece, and stream it as CSV."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from recycle.forms import ListForm
from recycle.http import Request, pick
from recycle.views.scope import find_batch

# What a spreadsheet would take for a formula, the full-width signs in East Asian ones.
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


def show_list(
    request: Request, name: str, form: ListForm, rows: QuerySet[Any, Any], folder: str, **context: Any
) -> HttpResponse:
    """The list `name` with the templates index.html and _list.html of `folder`. 400 when its address makes no sense."""
    page = form.page(rows)
    request.shell.address = form.address()
    if not page.rows and form.is_valid():
        find_batch(request, form.cleaned_data.get("batch"))
    partial = f"{folder}/_{name}.html"
    template = pick(request, page=f"{folder}/index.html", partial=partial)
    wrong = [str(error) for errors in form.errors.values() for error in errors]
    for error in dict.fromkeys(wrong):
        messages.error(request, error)
    shown = request.user.preferences.get("columns", {}).get(name, list(form.columns))
    context |= {
        "list_name": name,
        "form": form,
        "page": page,
        "columns": set(shown),
        "all_columns": [(key, label, key in shown) for key, label in form.columns.items()],
        # What a download takes of the address: everything that matches, in this order.
        "exported": form.query(size=None, cursor=None),
        "partial": partial,
        "piece": template == partial,
        "now": request.now,
        "tip": name not in request.user.preferences.get("dismissed", []),
        # Rows that an action has just refused stay selected.
        "keep": request.session.pop("keep", []) if "keep" in request.session else [],
    }
    return render(request, template, context, status=400 if wrong else 200)


class _Line:
    """Hands the csv writer's line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def stream_csv(
    request: Request,
    name: str,
    form: ListForm,
    rows: QuerySet[Any, Any],
    columns: Sequence[tuple[Any, Callable[[Any], Any]]],
) -> HttpResponseBase:
    """Everything that matches the filter, however much it is, in constant memory."""
    if not form.is_valid():
        return HttpResponse(_("This filter is not valid."), status=400, content_type="text/plain; charset=utf-8")
    sort = form.cleaned_data["sort"]
    matching = form.narrow(rows).order_by(sort, "-pk" if sort.startswith("-") else "pk")
    head = [str(label) for label, _value in columns]
    body = ([_cell(value(row)) for _label, value in columns] for row in matching.iterator(chunk_size=1_000))
    response = StreamingHttpResponse(_lines(head, body), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{request.now:%Y%m%d-%H%M}.csv"'
    return response


def _lines(head: list[str], body: Iterable[list[str]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield "\ufeff"  # Without it, Excel does not read Chinese names as UTF-8.
    yield writer.writerow(head)
    for row in body:
        yield writer.writerow(row)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value.isoformat(sep=" ", timespec="seconds") if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
