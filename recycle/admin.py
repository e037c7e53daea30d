"""Django admin, for superusers: everything to look at and to search; what happens to instances,
only by the actions.

Whatever is edited here is written to a log, by `LoggedAdmin`, in the transaction that edits it.
"""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from allauth.account.admin import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group
from django.contrib.auth.views import LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from recycle import actions
from recycle.actions import Context, Outcome, audit
from recycle.actions.keeping import add_rule, keep, remove_rules
from recycle.actions.limits import (
    ACCOUNT_LIMITS,
    ZONE_LIMITS,
    Limit,
    with_account_use,
    with_zone_use,
)
from recycle.forms import KeepForField
from recycle.lifecycle import ResourceAction
from recycle.listing import counted
from recycle.logged import LoggedAdmin, context_of, delete_selected
from recycle.models import (
    Account,
    AuditAction,
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
    RetentionRule,
    Sweep,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.models.folded import with_folded
from recycle.outcomes import INSTANCES_FAILED, INSTANCES_LEFT, say
from recycle.text import fold

admin.site.site_header = admin.site.site_title = gettext_lazy("KEC Console")
admin.site.index_title = gettext_lazy("Administration")
# Staff without superuser rights have no business here: who may do what is a matter of memberships.
admin.site.has_permission = lambda request: request.user.is_active and request.user.is_superuser  # type: ignore[method-assign]
admin.site.unregister(Group)
admin.site.add_action(delete_selected)
# Nothing is sent to anybody, so addresses are not verified either.
admin.site.unregister(EmailAddress)


def _log_in(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    """The console's login is the admin's too: a second page would take passwords without its
    limits.
    """
    if admin.site.has_permission(request):
        return redirect("admin:index")
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or request.path)


def _change_password(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    return redirect("recycle:password")


admin.site.login = login_not_required(_log_in)  # type: ignore[method-assign]
admin.site.logout = LogoutView.as_view()  # type: ignore[method-assign,assignment]
admin.site.password_change = _change_password  # type: ignore[method-assign,assignment]


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than the lists of the console do."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return counted(rows).number if isinstance(rows, QuerySet) else len(rows)


class FoldedSearch:
    """Searches as the console does: a text is found by its folded column, whatever its case."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found: tuple[QuerySet[Any], bool] = super().get_search_results(  # type: ignore[misc]
            request, queryset, fold(search_term)
        )
        return found


class BoundedLookups:
    """A value in an address that no column can hold is no error of ours: it is answered as Django
    answers nonsense.
    """

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        try:
            return super().changelist_view(request, extra_context)  # type: ignore[misc]
        except (OverflowError, DataError):
            return HttpResponseRedirect("?e=1")

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        try:
            return super().get_object(request, object_id, from_field)  # type: ignore[misc]
        except (OverflowError, DataError):
            return None


class ConsoleAdmin(BoundedLookups, FoldedSearch, LoggedAdmin):
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


class FixedAdmin(ConsoleAdmin):
    """What a row is known by and what others rest on is said when it is made, and read-only from
    then on.

    A primary key that people chose is one of these: changed in a form, it would make a second row.
    So are the account, region and zone, which everything bound to a row must agree with.
    """

    fixed: tuple[str, ...] = ()

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return self.fixed if obj else ()


class BindingAdmin(FixedAdmin):
    """Bindings are changed by the actions alone: here they are read-only, and nothing is deleted.

    Deleting would unbind, and nothing would say so in the Operation Log.
    """

    bound: tuple[str, ...] = ("instance",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return (*self.bound, *super().get_readonly_fields(request, obj))

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
    search_fields = ("name_folded__contains", "id", "private_ip")
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
        ("recycled_at", "recycled_by_name", "purge_at", "kept", "purged_at"),
        ("protected", "held_at", "held_by", "hold_reason", "hold_review_on"),
        ("attempts", "retry_at", "last_error"),
    )
    editable = ("name", "image_name")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        fields = [field.name for field in Instance._meta.fields]
        return [*(name for name in fields if name not in self.editable), "kept"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Instance, form: Any, change: bool) -> None:
        # Only what may be edited is written: whatever happened to the instance while the form was
        # open stays.
        obj.changed_at = context_of(request).now
        obj.save(update_fields=with_folded(Instance, [*self.editable, "changed_at"]))

    @admin.display(description=gettext_lazy("status"), ordering="state")
    def status(self, instance: Instance) -> str:
        return instance.get_status_display()

    @admin.display(description=gettext_lazy("time in the recycle bin"))
    def kept(self, instance: Instance) -> str:
        return instance.kept

    @admin.action(description=gettext_lazy("Move the selected instances to the recycle bin"))
    def recycle(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        """Releases nothing: where there is no bin, the instance is refused."""
        self._act(request, instances, actions.delete, may_release=False)

    @admin.action(description=gettext_lazy("Restore the selected instances from the recycle bin"))
    def restore(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        self._act(request, instances, actions.restore)

    @admin.action(
        description=gettext_lazy("Delete the selected instances in the recycle bin for good")
    )
    def purge(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        self._act(request, instances, actions.purge)

    def _act(
        self, request: HttpRequest, instances: InstanceQuerySet, action: Any, **parameters: Any
    ) -> None:
        # The selection may come with joins and an order of its own; the action locks by key.
        chosen = Instance.objects.filter(pk__in=instances.order_by().values("pk"))
        outcome: Outcome = action(
            chosen, context=replace(context_of(request), reason=_("In the admin")), **parameters
        )
        n = len(outcome.done)
        done = ngettext("Done for %(n)d instance.", "Done for %(n)d instances.", n) % {"n": n}
        say(request, outcome, done, left=INSTANCES_LEFT, failed=INSTANCES_FAILED, errors=True)


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
        "address",
        "account",
        "reason",
    )
    list_filter = ("action", "account")
    search_fields = (
        "instance_name_folded__contains",
        "instance_id",
        "by_name_folded__contains",
        "batch",
        "request_id",
    )
    list_select_related = ("account",)
    ordering = ("-id",)


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ("name", "ran_at", "done", "failed")


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]
    """Of a membership only the role changes; another person or account is another membership."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("user", "account"):
            if self.instance.pk and name in self.fields:
                self.fields[name].disabled = True


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    form = MembershipForm
    extra = 1
    autocomplete_fields = ("user", "account")


def used(limit: Limit) -> Callable[[Any, Account | Zone], str]:
    """A column that says how much of a limit is used."""

    @admin.display(description=limit.label)
    def column(_admin: Any, row: Account | Zone) -> str:
        amount, most = getattr(row, f"used_{limit}"), getattr(row, limit)
        return f"{amount:,} / {'∞' if most is None else f'{most:,}'}"

    return column


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
        if "keep_for" in form.changed_data:
            keep(Account.objects.filter(pk=obj.pk), keep_for, context=context_of(request))

    def record_removed(self, rows: Iterable[Any], context: Context) -> None:
        for account in rows:
            # The log of the account goes with it, so that this is told where it stays.
            for membership in account.memberships.select_related("user", "account"):
                audit.record_in_installation(AuditAction.REMOVE, membership, context=context)
        super().record_removed(rows, context)


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


class SetPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    def __init__(self, user: User, *args: Any, request: HttpRequest) -> None:
        super().__init__(user, *args)
        self.request = request

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit=False)
        key = self.request.session.session_key
        audit.save_password(user, keep=key, context=context_of(self.request))
        return user


@admin.register(User)
class UserAdmin(BoundedLookups, FoldedSearch, LoggedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    cannot_delete = gettext_lazy(
        "The user %(name)s cannot be deleted: there are %(what)s that name them. "
        "Deactivate the user instead: nobody can log in as %(name)s any more, and history keeps "
        "the name."
    )
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    search_fields = (
        "username_folded__contains",
        "first_name_folded__contains",
        "last_name_folded__contains",
        "email",
    )
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Person"), {"fields": ("first_name", "last_name", "email")}),
        (gettext_lazy("Rights"), {"fields": ("is_active", "is_superuser")}),
        (gettext_lazy("Times"), {"fields": ("last_login", "date_joined")}),
    )
    # These are history as well.
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()
    inlines = (MembershipInline,)
    actions = ("deactivate",)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change and "is_active" in form.changed_data and not obj.is_active:
            actions.end_sessions(obj, but=None, context=context_of(request))
        super().save_model(request, obj, form, change)

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 (its address gives it by this name)
        form_url: str = "",
    ) -> HttpResponse:
        # Django gives the form no request, and this object serves all of them.
        page = copy(self)
        page.change_password_form = partial(SetPasswordForm, request=request)
        return DjangoUserAdmin.user_change_password(page, request, id, form_url)

    def record_removed(self, rows: Iterable[Any], context: Context) -> None:
        for user in rows:
            for membership in user.memberships.select_related("user", "account"):
                audit.record(ResourceAction.REMOVE, membership, context=context)
        super().record_removed(rows, context)

    @admin.action(description=gettext_lazy("Deactivate the selected users"), permissions=["change"])
    def deactivate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """All but oneself: who comes back from that needs the shell."""
        context = context_of(request)
        others = users.exclude(pk=context.person.pk)
        done = len(audit.deactivate(others, context=context).done)
        sentence = ngettext("%(n)d user is deactivated.", "%(n)d users are deactivated.", done)
        level = messages.SUCCESS if done else messages.WARNING
        self.message_user(request, sentence % {"n": done}, level)
        if users.filter(pk=context.person.pk).exists():
            self.message_user(request, _("You cannot deactivate yourself."), messages.WARNING)


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    form = MembershipForm
    list_display = ("user", "account", "role")
    list_filter = ("role",)
    search_fields = ("user__username_folded__contains", "account__name_folded__contains")
    autocomplete_fields = ("user", "account")
    list_select_related = ("user", "account")


