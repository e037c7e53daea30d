"""Every action can be tried: a dry run answers what the deed then answers, and writes nothing."""

import inspect
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recycle import actions
from recycle.actions import Outcome
from tests.conftest import acting
from tests.deeds import ACTIONS, DEEDS, answers_with, everything, outcomes_of

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# What takes a lock, beside what writes. PostgreSQL spells it out; SQLite has the one lock, which a
# transaction takes when it begins.
NOT_IN_A_DRY_RUN = re.compile(r"^(INSERT|UPDATE|DELETE|SAVEPOINT|BEGIN)| FOR (NO KEY )?UPDATE")

# What only the database can judge, of all of it together, is written and rolled back.
BY_ROLLBACK = {"inventory.import_inventory"}


def test_every_action_is_tried():
    assert ACTIONS.keys() == DEEDS.keys()


def test_whatever_the_package_offers_to_call_is_an_action_but_the_plan_which_only_looks():
    offered = {getattr(actions, name) for name in actions.__all__}

    functions = {each for each in offered if inspect.isfunction(each)}
    assert functions - set(ACTIONS.values()) == {actions.plan}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_is_told_a_context_has_a_dry_run_and_answers_with_an_outcome(name):
    assert answers_with(ACTIONS[name], Outcome)
    parameters = inspect.signature(ACTIONS[name]).parameters

    assert parameters["context"].default is inspect.Parameter.empty
    assert parameters["dry_run"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["dry_run"].default is False
    assert not parameters.keys() & {"by", "now", "reason"}


def askers():
    """Who asks for each action, one after the other: a viewer whose refusal has to leave all as it
    was, so that an administrator goes on from there.
    """
    for name, deed in DEEDS.items():
        if name.startswith("schedule."):
            yield name, (None,)
        elif deed.needs is None:
            # Everybody may, and what one did is done.
            yield from ((name, ("victor",)), (name, ("alice",)))
        else:
            yield name, ("victor", "alice")


@pytest.mark.parametrize(("name", "people"), list(askers()))
def test_a_dry_run_answers_what_the_deed_then_does_and_writes_nothing(
    request, world, now, name, people
):
    action, deed = ACTIONS[name], DEEDS[name]

    for who in people:
        by = request.getfixturevalue(who) if who else None
        context = acting(by, now, reason=deed.reason)
        before = everything()

        with CaptureQueriesContext(connection) as queries:
            foretold = action(*deed.about(world), **deed.options, context=context, dry_run=True)

        said = [query["sql"] for query in queries if NOT_IN_A_DRY_RUN.search(query["sql"])]
        assert bool(said) is (name in BY_ROLLBACK), said
        assert everything() == before
        done = action(*deed.about(world), **deed.options, context=context)
        assert list(outcomes_of(foretold)) == list(outcomes_of(done))
        refused = who == "victor" and deed.needs is not None
        assert (everything() == before) is refused
