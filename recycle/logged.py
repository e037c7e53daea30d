"""What the admin's classes share that write what they do to the log."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as djangos_delete_selected
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import PROTECT, Exists, Model, OuterRef, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy

from recycle.actions import Context, audit
from recycle.lifecycle import ResourceAction
from recycle.models import Edge

# How many sentences are said about a selection.
SAID_AT_MOST = 5


def context_of(request: HttpRequest) -> Context:
    context: Context = request.context  # type: ignore[attr-defined]
    return replace(context, edge=Edge.ADMIN)


def kept_by(rows: QuerySet[Any]) -> Iterator[tuple[Model, str]]:
    """Those of `rows` that something else needs, each with what that is; a few for each kind.

    Django's own page about them names every single one, which can be millions.
    """
    relations: Iterable[Any] = get_candidate_relations_to_delete(rows.model._meta)
    for relation in relations:
        if relation.on_delete is PROTECT:
            model, field = relation.related_model, relation.field.name
            needing = model._base_manager.filter(**{field: OuterRef("pk")})
            for row in rows.filter(Exists(needing))[:SAID_AT_MOST]:
                yield row, str(model._meta.verbose_name_plural)


@admin.action(
    permissions=["delete"], description=gettext_lazy("Delete selected %(verbose_name_plural)s")
)
def delete_selected(
    model_admin: Any, request: HttpRequest, rows: QuerySet[Any]
) -> HttpResponseBase | None:
    """Delete as Django does, but all or nothing, and say what cannot be deleted."""
    # The list may come with joins and sums of its own.
    chosen = model_admin.model._base_manager.filter(pk__in=rows.order_by().values("pk"))
    if model_admin.refuse_delete(request, chosen):
        return None
    with transaction.atomic():
        return djangos_delete_selected(model_admin, request, chosen)


class LoggedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Writes to the log what is added, changed and deleted.

    Django keeps a log of its own for its pages, which goes with its user. Ours does not let the
    user go, and so keeps both.
    """

    # Why something cannot be deleted; %(name)s is what, %(what)s are the things that need it.
    # Django writes the first letter of a message in upper case, so that no name stands there.
    cannot_delete = gettext_lazy(
        "This cannot be deleted: %(name)s. There are %(what)s that need it.",
    )
    # Fields that an action sets, which writes about it itself.
    set_by_actions: tuple[str, ...] = ()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        context = context_of(request)
        self.record_saved(form, context, change=change)
        for formset in formsets:
            for inline in formset.initial_forms:
                removed = inline in formset.deleted_forms
                action = ResourceAction.REMOVE if removed else ResourceAction.UPDATE
                self._record_inline(inline, context, action)
            for inline in formset.extra_forms:
                if inline not in formset.deleted_forms:
                    self._record_inline(inline, context, ResourceAction.CREATE)

    def record_saved(self, form: Any, context: Context, *, change: bool) -> None:
        action = ResourceAction.UPDATE if change else ResourceAction.CREATE
        names = [name for name in form.changed_data if name not in self.set_by_actions]
        before = form.initial if change else {}
        changes = audit.changes_of(self.model, names, before, form.cleaned_data)
        if changes or not change:
            audit.record(action, form.instance, changes, context=context)

    def _record_inline(self, inline: Any, context: Context, action: ResourceAction) -> None:
        removed = action is ResourceAction.REMOVE
        if removed or inline.has_changed():
            model, names = type(inline.instance), [] if removed else inline.changed_data
            changes = audit.changes_of(model, names, inline.initial, inline.cleaned_data)
            audit.record(action, inline.instance, changes, context=context)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """A row that is saved without a change was not edited: neither log says that it was."""
        return super().log_change(request, obj, message) if message else None

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        self.record_removed(queryset, context_of(request))
        return super().log_deletions(request, queryset)

    def record_removed(self, rows: Iterable[Any], context: Context) -> None:
        """Write that rows are deleted, with whatever goes with them, while they are still there."""
        for row in rows:
            audit.record(ResourceAction.REMOVE, row, context=context)

    def refuse_delete(self, request: HttpRequest, rows: QuerySet[Any]) -> bool:
        """Say what of this cannot be deleted, and why; False when all of it can."""
        kept = dict(kept_by(rows))
        for row, what in list(kept.items())[:SAID_AT_MOST]:
            sentence = self.cannot_delete % {"name": row, "what": what}
            self.message_user(request, sentence, messages.ERROR)
        return bool(kept)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        rows = self.model._base_manager.filter(pk=row.pk if row else None)
        if self.has_delete_permission(request, row) and self.refuse_delete(request, rows):
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", object_id)
        return super().delete_view(request, object_id, extra_context)
