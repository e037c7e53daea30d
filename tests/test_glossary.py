"""The vendor's words: the catalogue says them as `locale/glossary.toml` has them, and no others."""

import re
import tomllib
from typing import Any

import pytest
from django.utils.translation import override

from recycle.lifecycle import Action
from recycle.management.commands import translations
from recycle.policy import BillingMode


def first(forms: Any) -> str:
    """A message with plural forms has several texts."""
    return forms if isinstance(forms, str) else str(forms[0])


GLOSSARY = tomllib.loads((translations.BASE / "locale" / "glossary.toml").read_text("utf-8"))
TERMS: list[dict[str, Any]] = GLOSSARY["term"]
# By its context and its English, the singular of what is counted.
CHINESE: dict[tuple[str | None, str], str] = {
    (message.context, first(message.id)): first(message.string)
    for message in translations.translated()
    if message.id
}


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term["word"])
def test_a_message_says_the_vendors_word(term):
    context = term.get("context")

    exactly = {english: CHINESE[context, english] for english in term.get("exactly", ())}
    within = {english: CHINESE[context, english] for english in term.get("within", ())}

    assert {said.rstrip("。") for said in exactly.values()} <= {term["word"]}, exactly
    assert [each for each in within.items() if term["word"] not in each[1]] == []


def test_no_message_says_it_otherwise():
    refused = [pattern for term in TERMS for pattern in term.get("instead_of", ())]

    found = [
        (english, said)
        for (_context, english), said in CHINESE.items()
        if re.search("|".join(refused), said)
    ]

    assert found == []


def test_every_term_says_where_it_is_from_and_no_two_say_the_same():
    assert all(term["source"] and term.get("exactly") for term in TERMS)
    words = [term["word"] for term in TERMS]
    assert sorted(words) == sorted(set(words))


def test_the_english_words_of_the_recycle_bin_stay():
    messages = {english for _context, english in CHINESE}

    assert set(GLOSSARY["english"]) <= messages
    with override("en"):
        assert str(Action.RESTORE.label) == "Restore"
        assert {str(mode.label) for mode in BillingMode} >= set(GLOSSARY["english"][-3:])


def test_the_english_console_binds_and_unbinds():
    refused = "|".join(GLOSSARY["not_english"])

    assert [english for _context, english in CHINESE if re.search(refused, english)] == []
