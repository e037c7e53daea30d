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
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import Context, Outcome, Refused
from recycle.actions.resources import tags
from recycle.forms.resources import AddTagForm, RemoveForm, TagFilter, TagForm, TagInstanceForm
from recycle.http import Request
from recycle.lifecycle import ResourceAction
from recycle.models import Instance, InstanceTag, Kind, Tag
from recycle.models.tenancy import OfInstanceQuerySet, OwnedQuerySet
from recycle.policy import Refusal
from recycle.views.lists import stream_csv
from recycle.views.resources import Listing, Maker, Verb, act, make, show, show_detail
from recycle.views.resources.dialog import Bound, removal
from recycle.views.scope import find

HOME = "recycle:tags"
# Instances on the page of one tag, and of all tags in a dialog.
SHOWN, BOUND = 100, 500
EXPORT = (
    (gettext_lazy("Key"), lambda row: row.key),
    (gettext_lazy("Value"), lambda row: row.value),
    (gettext_lazy("Instances"), lambda row: row.instance_count),
)


def _rows(request: Request) -> OwnedQuerySet[Tag]:
    return Tag.objects.visible_to(request.user).of(request.shell.account)


def _counted(request: Request) -> QuerySet[Any, Any]:
    on = InstanceTag.objects.filter(tag=OuterRef("pk")).order_by().values("tag")
    return _rows(request).annotate(
        instance_count=Coalesce(Subquery(on.annotate(n=Count("pk")).values("n")), 0)
    )


def _on(request: Request) -> OfInstanceQuerySet[InstanceTag]:
    rows = InstanceTag.objects.visible_to(request.user).of(request.shell.account)
    return rows.select_related("instance", "tag")


def _bound(rows: Sequence[Tag]) -> Bound:
    found: dict[Any, list[Model]] = defaultdict(list)
    on = InstanceTag.objects.filter(tag__in=rows).select_related("instance")
    for instance_tag in on.order_by("pk")[:BOUND]:
        found[instance_tag.tag_id].append(instance_tag.instance)
    return found


def _add_to(rows: OwnedQuerySet[Tag], answered: dict[str, Any], context: Context) -> Outcome:
    """Several tags to one instance: what is refused is a tag."""
    outcome = Outcome(ResourceAction.BIND, context.batch)
    for tag in rows:
        one = tags.add(tag, Instance.objects.filter(pk=answered["other"].pk), context=context)
        one.refused = [replace(refused, id=tag.pk, name=str(tag)) for refused in one.refused]
        outcome.extend(one)
    return outcome


def _take_off(rows: OwnedQuerySet[Tag], answered: dict[str, Any], context: Context) -> Outcome:
    """Several tags off one instance; those that it does not have are refused."""
    instance = answered["other"]
    on = InstanceTag.objects.filter(tag__in=rows, instance=instance)
    there = set(on.values_list("tag", flat=True))
    outcome = tags.take_off(on, context=context)
    outcome.refused += [
        Refused(tag.pk, str(tag), Refusal.NOT_BOUND) for tag in rows if tag.pk not in there
    ]
    return outcome


