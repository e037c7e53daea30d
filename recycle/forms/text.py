"""Text that people type and others read later."""

from django import forms

from recycle.text import check_text

# Characters that may be typed to confirm: a name's 64, each with the marks that compose one.
MAX_RETYPED = 1_000


class TextField(forms.CharField):
    """A name, a reason, a part of a tag. What is only looked for or compared stays a CharField."""

    default_validators = [check_text]
