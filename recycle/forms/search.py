"""What a search box means: the folded text is part of a folded column, whatever the case, width and
composition.
"""

from ipaddress import ip_address
from uuid import UUID

from django.db.models import CharField, Q, Value
from django.db.models.functions import Concat, Replace
from django.db.models.lookups import Exact

from recycle.text import fold

NOTHING = Q(pk__in=[])
ID_DIGITS = 32


def has(text: str, *fields: str) -> Q:
    """One of the fields contains `text`; each has a folded column beside it. What nobody can see
    finds nothing.
    """
    folded = fold(text)
    if not folded:
        return NOTHING
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}_folded__contains": folded})
    return found


def is_tag(text: str) -> Q:
    """KEY with any value, or KEY=VALUE; either may have equals signs of its own, and spaces around
    the one between.
    """
    folded = fold(text)
    if not folded:
        return NOTHING
    # One comparison for however many signs: which of them stands between key and value, only the
    # tag knows.
    pair = Concat("key_folded", Value("="), "value_folded", output_field=CharField())
    return Q(key_folded=folded) | Q(
        Exact(_close(pair), folded.replace(" =", "=").replace("= ", "="))
    )


def _close(pair: Concat) -> Replace:
    """Remove the spaces beside the equals signs."""
    return Replace(Replace(pair, Value(" ="), Value("=")), Value("= "), Value("="))


def has_tag(text: str) -> Q:
    """The key or the value contains `text`, or each its side of KEY=VALUE."""
    found = has(text, "key", "value")
    parts = fold(text).split("=")
    for at in range(1, len(parts)):
        key, value = "=".join(parts[:at]).strip(), "=".join(parts[at:]).strip()
        found |= Q(key_folded__contains=key, value_folded__contains=value)
    return found


def address_is(field: str, text: str) -> Q:
    """The IP address is the one that `text` writes, in whichever of the ways there are for IPv6."""
    try:
        return Q(**{field: str(ip_address(text))})
    except ValueError:
        return NOTHING


def address_begins(field: str, text: str) -> Q:
    """The IP address begins with `text`; nothing that has a letter beyond an address's is the
    beginning of one.
    """
    folded = fold(text)
    if not folded or not set(folded) <= set("0123456789.:abcdef"):
        return NOTHING
    return Q(**{f"{field}__startswith": folded})


def id_begins(text: str) -> Q:
    """The id begins with `text`, with its dashes or without; nothing else than an id's digits is
    the beginning of one. Ids that begin alike lie together in the index.
    """
    digits = fold(text).replace("-", "")
    if not digits or len(digits) > ID_DIGITS or not set(digits) <= set("0123456789abcdef"):
        return NOTHING
    first, last = UUID(digits.ljust(ID_DIGITS, "0")), UUID(digits.ljust(ID_DIGITS, "f"))
    return Q(pk__gte=first, pk__lte=last)
