"""The rows of lists, in Jinja: compiled, fifty of them take a tenth of the time.

What all rows of an answer have in common is made for the first one and copied for the others:
translations, addresses, the links to dialogs, the sentences why not. The longest list there is, the
bin, has each row in words before its template begins, which then only prints: a call from within
a template costs as much as ten others.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django import template
from django.conf import settings
from django.db.models import Model
from django.template import engines
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import get_current_timezone
from django.utils.translation import get_language, get_language_info, gettext, ngettext
from jinja2 import Environment

from recycle import policy
from recycle.forms import dialog_link, named_path
from recycle.http import Request
from recycle.labels import refusal_label
from recycle.lifecycle import Action
from recycle.models import Instance
from recycle.offer import family_name
from recycle.policy import Refusal, Role
from recycle.templatetags.console import (
    disabled,
    icon,
    opens_dialog,
    place,
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
_VERBS = {action.value: action for action in Action}
# What an event keeps of an instance, by what a list says of it.
BOUND = ("real_servers", "eips", "volumes", "tags")


def environment(**options: Any) -> Environment:
    """Of Jinja, as the settings name it."""
    # Django says that it escapes by itself.
    return Environment(**options, trim_blocks=True, lstrip_blocks=True)  # noqa: S701


@register.simple_tag(takes_context=True)
def jinja(context: template.Context, name: str, **more: Any) -> SafeString:
    """A template in Jinja, with what this one knows."""
    request = context.get("request")
    common = getattr(request, "common", None) or Common(request)
    if request is not None:
        request.common = common
    said = {**context.flatten(), **more, **common.words}
    return mark_safe(engines["jinja2"].get_template(name).render(said))  # noqa: S308 - it escapes


class Ends(NamedTuple):
    """When something ends, as a cell says it."""

    at: str
    title: str
    left: str
    urgency: str
    # In seconds: the time it has in all, and what is left of it.
    whole: int
    rest: int


class BinRow(NamedTuple):
    """An instance in the bin, in words."""

    instance: Instance
    pk: str
    select: str
    home: str
    name: str
    state: str
    status: str
    billing_mode: str
    type: str
    size: str
    ip: str
    zone: SafeString
    deleted_at: str
    deleted: str
    since: str
    by: str
    why: str
    former: tuple[str, str]
    former_page: str
    former_menu: str
    restore: SafeString
    menu: str
    more: str


class Common:
    """What the rows of one answer have in common, and the frame around them."""

    def __init__(self, request: Request | None) -> None:
        """Without a request, as on the page of an error of ours, there are no rows."""
        if request and hasattr(request, "shell"):
            self._now, self._shell = request.now, request.shell
        self._zone = get_current_timezone()
        self.gettext, self.ngettext = cache(gettext), cache(ngettext)
        self._made: dict[Hashable, str] = {}
        self._roles: dict[tuple[int, int], Role] = {}

    @cached_property
    def _may(self) -> dict[str, bool]:
        return self._shell.may

    @cached_property
    def words(self) -> dict[str, Any]:
        """What a template in Jinja can call."""
        return {
            "_": self.gettext,
            "ngettext": self.ngettext,
            "icon": icon,
            "static": cache(static),
            "link": named_path,
            "url": lambda name: named_path(f"recycle:{name}"),
            "language": get_language(),
            "tongues": _tongues(),
            "address": self.address,
            "operation": self.operation,
            "dialog": self.dialog,
            "label": self.label,
            "kept": self.kept,
            "project": self.project,
            "when": self.when,
            "ends": self.ends,
            "until": lambda end: time_left(end, self._now, self.gettext),
            "pressing": lambda end: urgency(end, self._now),
            "bin_rows": self.bin_rows,
            "zone": self.zone,
            "region": self.region,
            "size": self.size,
            "figures": self.figures,
            "family": self.family,
            "pencil": self.pencil,
            "bound_words": self.bound_words,
            "since": lambda moment: time_since(moment, self._now, self.gettext),
            "short": short,
            "retention_of": retention_of,
            "retention_change": retention_change,
        }

    def bin_rows(self, instances: Iterable[Any]) -> Iterator[BinRow]:
        select, by = self.gettext("Select %(name)s"), self.gettext("by %(name)s")
        more = self.gettext("More")
        home, menu = self._pattern("instance"), self._pattern("instance_menu")
        former, place = self._pattern("former"), _KEYS[UUID]
        for row in instances:
            pk, name, deleted = str(row.pk), row.name, row.recycled_at
            page = home.replace(place, pk)
            yield BinRow(
                row,
                pk,
                select % {"name": name},
                page,
                name,
                row.status,
                self.label(row, "status"),
                self.label(row, "billing_mode"),
                row.instance_type_id,
                self.size(row),
                row.private_ip,
                self.zone(row.zone_id),
                deleted.isoformat(),
                self.when(deleted),
                time_since(deleted, self._now, self.gettext),
                by % {"name": row.recycled_by_name} if row.recycled_by_name else "",
                row.why,
                self.bound_words(row.former),
                f"{page}#former",
                former.replace(place, pk),
                self.operation(row, "restore"),
                menu.replace(place, pk),
                f"{more} {name}",
            )

    def ends(self, instance: Any) -> Ends:
        end, since = instance.purge_at, instance.waits_since
        return Ends(
            end.isoformat(),
            self.when(end),
            time_left(end, self._now, self.gettext),
            urgency(end, self._now),
            seconds_between(end, since),
            seconds_between(end, self._now),
        )

    def family(self, instance: Instance) -> str:
        family = instance.instance_type.family
        return self._once(("family", family), lambda: family_name(family))

    def size(self, instance: Instance) -> str:
        """What its type gives it, and its image."""
        return _joined(self.figures(instance), instance.image_name)

    def figures(self, instance: Instance) -> str:
        """What its type gives it."""
        return self._once(("size", instance.instance_type_id), lambda: _size_of(instance))

    def bound_words(self, bound: Mapping[str, Sequence[object] | None] | None) -> tuple[str, str]:
        """How much something was bound to, as an event keeps it, in two lines: what is reached from
        outside, then volumes and tags. Either may be empty.
        """
        if not bound:
            return "", ""
        servers, eips, volumes, tags = [len(bound.get(kind) or ()) for kind in BOUND]
        counted = self.ngettext("%(n)s tag", "%(n)s tags", tags) % {"n": tags} if tags else ""
        return (
            _joined(servers and f"{servers} SLB", eips and f"{eips} EIP"),
            _joined(volumes and f"{volumes} EBS", counted),
        )

    def zone(self, code: str) -> SafeString:
        """As the tag of this name."""
        names = self._shell.scope.zone_names
        shown = self._once(("zone", code), lambda: place(code, names.get(code, code)))
        return mark_safe(shown)  # noqa: S308 - it has been escaped

    def region(self, code: str) -> SafeString:
        """As the tag of this name."""
        name = self._shell.scope.region_name
        shown = self._once(("region", code), lambda: place(code, name(code)))
        return mark_safe(shown)  # noqa: S308 - it has been escaped

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

    def project(self, row: Any) -> str:
        """What its project is called."""
        number = row.project_number
        return self._once(("project", number), lambda: self._shell.project_label(number))

    def address(self, name: str, pk: Any) -> str:
        return self._pattern(name, type(pk)).replace(_KEYS[type(pk)], str(pk))

    def _pattern(self, name: str, kind: type = UUID) -> str:
        """The address of this name, with a place for the key."""
        key = ("address", name, kind)
        return self._once(key, lambda: reverse(f"recycle:{name}", args=[_KEYS[kind]]))

    def operation(self, instance: Instance, action: str, extra: str = "") -> SafeString:
        """As the tag of this name: the link to the dialog of an action, or why it is none."""
        verb = _VERBS[action]
        role = self._role_in(instance)
        reason = policy.why_not(verb, instance, role=role, now=self._now)
        if reason is None:
            return mark_safe(self._dialog(action, verb.label, extra, instance.pk))  # noqa: S308
        why = ("off", action, reason, instance.billing_mode)
        shown = self._once(why, lambda: disabled(verb.label, refusal_label(reason, instance)))
        return mark_safe(shown)  # noqa: S308 - it has been escaped

    def pencil(self, instance: Instance) -> SafeString:
        """Beside its name: what opens the dialog that gives it another; nothing where it may not
        have one.
        """
        action, role = Action.RENAME, self._role_in(instance)
        if policy.why_not(action, instance, role=role, now=self._now):
            return SafeString()
        link = self._dialog(action.value, icon("pencil"), "", instance.pk)
        named = f'<a class="pencil" title="{self.gettext("Rename")}" '
        return mark_safe(link.replace("<a ", named, 1))  # noqa: S308 - it has been escaped

    def dialog(self, action: str, name: str, label: str, row: Model, extra: str = "") -> SafeString:
        """As the tag of this name; `name` is that of the dialog's address."""
        if not self._may[action]:
            return disabled(label, Refusal.ROLE.label)
        link = self._dialog(name, label, extra, row.pk, _NAME)
        return mark_safe(link.replace(_NAME, conditional_escape(str(row))))  # noqa: S308

    def _dialog(self, name: str, label: object, extra: str, pk: Any, about: str = "") -> str:
        def make(key: Any) -> str:
            link = dialog_link(reverse(f"recycle:{name}"), self._shell.address, [key])
            return opens_dialog(link, label, extra, about)

        return self._of(pk, ("dialog", name, extra), make)

    def _of(self, pk: Any, key: Hashable, make: Callable[[Any], str]) -> str:
        place = _KEYS[type(pk)]
        return self._once(key, lambda: make(place)).replace(place, str(pk))

    def _role_in(self, instance: Any) -> Role:
        project = instance.account_id, instance.project_number
        if project not in self._roles:
            self._roles[project] = self._shell.role_for(instance)
        return self._roles[project]

    def _once(self, key: Hashable, make: Callable[[], str]) -> str:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = str(make())
        return made


@cache
def _tongues() -> list[tuple[str, str]]:
    """The languages there are, each as it calls itself."""
    return [(code, get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES]


def _size_of(instance: Instance) -> str:
    of = instance.instance_type
    return f"{of.vcpu} vCPU · {of.memory_gb} GB"


def _joined(*words: str | int) -> str:
    return " · ".join([str(word) for word in words if word])