@admin.register(Region)
class RegionAdmin(FixedAdmin):
    fixed = ("code",)
    list_display = ("code", "name")
    search_fields = ("code", "name_folded__contains")


@admin.register(Zone)
class ZoneAdmin(FixedAdmin):
    fixed = ("code", "region")
    list_display = ("code", "region", *(f"used_{limit}" for limit in ZONE_LIMITS))
    list_filter = ("region",)
    list_select_related = ("region",)
    search_fields = ("code",)
    used_vcpu_capacity = used(Limit.VCPU)
    used_memory_gb_capacity = used(Limit.MEMORY_GB)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Zone]:
        return with_zone_use(super().get_queryset(request))


@admin.register(InstanceType)
class InstanceTypeAdmin(FixedAdmin):
    fixed = ("name",)
    list_display = ("name", "family", "vcpu", "memory_gb", "no_fees")
    list_filter = ("family",)
    search_fields = ("name",)

    @admin.display(description=gettext_lazy("No Fees Upon Shutdown"), boolean=True)
    def no_fees(self, instance_type: InstanceType) -> bool:
        return instance_type.no_fees_upon_shutdown


@admin.register(LoadBalancer)
class LoadBalancerAdmin(BindingAdmin):
    # In its VPC are the instances behind it.
    fixed = ("account", "region", "vpc_id")
    bound = ()
    list_display = ("name", "id", "account", "region", "type", "created_at")
    list_filter = ("type", "region", "account")
    search_fields = ("name_folded__contains", "id")
    list_select_related = ("account", "region")


