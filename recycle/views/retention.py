"""Retention: how long the account keeps instances in the bin. Every change is first shown with what
it would mean.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from recycle.actions import Outcome, forecast, keeping
from recycle.forms import ConfirmedForm, KeepForm, RuleForm
from recycle.http import Request
from recycle.labels import duration_label, outlook, standard_label
from recycle.lifecycle import Right
from recycle.models import Account, RetentionRule, Tag
from recycle.outcomes import BROKEN, because
from recycle.policy import LONGEST_KEEP, STANDARDS
from recycle.views.answers import finish, needs, refuse, render_dialog

_HOME = "recycle:overview"
TAGS_OFFERED = 200


@require_GET
@needs(Right.RETENTION, _HOME)
def index(request: Request) -> HttpResponse:
    return _show(request)


@require_POST
@needs(Right.RETENTION, _HOME)
def keep_for(request: Request) -> HttpResponse:
    """Set another time for the whole account."""
    page = ConfirmedForm(request.POST, scope=request.shell.scope)
    form = KeepForm(request.POST)
    if not page.is_valid() or not form.is_valid():
        return _wrong(request, page, keep_form=form)
    account, time = _account(request), form.cleaned_data["keep_for"]
    if page.cleaned_data["confirmed"]:
        outcome = keeping.keep(Account.objects.filter(pk=account.pk), time, context=request.context)
        done = _("The account keeps instances for: %(time)s.") % {"time": _words(time)}
        return _report(request, outcome, done)
    title = _("Change the time of the account")
    before, after = _words(account.keep_for), _words(time)
    return _preview(request, title, before, after, keep_for=time, rules=_rules(account))


@require_POST
@needs(Right.RETENTION, _HOME)
def add_rule(request: Request) -> HttpResponse:
    """Add a rule for a tag, or set another time for the rule that there is."""
    page = ConfirmedForm(request.POST, scope=request.shell.scope)
    form = RuleForm(request.POST)
    if not page.is_valid() or not form.is_valid():
        return _wrong(request, page, rule_form=form)
    account, data = _account(request), form.cleaned_data
    rule = RetentionRule(
        account=account, key=data["key"], value=data["value"], keep_for=data["keep_for"]
    )
    if page.cleaned_data["confirmed"]:
        outcome = keeping.add_rule(rule, context=request.context)
        return _report(request, outcome, _("The rule for %(tag)s is set.") % {"tag": rule})
    rules = _rules(account)
    same = next((each for each in rules if (each.key, each.value) == (rule.key, rule.value)), None)
    title = _("Rule for %(tag)s") % {"tag": rule}
    before, after = _rule_words(same), _rule_words(rule)
    rules = [*(each for each in rules if each is not same), rule]
    return _preview(request, title, before, after, keep_for=account.keep_for, rules=rules)


@require_http_methods(["GET", "POST"])
@needs(Right.RETENTION, _HOME)
def remove_rule(request: Request, pk: int) -> HttpResponse:
    account = _account(request)
    rule = get_object_or_404(RetentionRule, pk=pk, account=account)
    # A link is of the page that it stands on.
    link = QueryDict(urlencode({"scope": request.shell.scope}))
    page = ConfirmedForm(
        request.POST if request.method == "POST" else link, scope=request.shell.scope
    )
    if not page.is_valid():
        return _wrong(request, page)
    if page.cleaned_data["confirmed"]:
        rows = RetentionRule.objects.filter(pk=rule.pk, account=account)
        outcome = keeping.remove_rules(rows, context=request.context)
        return _report(request, outcome, _("The rule for %(tag)s is removed.") % {"tag": rule})
    title = _("Remove the rule for %(tag)s") % {"tag": rule}
    rules = [each for each in _rules(account) if each.pk != rule.pk]
    before, after = _rule_words(rule), _rule_words(None)
    return _preview(request, title, before, after, keep_for=account.keep_for, rules=rules)


def _account(request: Request) -> Account:
    assert request.shell.account
    return request.shell.account


def _rules(account: Account) -> list[RetentionRule]:
    return list(account.retention_rules.order_by("key", "value"))


def _words(time: timedelta | None) -> str:
    return (
        _("standard, %(time)s") % {"time": standard_label()}
        if time is None
        else duration_label(time)
    )


def _rule_words(rule: RetentionRule | None) -> str:
    if rule is None:
        return _("no rule")
    return _("standard only") if rule.keep_for is None else duration_label(rule.keep_for)


def _show(
    request: Request,
    keep_form: KeepForm | None = None,
    rule_form: RuleForm | None = None,
    status: int = 200,
) -> HttpResponse:
    account = _account(request)
    # Also after a POST to the address of a change, which cannot be asked for.
    request.shell.address = reverse("recycle:retention")
    context = {
        "account": account,
        "rules": _rules(account),
        "keep_form": keep_form or KeepForm(initial={"keep_for": account.keep_for}),
        "rule_form": rule_form or RuleForm(),
        "outlook": outlook(STANDARDS),
        "standard": standard_label(),
        "longest": duration_label(LONGEST_KEEP),
        "tags": Tag.objects.visible_to(request.user)
        .of(account)
        .order_by("key", "value")[:TAGS_OFFERED],
    }
    return render(request, "retention/index.html", context, status=status)


def _wrong(
    request: Request,
    page: ConfirmedForm,
    *,
    keep_form: KeepForm | None = None,
    rule_form: RuleForm | None = None,
) -> HttpResponse:
    """Say what is wrong with what was entered: beside the field, or as a message where htmx asked
    for a piece of the page only.
    """
    form = keep_form or rule_form
    if request.htmx:
        listed = [*page.errors.values(), *(form.errors.values() if form else ())]
        sentences = [str(error) for errors in listed for error in errors]
        return refuse(request, dict.fromkeys(sentences), "recycle:retention", status=422)
    for error in page.non_field_errors():
        messages.error(request, str(error))
    return _show(request, keep_form, rule_form, status=422)


def _preview(
    request: Request,
    title: str,
    before: str,
    after: str,
    *,
    keep_for: timedelta | None,
    rules: list[RetentionRule],
) -> HttpResponse:
    """Show what a change would have meant.

    `keep_for` and `rules` are the time of the account and its rules as they would be.
    """
    account = _account(request)
    context: dict[str, Any] = {
        "url": request.path,
        "title": title,
        "before": before,
        "after": after,
        # Sent again, as it was entered, once it is confirmed.
        "entered": [
            pair for pair in request.POST.items() if pair[0] not in ("csrfmiddlewaretoken", "scope")
        ],
        "forecast": forecast.forecast(
            account, _rules(account), keep_for=keep_for, new_rules=rules, now=request.now
        ),
        "lookback": forecast.LOOKBACK,
        "back": reverse("recycle:retention"),
    }
    return render_dialog(request, "retention/_dialog.html", context)


def _report(request: Request, outcome: Outcome, done: str) -> HttpResponse:
    # It is about one thing, so that nothing is counted and no name is needed.
    if outcome.done:
        messages.success(request, done)
    for refused in outcome.refused:
        messages.warning(request, because(refused))
    if outcome.failed:
        messages.error(request, BROKEN)
    return finish(request, reverse("recycle:retention"))
