"""Django admin, for superusers: everything to look at and to search; what happens to instances, only by the actions."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from recycle import actions
from recycle.actions import Outcome
from recycle.listing import COUNTED
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceQuerySet,
    InstanceTag,
    InstanceType,
    Listener,
    LoadBalancer,
    Membership,
    RealServer,
    Region,
    Sweep,
    Tag,
    User,
    Volume,
    Zone,
)

admin.site.site_header = admin.site.site_title = gettext_lazy("KEC Console")
admin.site.index_title = gettext_lazy("Administration")
# Staff without superuser rights have no business here: who may do what is a matter of memberships.
admin.site.has_permission = lambda request: request.user.is_active and request.user.is_superuser  # type: ignore[method-assign]
admin.site.unregister(Group)

REASONS = 5


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than the lists of the console do."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows.order_by()[: COUNTED + 1].count() if isinstance(rows, QuerySet) else len(rows)


class ConsoleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50


class ReadOnlyAdmin(ConsoleAdmin):
    """To look at. Nothing is added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class BindingAdmin(ConsoleAdmin):
    """Bindings are changed by the actions alone: what is bound to what is read-only here, and so is deleting it."""

    bound: tuple[str, ...] = ("instance",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.bound

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Instance)
class InstanceAdmin(ConsoleAdmin):
    list_display = (
        "name",
        "id",
        "account",
        "status",
        "billing_mode",
        "instance_type",
        "zone",
        "private_ip",
        "purge_at",
        "attempts",
        "created_at",
    )
    list_filter = ("state", "billing_mode", "zone", "account")
    search_fields = ("name", "id", "private_ip")
    search_help_text = gettext_lazy("Name, ID or private IP")
    list_select_related = ("account", "zone", "instance_type")
    actions = ("recycle", "restore", "purge")
    # People may put a name right; what happens to an instance is not edited but done.
    fields = (
        ("name", "id"),
        ("account", "zone", "instance_type"),
        ("state", "billing_mode", "no_fees"),
        ("image_name", "image_id"),
        ("system_disk_type", "system_disk_gb"),
        ("private_ip", "subnet_id", "vpc_id", "security_group_ids"),
        ("created_at", "changed_at", "expires_at"),
        ("recycled_at", "recycled_by", "purge_at", "purged_at"),
        ("attempts", "retry_at", "last_error"),
    )
    editable = ("name", "image_name")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in Instance._meta.fields if field.name not in self.editable]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("status"), ordering="state")
    def status(self, instance: Instance) -> str:
        return instance.status

    @admin.action(description=gettext_lazy("Move the selected instances to the recycle bin"))
    def recycle(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        """Releases nothing: where there is no bin, the instance is refused."""
        self._act(request, instances, actions.delete, may_release=False)

    @admin.action(description=gettext_lazy("Restore the selected instances from the recycle bin"))
    def restore(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        self._act(request, instances, actions.restore)

    @admin.action(description=gettext_lazy("Delete the selected instances in the recycle bin for good"))
    def purge(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        self._act(request, instances, actions.purge)

    def _act(self, request: HttpRequest, instances: InstanceQuerySet, action: Any, **parameters: Any) -> None:
        # The selection may come with joins and an order of its own; the action locks by key.
        chosen = Instance.objects.filter(pk__in=instances.order_by().values("pk"))
        outcome: Outcome = action(chosen, by=request.user, now=timezone.now(), reason=_("In the admin"), **parameters)
        done, left = len(outcome.done), [*outcome.refused, *outcome.failed]
        if done:
            self.message_user(
                request,
                ngettext("Done for %(n)d instance.", "Done for %(n)d instances.", done) % {"n": done},
                messages.SUCCESS,
            )
        for refused in outcome.refused[:REASONS]:
            self.message_user(request, f"{refused.name}: {refused.refusal.label}", messages.WARNING)
        for failed in outcome.failed[:REASONS]:
            self.message_user(request, f"{failed.name}: {failed.error}", messages.ERROR)
        if len(left) > REASONS:
            count = len(left)
            sentence = ngettext("%(n)d instance was left alone.", "%(n)d instances were left alone.", count)
            self.message_user(request, sentence % {"n": count}, messages.WARNING)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = (
        "at",
        "action",
        "instance_name",
        "instance_id",
        "from_state",
        "to_state",
        "by_name",
        "account",
        "reason",
    )
    list_filter = ("action", "account")
    search_fields = ("instance_name", "instance_id", "by_name", "batch")
    list_select_related = ("account",)
    ordering = ("-id",)


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ("name", "ran_at", "done", "failed")


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 1
    autocomplete_fields = ("user", "account")


@admin.register(Account)
class AccountAdmin(ConsoleAdmin):
    list_display = ("name", "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Person"), {"fields": ("first_name", "last_name", "email")}),
        (gettext_lazy("Rights"), {"fields": ("is_active", "is_superuser")}),
        (gettext_lazy("Times"), {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ()
    inlines = (MembershipInline,)


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    list_display = ("user", "account", "role")
    list_filter = ("role",)
    search_fields = ("user__username", "account__name")
    autocomplete_fields = ("user", "account")
    list_select_related = ("user", "account")


@admin.register(Region)
class RegionAdmin(ConsoleAdmin):
    list_display = ("code", "name")
    search_fields = ("code", "name")


@admin.register(Zone)
class ZoneAdmin(ConsoleAdmin):
    list_display = ("code", "region")
    list_filter = ("region",)
    search_fields = ("code",)


@admin.register(InstanceType)
class InstanceTypeAdmin(ConsoleAdmin):
    list_display = ("name", "family", "vcpu", "memory_gb", "no_fees")
    list_filter = ("family",)
    search_fields = ("name",)

    @admin.display(description=gettext_lazy("No Fees Upon Shutdown"), boolean=True)
    def no_fees(self, instance_type: InstanceType) -> bool:
        return instance_type.no_fees_upon_shutdown


@admin.register(LoadBalancer)
class LoadBalancerAdmin(ConsoleAdmin):
    list_display = ("name", "id", "account", "region", "type", "created_at")
    list_filter = ("type", "region", "account")
    search_fields = ("name", "id")
    list_select_related = ("account", "region")


@admin.register(Listener)
class ListenerAdmin(ConsoleAdmin):
    list_display = ("name", "load_balancer", "protocol", "port", "method")
    list_filter = ("protocol",)
    search_fields = ("name", "id", "load_balancer__name")
    list_select_related = ("load_balancer",)
    autocomplete_fields = ("load_balancer",)


@admin.register(RealServer)
class RealServerAdmin(ReadOnlyAdmin):
    list_display = ("address", "port", "weight", "listener", "instance")
    search_fields = ("address", "instance__name")
    list_select_related = ("listener", "instance")


@admin.register(ElasticIP)
class ElasticIPAdmin(BindingAdmin):
    list_display = ("address", "id", "account", "region", "bandwidth_mbps", "billing_mode", "instance", "load_balancer")
    list_filter = ("billing_mode", "region", "account")
    search_fields = ("address", "id", "instance__name")
    list_select_related = ("account", "region", "instance", "load_balancer")
    bound = ("instance", "load_balancer")


@admin.register(Volume)
class VolumeAdmin(BindingAdmin):
    list_display = (
        "name",
        "id",
        "account",
        "zone",
        "type",
        "size_gb",
        "billing_mode",
        "instance",
        "delete_with_instance",
    )
    list_filter = ("type", "billing_mode", "zone", "account")
    search_fields = ("name", "id", "instance__name")
    list_select_related = ("account", "zone", "instance")
    bound = ("instance", "zone", "delete_with_instance", "mount_point")


@admin.register(Tag)
class TagAdmin(ConsoleAdmin):
    list_display = ("key", "value", "account")
    list_filter = ("account",)
    search_fields = ("key", "value")
    list_select_related = ("account",)


@admin.register(InstanceTag)
class InstanceTagAdmin(ReadOnlyAdmin):
    list_display = ("tag", "instance")
    search_fields = ("tag__key", "tag__value", "instance__name")
    list_select_related = ("tag", "instance")
