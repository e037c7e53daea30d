"""What an import did, or why it did nothing."""

from collections import Counter
from dataclasses import dataclass, field

from recycle.actions.outcome import Failed, Outcome
from recycle.inventory import LISTINGS, Problem

# Problems told in full; the others are counted.
TOLD = 100
# So that counts are told in this order.
IN_ORDER = {kind.nouns: 0 for kind in LISTINGS}


@dataclass(slots=True, kw_only=True)
class Imported(Outcome):
    """The outcome of an import, which is all or nothing: done is the account, or else every problem
    is an item that failed, which goes by its place, and nothing was written.

    What was created is only counted: there may be more of it than fits into memory.
    """

    account: str
    created: Counter[tuple[str, str]] = field(default_factory=lambda: Counter(IN_ORDER))
    already: Counter[tuple[str, str]] = field(default_factory=lambda: Counter(IN_ORDER))
    # Problems that are not among the items.
    more: int = 0

    def fail(self, *problems: Problem) -> None:
        told = problems[: TOLD - len(self.failed)]
        self.failed += [Failed(each.where, each.where, each.sentence) for each in told]
        self.more += len(problems) - len(told)
