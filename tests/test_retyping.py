"""Retyping to confirm: what the dialog shows can be typed, whatever the name is made of, in every
dialog that asks.
"""

import re
import unicodedata
from html import unescape

import pytest
from django.urls import reverse

from recycle.lifecycle import State
from recycle.models import Instance, Volume
from recycle.policy import BillingMode
from recycle.text import as_seen
from recycle.urls import urlpatterns

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# Names with what cannot be typed, or is typed otherwise.
NAMES = [
    "web  01",
    "web\u00a001",
    "web\u3000服务器",
    "Mu\u0308nchen",
    "ｗｅｂ",
    "we\u200bb\u202e",
    "u" + "\u0308\u0301" * 20,
    '<b>"&amp;"</b>',
    "\u200b",
]
ASKED = re.compile(r'data-must-equal="([^"]*)"')


@pytest.fixture
def subjects(make_instance, make_volume):
    """Rows of one name that lose data when they go, each with the address of the dialog that says
    so.
    """

    def subjects(name):
        return [
            (make_instance(State.RECYCLED, name=name), "recycle:purge"),
            (make_instance(State.STOPPED, BillingMode.HOURLY, name=name), "recycle:delete"),
            (make_volume(name=name), "recycle:delete_volumes"),
        ]

    return subjects


@pytest.fixture
def alice_in(client, alice):
    client.force_login(alice)
    return client


def asked_in(client, verb, row):
    """What the dialog asks to retype; None when it asks nothing."""
    page = client.get(reverse(verb), {"ids": row.pk}).getvalue().decode(errors="replace")
    found = ASKED.search(page)
    return found and unescape(found[1])


def is_gone(row):
    if isinstance(row, Volume):
        return not Volume.objects.filter(pk=row.pk).exists()
    return Instance.objects.get(pk=row.pk).state == State.PURGED


def spelled(name):
    """Ways in which people may type what they read."""
    return [name, as_seen(name), f" {unicodedata.normalize('NFD', as_seen(name))}\u00a0"]


@pytest.mark.slow
def test_every_dialog_that_asks_is_one_we_know(alice_in, subjects):
    """The tests below are about all of them: a dialog that begins to ask belongs among them."""
    verbs = [
        f"recycle:{pattern.name}" for pattern in urlpatterns if "<" not in str(pattern.pattern)
    ]
    known = subjects("web")

    asking = {
        (row.pk, verb) for row, _verb in known for verb in verbs if asked_in(alice_in, verb, row)
    }

    assert asking == {(row.pk, verb) for row, verb in known}


@pytest.mark.alike
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_confirmed_however_it_is_typed(alice_in, subjects, name):
    for way in range(3):
        for row, verb in subjects(name):
            shown = asked_in(alice_in, verb, row)
            typed = spelled(name)[way] if as_seen(name) else "1"

            alice_in.post(reverse(verb), {"ids": row.pk, "confirmed": "1", "confirm": typed})

            assert shown == as_seen(shown) == (as_seen(str(row)) or "1")
            assert is_gone(row), (verb, typed)


@pytest.mark.parametrize("typed", ["", "web 0", "WEB 01", "web01", "web 01 x", "1"])
def test_anything_else_is_refused(alice_in, subjects, typed):
    for row, verb in subjects("web  01"):
        response = alice_in.post(reverse(verb), {"ids": row.pk, "confirmed": "1", "confirm": typed})

        assert response.status_code == 422
        assert not is_gone(row)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["Mu\u0308nchen  \u3000０1", "we\u200bb\u00a0\u202ex"])
def test_the_button_wakes_up_when_it_is_typed(open_page, alice, make_instance, name):
    instance = make_instance(State.RECYCLED, name=name)
    page = open_page(alice)
    page.goto(f"{reverse('recycle:purge')}?ids={instance.pk}")
    button, field = page.locator(".modal footer .main"), page.locator("#confirm")

    shown = page.locator(".modal label[for=confirm] b").inner_text()
    field.fill("x")
    assert button.is_disabled()
    for typed in (shown, f" {shown} ", unicodedata.normalize("NFD", shown), as_seen(name)):
        field.fill("x")
        field.fill(typed)
        assert button.is_enabled(), typed
    field.fill(shown + "x")
    assert button.is_disabled()
