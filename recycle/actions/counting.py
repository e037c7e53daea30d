"""Every action is counted, by what came of it, for who watches the console from outside."""

from collections import Counter
from functools import partial
from typing import TypeVar

from django.db import transaction

from console.tally import Counted, count
from recycle.actions.outcome import Outcome
from recycle.models import Edge

ACTIONS = "actions"

AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def tallied(outcome: AnyOutcome, edge: Edge) -> AnyOutcome:
    """The outcome once more. What is rolled back after all is not counted."""
    numbers: Counter[Counted] = Counter(
        (ACTIONS, done.action.value, "done", edge.value) for done in outcome.done
    )
    for what, items in (("refused", outcome.refused), ("failed", outcome.failed)):
        if items:
            numbers[ACTIONS, outcome.action.value, what, edge.value] += len(items)
    if numbers:
        transaction.on_commit(partial(count, numbers), robust=True)
    return outcome
