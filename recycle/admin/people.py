"""Users, and what each of them may do in an account."""

from collections.abc import Iterable
from copy import copy
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from recycle import actions
from recycle.actions import Context, audit
from recycle.admin.base import BoundedLookups, ConsoleAdmin, FoldedSearch
from recycle.lifecycle import ResourceAction
from recycle.logged import LoggedAdmin, context_of
from recycle.models import Membership, ProjectRole, User


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


class ProjectRoleInline(admin.TabularInline):  # type: ignore[type-arg]
    """What a member may do in projects, where their membership is restricted."""

    model = ProjectRole
    extra = 0
    autocomplete_fields = ("project",)


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
class UserAdmin(BoundedLookups, FoldedSearch, LoggedAdmin, DjangoAdmin):  # type: ignore[type-arg]
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
    inlines = (MembershipInline, ProjectRoleInline)
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
        return DjangoAdmin.user_change_password(page, request, id, form_url)

    def record_removed(self, rows: Iterable[Any], context: Context) -> None:
        for user in rows:
            for membership in user.memberships.select_related("user", "account"):
                audit.record(ResourceAction.REMOVE, membership, context=context)
            for role in user.project_roles.select_related("user", "project__account"):
                audit.record(ResourceAction.REMOVE, role, context=context)
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
    list_display = ("user", "account", "role", "restricted")
    list_filter = ("role", "restricted")
    search_fields = ("user__username_folded__contains", "account__name_folded__contains")
    autocomplete_fields = ("user", "account")
    list_select_related = ("user", "account")
