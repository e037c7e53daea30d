"""`mutate`: what it would change."""

from console.mutate import mutants

RULES = """\
LIMIT = 5

def may(row, now):
    # A column is counted in bytes: this letter has two.
    return row.name != "ü" and row.end <= now
"""


def test_every_change_makes_another_program_and_names_its_line():
    found = list(mutants(RULES))

    assert len({mutant.text for mutant in found}) >= 4
    assert all(mutant.text != RULES for mutant in found)
    shown = [mutant.shown(RULES) for mutant in found]
    assert "1: LIMIT = 5\n    -> LIMIT = 6" in shown
    assert (
        '5: return row.name != "ü" and row.end <= now\n'
        '    -> return row.name != "ü" and row.end > now'
    ) in shown


def test_nothing_is_changed_where_nothing_is_ruled():
    assert list(mutants("import os\n")) == []
