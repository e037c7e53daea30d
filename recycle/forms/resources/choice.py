"""Something named in a text field: by its ID, or by a name that it alone has. No list of 100,000
options is made.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle.forms.search import address_has, address_is, has, has_tag
from recycle.http import Request
from recycle.lifecycle import IN_USE, State
from recycle.models import ElasticIP, Instance, Listener, LoadBalancer, Tag, Volume

# Suggestions, and namesakes that are told apart.
SUGGESTED, NAMESAKES = 20, 3
UUID_IN = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """One kind of thing that can be named."""

    rows: Callable[[Request], QuerySet[Any, Any]]
    # It has exactly this name; it has something like it.
    named: Callable[[str], Q]
    like: Callable[[str], Q]
    # What is likely meant: suggested, and taken first where several have the name.
    likely: Q
    # In a zone or region.
    near: Callable[[str], Q]
    # How it is written into the field, and what is said beside that.
    written: Callable[[Any], str]
    about: Callable[[Any], str]

    def find(self, request: Request, text: str) -> list[Any]:
        """What `text` names: one when it is clear, none, or a few namesakes."""
        rows = self.rows(request)
        if (
            issubclass(rows.model, Instance | Volume | ElasticIP | LoadBalancer | Listener)
            and (match := UUID_IN.search(text))
            and (found := list(rows.filter(pk=match[0])))
        ):
            return found
        named = rows.filter(self.named(text)).order_by("pk")
        return list(named.filter(self.likely)[: NAMESAKES + 1]) or list(named[: NAMESAKES + 1])

    def suggest(self, request: Request, text: str, near: str) -> list[tuple[str, str]]:
        rows = self.rows(request).filter(self.likely)
        if text:
            rows = rows.filter(self.like(text))
        if near:
            rows = rows.filter(self.near(near))
        return sorted(
            (self.written(row), self.about(row)) for row in rows.order_by("pk")[:SUGGESTED]
        )


def _with_id(row: Model) -> str:
    name = str(row)
    return name if name == str(row.pk) else f"{name} · {row.pk}"


def _tag_is(text: str) -> Q:
    """KEY or KEY=VALUE; either may have an equals sign of its own."""
    found = Q(key=text, value="")
    for at in (index for index, letter in enumerate(text) if letter == "="):
        found |= Q(key=text[:at], value=text[at + 1 :])
    return found


INSTANCE = Choice(
    rows=lambda request: request.shell.instances().exclude(state=State.PURGED),
    named=lambda text: Q(name=text) | address_is("private_ip", text),
    like=lambda text: has(text, "name") | address_has("private_ip", text),
    likely=Q(state__in=IN_USE),
    near=lambda code: Q(zone=code) | Q(zone__region=code),
    written=_with_id,
    about=lambda row: f"{row.private_ip} · {row.zone_id}",
)
VOLUME = Choice(
    rows=lambda request: Volume.objects.visible_to(request.user).of(request.shell.account),
    named=lambda text: Q(name=text),
    like=lambda text: has(text, "name"),
    likely=Q(instance=None),
    near=lambda code: Q(zone=code) | Q(zone__region=code),
    written=_with_id,
    about=lambda row: f"{row.type} · {row.size_gb} GB · {row.zone_id}",
)
ADDRESS = Choice(
    rows=lambda request: ElasticIP.objects.visible_to(request.user).of(request.shell.account),
    named=lambda text: address_is("address", text),
    like=lambda text: address_has("address", text),
    likely=Q(instance=None, load_balancer=None),
    near=lambda code: Q(region=code),
    written=str,
    about=lambda row: f"{row.bandwidth_mbps} Mbps · {row.region_id}",
)
BALANCER = Choice(
    rows=lambda request: LoadBalancer.objects.visible_to(request.user).of(request.shell.account),
    named=lambda text: Q(name=text),
    like=lambda text: has(text, "name"),
    likely=Q(),
    near=lambda code: Q(region=code),
    written=_with_id,
    about=lambda row: f"{row.get_type_display()} · {row.region_id}",
)
LISTENER = Choice(
    rows=lambda request: (
        Listener.objects.visible_to(request.user)
        .of(request.shell.account)
        .select_related("load_balancer")
    ),
    named=lambda text: Q(name=text) | Q(load_balancer__name=text),
    like=lambda text: has(text, "name", "load_balancer__name"),
    likely=Q(),
    near=lambda code: Q(load_balancer__region=code),
    written=lambda row: f"{row.load_balancer} {row} · {row.pk}",
    about=lambda row: str(row.get_method_display()),
)
TAG = Choice(
    rows=lambda request: Tag.objects.visible_to(request.user).of(request.shell.account),
    named=_tag_is,
    like=has_tag,
    likely=Q(),
    near=lambda code: Q(),
    written=str,
    about=lambda row: "",
)

# What a field may name, by the word in the address of its suggestions.
CHOICES: Mapping[str, Sequence[Choice]] = {
    "instance": (INSTANCE,),
    # An address goes to either.
    "holder": (INSTANCE, BALANCER),
    "volume": (VOLUME,),
    "address": (ADDRESS,),
    "listener": (LISTENER,),
    "tag": (TAG,),
}


def suggest(request: Request, kind: str, text: str, near: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for choice in CHOICES[kind]:
        found += choice.suggest(request, text, near)
    return found[:SUGGESTED]


class ChoiceField(forms.CharField):
    """Names one row; the form that has it says for which request, and near what."""

    request: Request
    near: str = ""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        self.kind = kind
        super().__init__(max_length=500, **kwargs)

    def offer(self, request: Request, near: str) -> None:
        """Suggest what is likely meant; without script, the first few."""
        self.request, self.near = request, near
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
        return iter(suggest(self.request, self.kind, "", self.near))

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        found = [row for choice in CHOICES[self.kind] for row in choice.find(self.request, text)]
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
