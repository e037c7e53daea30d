"""Tags: the list, the page of one with the instances that have it, and what people do to them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Outcome, Refused
from recycle.actions.resources import tags
from recycle.forms.resources import (
    AddTagForm,
    DetailsForm,
    RemoveForm,
    TagFilter,
    TagForm,
    TagInstanceForm,
)
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import Instance, InstanceTag, Kind, Tag
from recycle.models.tenancy import OfInstanceQuerySet, OwnedQuerySet
from recycle.policy import Refusal
from recycle.views.answers import needs
from recycle.views.lists import show_list, stream_csv
from recycle.views.resources import (
    Bound,
    Dialog,
    add_reasons,
    ask,
    report,
    report_made,
    show_detail,
)
from recycle.views.scope import find
from recycle.views.unfolding import unfold

_HOME = "recycle:tags"
# Instances on the page of one tag, and of all tags in a dialog.
SHOWN, BOUND = 100, 500
_EXPORT = (
    (gettext_lazy("Key"), "key"),
    (gettext_lazy("Value"), "value"),
    (gettext_lazy("Instances"), "instance_count"),
)


# What the list says around its rows, and the buttons over it: address, label, whether it deletes.
_ABOUT = {
    "picture": "tag",
    "group": gettext_lazy("Tags"),
    "title": gettext_lazy("Tag"),
    "tip": gettext_lazy(
        "A tag is a key, with a value if you like. An instance that moves to the recycle bin "
        "loses its tags; a restore does not bind them again."
    ),
    "search": gettext_lazy("Key or value"),
    "empty": gettext_lazy("This account has no tags yet. Create one, then bind it to instances."),
    "create": "recycle:create_tag",
    "create_label": gettext_lazy("Create Tag"),
    "batch": [
        ("recycle:add_tags", gettext_lazy("Bind to instance"), False),
        ("recycle:remove_tags", gettext_lazy("Unbind from instance"), False),
        ("recycle:delete_tags", gettext_lazy("Delete"), True),
    ],
}


def _rows(request: Request) -> OwnedQuerySet[Tag]:
    return Tag.objects.visible_to(request.user).of(request.shell.account)


def _counted(request: Request) -> QuerySet[Any, Any]:
    on = InstanceTag.objects.all()
    if request.user.restrictions:
        on = on.visible_to(request.user)
    counted = on.filter(tag=OuterRef("pk")).order_by().values("tag")
    return _rows(request).annotate(
        instance_count=Coalesce(Subquery(counted.annotate(n=Count("pk")).values("n")), 0)
    )


def _on(request: Request) -> OfInstanceQuerySet[InstanceTag]:
    rows = InstanceTag.objects.visible_to(request.user).of(request.shell.account)
    return rows.select_related("instance", "tag")


def _bound(request: Request, rows: Sequence[Tag]) -> Bound:
    found: dict[Any, list[Model]] = defaultdict(list)
    on = _on(request).filter(tag__in=rows)
    for instance_tag in on.order_by("pk")[:BOUND]:
        found[instance_tag.tag_id].append(instance_tag.instance)
    return found


@require_GET
def index(request: Request) -> HttpResponse:
    form = TagFilter(request.GET, scope=request.shell.scope)
    export = "recycle:export_tags"
    return show_list(request, "tags", form, _counted(request), about=_ABOUT, export=export)


@require_GET
def export(request: Request) -> HttpResponseBase:
    form = TagFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, "tags", form, _counted(request), _EXPORT)


@require_GET
def detail(request: Request, pk: int) -> HttpResponse:
    tag = find(request, _counted(request), pk)
    on = list(_on(request).filter(tag=tag).order_by("pk")[:SHOWN])
    return show_detail(request, "tags/detail.html", tag, [Kind.TAG], on=on, keep=())


@require_GET
def menu(request: Request, pk: int) -> HttpResponse:
    tag = find(request, _rows(request), pk)
    page = reverse("recycle:tag", args=[pk])
    delete = "recycle:delete_tags"
    return unfold(request, "resources/_menu.html", page, row=tag, delete=delete)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.CREATE, _HOME)
def create(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME)
    if not dialog.is_valid():
        return dialog.refuse()
    details = TagForm(dialog.answers, scope=request.shell.scope)
    if details.is_valid():
        tag = details.new()
        outcome = tags.create(tag, context=request.context)
        if outcome.done:
            return report_made(dialog, "create_tag", tag)
        add_reasons(details, outcome)
    return ask(dialog, "create_tag", details)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, _HOME)
def add(request: Request) -> HttpResponse:
    """Add tags that were named to one instance. What is refused is a tag, not the instance."""
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = TagInstanceForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        return ask(dialog, "add_tags", details)
    outcome = Outcome(ResourceAction.BIND, request.context.batch)
    for tag in dialog.chosen:
        instances = Instance.objects.filter(pk=details.cleaned_data["other"].pk)
        one = tags.add(tag, instances, context=request.context)
        one.refused = [replace(refused, id=tag.pk, name=str(tag)) for refused in one.refused]
        outcome.extend(one)
    return report(dialog, "add_tags", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.BIND, "recycle:instances")
def add_to(request: Request) -> HttpResponse:
    """Add one tag to instances that were named."""
    dialog = Dialog(request, "recycle:instances", request.shell.instances())
    if not dialog.is_valid():
        return dialog.refuse()
    details = AddTagForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        return ask(dialog, "add_tag", details)
    tag = details.cleaned_data["other"]
    return report(dialog, "add_tag", tags.add(tag, dialog.chosen, context=request.context))


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.UNBIND, _HOME)
def remove(request: Request) -> HttpResponse:
    """Remove tags that were named from one instance; those that it does not have are refused."""
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = TagInstanceForm(dialog.answers, scope=request.shell.scope, rows=dialog.rows)
    if not details.is_valid():
        return ask(dialog, "remove_tags", details, note=_("The tag itself stays."))
    on = InstanceTag.objects.filter(tag__in=dialog.chosen, instance=details.cleaned_data["other"])
    there = set(on.values_list("tag", flat=True))
    outcome = tags.take_off(on, context=request.context)
    outcome.refused += [
        Refused(tag.pk, str(tag), Refusal.NOT_BOUND) for tag in dialog.rows if tag.pk not in there
    ]
    return report(dialog, "remove_tags", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.UNBIND, _HOME)
def take_off(request: Request) -> HttpResponse:
    """Remove a tag from instances. Here each place where the tag is has been named."""
    dialog = Dialog(request, _HOME, _on(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = {on.pk: [on.instance] for on in dialog.rows}
    details = DetailsForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        note = _("The tag itself stays.")
        return ask(dialog, "take_off_tags", details, note=note, bound=bound)
    outcome = tags.take_off(dialog.unchanged(bound), context=request.context)
    return report(dialog, "take_off_tags", outcome)


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.REMOVE, _HOME)
def delete(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    bound = _bound(request, dialog.rows)
    details = RemoveForm(dialog.answers, scope=request.shell.scope, bound=bool(bound))
    if not details.is_valid():
        return ask(dialog, "delete_tags", details, bound=bound, danger=True)
    rows = dialog.unchanged(bound) if details.unbinds else dialog.chosen
    outcome = tags.remove(rows, unbind=details.unbinds, context=request.context)
    return report(dialog, "delete_tags", outcome)
