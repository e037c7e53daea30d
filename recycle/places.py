"""What regions and zones are called. Tables and pure functions, no queries.

An installation names its own in the admin, in either language or in both; that goes before the
names known here, and these go before the code. The vendor does not publish English names.
"""

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

REGIONS: dict[str, Promise] = {
    "cn-beijing-6": _("CN North 1 (Beijing)"),
    "cn-beijing-fin": _("CN North Finance 1 (Beijing)"),
    "cn-shanghai-2": _("CN East 1 (Shanghai)"),
    "cn-shanghai-3": _("CN East 2 (Shanghai)"),
    "cn-shanghai-fin": _("CN East Finance 1 (Shanghai)"),
    "cn-ningbo-1": _("CN East 2 (Ningbo)"),
    "cn-guangzhou-1": _("CN South 1 (Guangzhou)"),
    "cn-central-1": _("CN Central 1 (Wuhan)"),
    "cn-southwest-1": _("CN Southwest 1 (Chongqing)"),
    "cn-northwest-1": _("CN Northwest 1 (Qingyang)"),
    "cn-northwest-3": _("CN Northwest 3 (Ningxia)"),
    "cn-northwest-4": _("CN Northwest 4 (Haidong)"),
    "cn-hongkong-2": _("Hong Kong"),
    "cn-taipei-1": _("Taipei"),
    "ap-singapore-1": _("Singapore"),
    "eu-east-1": _("Russia (Moscow)"),
}


def region_name(code: str, english: str | None = None, chinese: str | None = None) -> str:
    """A region in the present language. A name that only repeats the code is none."""
    return _named(code, english, chinese, REGIONS.get(code))


def zone_name(
    code: str, region: str, english: str | None = None, chinese: str | None = None
) -> str:
    """A zone within its region, in the present language: cn-beijing-6a is Zone A."""
    letter = code.removeprefix(region).lstrip("-")
    known = _("Zone %(letter)s") % {"letter": letter.upper()} if _is_letter(letter) else None
    return _named(code, english, chinese, known)


def with_region(zone: str, region: str) -> str:
    """A zone where those of several regions are shown, each of which has a Zone A."""
    return f"{zone} · {region}"


def _is_letter(text: str) -> bool:
    return len(text) == 1 and "a" <= text <= "z"


def _named(code: str, english: str | None, chinese: str | None, known: object) -> str:
    own = [english if english != code else None, chinese if chinese != code else None]
    if (get_language() or "").startswith("zh"):
        own.reverse()
    first, second = own
    return first or str(known or "") or second or code
