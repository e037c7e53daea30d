"""What the pages of volumes, EIPs, load balancers and tags have in common, for each of them."""

import csv
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle.forms import MAX_NAMED
from recycle.forms.resources import FILTERS
from recycle.models import (
    ElasticIP,
    Event,
    InstanceTag,
    Listener,
    LoadBalancer,
    RealServer,
    Tag,
    Volume,
)
from tests.conftest import HTMX, SUBNET

pytestmark = [pytest.mark.django_db, pytest.mark.both]

LISTS = ("volumes", "addresses", "balancers", "tags")
PAGE = {"volumes": "volume", "addresses": "address", "balancers": "balancer", "tags": "tag"}
MODEL: dict[str, Any] = {
    "volumes": Volume,
    "addresses": ElasticIP,
    "balancers": LoadBalancer,
    "tags": Tag,
}
# What each dialog is about.
VERBS: dict[str, Any] = {
    "attach": Volume,
    "detach": Volume,
    "delete_volumes": Volume,
    "associate": ElasticIP,
    "disassociate": ElasticIP,
    "delete_addresses": ElasticIP,
    "associate_with_balancer": LoadBalancer,
    "delete_balancers": LoadBalancer,
    "delete_listeners": Listener,
    "register": Listener,
    "deregister": RealServer,
    "add_tags": Tag,
    "remove_tags": Tag,
    "take_off_tags": InstanceTag,
    "delete_tags": Tag,
}
every_list = pytest.mark.parametrize("name", LISTS)
every_verb = pytest.mark.parametrize("verb", VERBS)
MODELS: tuple[Any, ...] = (Volume, ElasticIP, LoadBalancer, Listener, RealServer, Tag, InstanceTag)


@pytest.fixture
def bound(make_instance, bind):
    """An instance with one of everything."""
    instance = make_instance(name="web")
    bind(instance)
    return instance


@pytest.fixture
def fill(make_volume, make_address, make_balancer, make_listener, make_tag, make_instance):
    """So many rows for a list, every one of them bound."""

    def fill(name, count):
        for number in range(count):
            instance = make_instance()
            if name == "volumes":
                make_volume(instance=instance, mount_point="/dev/vdb")
            elif name == "addresses":
                make_address(instance=instance)
            elif name == "balancers":
                listener = make_listener(load_balancer=make_balancer())
                make_address(load_balancer=listener.load_balancer)
                RealServer.objects.create(
                    listener=listener, instance=instance, address=instance.private_ip, port=80
                )
            else:
                number += Tag.objects.count()
                InstanceTag.objects.create(
                    instance=instance, tag=make_tag(f"key-{number}", "value")
                )

    return fill


def everything():
    """What there is and what it is bound to, to see that nothing changed."""
    return {model: list(model._default_manager.order_by("pk").values()) for model in MODELS}


def one(verb):
    return VERBS[verb].objects.order_by("pk").first()


# --- Lists ---------------------------------------------------------------------------------------


@every_list
def test_a_list_comes_as_page_and_as_piece(client, alice, fill, name):
    client.force_login(alice)
    fill(name, 3)

    page = client.get(reverse(f"recycle:{name}"))
    piece = client.get(reverse(f"recycle:{name}"), headers=HTMX)

    assert len(page.context["page"].rows) == 3
    assert "<html" in page.text
    assert f'id="{name}"' in piece.text
    assert "<html" not in piece.text


@every_list
def test_an_empty_list_says_what_to_do(client, alice, name):
    client.force_login(alice)

    page = client.get(reverse(f"recycle:{name}")).text

    assert "yet. Create one" in page
    assert reverse(f"recycle:create_{PAGE[name]}") in page


@every_list
def test_a_filter_that_nothing_matches_says_so(client, alice, fill, name):
    client.force_login(alice)
    fill(name, 1)

    page = client.get(reverse(f"recycle:{name}"), {"q": "nothing-like-it"}).text

    assert "Nothing matches this filter." in page


