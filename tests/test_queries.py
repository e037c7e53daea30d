"""What a page costs: as many queries for sixty rows as for five, and nothing inline that its policy
would block.
"""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Instance
from tests.conftest import HTMX, acting

pytestmark = pytest.mark.django_db

MOST = 9
LISTS = ("instances", "bin", "expired", "log")
RESOURCES = ("volumes", "addresses", "balancers", "tags")


@pytest.fixture
def fill(alice, make_instance, bind):
    """So many rows for a list, all bound, or bound until they were deleted."""

    def fill(name, count):
        for _ in range(count):
            bind(make_instance(State.EXPIRED if name == "expired" else State.ACTIVE))
        if name in ("bin", "log"):
            actions.delete(
                Instance.objects.filter(state=State.ACTIVE),
                may_release=False,
                context=acting(alice),
            )

    return fill


def cost(client, captured, *args, **kwargs):
    client.get(*args, **kwargs)  # what is read once and kept
    with captured() as queries:
        response = client.get(*args, **kwargs)
    assert response.status_code == 200
    return len(queries), response


@pytest.fixture
def captured(db):
    return lambda: CaptureQueriesContext(connection)


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "partial"])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_few_queries_whatever_the_rows(
    client, alice, fill, captured, name, headers
):
    client.force_login(alice)
    query = {"size": "100", "q": "web" if name == "instances" else ""}
    url = reverse(f"recycle:{name}")

    fill(name, 5)
    few, response = cost(client, captured, url, query, headers=headers)
    assert len(response.context["page"].rows) == 5
    fill(name, 55)
    many, response = cost(client, captured, url, query, headers=headers)

    assert len(response.context["page"].rows) == 60
    assert few == many
    assert many <= MOST


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "partial"])
@pytest.mark.parametrize("name", RESOURCES)
def test_a_list_of_resources_costs_the_same_few_queries_whatever_the_rows(
    client, alice, fill, captured, name, headers
):
    client.force_login(alice)
    url = reverse(f"recycle:{name}")

    fill(name, 5)
    few, _ = cost(client, captured, url, {"size": "100"}, headers=headers)
    fill(name, 40)
    many, response = cost(client, captured, url, {"size": "100"}, headers=headers)

    assert len(response.context["page"].rows) == {"volumes": 90, "tags": 1}.get(name, 45)
    assert few == many
    assert many <= MOST


def test_a_page_further_on_costs_no_more(client, alice, fill, captured):
    client.force_login(alice)
    fill("bin", 25)
    url = reverse("recycle:bin")
    cursor = str(client.get(url, {"size": "10"}).context["page"].next)

    number, _ = cost(client, captured, url, {"size": "10", "cursor": cursor})

    assert number <= MOST


@pytest.mark.parametrize("name", ["overview", "instance", "delete"])
def test_other_pages_cost_the_same_whatever_the_rows(client, alice, fill, captured, name):
    client.force_login(alice)
    fill(name, 5)

    def ask():
        rows = Instance.objects.filter(state=State.ACTIVE).order_by("pk")
        if name == "instance":
            return cost(client, captured, reverse("recycle:instance", args=[rows[0].pk]))[0]
        query = {"ids": [row.pk for row in rows]} if name == "delete" else {}
        return cost(client, captured, reverse(f"recycle:{name}"), query)[0]

    few = ask()
    fill(name, 55)

    assert ask() == few


@pytest.mark.parametrize("name", ["start", "stop", "delete", "renew", "restore", "purge"])
def test_ok_costs_the_same_whatever_the_selection(
    client, make_instance, bind, captured, name, alice
):
    client.force_login(alice)
    state = {
        "start": State.STOPPED,
        "restore": State.RECYCLED,
        "purge": State.RECYCLED,
        "renew": State.EXPIRED,
    }

    def ask(count):
        instances = [make_instance(state.get(name, State.ACTIVE)) for _ in range(count)]
        data = {
            "ids": [instance.pk for instance in instances],
            "confirmed": "1",
            "confirm": str(count),
        }
        with captured() as queries:
            response = client.post(reverse(f"recycle:{name}"), data, headers=HTMX)
        assert f" {count} instances" in response.text
        return len(queries)

    assert ask(5) == ask(60)


INLINE = re.compile(
    r"<[a-z][^>]*\s(style|on[a-z]+|hx-on[:\w-]*)\s*=|<style|<script(?![^>]*\ssrc=)|javascript:",
    re.IGNORECASE,
)


def test_no_page_has_anything_inline(client, alice, recycled, make_instance, bind):
    bind(instance := make_instance())
    make_instance(State.EXPIRED)
    login = client.get(reverse("login"))
    client.force_login(alice)
    verbs = ("start", "stop", "restart", "delete", "renew", "restore", "purge")

    answers = [
        login,
        client.get("/nowhere/"),
        client.get(reverse("recycle:instance", args=[instance.pk])),
    ]
    for headers in ({}, HTMX):
        answers += [
            client.get(reverse(f"recycle:{name}"), headers=headers) for name in (*LISTS, "overview")
        ]
        answers += [
            client.get(reverse(f"recycle:{name}"), {"ids": recycled.pk}, headers=headers)
            for name in verbs
        ]
        answers += [client.get(reverse("recycle:bin"), {"sort": "x"}, headers=headers)]

    assert [found[0] for answer in answers if (found := INLINE.search(answer.text))] == []


@pytest.mark.parametrize(
    "inline",
    ['<p style="x">', "<a onclick='x'>", "<b hx-on:click='x'>", "<style>", "<script>x</script>"],
)
def test_what_is_looked_for_is_found(inline):
    assert INLINE.search(inline)
