"""What is read of an instance for a verb, and that it is all that the verb looks at."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import uuid4

import pytest

from recycle.actions import verbs
from recycle.actions.inventory.renewal import RenewUntil
from recycle.actions.judged import ALWAYS, Judged, cut_to
from recycle.actions.move import Move
from recycle.actions.schedule import ExpireDue
from recycle.actions.undo import StartOfRestored
from recycle.lifecycle import State
from recycle.models import Instance
from recycle.policy import BillingMode, Role, why_not

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TIMES = (None, NOW - timedelta(days=9), NOW + timedelta(days=9))


def moves_of(kind: type[Move]) -> Iterator[type[Move]]:
    for move in kind.__subclasses__():
        if hasattr(move, "action"):
            yield move
        yield from moves_of(move)


def test_the_verbs_of_all_modules_are_looked_at_below():
    found = set(moves_of(Move))

    assert {verbs.Restore, StartOfRestored, RenewUntil, ExpireDue} < found


@pytest.mark.parametrize("move", list(moves_of(Move)), ids=lambda move: move.__name__)
def test_a_verb_reads_all_that_the_rules_ask_of_its_instances(move):
    kind = cut_to((*ALWAYS, *move.columns))
    whole = Judged(
        uuid4(), 1, 0, "web", "", "cn-beijing-6a", "N3.2B", "", False, NOW, None, None, None, None,
        False, None, None, None,
    )  # fmt: skip
    for state, mode, role, protected, held, ends in product(
        State.values, BillingMode.values, Role, (False, True), TIMES, TIMES
    ):
        full = whole._replace(
            state=state,
            billing_mode=mode,
            protected=protected,
            delete_at=ends,
            held_at=held,
            purge_at=ends,
            expires_at=ends,
        )
        cut = kind(*(getattr(full, name) for name in kind._fields))

        answers = [why_not(move.action, each, role=role, now=NOW) for each in (full, cut)]

        assert answers[0] == answers[1]


@pytest.mark.django_db
@pytest.mark.both
def test_what_was_not_read_is_missing_and_not_empty(make_instance):
    instance = make_instance()

    [read] = Judged.read(Instance.objects.filter(pk__among=[instance.pk]), ("billing_mode",))

    assert (read.pk, read.name, read.state) == (instance.pk, instance.name, instance.state)
    assert read.billing_mode == instance.billing_mode
    with pytest.raises(AttributeError):
        read.held_at  # noqa: B018
