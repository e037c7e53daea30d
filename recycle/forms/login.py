"""Logging in, and one's own password and sessions."""

from collections.abc import Callable
from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm
from django import forms
from django.contrib.auth.password_validation import (
    password_validators_help_texts,
    validate_password,
)
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from recycle.models import User

# More than anybody types, and far less than what takes long to look at.
LONGEST_PASSWORD = 1_000


def _password_field(label: Any) -> forms.CharField:
    return forms.CharField(label=label, strip=False, max_length=LONGEST_PASSWORD)


class LoginForm(AllauthLoginForm):  # type: ignore[misc]
    password = _password_field(_("Password"))

    def clean_login(self) -> str:
        # As the name was written when the user was made.
        name: str = User.normalize_username(super().clean_login())
        return name


class PasswordForm(forms.Form):
    """Another password for oneself: needs the old one."""

    old = _password_field(_("Current password"))
    new = _password_field(_("New password"))
    again = _password_field(_("New password once more"))

    def __init__(self, *args: Any, by: User, is_own: Callable[[str], bool], **kwargs: Any) -> None:
        """`is_own` tells whether a password is that of `by`. It may raise a ValidationError."""
        super().__init__(*args, **kwargs)
        self.by = by
        self.is_own = is_own

    @property
    def rules(self) -> list[str]:
        return [str(text) for text in password_validators_help_texts()]

    def clean_old(self) -> str:
        old: str = self.cleaned_data["old"]
        if not self.is_own(old):
            raise ValidationError(_("This is not your current password."), code="wrong")
        return old

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        # Looked at only for who knows the old one: it takes time.
        if {"old", "new", "again"} <= data.keys():
            if data["new"] != data["again"]:
                self.add_error("again", _("The two new passwords differ."))
            elif data["new"] == data["old"]:
                self.add_error("new", _("This is the current password. Choose another one."))
            else:
                self._judge(data["new"])
        return data

    def _judge(self, password: str) -> None:
        try:
            validate_password(password, self.by)
        except ValidationError as error:
            self.add_error("new", error)


class EndSessionForm(forms.Form):
    """Which sessions to end; empty means all others."""

    session = forms.CharField(max_length=32, required=False)