CREATE = Maker(
    home=HOME,
    model=Tag,
    title=lambda: _("Create tag"),
    done=lambda: _("Created the tag"),
    details=TagForm,
    new=lambda answered, account, now: Tag(
        account=account, key=answered["key"], value=answered["value"]
    ),
    carry_out=tags.create,
)
ADD = Verb(
    url="recycle:add_tags",
    home=HOME,
    rows=_rows,
    title=lambda n: (
        ngettext("Add %(n)d tag to an instance", "Add %(n)d tags to an instance", n) % {"n": n}
    ),
    done=lambda n: ngettext("Added %(n)d tag.", "Added %(n)d tags.", n) % {"n": n},
    details=TagInstanceForm,
    carry_out=_add_to,
)
ADD_TO = Verb(
    url="recycle:add_tag",
    home="recycle:instances",
    rows=lambda request: request.shell.instances(),
    title=lambda n: (
        ngettext("Add a tag to %(n)d instance", "Add a tag to %(n)d instances", n) % {"n": n}
    ),
    done=lambda n: (
        ngettext("Added the tag to %(n)d instance.", "Added the tag to %(n)d instances.", n)
        % {"n": n}
    ),
    details=AddTagForm,
    carry_out=lambda rows, answered, context: tags.add(answered["other"], rows, context=context),
)
REMOVE = Verb(
    url="recycle:remove_tags",
    home=HOME,
    rows=_rows,
    title=lambda n: (
        ngettext("Remove %(n)d tag from an instance", "Remove %(n)d tags from an instance", n)
        % {"n": n}
    ),
    done=lambda n: ngettext("Removed %(n)d tag.", "Removed %(n)d tags.", n) % {"n": n},
    note=lambda: _("The tag itself stays."),
    details=TagInstanceForm,
    carry_out=_take_off,
)
TAKE_OFF = Verb(
    url="recycle:take_off_tags",
    home=HOME,
    rows=_on,
    title=lambda n: (
        ngettext("Remove the tag from %(n)d instance", "Remove the tag from %(n)d instances", n)
        % {"n": n}
    ),
    done=lambda n: (
        ngettext("Removed the tag from %(n)d instance.", "Removed the tag from %(n)d instances.", n)
        % {"n": n}
    ),
    note=REMOVE.note,
    bound=lambda rows: {row.pk: [row.instance] for row in rows},
    carry_out=lambda rows, answered, context: tags.take_off(rows, context=context),
)
DELETE = Verb(
    url="recycle:delete_tags",
    home=HOME,
    rows=_rows,
    title=lambda n: ngettext("Delete %(n)d tag", "Delete %(n)d tags", n) % {"n": n},
    done=lambda n: ngettext("Deleted %(n)d tag.", "Deleted %(n)d tags.", n) % {"n": n},
    details=RemoveForm,
    bound=_bound,
    carry_out=removal(tags.remove),
    danger=True,
)
LIST = Listing(
    name="tags",
    picture="tag",
    group=gettext_lazy("Tags"),
    title=gettext_lazy("Tag"),
    tip=gettext_lazy(
        "A tag is a key, with a value if you like. An instance that moves to the recycle bin "
        "loses its tags; a restore "
        "does not add them again."
    ),
    search=gettext_lazy("Key or value"),
    empty=gettext_lazy("This account has no tags yet. Create one, then add it to instances."),
    create="recycle:create_tag",
    create_label=gettext_lazy("Create Tag"),
    batch=[
        ("recycle:add_tags", gettext_lazy("Add to instance"), False),
        ("recycle:remove_tags", gettext_lazy("Remove from instance"), False),
        ("recycle:delete_tags", gettext_lazy("Delete"), True),
    ],
)


@require_GET
def index(request: Request) -> HttpResponse:
    return show(request, LIST, _counted(request))


@require_GET
def export(request: Request) -> HttpResponseBase:
    return stream_csv(
        request, "tags", TagFilter(request.GET, request=request), _counted(request), EXPORT
    )


@require_GET
def detail(request: Request, pk: int) -> HttpResponse:
    tag = find(request, _counted(request), pk)
    on = list(_on(request).filter(tag=tag).order_by("pk")[:SHOWN])
    return show_detail(request, "tags/detail.html", tag, [Kind.TAG], on=on, keep=())


@require_http_methods(["GET", "POST"])
def create(request: Request) -> HttpResponse:
    return make(request, CREATE, reverse("recycle:create_tag"))


@require_http_methods(["GET", "POST"])
def add(request: Request) -> HttpResponse:
    return act(request, ADD)


@require_http_methods(["GET", "POST"])
def add_to(request: Request) -> HttpResponse:
    """From the side of the instances."""
    return act(request, ADD_TO)


@require_http_methods(["GET", "POST"])
def remove(request: Request) -> HttpResponse:
    return act(request, REMOVE)


@require_http_methods(["GET", "POST"])
def take_off(request: Request) -> HttpResponse:
    """Named by where it is."""
    return act(request, TAKE_OFF)


@require_http_methods(["GET", "POST"])
def delete(request: Request) -> HttpResponse:
    return act(request, DELETE)