@every_list
def test_a_list_shows_only_what_belongs_to_the_account(client, mallory, fill, name):
    fill(name, 2)
    client.force_login(mallory)

    page = client.get(reverse(f"recycle:{name}"))

    assert page.context["page"].rows == []


@every_list
def test_every_order_shows_every_row_once(client, alice, fill, name):
    client.force_login(alice)
    fill(name, 25)

    for sort in FILTERS[name].sorts:
        query = {"sort": sort, "size": "10"}
        seen = []
        for _ in range(3):
            page = client.get(reverse(f"recycle:{name}"), query).context["page"]
            seen += [row.pk for row in page.rows]
            query["cursor"] = str(page.next)
        assert page.next is None
        assert len(seen) == len(set(seen)) == 25


@pytest.mark.alike
@every_list
@pytest.mark.parametrize(
    "query", [{"sort": "secret"}, {"size": "7"}, {"cursor": "abc"}, {"q": "x" * 65}]
)
def test_an_address_that_makes_no_sense_is_refused(client, alice, fill, name, query):
    client.force_login(alice)
    fill(name, 1)

    page = client.get(reverse(f"recycle:{name}"), query)

    assert page.status_code == 400
    assert page.context["page"].rows == []


@every_list
def test_the_export_is_what_matches(client, alice, fill, name):
    client.force_login(alice)
    fill(name, 3)

    response = client.get(reverse(f"recycle:export_{name}"))
    lines = list(csv.reader(b"".join(response).decode("utf-8-sig").splitlines()))
    empty = client.get(reverse(f"recycle:export_{name}"), {"q": "nothing-like-it"})

    # Its heading, its rows, and that this was all.
    assert len(lines) == 5
    assert len(b"".join(empty).splitlines()) == 2
    assert client.get(reverse(f"recycle:export_{name}"), {"sort": "secret"}).status_code == 400


@every_list
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "partial"])
def test_a_list_costs_the_same_few_queries_whatever_the_rows(client, alice, fill, name, headers):
    client.force_login(alice)
    costs = []

    for count in (3, 27):
        fill(name, count)
        client.get(reverse(f"recycle:{name}"))
        with CaptureQueriesContext(connection) as queries:
            page = client.get(reverse(f"recycle:{name}"), {"size": "100", "q": ""}, headers=headers)
        costs.append(len(queries))

    assert len(page.context["page"].rows) == 30
    assert costs[0] == costs[1] <= 8


@every_list
def test_columns_and_tips_are_remembered(client, alice, fill, name):
    client.force_login(alice)
    fill(name, 1)
    columns = list(FILTERS[name].columns)[:1]
    url = reverse(f"recycle:{name}")

    client.post(reverse("recycle:columns"), {"list": name, "columns": columns, "next": url})
    client.post(reverse("recycle:dismiss_tip"), {"tip": name, "next": url})
    page = client.get(url)

    assert page.context["columns"] == set(columns)
    assert not page.context["tip"]
    assert 'class="tip"' not in page.text


# --- Pages of one --------------------------------------------------------------------------------


@every_list
def test_a_page_shows_what_was_done(client, alice, oscar, bound, name):
    row = MODEL[name]._default_manager.first()
    kind = {"volumes": "volume", "addresses": "eip", "balancers": "load_balancer", "tags": "tag"}[
        name
    ]
    for account in (bound.account, alice.memberships.get().account):
        Event.objects.create(
            account=account, at=bound.created_at, batch=uuid4(), action="create", kind=kind,
            resource_id=str(row.pk),
            resource_name=str(row), by=oscar, by_name="oscar",
        )  # fmt: skip
    client.force_login(alice)

    page = client.get(reverse(f"recycle:{PAGE[name]}", args=[row.pk]))

    assert [event.by_name for event in page.context["events"]] == ["oscar", "oscar"]
    assert str(row) in page.text


@every_list
def test_a_page_of_another_account_is_not_there(client, mallory, bound, name):
    row = MODEL[name]._default_manager.first()
    client.force_login(mallory)

    assert client.get(reverse(f"recycle:{PAGE[name]}", args=[row.pk])).status_code == 404


