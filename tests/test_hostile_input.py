"""What no page ever sent: numbers, moments and characters beyond what a database or a clock can
hold.
"""

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.urls import reverse

from recycle.forms import LISTS, LogFilter
from recycle.forms.resources import FILTERS
from recycle.lifecycle import State
from recycle.models import Event, Instance
from recycle.urls import urlpatterns
from tests.conftest import HTMX

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.both]

FORMS = {**LISTS, **FILTERS, "log": LogFilter}
VALUES = [
    "\0",
    "a\0b",
    "-1",
    str(2**31),
    str(2**63),
    "9" * 5_000,
    "1e999",
    "NaN",
    "0001-01-01",
    "9999-12-31",
    "٣",
    "\u202e\u200b",
    "\ufffd",
    "'\"\\%_;--",
    "=" * 384,
]


@pytest.fixture
def alice_in(client, alice, make_instance, bind):
    for state in State:
        make_instance(state)
    bind(Instance.objects.filter(state=State.ACTIVE)[0])
    client.force_login(alice)
    return client


@pytest.mark.parametrize("name", FORMS)
def test_no_value_of_a_filter_breaks_its_list_or_its_file(alice_in, name):
    for field in FORMS[name].base_fields:
        refused = 0
        for value in VALUES:
            in_list = alice_in.get(reverse(f"recycle:{name}"), {field: value})

            assert in_list.status_code in (200, 400), (field, value)
            refused += in_list.status_code == 400
            # The file reads the same form: what that refuses reaches neither, and once is enough.
            if in_list.status_code == 200 or refused == 1:
                in_file = alice_in.get(reverse(f"recycle:export_{name}"), {field: value})
                assert in_file.status_code == in_list.status_code, (field, value)


# What the addresses of dialogs and other pages take, together where they are read together.
TAKEN = [
    ("ids",),
    ("batch",),
    ("all", "as_of", "back", "scope"),
    ("skip", "other", "near", "span", "months", "hours"),
]


@pytest.mark.parametrize("value", ["\0", str(2**63), "9" * 5_000, "9999-12-31", "\ufffd"])
def test_no_value_breaks_another_page(alice_in, value):
    pages = [pattern.name for pattern in urlpatterns if "<" not in str(pattern.pattern)]
    for name in {
        str(page) for page in pages if page not in FORMS and not str(page).startswith("export_")
    }:
        for fields in TAKEN:
            response = alice_in.get(reverse(f"recycle:{name}"), dict.fromkeys(fields, value))

            assert response.status_code < 500, (name, fields)


@pytest.mark.parametrize("number", ["0", str(2**31), str(2**63), "9" * 5_000])
def test_a_number_that_no_row_has_is_not_found(alice_in, number):
    assert alice_in.get(f"/tags/{number}/").status_code == 404
    assert alice_in.get(f"/retention/rules/{number}/remove/").status_code == 404


ABSURD = [
    "9999-12-31T23:59:59.999999+00:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "10000-01-01T00:00:00+00:00",
    "2026-02-30T00:00:00+00:00",
    "2026-11-26T00:00:00",
    "\0",
    "",
]


def all_of(client, name, as_of):
    """All that match "ends within 24 hours", as a list shown at that moment would ask for it."""
    page = client.get(reverse("recycle:bin"))
    answer = {
        "all": "1",
        "back": reverse("recycle:bin") + "?ends=1440",
        "scope": page.context["shell"].scope,
    }
    return client.post(
        reverse(f"recycle:{name}"), {**answer, "as_of": as_of, "confirmed": "1"}, headers=HTMX
    )


@pytest.mark.parametrize("as_of", ABSURD)
def test_a_moment_at_which_no_list_was_shown_is_refused_with_a_sentence(alice_in, as_of):
    response = all_of(alice_in, "restore", as_of)

    assert response.status_code in (200, 400)
    # Long ago nothing had changed yet; at any other such time there was no list.
    if not as_of.startswith("0001"):
        assert response.status_code == 400
        sentence = "The filter of this list is not valid. Nothing was changed."
        assert (sentence if as_of != "\0" else "Null characters are not allowed.") in unescape(
            response.text
        )
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(timedelta(seconds=5), 200), (timedelta(minutes=1), 400), (timedelta(days=900), 400)],
)
def test_the_clock_of_another_node_may_be_a_little_ahead_and_no_more(alice_in, ahead, status):
    response = all_of(alice_in, "extend", (datetime.now(UTC) + ahead).isoformat())

    assert response.status_code == status


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "utf-32", "latin-1", "cp037"])
def test_text_comes_as_utf_8_and_nothing_else(alice_in, charset):
    """By other charsets one could bring halves of characters, which no database takes."""
    content_type = f"text/plain; charset={charset}"

    for name in ("recycle:instances", "recycle:export_log", "login"):
        response = alice_in.get(
            reverse(name) + "?q=%2B2AA-", headers={"content-type": content_type}
        )

        assert response.status_code == 400, name
    assert (
        alice_in.get(
            reverse("recycle:instances"), headers={"content-type": "text/plain; charset=UTF8"}
        ).status_code
        == 200
    )
    assert (
        alice_in.get(
            reverse("recycle:instances"), headers={"content-type": "text/plain; charset=x"}
        ).status_code
        == 200
    )


@pytest.mark.parametrize("model", admin.site._registry)
def test_no_address_breaks_the_admin(client, alice, make_instance, model):
    alice.is_superuser = alice.is_staff = True
    alice.save()
    client.force_login(alice)
    changes = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    fields = [
        "q",
        "p",
        "o",
        "e",
        "all",
        *(str(one) for one in admin.site._registry[model].list_filter),
    ]

    for value in ("\0", str(2**63)):
        for field in fields:
            for query in ({field: value}, {f"{field}__id__exact": value}):
                response = client.get(reverse(f"{changes}_changelist"), query)

                assert response.status_code < 500, query
        assert client.get(reverse(f"{changes}_change", args=[value])).status_code < 500
