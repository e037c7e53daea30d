"""Who is let in, and by which pages: login, logout and password are the console's own."""

from allauth.account.admin import EmailAddress
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import Group
from django.contrib.auth.views import LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy

from recycle.logged import delete_selected

admin.site.site_header = admin.site.site_title = gettext_lazy("KEC Console")
admin.site.index_title = gettext_lazy("Administration")
admin.site.unregister(Group)
admin.site.add_action(delete_selected)
# Nothing is sent to anybody, so addresses are not verified either.
admin.site.unregister(EmailAddress)


def _is_let_in(request: HttpRequest) -> bool:
    """Staff without superuser rights have no business here: who may do what is a matter of
    memberships.
    """
    return bool(request.user.is_active and request.user.is_superuser)


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


admin.site.has_permission = _is_let_in  # type: ignore[method-assign]
admin.site.login = login_not_required(_log_in)  # type: ignore[method-assign]
admin.site.logout = LogoutView.as_view()  # type: ignore[method-assign,assignment]
admin.site.password_change = _change_password  # type: ignore[method-assign,assignment]
