"""Accounts, with their limits, their members, and how long their bins keep what is deleted."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from recycle.actions import Context, audit
from recycle.actions.keeping import keep
from recycle.actions.limits import ACCOUNT_LIMITS, Limit, with_account_use
from recycle.admin.base import ConsoleAdmin, used
from recycle.admin.people import MembershipInline
from recycle.forms import KeepForField
from recycle.logged import context_of
from recycle.models import Account, AuditAction, Project
from recycle.models.folded import with_folded


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    keep_for = KeepForField()

    class Meta:
        model = Account
        fields = ("name", *ACCOUNT_LIMITS, "keep_for", "billing_time_zone")


@admin.register(Account)
class AccountAdmin(ConsoleAdmin):
    form = AccountForm
    cannot_delete = gettext_lazy(
        "The account %(name)s cannot be deleted: there are %(what)s of it, and its history stays. "
        "Remove its members instead: then nobody sees it any more."
    )
    set_by_actions = ("keep_for",)
    list_display = (
        "name",
        *(f"used_{limit}" for limit in ACCOUNT_LIMITS),
        "keep_for",
        "created_at",
    )
    search_fields = ("name_folded__contains",)
    # As people look for them, wherever one is chosen.
    ordering = ("name",)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("name",)}),
        (
            gettext_lazy("Limits"),
            {
                "fields": ACCOUNT_LIMITS,
                "description": gettext_lazy(
                    "Empty means no limit. Nothing that is there already is taken away."
                ),
            },
        ),
        (
            gettext_lazy("Time in the recycle bin"),
            {
                "fields": ("keep_for",),
                "description": gettext_lazy(
                    "Empty means the standard. What lies in the bin already keeps its time."
                ),
            },
        ),
        (
            gettext_lazy("Billing"),
            {
                "fields": ("billing_time_zone",),
                "description": gettext_lazy(
                    "Where the months of subscriptions are counted. Empty means as everywhere in "
                    "this console."
                ),
            },
        ),
        (gettext_lazy("In use"), {"fields": tuple(f"used_{limit}" for limit in ACCOUNT_LIMITS)}),
    )
    readonly_fields = tuple(f"used_{limit}" for limit in ACCOUNT_LIMITS)
    used_max_instances = used(Limit.INSTANCES)
    used_max_elastic_ips = used(Limit.ELASTIC_IPS)
    used_max_volumes = used(Limit.VOLUMES)
    used_max_volume_gb = used(Limit.VOLUME_GB)
    used_max_load_balancers = used(Limit.LOAD_BALANCERS)
    used_max_tags = used(Limit.TAGS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return with_account_use(super().get_queryset(request))

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        # Nothing is used of what is only being made.
        return self.fieldsets if obj else self.fieldsets[:-1]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return self.readonly_fields if obj else ()

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        """The time is set by the action, so that the Operation Log tells who did."""
        keep_for = obj.keep_for
        if change:
            # Only what was changed is written: somebody may have set something else meanwhile.
            changed = [name for name in form.changed_data if name != "keep_for"]
            obj.save(update_fields=with_folded(Account, changed))
        else:
            obj.keep_for = None
            obj.save()
            obj.add_default_project()
        if "keep_for" in form.changed_data:
            keep(Account.objects.filter(pk=obj.pk), keep_for, context=context_of(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # A project is never deleted by itself, but it goes with its account.
        found, counts, needed, protected = super().get_deleted_objects(objs, request)
        return found, counts, needed - {Project._meta.verbose_name}, protected

    def record_removed(self, rows: Iterable[Any], context: Context) -> None:
        for account in rows:
            # The log of the account goes with it, so that this is told where it stays.
            for membership in account.memberships.select_related("user", "account"):
                audit.record_in_installation(AuditAction.REMOVE, membership, context=context)
        super().record_removed(rows, context)
