"""What templates say about instances: why not, how long still, and the link that asks for an
action.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django import template
from django.db.models import Model
from django.forms import BoundField
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from recycle import policy, wording
from recycle.actions import Blocker
from recycle.forms import dialog_link
from recycle.http import page_of
from recycle.labels import duration_label, outlook, refusal_label, tag_label
from recycle.lifecycle import Action
from recycle.models import BatchJob, Instance
from recycle.policy import (
    EXPIRING,
    GRACE,
    LONGEST_KEEP,
    STANDARDS,
    BillingMode,
    Policy,
    Refusal,
)

register = template.Library()

SOON, NOW = timedelta(minutes=30), timedelta(minutes=5)
# A list shows so many characters of a place at least, also of wide ones.
CUT = 9


@register.simple_tag
@cache
def icon(name: str, extra: str = "") -> SafeString:
    """The same for everybody: the names of static files are known from the start."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {extra}" if extra else "",
        static("icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def zone(context: template.Context, code: str) -> SafeString:
    """What people call a zone."""
    return place(code, context["request"].shell.scope.zone_names.get(code, code))


@register.simple_tag(takes_context=True)
def region(context: template.Context, code: str) -> SafeString:
    """What people call a region."""
    return place(code, context["request"].shell.scope.region_name(code))


def place(code: str, name: str) -> SafeString:
    """Its code is the tooltip, with the whole name where a list cuts it short."""
    title = f"{name} · {code}" if len(name) > CUT else code
    return format_html('<span class="place" title="{}">{}</span>', title, name)


def disabled(label: object, reason: object) -> SafeString:
    """What cannot be done, and why."""
    return format_html(
        '<span class="off" title="{0}" tabindex="0">{1}<span class="visually-hidden">: '
        "{0}</span></span>",
        reason,
        label,
    )


def opens_dialog(address: str, label: object, extra: str, about: object = "") -> SafeString:
    hidden = format_html('<span class="visually-hidden"> {}</span>', about) if about else ""
    return format_html(
        '<a{} href="{}" hx-get="" hx-target="#dialog">{}{}</a>',
        format_html(' class="{}"', extra) if extra else "",
        address,
        label,
        hidden,
    )


@register.simple_tag(takes_context=True)
def operation(
    context: dict[str, Any], instance: Instance, action: str, extra: str = ""
) -> SafeString:
    """The link that opens the dialog of an action, or its name with the reason why it cannot be
    done.
    """
    request, label = context["request"], Action(action).label
    reason = policy.why_not(
        Action(action), instance, role=request.shell.role_for(instance), now=request.now
    )
    if reason is not None:
        return disabled(label, refusal_label(reason, instance))
    link = dialog_link(reverse(f"recycle:{action}"), request.shell.address, [instance.pk])
    return opens_dialog(link, label, extra)


@register.simple_tag(takes_context=True)
def project_of(context: dict[str, Any], row: Any) -> str:
    """What the project of a row is called."""
    label: str = context["request"].shell.project_label(row.project_number)
    return label


@register.simple_tag(takes_context=True)
def dialog(
    context: dict[str, Any],
    action: str,
    address: str,
    label: str,
    row: Model | None = None,
    extra: str = "",
    off: str = "",
    key: object = None,
    picture: str = "",
) -> SafeString:
    """The link that opens the dialog of an action on a volume, an address, a load balancer, a tag
    or what they are bound to.

    The dialog is about `row`, or about the row with this `key`. Where `off` says why not, or the
    role does not allow the action, there is no link but the reason.
    """
    request = context["request"]
    if not request.shell.may[action]:
        off = str(Refusal.ROLE.label)
    if off:
        return disabled(label, off)
    ids = [row.pk if row else key] if row or key else []
    shown = format_html("{}{}", icon(picture), label) if picture else label
    return opens_dialog(dialog_link(address, request.shell.address, ids), shown, extra, row or "")


DAYS, HOURS = gettext_noop("{n} d"), gettext_noop("{n} h")
MINUTES, SECONDS = gettext_noop("{n} min"), gettext_noop("{n} s")
ENDING, JUST_NOW = gettext_noop("ending"), gettext_noop("just now")
# How many seconds there are in it.
AGO = {
    gettext_noop("{n} d ago"): 86_400,
    gettext_noop("{n} h ago"): 3_600,
    gettext_noop("{n} min ago"): 60,
}


def time_left(end: datetime, now: datetime, translated: Callable[[str], str] = _) -> str:
    """The time until `end` in two units at most, rounded down, as the page's script goes on
    counting it.
    """
    seconds = int((end - now).total_seconds())
    if seconds <= 0:
        return translated(ENDING)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        shown = [(DAYS, days), (HOURS, hour)]
    elif hours:
        shown = [(HOURS, hours), (MINUTES, minute)]
    elif seconds >= NOW.total_seconds():
        shown = [(MINUTES, minutes)]
    elif minutes:
        shown = [(MINUTES, minutes), (SECONDS, second)]
    else:
        shown = [(SECONDS, second)]
    return " ".join([translated(word).format(n=number) for word, number in shown])


def urgency(end: datetime, now: datetime) -> str:
    left = end - now
    return "now" if left < NOW else "soon" if left < SOON else ""


@register.filter
def time_since(moment: datetime, now: datetime, translated: Callable[[str], str] = _) -> str:
    """How long ago, in its largest unit."""
    seconds = max(0, int((now - moment).total_seconds()))
    for word, size in AGO.items():
        if seconds >= size:
            return translated(word).format(n=seconds // size)
    return translated(JUST_NOW)


def seconds_between(end: datetime, start: datetime) -> int:
    return max(0, int((end - start).total_seconds()))


@register.simple_tag(takes_context=True)
def sort_header(context: dict[str, Any], column: str, label: str, first: str = "") -> SafeString:
    """The head of a sortable column: a link that sorts by it, and the other way round when it
    already does.
    """
    form = context["form"]
    sort = (
        form.cleaned_data.get("sort", form.default_sort) if form.is_valid() else form.default_sort
    )
    current = {column: "ascending", f"-{column}": "descending"}.get(sort, "none")
    other = f"-{column}" if sort == column else column if sort == f"-{column}" else first + column
    return format_html(
        '<th scope="col" aria-sort="{0}">'
        '<a id="sort-{1}" href="{2}" hx-get="{2}" hx-target="#{3}" hx-push-url="true">{4}</a></th>',
        current,
        column,
        context["place"].address(sort=other, cursor=None),
        context["list_name"],
        label,
    )


@register.simple_tag(takes_context=True)
def filter_header(context: dict[str, Any], field: BoundField) -> SafeString:
    """The head of a column that can be narrowed to one of its words: a menu of links to the same
    list. They load the page, so that the form above says it as well.
    """
    name, chosen = field.html_name, context["form"].cleaned_data.get(field.html_name) or ""
    links = [
        (
            context["place"].address(**{name: value or None, "cursor": None}),
            SafeString(' aria-current="true"') if value == chosen else "",
            label,
        )
        for value, label in field.field.choices  # type: ignore[attr-defined]
    ]
    return format_html(
        '<th scope="col">'
        '<button type="button" class="btn link{}" popovertarget="by-{}">{}{}</button>'
        '<div class="menu start" popover id="by-{}">{}</div></th>',
        " chosen" if chosen else "",
        name,
        field.label,
        icon("down"),
        name,
        format_html_join("", '<a href="{}"{}>{}</a>', links),
    )


@register.simple_tag
def blocker_link(blocker: Blocker) -> SafeString:
    """What stands in the way, with a link where it has a page."""
    page = page_of(blocker)
    return (
        format_html('<a href="{}">{}</a>', page, blocker.name)
        if page
        else format_html("{}", blocker.name)
    )


@register.simple_tag(takes_context=True)
def undo_offer(context: dict[str, Any]) -> dict[str, Any] | None:
    """The delete that can be undone, and until when; None without one, or when it is too late.

    It is offered once, with the message about it: in the answer itself, or on the page that the
    answer leads to.
    """
    request = context["request"]
    offer = context.get("undo") or request.session.pop("undo", None)
    until = datetime.fromisoformat(offer["until"]) if offer else None
    return {"batch": offer["batch"], "until": until} if until and until > request.now else None


def retention_of(change: dict[str, Any]) -> str:
    """What an event about retention was about."""
    if "key" not in change:
        return _("Retention of the account")
    return _("Retention, rule %(tag)s") % {"tag": tag_label(change["key"], change["value"])}


def retention_change(change: dict[str, Any]) -> str:
    """From what to what, as an event keeps it: seconds, 0 for an exclusion, null for the standard
    or no rule.
    """

    def words(seconds: int | None) -> str:
        if seconds is None:
            return _("none") if "key" in change else _("standard")
        return duration_label(timedelta(seconds=seconds)) if seconds else _("standard only")

    return f"{words(change['before'])} → {words(change['after'])}"


@register.filter
def policy_of(billing_mode: str) -> Policy:
    return policy.POLICIES[billing_mode]


MODES: dict[str, Collection[str]] = {"all": list(BillingMode), "bin": STANDARDS, "expiry": EXPIRING}
TIMES = {"longest": LONGEST_KEEP, "grace": GRACE}


@register.filter
def outlook_of(modes: str) -> str:
    """What becomes of deleted and expired instances of a billing mode, or of "all" of them, or of
    those that have a "bin" or an "expiry".
    """
    return outlook(MODES.get(modes, [modes]))


@register.simple_tag
def time_of(name: str) -> str:
    """One of TIMES, which the policy fixes for all billing modes, in words."""
    return duration_label(TIMES[name])


@register.filter
def duration(value: timedelta) -> str:
    return duration_label(value)


@register.filter
def job_title(job: BatchJob) -> str:
    """What a batch job is about: "Restore 2,000 instances"."""
    return wording.title(job.action, job.total)


@register.filter
def short(value: UUID) -> str:
    return str(value)[:18]
