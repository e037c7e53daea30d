"""The rules of accounts about the time in the bin, which the actions change."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from recycle.actions import Context
from recycle.actions.keeping import add_rule, remove_rules
from recycle.admin.base import FixedAdmin
from recycle.forms import KeepForField
from recycle.logged import context_of
from recycle.models import RetentionRule


class RetentionRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    keep_for = KeepForField(
        help_text=gettext_lazy("Empty excludes what has this tag from all but the standard.")
    )

    class Meta:
        model = RetentionRule
        fields = ("account", "key", "value", "keep_for")


@admin.register(RetentionRule)
class RetentionRuleAdmin(FixedAdmin):
    """Changed by the actions alone, so that the Operation Log tells who did what."""

    form = RetentionRuleForm
    list_display = ("account", "key", "value", "keep_for")
    list_display_links = ("key",)
    list_filter = ("account",)
    search_fields = ("key_folded__contains", "value_folded__contains")
    list_select_related = ("account",)
    # Another tag is another rule.
    fixed = ("account", "key", "value")

    def save_model(self, request: HttpRequest, obj: RetentionRule, form: Any, change: bool) -> None:
        add_rule(obj, context=context_of(request))

    def record_saved(self, form: Any, context: Context, *, change: bool) -> None:
        """The action has."""

    def record_removed(self, rows: Iterable[Any], context: Context) -> None:
        """The action does."""

    def delete_model(self, request: HttpRequest, obj: RetentionRule) -> None:
        self.delete_queryset(request, RetentionRule.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RetentionRule]) -> None:
        remove_rules(queryset, context=context_of(request))
