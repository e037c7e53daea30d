"""Text that people type and others read later."""

from django import forms

from recycle.text import check_text


class TextField(forms.CharField):
    """A name, a reason, a part of a tag. What is only looked for or compared stays a CharField."""

    default_validators = [check_text]
