"""What a page was made for, when its form is sent."""

from django import forms
from django.utils.translation import gettext as _

from recycle.http import Request


def check_account(form: forms.Form, request: Request) -> None:
    """Refuse a form from a window that showed another account; its field is called `scope`."""
    shown = form.cleaned_data.get("scope", "").partition(":")[0]
    if shown != request.shell.scope.partition(":")[0]:
        form.add_error(
            None, _("You have switched the account in another window. Nothing was changed.")
        )
