"""What people type: it has to be seen, and is compared as it is seen or, when searching, more
loosely.
"""

import re
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
    """ValidationError for text with control or bidirectional characters, or with nothing to see in
    it.

    Joiners and other characters without width are fine inside a text: emoji and Persian need them.
    """
    categories = [unicodedata.category(each) for each in text]
    if not CONTROLS.isdisjoint(categories) or not TURNING.isdisjoint(text):
        raise ValidationError(
            _("Control characters, and those that turn the direction of writing, are not taken."),
            code="control",
        )
    if not any(
        kind[0] in "LNPS" and each not in BLANK for each, kind in zip(text, categories, strict=True)
    ):
        raise ValidationError(_("There is nothing to see in it."), code="blank")


# Letters and marks that are drawn as nothing; control and format characters (Cc, Cf) go by their
# category.
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def as_seen(text: str) -> str:
    """The text as a person sees it, and can type it.

    One form for one look: composed letters, plain widths, one space where there is any white space,
    and nothing that cannot be seen: control characters, zero-width and bidirectional marks. Upper
    and lower case stay apart.
    """
    spaced = " ".join(unicodedata.normalize("NFKC", text).split())
    seen = "".join(each for each in spaced if unicodedata.category(each) not in ("Cc", "Cf"))
    # What stood on both sides of something unseen meets now.
    return " ".join(unicodedata.normalize("NFKC", UNSEEN.sub("", seen)).split())


def fold(text: str) -> str:
    """The text as a search compares it: as it is seen, and the same for every case of every letter.

    It is computed here and stored beside the text, so that SQLite and PostgreSQL find the same.
    Whoever changes what it returns writes a migration that fills those columns anew.
    """
    if text.isascii() and text.isprintable():
        # Nearly all names of servers, and many times as fast.
        return " ".join(text.split()).lower()
    # Unicode's "compatibility caseless match": what is folded is taken apart first, and once more
    # because folding can leave a composition that has a capital; composed again, it is shorter.
    folded = unicodedata.normalize("NFKD", as_seen(text)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded).casefold())
