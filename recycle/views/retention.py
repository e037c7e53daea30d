"""Retention: how long the account keeps instances in the bin. Every change is first shown with what
it would mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from recycle.actions import Context, Outcome
from recycle.actions.keeping import add_rule, forecast, keep, remove_rules
from recycle.forms import ConfirmedForm, KeepForm, RuleForm
from recycle.http import Request, pick
from recycle.models import Account, RetentionRule, Tag
from recycle.models.instance import duration_label
from recycle.policy import LONGEST_KEEP, STANDARD_KEEP, Refusal, Role
from recycle.views.verbs.answer import refuse

TAGS_OFFERED = 200


@dataclass(frozen=True)
class Change:
    """What somebody is about to change."""

    title: str
    before: str
    after: str
    # The account's time and its rules, as they would be.
    keep_for: timedelta | None
    rules: list[RetentionRule]
    carry_out: Callable[[Context], Outcome]
    done: str


@require_GET
def retention(request: Request) -> HttpResponse:
    if refused := _refuse(request):
        return refused
    return _show(request, KeepForm(request=request), RuleForm(request=request))


@require_POST
def keep_for(request: Request) -> HttpResponse:
    """Another time for the whole account."""
    if refused := _refuse(request):
        return refused
    form = KeepForm(request.POST, request=request)
    if not form.is_valid():
        return _wrong(request, form)
    account, time = _account(request), form.cleaned_data["keep_for"]
    change = Change(
        _("Change the time of the account"),
        _words(account.keep_for),
        _words(time),
        time,
        _rules(account),
        lambda context: keep(Account.objects.filter(pk=account.pk), time, context=context),
        _("The account keeps instances for: %(time)s.") % {"time": _words(time)},
    )
    return _preview_or_do(request, form, change)


@require_POST
def add(request: Request) -> HttpResponse:
    """A rule for a tag, or another time for the one there is."""
    if refused := _refuse(request):
        return refused
    form = RuleForm(request.POST, request=request)
    if not form.is_valid():
        return _wrong(request, form)
    account, data = _account(request), form.cleaned_data
    rule = RetentionRule(
        account=account, key=data["key"], value=data["value"], keep_for=data["keep_for"]
    )
    rules = _rules(account)
    same = next((each for each in rules if (each.key, each.value) == (rule.key, rule.value)), None)
    change = Change(
        _("Rule for %(tag)s") % {"tag": rule},
        _rule_words(same) if same else _("no rule"),
        _rule_words(rule),
        account.keep_for,
        [*(each for each in rules if each is not same), rule],
        lambda context: add_rule(rule, context=context),
        _("The rule for %(tag)s is set.") % {"tag": rule},
    )
    return _preview_or_do(request, form, change)


@require_http_methods(["GET", "POST"])
def remove(request: Request, pk: int) -> HttpResponse:
    if refused := _refuse(request):
        return refused
    account = _account(request)
    rule = get_object_or_404(RetentionRule, pk=pk, account=account)
    asked = QueryDict(urlencode({"scope": request.shell.scope}))
    form = ConfirmedForm(request.POST if request.method == "POST" else asked, request=request)
    if not form.is_valid():
        return _wrong(request, form)
    change = Change(
        _("Remove the rule for %(tag)s") % {"tag": rule},
        _rule_words(rule),
        _("no rule"),
        account.keep_for,
        [each for each in _rules(account) if each.pk != rule.pk],
        lambda context: remove_rules(
            RetentionRule.objects.filter(pk=rule.pk, account=account), context=context
        ),
        _("The rule for %(tag)s is removed.") % {"tag": rule},
    )
    return _preview_or_do(request, form, change)


def _refuse(request: Request) -> HttpResponse | None:
    if request.shell.role >= Role.ADMINISTRATOR and request.shell.account:
        return None
    return refuse(request, [str(Refusal.ROLE.label)], "recycle:overview", status=403)


def _account(request: Request) -> Account:
    assert request.shell.account
    return request.shell.account


def _rules(account: Account) -> list[RetentionRule]:
    return list(account.retention_rules.order_by("key", "value"))


def _words(time: timedelta | None) -> str:
    return (
        _("standard, %(time)s") % {"time": duration_label(STANDARD_KEEP)}
        if time is None
        else duration_label(time)
    )


def _rule_words(rule: RetentionRule) -> str:
    return _("standard only") if rule.keep_for is None else duration_label(rule.keep_for)


def _show(
    request: Request, keep_form: KeepForm, rule_form: RuleForm, status: int = 200
) -> HttpResponse:
    account = _account(request)
    if not keep_form.is_bound:
        keep_form.initial = {"keep_for": account.keep_for}
    # Also after a POST to the address of a change, which cannot be asked for.
    request.shell.address = reverse("recycle:retention")
    context = {
        "account": account,
        "rules": _rules(account),
        "keep_form": keep_form,
        "rule_form": rule_form,
        "standard": duration_label(STANDARD_KEEP),
        "longest": duration_label(LONGEST_KEEP),
        "tags": Tag.objects.visible_to(request.user)
        .of(account)
        .order_by("key", "value")[:TAGS_OFFERED],
    }
    return render(request, "retention/index.html", context, status=status)


def _wrong(request: Request, form: ConfirmedForm) -> HttpResponse:
    """What was entered makes no sense: said beside the field, or as a message where only a piece
    was asked for.
    """
    if request.htmx:
        sentences = [str(error) for errors in form.errors.values() for error in errors]
        return refuse(request, dict.fromkeys(sentences), "recycle:retention", status=422)
    keep_form = form if isinstance(form, KeepForm) else KeepForm(request=request)
    rule_form = form if isinstance(form, RuleForm) else RuleForm(request=request)
    for error in form.non_field_errors():
        messages.error(request, str(error))
    return _show(request, keep_form, rule_form, status=422)


def _preview_or_do(request: Request, form: ConfirmedForm, change: Change) -> HttpResponse:
    if form.cleaned_data["confirmed"]:
        return _do(request, change)
    account = _account(request)
    partial = "retention/_dialog.html"
    template = pick(request, page="verbs/page.html", partial=partial)
    context: dict[str, Any] = {
        "change": change,
        "url": request.path,
        "title": change.title,
        "partial": partial,
        # Sent again, as it was entered, once it is confirmed.
        "entered": [
            pair for pair in request.POST.items() if pair[0] not in ("csrfmiddlewaretoken", "scope")
        ],
        "forecast": forecast(
            account,
            _rules(account),
            keep_for=change.keep_for,
            new_rules=change.rules,
            now=request.now,
        ),
        "back": reverse("recycle:retention"),
    }
    response = render(request, template, context)
    if template == partial:
        response["HX-Retarget"], response["HX-Reswap"] = "#dialog", "innerHTML"
    return response


def _do(request: Request, change: Change) -> HttpResponse:
    outcome = change.carry_out(request.context)
    if outcome.done:
        messages.success(request, change.done)
    for refused in outcome.refused:
        messages.warning(request, str(refused.refusal.label))
    if outcome.failed:
        messages.error(
            request, _("The database rejected the change. Try again, or ask who runs the console.")
        )
    if not request.htmx:
        return HttpResponseRedirect(reverse("recycle:retention"))
    response = render(request, "_messages.html")
    response["HX-Reswap"] = "none"
    trigger_client_event(response, "done")
    return trigger_client_event(response, "changed")
