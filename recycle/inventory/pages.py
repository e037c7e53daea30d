"""Whether answers say that there is more than was given.

Sources: the pages and SDKs of DescribeInstances (`InstanceCount`, `Marker`), of EBS and SLB
(`TotalCount`, `Marker`, `NextToken`) and of tags (`Total`); the clients that page through them.

- A total counts the items of all pages of a listing. Pages of the same total are one listing, in
  whatever files and order they come. Where things are made or deleted while somebody pages, the
  total moves: pages whose totals differ by a tenth at most are one listing when only together they
  have as many items as was said.
- Without a total, a token says that another page follows; a listing ends with a page that has none.
  Two pages with the same token are of two listings, so that there must be two ends. A page that is
  full by its own `MaxResults` and says nothing else is taken to be followed by another.
- `Marker` is an offset: beside a total it says nothing, and 0 is the end.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from recycle.inventory.place import Place, Problem, shown

TOTALS = ("InstanceCount", "TotalCount", "Total")
TOKENS = ("NextToken", "Marker")
SIZES = ("MaxResults", "PageSize")
SAYINGS = frozenset({*TOTALS, *TOKENS, *SIZES})
NO_TOKEN = ("", "0", None, 0)
FULL = "full"
DIGITS = 15
# Totals of one listing differ by a tenth at most.
ALIKE = 0.9


@dataclass(slots=True)
class Page:
    """What an answer holds, and what it says of itself."""

    place: Place
    # How many items each list has that we know.
    lists: Counter[str] = field(default_factory=Counter)
    says: dict[str, Any] = field(default_factory=dict)
    # How many things there are in what nobody reads, by their place in the answer.
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def key(self) -> str:
        """The list that it is a page of: an answer of the API has one."""
        return next(iter(self.lists), "")

    def total(self) -> int | None:
        for name in TOTALS:
            value = self.says.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not str(value).isdecimal():
                raise ValueError(f"{name}: {shown(value)} is not a whole number")
            if len(str(value)) > DIGITS:
                raise ValueError(f"{name}: {shown(value)} is more than there can be")
            return int(value)
        return None

    def token(self) -> str:
        """What the next page would be asked with; empty at the end."""
        for name in TOKENS:
            if (value := self.says.get(name)) not in NO_TOKEN:
                return ascii(value)
        if any(name in self.says for name in TOKENS):
            return ""
        full = any(str(self.says.get(name)) == str(self.lists[self.key]) for name in SIZES)
        return FULL if full and self.lists[self.key] else ""


@dataclass(frozen=True, slots=True)
class Told:
    """A page as it is remembered."""

    place: str
    key: str
    total: int | None
    token: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A listing that says it has more than these files have."""

    place: str
    key: str
    sentence: str

    def problem(self) -> Problem:
        said = f"{self.sentence}; give the other pages as well, or --partial"
        return Problem(f"{self.place}, {self.key}", said)


def gaps(told: Iterable[Told], items: Mapping[tuple[str, int], int]) -> Iterator[Gap]:
    """What is missing. `items` says how many different ones the pages of a list and a
    total have.
    """
    totals: dict[str, dict[int, str]] = defaultdict(dict)
    tokens: dict[str, Counter[str]] = defaultdict(Counter)
    where: dict[str, str] = {}
    for page in told:
        if page.total is not None:
            totals[page.key].setdefault(page.total, page.place)
        else:
            # Full pages look alike: any number of them is followed by one end.
            tokens[page.key][page.token] += page.token != FULL or not tokens[page.key][FULL]
            if page.token:
                where.setdefault(page.key, page.place)
    for key, places in totals.items():
        for total, have in _short({total: items.get((key, total), 0) for total in places}):
            yield Gap(
                places[total],
                key,
                f"it says there are {total:,} in all, and these files have {have:,}",
            )
    for key, counted in tokens.items():
        ends = counted.pop("", 0)
        if counted and max(counted.values()) > ends:
            yield Gap(where[key], key, "it says another page follows, and no file ends the list")


def _short(listings: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """The totals that were not reached, each with how many there are."""
    short = sorted((total, have) for total, have in listings.items() if have < total)
    while short:
        least = short[0][0]
        alike = [(total, have) for total, have in short if least >= total * ALIKE]
        short = short[len(alike) :]
        together = sum(have for _, have in alike)
        # Less is a gap; much more is two listings, each with a gap.
        if len(alike) == 1 or not least <= together <= 2 * alike[-1][0] - least:
            yield from alike