@admin.register(Listener)
class ListenerAdmin(BindingAdmin):
    fixed = ("load_balancer",)
    bound = ()
    list_display = ("name", "load_balancer", "protocol", "port", "method")
    list_filter = ("protocol",)
    search_fields = ("name_folded__contains", "id", "load_balancer__name_folded__contains")
    list_select_related = ("load_balancer",)
    autocomplete_fields = ("load_balancer",)


@admin.register(RealServer)
class RealServerAdmin(ReadOnlyAdmin):
    list_display = ("address", "port", "weight", "listener", "instance")
    search_fields = ("address", "instance__name_folded__contains")
    list_select_related = ("listener", "instance")


@admin.register(ElasticIP)
class ElasticIPAdmin(BindingAdmin):
    list_display = (
        "address",
        "id",
        "account",
        "region",
        "bandwidth_mbps",
        "billing_mode",
        "instance",
        "load_balancer",
    )
    list_filter = ("billing_mode", "region", "account")
    search_fields = ("address", "id", "instance__name_folded__contains")
    list_select_related = ("account", "region", "instance", "load_balancer")
    bound = ("instance", "load_balancer")
    fixed = ("account", "region")


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
    search_fields = ("name_folded__contains", "id", "instance__name_folded__contains")
    list_select_related = ("account", "zone", "instance")
    bound = ("instance", "delete_with_instance", "mount_point")
    fixed = ("account", "zone")


@admin.register(Tag)
class TagAdmin(BindingAdmin):
    fixed = ("account",)
    bound = ()
    list_display = ("key", "value", "account")
    list_filter = ("account",)
    search_fields = ("key_folded__contains", "value_folded__contains")
    list_select_related = ("account",)


@admin.register(InstanceTag)
class InstanceTagAdmin(ReadOnlyAdmin):
    list_display = ("tag", "instance")
    search_fields = (
        "tag__key_folded__contains",
        "tag__value_folded__contains",
        "instance__name_folded__contains",
    )
    list_select_related = ("tag", "instance")
