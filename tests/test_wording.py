"""The counted words of dialogs and answers: every dialog has its own, in both languages."""

import pytest
from django.utils import translation

from recycle import wording
from recycle.forms import VERBS
from recycle.lifecycle import Action
from recycle.urls import urlpatterns

ADDRESSES = {pattern.name for pattern in urlpatterns}


def test_every_dialog_says_what_it_is_and_what_was_done():
    done = {*wording.DONE, Action.DELETE} - {Action.RECYCLE, Action.RELEASE}

    assert wording.TITLES.keys() <= ADDRESSES
    assert wording.TITLES.keys() == done
    assert wording.PROSPECTS.keys() == VERBS.keys()
    assert VERBS.keys() <= wording.TITLES.keys()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("say", [wording.title, wording.done])
def test_the_words_are_declined_in_each_language(language, say):
    table = wording.TITLES if say is wording.title else wording.DONE

    with translation.override(language):
        said = {name: (say(name, 1), say(name, 2)) for name in table}

    assert not any("%" in each for pair in said.values() for each in pair)
    assert all("2" in two for one, two in said.values() if "1" in one)
    if language == "en":
        assert said["detach" if say is wording.title else "start"] in [
            ("Detach 1 EBS volume", "Detach 2 EBS volumes"),
            ("Started 1 instance.", "Started 2 instances."),
        ]
