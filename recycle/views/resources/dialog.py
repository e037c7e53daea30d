"""What the dialogs about volumes, addresses, load balancers and tags share: reading what a request
names, asking, and saying what came of it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from recycle import wording
from recycle.actions import Blocker, Outcome, Refused
from recycle.actions.limits import Limit, Use, uses, with_account_use
from recycle.forms import DialogForm, NamedForm
from recycle.forms.resources import DetailsForm
from recycle.http import Request, page_of, sent
from recycle.lifecycle import ResourceAction
from recycle.models import Account
from recycle.outcomes import BROKEN, because, say_outcome
from recycle.policy import Refusal
from recycle.views.answers import finish, refuse_form, render_dialog, stay_here

# Rows named in a dialog.
ROWS_SHOWN = 200

# What each row is bound to, in one order, by its key.
Bound = Mapping[Any, Sequence[Model]]


class Dialog:
    """A request about rows that it names, or about a new one: first it opens a dialog, then it
    brings the answer.
    """

    def __init__(self, request: Request, home: str, rows: QuerySet[Any, Any] | None = None) -> None:
        """`rows` are all rows that can be named; None when the dialog names none."""
        self.request = request
        self.page = DialogForm(sent(request), scope=request.shell.scope, home=home)
        self.named = None if rows is None else NamedForm(sent(request), rows=rows)
        # What `unchanged` left out; `report` says why.
        self.changed: list[Refused] = []

    def is_valid(self) -> bool:
        return self.page.is_valid() and (self.named is None or self.named.is_valid())

    def refuse(self) -> HttpResponse:
        return refuse_form(self.request, self.page, *([self.named] if self.named else []))

    @property
    def answers(self) -> QueryDict | None:
        """What was entered into the dialog; None before it has been answered."""
        answered = self.request.method == "POST" and self.page.cleaned_data["confirmed"]
        return self.request.POST if answered else None

    @property
    def back(self) -> str:
        back: str = self.page.cleaned_data["back"]
        return back

    @property
    def ids(self) -> list[Any]:
        return self.named.cleaned_data["ids"] if self.named else []

    @property
    def chosen(self) -> QuerySet[Any, Any]:
        """The named rows as a query, for the action to read again under its locks."""
        assert self.named
        return self.named.named

    @cached_property
    def rows(self) -> list[Any]:
        """The named rows as they were read once, for the dialog to show."""
        return list(self.chosen) if self.named else []

    def unchanged(self, bound: Bound) -> QuerySet[Any, Any]:
        """The named rows as a query, without those that are bound to something else by now than the
        dialog said. `report` says of these that they were left alone.
        """
        announced = self.page.cleaned_data["announced"]
        if announced is None:
            return self.chosen
        for row in self.rows:
            now = bound.get(row.pk, ())
            if now and announced.get(str(row.pk)) != _fingerprint(now):
                self.changed.append(Refused(row.pk, str(row), Refusal.CHANGED, Blocker.of(now[0])))
        return self.chosen.exclude(pk__in=[refused.id for refused in self.changed])


@dataclass(frozen=True)
class ShownRow:
    """A row in a dialog, with the names and pages of what it is bound to."""

    row: Model
    bound: Sequence[tuple[str, str]]

    @property
    def more(self) -> int:
        return max(0, len(self.bound) - 3)


def ask(
    dialog: Dialog,
    name: str,
    details: DetailsForm,
    *,
    note: str = "",
    bound: Bound | None = None,
    danger: bool = False,
    uses: Sequence[Use] = (),
) -> HttpResponse:
    """Show the dialog of this name; the status is 422 when something in the answer is wrong.

    `danger` says that the rows are deleted. `uses` are the limits that a new row counts for.
    """
    request, rows, bound = dialog.request, dialog.rows, bound or {}
    stay_here(request, request.path, dialog.back, dialog.ids)
    context = {
        "title": wording.title(name, len(rows)),
        "note": note,
        "danger": danger,
        "uses": uses,
        "ids": dialog.ids,
        "announced": ",".join(
            f"{pk}:{_fingerprint(found)}" for pk, found in bound.items() if found
        ),
        "lines": [
            ShownRow(row, [_link(each) for each in bound.get(row.pk, ())])
            for row in rows[:ROWS_SHOWN]
        ],
        "more": max(0, len(rows) - ROWS_SHOWN),
        "details": details,
        "url": request.path,
        "back": dialog.back,
        "scope": request.shell.scope,
    }
    status = 422 if details.errors else 200
    return render_dialog(request, "resources/_dialog.html", context, status)


def _link(row: Model) -> tuple[str, str]:
    blocker = Blocker.of(row)
    assert blocker
    return str(row), page_of(blocker)


def _fingerprint(bound: Sequence[Model]) -> str:
    """A short text that differs as soon as something is bound to anything else."""
    return hashlib.sha256(" ".join(str(each.pk) for each in bound).encode()).hexdigest()[:12]


def report(dialog: Dialog, name: str, outcome: Outcome) -> HttpResponse:
    """Say what was done and what was not, and go back to where the person was, or to the list when
    that has gone.
    """
    outcome.refused += dialog.changed
    say_outcome(dialog.request, outcome, wording.done(name, len(outcome.done)))
    if outcome.action is ResourceAction.REMOVE and _has_gone(dialog, outcome):
        return _leave(dialog.request, reverse(dialog.page.home))
    return finish(dialog.request, dialog.back, outcome)


def _has_gone(dialog: Dialog, outcome: Outcome) -> bool:
    """Whether the page that the person came from was about something that is not there any more."""
    assert dialog.named
    rows = dialog.named.rows
    kind = rows.model._meta.model_name or ""
    gone = [
        done.id
        for done in outcome.done
        if page_of(Blocker(done.id, done.name, kind)) == dialog.back
    ]
    return bool(gone) and not rows.filter(pk__in=gone).exists()


def _leave(request: Request, address: str) -> HttpResponse:
    """Go to the list, because the page that the person came from has gone."""
    if not request.htmx:
        return HttpResponseRedirect(address)
    return trigger_client_event(HttpResponseClientRedirect(address), "done")


# --- A new one ------------------------------------------------------------------------------------


def limits(request: Request, *which: Limit) -> list[Use]:
    """What the account uses of those of these limits that it has."""
    assert request.shell.account
    if not request.shell.sees_all:
        return []
    account = with_account_use(Account.objects.filter(pk=request.shell.account.pk)).get()
    return [use for use in uses(account) if use.limit in which and use.most is not None]


def report_made(dialog: Dialog, name: str, row: Model) -> HttpResponse:
    """Say what was made, with a link to its page."""
    blocker = Blocker.of(row)
    page = page_of(blocker) if blocker else ""
    made = format_html('<a href="{}">{}</a>', page, row) if page else row
    messages.success(dialog.request, format_html("{} {}", wording.done(name, 1), made))
    return finish(dialog.request, dialog.back)


def report_made_already(dialog: Dialog) -> HttpResponse:
    messages.info(dialog.request, _("It has been created already."))
    return finish(dialog.request, dialog.back)


def add_reasons(details: DetailsForm, outcome: Outcome) -> None:
    """Let the dialog say why nothing was made."""
    for refused in outcome.refused:
        details.add_error(None, because(refused))
    if outcome.failed:
        details.add_error(None, str(BROKEN))
