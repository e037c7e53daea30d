"""Where a request comes from and which one it was, in every answer and in every event."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import RequestFactory
from django.urls import reverse

from recycle import actions
from recycle.http import address_of
from recycle.models import Event
from tests.client import Client
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

FROM = "203.0.113.7"


@pytest.mark.parametrize("name", ["healthz", "login", "recycle:bin", "recycle:log", "admin:index"])
def test_every_answer_carries_the_id_of_its_request(client, name):
    first, second = (client.get(reverse(name), headers={"X-Request-Id": "mine"}) for _ in range(2))

    assert UUID(first["X-Request-Id"]) == first.wsgi_request.id
    assert first["X-Request-Id"] != second["X-Request-Id"]


def test_an_answer_that_never_reaches_a_view_carries_it_too(client):
    lost: Any = client.get("/nowhere/")
    refused: Any = Client(enforce_csrf_checks=True).post(reverse("login"))

    for response in (lost, refused):
        assert UUID(response["X-Request-Id"]) == response.wsgi_request.id


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        (0, FROM, "", FROM),
        # Nobody in front: whatever the header says, somebody made it up.
        (0, FROM, "10.0.0.1", FROM),
        (1, "127.0.0.1", FROM, FROM),
        (1, "127.0.0.1", f"10.0.0.1, {FROM}", FROM),
        (2, "127.0.0.1", f"10.0.0.1, {FROM}, 10.9.9.9", FROM),
        # It has not come through all of them: the peer is all that is known.
        (2, "127.0.0.1", FROM, "127.0.0.1"),
        (1, "", "", None),
        (1, "127.0.0.1", "<script>", None),
        (0, "::ffff:203.0.113.7", "", FROM),
        (0, "fe80::1%eth0", "", "fe80::1"),
    ],
)
def test_addresses_are_believed_as_far_as_our_own_proxies_reach(
    settings, proxies, peer, forwarded, address
):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert address_of(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer)) == address


def test_what_an_action_does_says_from_where_and_by_which_request(client, alice, make_instance):
    instance = make_instance()
    client.force_login(alice)

    response = client.post(
        reverse("recycle:delete"),
        {"ids": [instance.pk], "confirmed": "1", "scope": f"{instance.account_id}:"},
        REMOTE_ADDR=FROM,
    )

    event = Event.objects.get()
    assert (event.action, event.address, event.request_id) == (
        "recycle",
        FROM,
        UUID(response["X-Request-Id"]),
    )


def test_what_is_made_bound_and_set_says_it_as_well(client, alice, zone, account):
    client.force_login(alice)
    scope = {"scope": f"{account.pk}:", "confirmed": "1"}

    client.post(
        reverse("recycle:create_tag"), {"key": "env", "token": uuid4(), **scope}, REMOTE_ADDR=FROM
    )
    client.post(
        reverse("recycle:keep_for"),
        {"keep_for_0": 3, "keep_for_1": 86_400, **scope},
        REMOTE_ADDR=FROM,
    )

    assert list(Event.objects.order_by("id").values_list("action", "address")) == [
        ("create", FROM),
        ("update", FROM),
    ]
    assert Event.objects.filter(request_id=None).count() == 0


def test_the_schedule_comes_from_nowhere(make_instance, now):
    make_instance("recycled", recycled_at=now - timedelta(hours=2), purge_at=now)
    actions.purge_due(context=acting(None, now))

    event = Event.objects.get()
    assert (event.by, event.by_name, event.address, event.request_id) == (None, "", None, None)
