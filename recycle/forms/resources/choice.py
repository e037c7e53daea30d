"""Something named in a text field: by its ID, or by a name that it alone has. No list of 100,000
options is made.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.forms.scope import Scope
from recycle.forms.search import address_begins, address_is, has, has_tag
from recycle.lifecycle import IN_USE, State
from recycle.models import ElasticIP, Instance, Listener, LoadBalancer, Tag, Volume

# Suggestions, and namesakes that are told apart.
SUGGESTED, NAMESAKES = 20, 3
UUID_IN = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class Choice:
    """One kind of row that a field can name. Most have a name and are written with their ID."""

    # What is likely meant: suggested, and taken first where several have the name.
    likely = Q()

    def rows(self, scope: Scope) -> QuerySet[Any, Any]:
        raise NotImplementedError

    def named(self, text: str) -> Q:
        """The rows that have exactly this name."""
        return Q(name=text)

    def like(self, text: str) -> Q:
        """The rows whose name contains this text."""
        return has(text, "name")

    def near(self, code: str) -> Q:
        """The rows in this zone or region."""
        return Q(region=code)

    def written(self, row: Any) -> str:
        """How a row is written into the field."""
        return str(row) if str(row) == str(row.pk) else f"{row} · {row.pk}"

    def about(self, row: Any, scope: Scope) -> str:
        """What a suggestion says of a row beside its name."""
        raise NotImplementedError

    def find(self, scope: Scope, text: str) -> list[Any]:
        """What `text` names: one when it is clear, none, or a few namesakes."""
        rows = self.rows(scope)
        if (
            issubclass(rows.model, Instance | Volume | ElasticIP | LoadBalancer | Listener)
            and (match := UUID_IN.search(text))
            and (found := list(rows.filter(pk=match[0])))
        ):
            return found
        named = rows.filter(self.named(text)).order_by("pk")
        return list(named.filter(self.likely)[: NAMESAKES + 1]) or list(named[: NAMESAKES + 1])

    def suggest(self, scope: Scope, text: str, near: str) -> list[tuple[str, str]]:
        rows = self.rows(scope).filter(self.likely)
        if text:
            rows = rows.filter(self.like(text))
        if near:
            rows = rows.filter(self.near(near))
        return sorted(
            (self.written(row), self.about(row, scope)) for row in rows.order_by("pk")[:SUGGESTED]
        )


def _tag_is(text: str) -> Q:
    """KEY or KEY=VALUE; either may have an equals sign of its own."""
    found = Q(key=text, value="")
    for at in (index for index, letter in enumerate(text) if letter == "="):
        found |= Q(key=text[:at], value=text[at + 1 :])
    return found


class InstanceChoice(Choice):
    likely = Q(state__in=IN_USE)

    def rows(self, scope: Scope) -> QuerySet[Any, Any]:
        return scope.instances().exclude(state=State.PURGED)

    def named(self, text: str) -> Q:
        return Q(name=text) | address_is("private_ip", text)

    def like(self, text: str) -> Q:
        return has(text, "name") | address_begins("private_ip", text)

    def near(self, code: str) -> Q:
        return Q(zone=code) | Q(zone__region=code)

    def about(self, row: Instance, scope: Scope) -> str:
        return f"{row.private_ip} · {scope.zone_names[row.zone_id]}"


class VolumeChoice(Choice):
    likely = Q(instance=None)

    def rows(self, scope: Scope) -> QuerySet[Any, Any]:
        return Volume.objects.visible_to(scope.by).of(scope.account)

    def near(self, code: str) -> Q:
        return Q(zone=code) | Q(zone__region=code)

    def about(self, row: Volume, scope: Scope) -> str:
        return f"{row.type} · {row.size_gb} GB · {scope.zone_names[row.zone_id]}"


class AddressChoice(Choice):
    likely = Q(instance=None, load_balancer=None)

    def rows(self, scope: Scope) -> QuerySet[Any, Any]:
        return ElasticIP.objects.visible_to(scope.by).of(scope.account)

    def named(self, text: str) -> Q:
        return address_is("address", text)

    def like(self, text: str) -> Q:
        return address_begins("address", text)

    def written(self, row: ElasticIP) -> str:
        return str(row)

    def about(self, row: ElasticIP, scope: Scope) -> str:
        return f"{row.bandwidth_mbps} Mbps · {scope.region_name(row.region_id)}"


class BalancerChoice(Choice):
    def rows(self, scope: Scope) -> QuerySet[Any, Any]:
        return LoadBalancer.objects.visible_to(scope.by).of(scope.account)

    def about(self, row: LoadBalancer, scope: Scope) -> str:
        return f"{row.get_type_display()} · {scope.region_name(row.region_id)}"


class ListenerChoice(Choice):
    def rows(self, scope: Scope) -> QuerySet[Any, Any]:
        rows = Listener.objects.visible_to(scope.by).of(scope.account)
        return rows.select_related("load_balancer")

    def named(self, text: str) -> Q:
        return Q(name=text) | Q(load_balancer__name=text)

    def like(self, text: str) -> Q:
        return has(text, "name", "load_balancer__name")

    def near(self, code: str) -> Q:
        return Q(load_balancer__region=code)

    def written(self, row: Listener) -> str:
        return f"{row.load_balancer} {row} · {row.pk}"

    def about(self, row: Listener, scope: Scope) -> str:
        return str(row.get_method_display())


class TagChoice(Choice):
    """Tags belong to no region."""

    def rows(self, scope: Scope) -> QuerySet[Any, Any]:
        return Tag.objects.visible_to(scope.by).of(scope.account)

    def named(self, text: str) -> Q:
        return _tag_is(text)

    def like(self, text: str) -> Q:
        return has_tag(text)

    def near(self, code: str) -> Q:
        return Q()

    def written(self, row: Tag) -> str:
        return str(row)

    def about(self, row: Tag, scope: Scope) -> str:
        return ""


# What a field may name, by the word in the address of its suggestions.
CHOICES: Mapping[str, Sequence[Choice]] = {
    "instance": (InstanceChoice(),),
    # An address goes to either.
    "holder": (InstanceChoice(), BalancerChoice()),
    "volume": (VolumeChoice(),),
    "address": (AddressChoice(),),
    "listener": (ListenerChoice(),),
    "tag": (TagChoice(),),
}


def suggest(scope: Scope, kind: str, text: str, near: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for choice in CHOICES[kind]:
        found += choice.suggest(scope, text, near)
    return found[:SUGGESTED]


class ChoiceField(forms.CharField):
    """Names one row; the form that has it says in which scope, and near what."""

    scope: Scope
    near: str = ""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        self.kind = kind
        super().__init__(max_length=500, **kwargs)

    def offer(self, scope: Scope, near: str) -> None:
        """Suggest what is likely meant; without script, the first few."""
        self.scope, self.near = scope, near
        self.widget.attrs |= {
            "list": "choices",
            "autocomplete": "off",
            "spellcheck": "false",
            "hx-get": reverse("recycle:suggest", args=[self.kind]) + f"?near={near}",
            "hx-trigger": "input changed delay:200ms",
            "hx-target": "#choices",
            "hx-swap": "innerHTML",
            "hx-push-url": "false",
            "hx-sync": "this:replace",
        }

    @property
    def suggestions(self) -> Iterator[tuple[str, str]]:
        return iter(suggest(self.scope, self.kind, "", self.near))

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        found = [row for choice in CHOICES[self.kind] for row in choice.find(self.scope, text)]
        if not found:
            raise ValidationError(
                _("There is nothing called “%(text)s”. Enter an ID, or a name.") % {"text": text}
            )
        if len(found) > 1:
            ids = ", ".join(str(row.pk) for row in found[:NAMESAKES])
            raise ValidationError(
                _("Several are called “%(text)s”. Enter the ID of the one you mean: %(ids)s")
                % {"text": text, "ids": ids}
            )
        return found[0]


class SuggestForm(forms.Form):
    other = forms.CharField(required=False, max_length=500)
    near = forms.CharField(required=False, max_length=32)


LABELS = {
    "instance": gettext_lazy("Instance: ID, name or private IP"),
    "holder": gettext_lazy("Instance or load balancer: ID, name or private IP"),
    "volume": gettext_lazy("EBS volume: ID or name"),
    "address": gettext_lazy("EIP: address or ID"),
    "listener": gettext_lazy("Listener: ID or name, or the load balancer's name"),
    "tag": gettext_lazy("Tag: KEY or KEY=VALUE"),
}