@pytest.mark.parametrize("name", ["balancers", "tags"])
def test_a_page_costs_the_same_whatever_is_bound(
    client, alice, make_instance, make_balancer, make_tag, name
):
    balancer, tag = make_balancer(), make_tag("env", "prod")
    row = balancer if name == "balancers" else tag
    client.force_login(alice)
    costs = []

    for start in (1, 11):
        for port in range(start, start + 10):
            instance = make_instance()
            listener = Listener.objects.create(
                load_balancer=balancer, protocol="TCP", port=port, created_at=instance.created_at
            )
            RealServer.objects.create(
                listener=listener, instance=instance, address=instance.private_ip, port=80
            )
            InstanceTag.objects.create(instance=instance, tag=tag)
        client.get(reverse(f"recycle:{PAGE[name]}", args=[row.pk]))
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse(f"recycle:{PAGE[name]}", args=[row.pk]))
        costs.append(len(queries))

    assert costs[0] == costs[1] <= 9


# --- Dialogs -------------------------------------------------------------------------------------


@pytest.mark.alike
@every_verb
def test_a_dialog_comes_as_page_and_as_piece_and_changes_nothing(client, alice, bound, verb):
    client.force_login(alice)
    before = everything()
    url, ids = reverse(f"recycle:{verb}"), {"ids": one(verb).pk}

    page, piece, posted = (
        client.get(url, ids),
        client.get(url, ids, headers=HTMX),
        client.post(url, ids),
    )

    assert "<html" in page.text
    assert "<dialog" in page.text
    assert "<html" not in piece.text
    assert piece.headers["HX-Retarget"] == "#dialog"
    assert "<dialog" in posted.text
    assert everything() == before


@every_verb
def test_a_stranger_finds_nothing(client, mallory, bound, verb):
    client.force_login(mallory)
    before = everything()
    answer = {"ids": one(verb).pk, "confirmed": "1", "other": str(bound.pk), "confirm": "1"}

    for headers in ({}, HTMX):
        assert client.post(reverse(f"recycle:{verb}"), answer, headers=headers).status_code == 404
    assert everything() == before
    assert not Event.objects.exists()


@pytest.mark.alike
@every_verb
def test_a_viewer_is_refused(client, victor, bound, verb):
    client.force_login(victor)
    before = everything()
    answer = {"ids": one(verb).pk, "confirmed": "1", "other": str(bound.pk), "confirm": "1"}

    for response in (
        client.get(reverse(f"recycle:{verb}"), answer),
        client.post(reverse(f"recycle:{verb}"), answer),
    ):
        assert response.status_code == 403
        assert "Your role does not allow this." in response.text
    assert everything() == before


@every_list
def test_a_viewer_sees_no_buttons_and_why(client, victor, bound, name):
    client.force_login(victor)

    page = client.get(reverse(f"recycle:{name}")).text

    assert "formaction" not in page
    assert "Your role does not allow this." in page


UNKNOWN = ["not-an-id", str(SUBNET), "99999999", "9" * 30, "-1", "' OR 1=1"]


@every_verb
def test_an_unknown_id_is_not_found(client, alice, bound, verb):
    client.force_login(alice)
    before = everything()

    for pk in UNKNOWN:
        answer = {"ids": [pk], "confirmed": "1"}
        response = client.post(reverse(f"recycle:{verb}"), answer, headers=HTMX)

        assert response.status_code == 404, pk
    assert everything() == before


@pytest.mark.alike
@every_verb
def test_nothing_selected_asks_for_a_selection(client, alice, bound, verb):
    client.force_login(alice)

    told = client.post(reverse(f"recycle:{verb}"), {"confirmed": "1"}, headers=HTMX)
    sent_back = client.post(reverse(f"recycle:{verb}"), {"confirmed": "1", "back": "/tags/"})

    assert told.status_code == 400
    assert "Select at least one of them." in told.text
    assert sent_back.url == "/tags/"


