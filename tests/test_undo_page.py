"""Undo in the message after a delete: when it is offered, what it answers, and for whom."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.messages import get_messages
from django.urls import reverse

from recycle import actions
from recycle.actions.resources import addresses
from recycle.actions.undo import MOST_UNDONE, UNDO_FOR
from recycle.lifecycle import State
from recycle.models import ElasticIP, Event, Instance, RealServer
from recycle.policy import BillingMode
from tests.conftest import HTMX, acting

pytestmark = pytest.mark.django_db

DELETE = reverse("recycle:delete")
UNDO = reverse("recycle:undo")
LIST = reverse("recycle:instances")


def only(*instances):
    return Instance.objects.filter(pk__in=[each.pk for each in instances])


@pytest.fixture
def oscar_in(client, oscar):
    client.force_login(oscar)
    return client


@pytest.fixture
def bound(make_instance, bind):
    instance = make_instance(name="bound")
    bind(instance)
    return instance


def delete(client, *instances, headers=None, **fields):
    data = {"ids": [each.pk for each in instances], "confirmed": 1, "back": LIST, **fields}
    return client.post(DELETE, data, headers=headers or {}, follow=True).text


def batch():
    return Event.objects.filter(action="recycle").latest("id").batch


def undo(client, headers=None, follow=True, **fields):
    return client.post(
        UNDO, {"batch": batch(), "back": LIST, **fields}, headers=headers or {}, follow=follow
    )


# --- The offer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_after_a_delete_into_the_bin_the_message_offers_undo_for_half_a_minute(
    oscar_in, bound, headers
):
    before = datetime.now(UTC)

    text = delete(oscar_in, bound, headers=headers)

    assert f'action="{UNDO}"' in text
    assert f'name="batch" value="{batch()}"' in text
    [expires] = map(datetime.fromisoformat, re.findall(r'data-expires="([^"]+)"', text))
    assert timedelta(seconds=30) <= expires - before < timedelta(seconds=60)


def test_the_button_is_a_real_form_that_comes_back_to_the_page_it_stands_on(oscar_in, bound):
    text = delete(oscar_in, bound)

    [form] = re.findall(r'<form class="undo".*?</form>', text, re.DOTALL)
    assert 'method="post"' in form
    assert "csrfmiddlewaretoken" in form
    assert f'name="back" value="{LIST}?region="' in form


def test_of_what_was_released_at_once_the_message_says_that_it_cannot_be_undone(
    oscar_in, make_instance
):
    instance = make_instance(billing_mode=BillingMode.HOURLY, name="gone")

    text = delete(oscar_in, instance, confirm="gone")

    assert "Released 1 instance for good. What was released cannot be undone." in text
    assert UNDO not in text


def test_of_both_at_once_the_message_offers_the_one_and_says_the_other(
    oscar_in, bound, make_instance
):
    instance = make_instance(billing_mode=BillingMode.HOURLY, name="gone")

    text = delete(oscar_in, bound, instance, confirm="gone")

    assert "What was released cannot be undone." in text
    assert UNDO in text


def test_the_offer_is_made_once_and_only_beside_the_message_about_the_delete(oscar_in, bound):
    data = {"ids": [bound.pk], "confirmed": 1, "back": LIST}
    oscar_in.post(DELETE, data)
    refused = oscar_in.post(reverse("recycle:start"), {"ids": [bound.pk], "confirmed": 1})

    first, second = (oscar_in.get(refused["Location"]).text for _ in range(2))

    assert "1 instance was left alone" in first
    assert first.count(f'action="{UNDO}"') == 1
    assert UNDO not in second


def test_a_page_that_comes_too_late_offers_no_undo_and_keeps_the_message(oscar_in, bound):
    data = {"ids": [bound.pk], "confirmed": 1, "back": LIST}
    with time_machine.travel(datetime.now(UTC) - UNDO_FOR, tick=False):
        answer = oscar_in.post(DELETE, data)

    text = oscar_in.get(answer["Location"]).text

    assert "Moved 1 instance to the recycle bin." in text
    assert UNDO not in text
    assert "data-expires" not in text


def test_a_restore_offers_no_undo(oscar_in, recycled):
    text = oscar_in.post(
        reverse("recycle:restore"), {"ids": recycled.pk, "confirmed": 1, "back": LIST}, follow=True
    ).text

    assert "Restored 1 instance." in text
    assert UNDO not in text


def test_a_delete_of_more_than_can_be_undone_offers_none(oscar_in, make_instance):
    text = delete(oscar_in, *(make_instance() for _ in range(MOST_UNDONE + 1)))

    assert f"Moved {MOST_UNDONE + 1} instances to the recycle bin." in text
    assert UNDO not in text


def test_the_message_is_shown_once(oscar_in, bound):
    delete(oscar_in, bound)

    assert UNDO not in oscar_in.get(LIST).text


# --- The deed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_undo_brings_back_a_running_bound_instance_and_says_so(oscar_in, bound, headers):
    delete(oscar_in, bound)

    response = undo(oscar_in, headers)

    text = response.text
    assert "1 instance is back. 5 relationships are bound again. 1 instance runs again." in text
    assert only(bound).get().state == State.ACTIVE
    assert ElasticIP.objects.get().instance == bound
    assert RealServer.objects.get().instance == bound


def test_with_htmx_the_lists_hear_of_it(oscar_in, bound):
    delete(oscar_in, bound)

    response = undo(oscar_in, HTMX)

    assert "changed" in response["HX-Trigger"]
    assert response["HX-Reswap"] == "none"


def test_without_script_it_goes_back_to_the_list(oscar_in, bound):
    delete(oscar_in, bound)

    assert undo(oscar_in, follow=False).url == f"{LIST}?region="


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""]
)
def test_it_never_leads_away(oscar_in, bound, back):
    delete(oscar_in, bound)

    assert undo(oscar_in, follow=False, back=back).url == LIST


def test_what_is_left_alone_is_named_with_its_taker(oscar_in, oscar, bound, make_instance, now):
    delete(oscar_in, bound)
    taker = make_instance(name="taker")
    addresses.associate(ElasticIP.objects.all(), taker, context=acting(oscar, now))

    text = undo(oscar_in).text

    assert "Not everything could be undone:" in text
    assert f"bound · {ElasticIP.objects.get().address}: It is taken by another one." in text
    assert f'<a href="{reverse("recycle:instance", args=[taker.pk])}">taker</a>' in text


def test_undone_by_somebody_else_already_it_says_so(oscar_in, bound, oscar, now):
    delete(oscar_in, bound)
    actions.restore(only(bound), context=acting(oscar, now))

    text = undo(oscar_in).text

    assert "Nothing was undone:" in text
    assert "bound: It is back already." in text
    assert "1 instance is back" not in text


# --- Who, when, which -----------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_after_its_time_it_is_refused_with_a_sentence(oscar_in, oscar, bound, now, headers):
    actions.delete(
        only(bound), may_release=False, context=acting(oscar, now - timedelta(seconds=36))
    )

    response = undo(oscar_in, headers)

    assert response.status_code == 409
    assert "The time to undo this is over." in response.text
    assert only(bound).get().state == State.RECYCLED


def test_within_the_grace_it_is_not(oscar_in, oscar, bound, now):
    actions.delete(
        only(bound), may_release=False, context=acting(oscar, now - timedelta(seconds=32))
    )

    assert undo(oscar_in).status_code == 200
    assert only(bound).get().state == State.ACTIVE


def test_an_administrator_may_undo_what_an_operator_deleted(client, alice, oscar, bound, now):
    actions.delete(only(bound), may_release=False, context=acting(oscar, now))
    client.force_login(alice)

    undo(client)

    assert only(bound).get().state == State.ACTIVE


@pytest.mark.parametrize("who", ["oscar", "victor"])
def test_nobody_else_may(request, client, alice, bound, now, who):
    actions.delete(only(bound), may_release=False, context=acting(alice, now))
    client.force_login(request.getfixturevalue(who))

    response = undo(client)

    assert response.status_code == 403
    assert "Only the person who deleted it, or an administrator, can undo this." in response.text
    assert only(bound).get().state == State.RECYCLED


def test_a_stranger_s_batch_is_not_found(client, mallory, oscar, bound, now):
    actions.delete(only(bound), may_release=False, context=acting(oscar, now))
    client.force_login(mallory)

    response = undo(client)

    assert response.status_code == 404
    assert bound.name not in response.text


@pytest.mark.parametrize("value", ["", "nonsense", "c8c380be-efe2-4df8-8c3c-9b89ed7221a0"])
def test_a_batch_that_is_none_is_not_found(oscar_in, value):
    assert oscar_in.post(UNDO, {"batch": value}).status_code == 404


def test_undo_is_a_post(oscar_in):
    assert oscar_in.get(UNDO).status_code == 405


def test_without_a_login_it_leads_to_the_login(client, oscar, bound, now):
    actions.delete(only(bound), may_release=False, context=acting(oscar, now))

    assert client.post(UNDO, {"batch": batch()}).url.startswith(reverse("login"))
    assert only(bound).get().state == State.RECYCLED


@pytest.mark.parametrize("name", ["delete", "restore"])
def test_messages_carry_words_and_nothing_else(oscar_in, bound, recycled, name):
    about = bound if name == "delete" else recycled

    answer = oscar_in.post(reverse(f"recycle:{name}"), {"ids": about.pk, "confirmed": 1})

    assert [message.extra_tags for message in get_messages(answer.wsgi_request)] == [""]
