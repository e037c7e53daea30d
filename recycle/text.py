"""What people type: names, reasons and tags have to be seen, and do nothing to what stands around them."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# What turns the direction of writing (Unicode's Bidi_Control): a name with it reads as another one.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Controls, halves of characters, separators of lines and paragraphs.
CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Letters and symbols by their category that show nothing all the same.
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def check_text(text: str) -> None:
    """ValidationError for text with control or bidirectional characters, or with nothing to see in it.

    Joiners and other characters without width are fine inside a text: emoji and Persian need them.
    """
    categories = [unicodedata.category(each) for each in text]
    if not CONTROLS.isdisjoint(categories) or not TURNING.isdisjoint(text):
        raise ValidationError(
            _("Control characters, and those that turn the direction of writing, are not taken."),
            code="control",
        )
    if not any(kind[0] in "LNPS" and each not in BLANK for each, kind in zip(text, categories, strict=True)):
        raise ValidationError(_("There is nothing to see in it."), code="blank")
