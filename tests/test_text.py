"""How texts are compared: as people see them, and more loosely when they search."""

import unicodedata

import pytest

from recycle.text import as_seen, fold

SEEN = [
    ("web", "web"),
    ("  web   01 ", "web 01"),
    # No-break and ideographic space, tab, line break.
    ("web\u00a001", "web 01"),
    ("web\u3000\u3000服务器", "web 服务器"),
    ("web\t\n01", "web 01"),
    ("Mu\u0308nchen", "München"),
    ("ｗｅｂ－０１", "web-01"),
    # Zero-width, bidirectional, control characters and a variation selector cannot be typed.
    ("we\u200bb\u202e\u2066\ufeff", "web"),
    ("a \u200b b", "a b"),
    ("e\u200b\u0301", "é"),
    ("we\x07b", "web"),
    ("❤\ufe0f", "❤"),
    ("\u200b\u00a0", ""),
    # Case is seen.
    ("Web", "Web"),
]


@pytest.mark.parametrize(("text", "seen"), SEEN)
def test_what_is_seen(text, seen):
    assert as_seen(text) == seen


ALIKE = [
    ("ärger", "Ärger"),
    ("ärger", "A\u0308RGER"),
    ("сервер", "СЕРВЕР"),
    ("σας", "ΣΑΣ"),
    ("strasse", "Straße"),
    ("web-01", "ＷＥＢ－０１"),
    ("ｶﾞ", "ガ"),
    ("a b", "A\u3000\u00a0B"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_a_search_takes_for_the_same(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("e", "é"), ("и", "й"), ("o", "0"), ("web", "веб"), ("", " x")])
def test_what_a_search_tells_apart(one, other):
    assert fold(one) != fold(other)


# The dotless ı has the capital I, which belongs to i.
ODD = {"ı"}


def test_no_letter_of_unicode_depends_on_its_case_or_composition():
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    spelled = [
        str.upper,
        str.lower,
        str.title,
        fold,
        as_seen,
        *(lambda letter, form=form: unicodedata.normalize(form, letter) for form in ("NFC", "NFD", "NFKC", "NFKD")),
    ]

    different = {
        letter for spell in spelled for letter in every if (s := spell(letter)) != letter and fold(s) != fold(letter)
    }

    assert different == ODD
