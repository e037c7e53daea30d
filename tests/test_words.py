"""The counted words of dialogs and answers: every dialog has its own, in both languages."""

import pytest
from django.utils import translation

from recycle.forms import FORMS
from recycle.lifecycle import Action
from recycle.urls import urlpatterns
from recycle.views import words

ADDRESSES = {pattern.name for pattern in urlpatterns}


def test_every_dialog_says_what_it_is_and_what_was_done():
    done = {*words.DONE, Action.DELETE} - {Action.RECYCLE, Action.RELEASE}

    assert words.TITLES.keys() <= ADDRESSES
    assert words.TITLES.keys() == done
    assert words.PROSPECTS.keys() == FORMS.keys()
    assert FORMS.keys() <= words.TITLES.keys()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("say", [words.title, words.done])
def test_the_words_are_declined_in_each_language(language, say):
    table = words.TITLES if say is words.title else words.DONE

    with translation.override(language):
        said = {name: (say(name, 1), say(name, 2)) for name in table}

    assert not any("%" in each for pair in said.values() for each in pair)
    assert all("2" in two for one, two in said.values() if "1" in one)
    if language == "en":
        assert said["detach" if say is words.title else "start"] in [
            ("Detach 1 EBS volume", "Detach 2 EBS volumes"),
            ("Started 1 instance.", "Started 2 instances."),
        ]
