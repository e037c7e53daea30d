"""Whether answers say that there is more than was given.

Sources: the pages and SDKs of DescribeInstances (`InstanceCount`, `Marker`), of EBS and SLB
(`TotalCount`, `Marker`, `NextToken`) and of tags (`Total`); the clients that page through them.

- A page tells its position by what the next one would be asked with: `Marker`, which is an offset,
  or `NextToken`. None, and a `Marker` of 0, is that of the last page. So two pages with the same
  position are of two listings (of two regions, say), unless they share an item: then one of them
  was only asked for twice.
- A total counts the items of all pages of a listing. Pages of the same total may be of one listing,
  in whatever files and order they come, as long as their positions differ. Where things are made or
  deleted while somebody pages, the total moves: pages whose totals differ by a tenth at most are
  one listing when their positions differ, and only together they have as many items as was said.
- Without a total, a token says that another page follows; a listing ends with a page that has none,
  and that comes after the others. A page that is full by its own `MaxResults` and says nothing else
  is taken to be followed by another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from recycle.inventory.place import Place, Problem, as_shown

TOTALS = ("InstanceCount", "TotalCount", "Total")
TOKENS = ("NextToken", "Marker")
USUAL_SIZES = ("MaxResults", "PageSize")
SAYS_MORE = frozenset({*TOTALS, *TOKENS, *USUAL_SIZES})
NO_TOKEN = ("", "0", None, 0)
FULL = "full"
DIGITS = 15
# Totals of one listing differ by a tenth at most.
MANY_ALIKE = 0.9


@dataclass(slots=True)
class AnswerPage:
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
                raise ValueError(f"{name}: {as_shown(value)} is not a whole number")
            if len(str(value)) > DIGITS:
                raise ValueError(f"{name}: {as_shown(value)} is more than there can be")
            return int(value)
        return None

    def token(self) -> str:
        """What the next page would be asked with; empty at the end."""
        for name in TOKENS:
            if (value := self.says.get(name)) not in NO_TOKEN:
                return ascii(value)
        if any(name in self.says for name in TOKENS):
            return ""
        full = any(str(self.says.get(name)) == str(self.lists[self.key]) for name in USUAL_SIZES)
        return FULL if full and self.lists[self.key] else ""


@dataclass(frozen=True, slots=True)
class Told:
    """A page as it is remembered, in the order in which it was read."""

    place: str
    key: str
    total: int | None
    token: str
    # It has no items: somebody asked once more after the last page.
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """A listing that says it has more than these files have."""

    place: str
    key: str
    sentence: str

    def problem(self) -> Problem:
        said = f"{self.sentence}; give the other pages as well, in their order, or --partial"
        return Problem(f"{self.place}, {self.key}", said)


def gaps(told: Iterable[Told], items: Mapping[tuple[str, int], int]) -> Iterator[Gap]:
    """What is missing. No page is told twice; `items` says how many different items the pages of
    a list and a total have.
    """
    listings: dict[str, dict[int, Listings]] = defaultdict(dict)
    # The pages that no end has followed yet, by their token.
    followed: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for page in told:
        if page.total is not None:
            have = items.get((page.key, page.total), 0)
            of_total = listings[page.key].setdefault(page.total, Listings(page.total, have))
            of_total.places.append(page.place)
            of_total.positions["" if page.token == FULL else page.token] += not page.empty
        elif page.token:
            places = followed[page.key][page.token]
            # Full pages look alike: any number of them is followed by one end.
            if page.token != FULL or not places:
                places.append(page.place)
        else:
            # It ends one listing, with all its pages.
            for places in followed[page.key].values():
                del places[:1]
    for key, of_totals in listings.items():
        for short in _short(of_totals.values()):
            yield Gap(short.places[0], key, short.sentence())
    for key, open_ in followed.items():
        for place in next((places for places in open_.values() if places), [])[:1]:
            yield Gap(place, key, "it says another page follows, and none after it ends the list")


@dataclass(slots=True)
class Listings:
    """All pages that say the same total, of one listing or more."""

    total: int
    # How many different items they have.
    have: int
    places: list[str] = field(default_factory=list)
    positions: Counter[str] = field(default_factory=Counter)

    @property
    def number(self) -> int:
        """How many listings they are of, at least."""
        # Somebody may have made a few things while somebody paged; more is of another listing.
        full = ceil(self.have * MANY_ALIKE / self.total) if self.total else 1
        return max(1, *self.positions.values(), min(full, len(self.places)))

    @property
    def wanted(self) -> int:
        return self.number * self.total

    def sentence(self) -> str:
        if self.number == 1:
            return f"it says there are {self.total:,} in all, and these files have {self.have:,}"
        return (
            f"{self.number:,} listings say there are {self.total:,} in all, and these files have "
            f"{self.have:,} of {self.wanted:,}"
        )


def _short(listings: Iterable[Listings]) -> Iterator[Listings]:
    """Those that lack something."""
    short = sorted(
        (each for each in listings if each.have < each.wanted), key=lambda each: each.total
    )
    while short:
        least = short[0].total
        alike = [each for each in short if least >= each.total * MANY_ALIKE]
        short = short[len(alike) :]
        together = sum(each.have for each in alike)
        positions = sum((each.positions for each in alike), Counter[str]())
        # Less is a gap; much more is two listings, each with a gap.
        fits = least <= together <= 2 * alike[-1].total - least
        if len(alike) == 1 or max(positions.values()) > 1 or not fits:
            yield from alike
