"""Text that people type and others read later."""

import string

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from recycle.text import check_text

# Characters that may be typed to confirm: a name's 64, each with the marks that compose one.
MAX_RETYPED = 1_000


class MachinePasswordField(forms.CharField):
    """A password for an instance, by KEC's rule: 8 to 32 characters, with an upper-case and a
    lower-case letter and a digit. It is checked and forgotten: all that is left is that there was
    one.
    """

    widget = forms.PasswordInput
    CLASSES = (string.ascii_uppercase, string.ascii_lowercase, string.digits)
    ALLOWED = frozenset(string.ascii_letters + string.digits + string.punctuation)

    def clean(self, value: str | None) -> str:
        """Whether there is one, and never what it is."""
        text = value or ""
        if not text and not self.required:
            return ""
        good = 8 <= len(text) <= 32 and self.ALLOWED.issuperset(text)
        if not good or any(set(text).isdisjoint(each) for each in self.CLASSES):
            raise ValidationError(
                _(
                    "A password has 8 to 32 characters, with an upper-case and a lower-case letter "
                    "and a digit."
                ),
                code="password",
            )
        return "checked"


class TextField(forms.CharField):
    """A name, a reason, a part of a tag. What is only looked for or compared stays a CharField."""

    default_validators = [check_text]