def test_too_many_or_all_at_once_are_refused(client, alice, make_volume):
    client.force_login(alice)
    make_volume()

    many = client.post(
        reverse("recycle:detach"),
        {"ids": [str(uuid4()) for _ in range(MAX_NAMED + 1)]},
        headers=HTMX,
    )
    everyone = client.post(reverse("recycle:detach"), {"all": "1"}, headers=HTMX)

    assert (many.status_code, everyone.status_code) == (400, 400)
    assert "one by one" in everyone.text


def test_a_dialog_of_another_account_is_refused(client, alice, make_volume):
    volume = make_volume()
    client.force_login(alice)

    response = client.post(
        reverse("recycle:delete_volumes"),
        {"ids": volume.pk, "confirmed": "1", "confirm": volume.name, "scope": "4711:"},
        headers=HTMX,
    )

    assert response.status_code == 400
    assert Volume.objects.exists()


# --- New ones ------------------------------------------------------------------------------------


@every_list
def test_what_asks_for_a_new_one_comes_as_page_and_as_piece(client, alice, zone, name):
    client.force_login(alice)
    url = reverse(f"recycle:create_{PAGE[name]}")

    page, piece = client.get(url), client.get(url, headers=HTMX)

    assert "<html" in page.text
    assert "<dialog" in page.text
    assert "<html" not in piece.text
    assert "errorlist" not in page.text


@every_list
def test_a_viewer_makes_nothing(client, victor, zone, name):
    client.force_login(victor)
    before = everything()
    answer = {
        "confirmed": "1",
        "token": uuid4(),
        "key": "a",
        "name": "front",
        "region": zone.region_id,
        "type": "public",
    }

    response = client.post(reverse(f"recycle:create_{PAGE[name]}"), answer)

    assert response.status_code == 403
    assert everything() == before


@every_list
def test_an_empty_form_says_what_is_missing(client, alice, zone, name):
    client.force_login(alice)
    before = everything()

    response = client.post(
        reverse(f"recycle:create_{PAGE[name]}"), {"confirmed": "1"}, headers=HTMX
    )

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert everything() == before


# --- Suggestions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["instance", "holder", "volume", "address", "listener", "tag"])
def test_suggestions_are_few_and_of_the_account(client, alice, mallory, fill, bound, kind):
    for name in LISTS:
        fill(name, 12)
    url = reverse("recycle:suggest", args=[kind])

    client.force_login(alice)
    hers = client.get(url, {"other": ""})
    client.force_login(mallory)
    others = client.get(url, {"other": ""})

    assert 0 <= hers.text.count("<option") <= 20
    assert "<option" not in others.text


def test_suggestions_are_near_and_can_be_bound(client, alice, make_instance, other_zone):
    client.force_login(alice)
    make_instance(name="web-here")
    make_instance(name="web-there", zone=other_zone)
    make_instance("recycled", name="web-gone")

    found = client.get(
        reverse("recycle:suggest", args=["instance"]), {"other": "WEB", "near": "cn-beijing-6a"}
    ).text

    assert "web-here" in found
    assert "web-there" not in found
    assert "web-gone" not in found


def test_unknown_suggestions_are_not_there(client, alice):
    client.force_login(alice)

    assert client.get(reverse("recycle:suggest", args=["secret"])).status_code == 404
    assert (
        client.get(reverse("recycle:suggest", args=["tag"]), {"other": "x" * 501}).status_code
        == 200
    )


@pytest.mark.parametrize(
    "text", ["=" * 500, "\x00", "%", "a\u0300", "' OR 1=1", "10.0.", "::1", "f" * 36]
)
@pytest.mark.parametrize("kind", ["instance", "holder", "volume", "address", "listener", "tag"])
def test_whatever_is_typed_is_only_looked_for(client, alice, bound, kind, text):
    client.force_login(alice)

    assert (
        client.get(
            reverse("recycle:suggest", args=[kind]), {"other": text, "near": text[:32]}
        ).status_code
        == 200
    )
