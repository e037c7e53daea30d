"""The table of states, and its picture in the README."""

import re

import pytest
from django.conf import settings

from recycle.lifecycle import IN_USE, LIVING, TRANSITIONS, UNBOUND, WAITING, Action, State, diagram


def test_the_diagram_in_the_readme_is_the_table():
    readme = (settings.BASE_DIR / "README.md").read_text(encoding="utf-8")

    blocks = re.findall(r"^```mermaid\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)

    assert diagram() in blocks, f"Put this between ```mermaid and ```:\n{diagram()}"


def test_the_diagram_shows_every_move_to_another_state_and_nothing_else():
    drawn = set(re.findall(r"^    (\w+) --> (\w+): (\w+)$", diagram(), re.MULTILINE))

    assert drawn == {
        ("stopped", "active", "start"),
        ("active", "stopped", "stop"),
        ("active", "recycled", "recycle"),
        ("stopped", "recycled", "recycle"),
        ("active", "purged", "release"),
        ("stopped", "purged", "release"),
        ("active", "expired", "expire"),
        ("stopped", "expired", "expire"),
        ("expired", "active", "renew"),
        ("recycled", "stopped", "restore"),
        ("recycled", "purged", "purge"),
        ("expired", "purged", "purge"),
    }


def test_nothing_leads_out_of_purged():
    assert all(State.PURGED not in moves for moves in TRANSITIONS.values())


def test_a_restored_instance_comes_back_stopped_and_a_renewed_one_runs():
    assert TRANSITIONS[Action.RESTORE] == {State.RECYCLED: State.STOPPED}
    assert TRANSITIONS[Action.RENEW][State.EXPIRED] == State.ACTIVE


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_and_every_one_but_the_last_left(state):
    entered = {
        target
        for moves in TRANSITIONS.values()
        for source, target in moves.items()
        if source != target
    }
    left = {source for moves in TRANSITIONS.values() for source in moves}

    assert state in entered
    assert state in left or state is State.PURGED


def test_the_groups_of_states_fit_together():
    assert set(LIVING) | set(UNBOUND) == set(State)
    assert not set(LIVING) & set(UNBOUND)
    assert set(IN_USE) == set(LIVING) - set(WAITING)
