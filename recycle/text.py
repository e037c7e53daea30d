"""How texts that people typed are compared: as they are seen when confirming, and more loosely when searching."""

import re
import unicodedata

# Letters and marks that are drawn as nothing; control and format characters (Cc, Cf) go by their category.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


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
    # Unicode's "compatibility caseless match": what is folded is taken apart first, and once more
    # because folding can leave a composition that has a capital; composed again, it is shorter.
    folded = unicodedata.normalize("NFKD", as_seen(text)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded).casefold())
