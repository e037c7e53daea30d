"""Another name for one instance, or for many with numbers."""

import pytest
from django.urls import reverse

from recycle import actions
from recycle.actions import jobs, move
from recycle.lifecycle import Action, State
from recycle.models import Event, Instance
from tests.conftest import HTMX, acting, send

pytestmark = [pytest.mark.django_db, pytest.mark.both]


def names():
    return sorted(Instance.objects.values_list("name", flat=True))


def test_one_gets_the_name_and_its_event_says_what_it_was_called(make_instance, alice):
    instance = make_instance(name="web")

    actions.rename(Instance.objects.all(), name="Größe", context=acting(alice))

    instance.refresh_from_db()
    assert (instance.name, instance.name_folded) == ("Größe", "grösse")
    event = Event.objects.get(action=Action.RENAME)
    assert (event.instance_name, event.changes) == ("Größe", ["name: web → Größe"])


def test_many_are_numbered_in_the_order_of_their_names_whatever_chunks_they_come_in(
    make_instance, alice, monkeypatch
):
    monkeypatch.setattr(move, "CHUNK", 2)
    for letter in "ecadb":
        make_instance(name=letter)
    make_instance(State.RECYCLED, name="bin")

    outcome = actions.rename(
        Instance.objects.order_by("name"), name="web", number=8, count=6, context=acting(alice)
    )

    assert names() == ["bin", "web-08", "web-09", "web-10", "web-11", "web-12"]
    assert [refused.name for refused in outcome.refused] == ["bin"]
    told = {event.changes[0] for event in Event.objects.all()}
    assert {"name: a → web-08", "name: e → web-12"} < told


def test_a_batch_job_goes_on_with_the_numbers_where_its_last_chunk_ended(
    make_instance, alice, account, monkeypatch
):
    monkeypatch.setattr(jobs, "CHUNK", 2)
    for letter in "abcde":
        make_instance(name=letter)
    parameters = {"name": "web", "number": 1, "count": 5}
    order = actions.JobOrder(account=account, action=Action.RENAME, parameters=parameters)
    actions.request_job(Instance.objects.order_by("name"), order, context=acting(alice))

    actions.carry_out_jobs(context=acting(None))

    assert names() == [f"web-0{number}" for number in range(1, 6)]


def test_the_dialog_shows_the_new_names_and_ok_gives_them(client, oscar, make_instance):
    client.force_login(oscar)
    first, second = make_instance(name="a"), make_instance(name="b")
    data = {"ids": [first.pk, second.pk], "name": "web", "number": "3"}

    shown = client.post(reverse("recycle:rename"), data, headers=HTMX)
    before = names()
    send(client, "rename", first, second, name="web", number="3")

    assert "→ web-03" in shown.text
    assert before == ["a", "b"]
    assert names() == ["web-03", "web-04"]


@pytest.mark.parametrize("name", ["", "w", "x" * 65, "x" * 64, "\u202ename"])
def test_a_name_that_cannot_be_is_told_in_the_dialog(client, oscar, make_instance, name):
    client.force_login(oscar)
    first, second = make_instance(name="a"), make_instance(name="b")

    answer = send(client, "rename", first, second, name=name)

    assert answer.status_code == 422
    assert 'class="errorlist"' in answer.text
    assert names() == ["a", "b"]


def test_without_a_script_the_dialog_is_a_page_with_the_old_name_in_it(
    client, oscar, make_instance
):
    client.force_login(oscar)
    instance = make_instance(name="web")

    page = client.get(reverse("recycle:rename"), {"ids": [instance.pk]})

    assert "<html" in page.text
    assert 'value="web"' in page.text
