"""What an import did, or why it did nothing."""

from collections import Counter
from dataclasses import dataclass, field

from recycle.inventory import LISTINGS, Problem

# Problems told in full; the others are counted.
TOLD = 100
# So that counts are told in this order.
IN_ORDER = {kind.nouns: 0 for kind in LISTINGS}


@dataclass(slots=True)
class Imported:
    """What an import did. With problems it did nothing."""

    account: str
    created: Counter[tuple[str, str]] = field(default_factory=lambda: Counter(IN_ORDER))
    already: Counter[tuple[str, str]] = field(default_factory=lambda: Counter(IN_ORDER))
    problems: list[Problem] = field(default_factory=list)
    more: int = 0

    def add(self, *problems: Problem) -> None:
        room = TOLD - len(self.problems)
        self.problems += problems[:room]
        self.more += len(problems[room:])
