"""The rows of lists, in Jinja: compiled, fifty of them take a tenth of the time.

What all rows of an answer have in common is made for the first one and copied for the others:
translations, addresses, the links to dialogs, the sentences why not.
"""

from collections.abc import Callable, Hashable
from datetime import datetime
from functools import cache, cached_property
from typing import Any
from uuid import UUID, uuid4

from django import template
from django.db.models import Model
from django.template import engines
from django.urls import reverse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext, ngettext
from jinja2 import Environment

from recycle import policy
from recycle.forms import dialog_link
from recycle.http import Request
from recycle.labels import refusal_label
from recycle.lifecycle import Action
from recycle.models import Instance
from recycle.policy import Refusal
from recycle.templatetags.console import (
    disabled,
    icon,
    opens_dialog,
    retention_change,
    retention_of,
    seconds_between,
    short,
    time_left,
    time_since,
    urgency,
)

register = template.Library()

# What stands for the key of a row until it is known; no filter that is part of a link can hold it.
# An event says the key of what it is about as text.
_KEYS: dict[type, Any] = {UUID: str(uuid4()), int: str(uuid4().int), str: str(uuid4())}
_NAME = uuid4().hex


def environment(**options: Any) -> Environment:
    """Of Jinja, as the settings name it."""
    # Django says that it escapes by itself.
    return Environment(**options, trim_blocks=True, lstrip_blocks=True)  # noqa: S701


@register.simple_tag(takes_context=True)
def jinja(context: template.Context, name: str, **more: Any) -> SafeString:
    """A template in Jinja, with what this one knows."""
    request = context["request"]
    if not hasattr(request, "common"):
        request.common = Common(request)
    said = {**context.flatten(), **more, **request.common.words}
    return mark_safe(engines["jinja2"].get_template(name).render(said))  # noqa: S308 - it escapes


class Common:
    """What the rows of one answer have in common."""

    def __init__(self, request: Request) -> None:
        self._now, self._back = request.now, request.shell.address
        self._role, self._may = request.shell.role, request.shell.may
        self._zone = get_current_timezone()
        self._gettext, self._ngettext = cache(gettext), cache(ngettext)
        self._made: dict[Hashable, str] = {}

    @cached_property
    def words(self) -> dict[str, Any]:
        """What a template in Jinja can call."""
        return {
            "_": self._gettext,
            "ngettext": self._ngettext,
            "icon": cache(icon),
            "url": cache(lambda name: reverse(f"recycle:{name}")),
            "address": self.address,
            "operation": self.operation,
            "dialog": self.dialog,
            "label": self.label,
            "kept": self.kept,
            "when": self.when,
            "left": lambda end: time_left(end, self._now, self._gettext),
            "since": lambda moment: time_since(moment, self._now, self._gettext),
            "seconds_between": seconds_between,
            "short": short,
            "retention_of": retention_of,
            "retention_change": retention_change,
            "urgency": lambda end: urgency(end, self._now),
        }

    def when(self, moment: datetime, form: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
        return moment.astimezone(self._zone).strftime(form)

    def label(self, row: Model, field: str) -> str:
        """What a choice is called."""
        key = ("label", type(row), field, getattr(row, field))
        return self._once(key, lambda: str(getattr(row, f"get_{field}_display")()))

    def kept(self, instance: Instance) -> str:
        """Where its time in the bin comes from."""
        since = instance.recycled_at
        time = instance.purge_at - since if instance.purge_at and since else None
        key = ("kept", instance.state, instance.retention_kind, instance.retention_subject, time)
        return self._once(key, lambda: instance.kept)

    def address(self, name: str, pk: Any) -> str:
        return self._of(pk, ("address", name), lambda key: reverse(f"recycle:{name}", args=[key]))

    def operation(self, instance: Instance, action: str, extra: str = "") -> SafeString:
        """As the tag of this name: the link to the dialog of an action, or why it is none."""
        verb = Action(action)
        reason = policy.why_not(verb, instance, role=self._role, now=self._now)
        if reason is None:
            return mark_safe(self._dialog(action, verb.label, extra, instance.pk))  # noqa: S308
        why = ("off", action, reason, instance.billing_mode)
        shown = self._once(why, lambda: disabled(verb.label, refusal_label(reason, instance)))
        return mark_safe(shown)  # noqa: S308 - it has been escaped

    def dialog(self, action: str, name: str, label: str, row: Model, extra: str = "") -> SafeString:
        """As the tag of this name; `name` is that of the dialog's address."""
        if not self._may[action]:
            return disabled(label, Refusal.ROLE.label)
        link = self._dialog(name, label, extra, row.pk, _NAME)
        return mark_safe(link.replace(_NAME, conditional_escape(str(row))))  # noqa: S308

    def _dialog(self, name: str, label: object, extra: str, pk: Any, about: str = "") -> str:
        def make(key: Any) -> str:
            link = dialog_link(reverse(f"recycle:{name}"), self._back, [key])
            return opens_dialog(link, label, extra, about)

        return self._of(pk, ("dialog", name, extra), make)

    def _of(self, pk: Any, key: Hashable, make: Callable[[Any], str]) -> str:
        place = _KEYS[type(pk)]
        return self._once(key, lambda: make(place)).replace(place, str(pk))

    def _once(self, key: Hashable, make: Callable[[], str]) -> str:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = str(make())
        return made
