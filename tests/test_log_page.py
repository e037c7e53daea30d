"""The Operation Log."""

from datetime import timedelta

import pytest
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Event, Instance
from tests.conftest import HTMX, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, alice):
    client.force_login(alice)
    return lambda **query: client.get(reverse("recycle:log"), query)


def test_an_event_tells_what_was_done_to_what_by_whom_and_why(page, alice, make_instance, bind):
    instance = make_instance(name="web")
    bind(instance)
    actions.delete(
        Instance.objects.all(), may_release=False, context=acting(alice, reason="wrong stack")
    )

    text = page().text

    for words in (
        "Move to the recycle bin",
        "web",
        str(instance.pk),
        "Running → Recycled",
        "alice",
        "wrong stack",
    ):
        assert words in text
    assert "1 SLB" in text


def test_what_nobody_did_was_done_by_the_schedule(page, make_instance, now):
    make_instance(State.RECYCLED, recycled_at=now - timedelta(hours=2), purge_at=now)
    actions.purge_due(context=acting(None, now))

    assert ">Schedule</td>" in page().text


def test_the_newest_comes_first_and_the_oldest_on_demand(page, alice, make_instance):
    make_instance()
    for verb in (actions.stop, actions.start):
        verb(Instance.objects.all(), context=acting(alice))

    def done(**query):
        return [event.action for event in page(**query).context["page"].rows]

    assert done() == ["start", "stop"]
    assert done(sort="at") == ["stop", "start"]


def test_a_batch_leads_to_what_the_same_request_did(page, alice, make_instance):
    first, second, other = (make_instance() for _ in range(3))
    outcome = actions.stop(
        Instance.objects.filter(pk__in=[first.pk, second.pk]), context=acting(alice)
    )
    actions.stop(Instance.objects.filter(pk=other.pk), context=acting(alice))

    rows = page(batch=str(outcome.batch)).context["page"].rows

    assert f"?batch={outcome.batch}" in page().text
    assert {event.instance_id for event in rows} == {first.pk, second.pk}


def test_events_outlive_their_instance(page, alice, make_instance):
    instance = make_instance(name="web")
    actions.stop(Instance.objects.all(), context=acting(alice))
    instance.delete()

    assert "web" in page().text


def test_the_piece_is_the_list_alone(page, client):
    page()

    text = client.get(reverse("recycle:log"), headers=HTMX).text

    assert text.lstrip().startswith('<div id="log"')
    assert "<html" not in text


def test_a_stranger_sees_nothing_of_it(client, alice, mallory, make_instance):
    make_instance(name="secret-name")
    actions.stop(Instance.objects.all(), context=acting(alice))
    batch = Event.objects.get().batch
    client.force_login(mallory)

    for query in ({}, {"q": "secret"}, {"batch": str(batch)}, {"by": "alice"}):
        response = client.get(reverse("recycle:log"), query)

        assert response.context["page"].rows == []
        assert "secret-name" not in response.text


def test_an_empty_log_and_an_empty_answer_say_different_things(page):
    assert "Nothing has been done yet." in page().text
    assert "No event matches this filter." in page(q="x").text
