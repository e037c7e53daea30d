"""Every action is counted, by what came of it, for who watches the console from outside."""

from collections import Counter
from functools import partial
from typing import TypeVar

from django.db import transaction

from console.tally import Counted, count
from recycle.actions.outcome import Outcome
from recycle.lifecycle import AnyAction
from recycle.models import Edge

ACTIONS = "actions"

AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def tallied(outcome: AnyOutcome, edge: Edge) -> AnyOutcome:
    """The outcome once more. What is rolled back after all is not counted."""
    done = Counter([each.action for each in outcome.done])
    became = Counter({(action.value, "done"): number for action, number in done.items()})
    became[outcome.action.value, "refused"] += len(outcome.refused)
    became[outcome.action.value, "failed"] += len(outcome.failed)
    tally(became, edge)
    return outcome


def tally_refused(action: AnyAction, number: int, edge: Edge) -> None:
    """Count what was refused before any action that counts was tried."""
    tally(Counter({(action.value, "refused"): number}), edge)


def tally(became: Counter[tuple[str, str]], edge: Edge) -> None:
    """Count by action and by what came of it, once the transaction is over."""
    numbers: Counter[Counted] = Counter(
        {(ACTIONS, *which, edge.value): number for which, number in became.items() if number}
    )
    if numbers:
        transaction.on_commit(partial(count, numbers), robust=True)
