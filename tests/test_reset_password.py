"""Another password for an instance: written down as done, and kept nowhere."""

import logging

import pytest
from django.apps import apps
from django.core.serializers import serialize
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import Action
from recycle.models import BatchJob, Event
from recycle.views import verbs
from tests.conftest import acting, send
from tests.test_verbs_pages import fields_of

pytestmark = [pytest.mark.django_db, pytest.mark.both]

SECRET = "Sesame-Open-4711"


def everywhere():
    """The contents of all tables as one text."""
    return "".join(serialize("json", model._default_manager.all()) for model in apps.get_models())


def reset(client, instance, password=SECRET, again=None, **more):
    again = password if again is None else again
    return send(client, "reset_password", instance, password=password, password_again=again, **more)


def test_it_is_written_down_as_done_and_kept_nowhere(client, oscar, make_instance, caplog):
    caplog.set_level(logging.DEBUG)
    client.force_login(oscar)
    instance = make_instance()

    answer = reset(client, instance)

    assert Event.objects.get().action == Action.RESET_PASSWORD
    for text in (answer.text, everywhere(), caplog.text):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("password", "again"),
    [
        ("", ""),
        ("Short1", "Short1"),
        ("x" * 30 + "X12", "x" * 30 + "X12"),
        ("alllower123", "alllower123"),
        ("ALLUPPER123", "ALLUPPER123"),
        ("NoDigitsHere", "NoDigitsHere"),
        ("With Space1", "With Space1"),
        ("Größe12345", "Größe12345"),
        (SECRET, "Sesame-Open-4712"),
    ],
)
def test_what_kec_would_not_take_is_told_in_the_dialog_which_does_not_repeat_it(
    client, oscar, make_instance, password, again
):
    client.force_login(oscar)

    answer = reset(client, make_instance(), password, again)

    assert answer.status_code == 422
    assert 'class="errorlist"' in answer.text
    assert not password or password not in answer.text
    assert not Event.objects.exists()


def test_a_batch_job_is_told_nothing_of_it(client, oscar, make_instance):
    client.force_login(oscar)
    make_instance()
    listed = fields_of(client.get(reverse("recycle:instances")), form="instances")
    sent = {**listed, "all": "1", "confirmed": "1"}

    where = reverse("recycle:reset_password")
    client.post(where, {**sent, "password": SECRET, "password_again": SECRET})
    actions.carry_out_jobs(context=acting(None))

    assert BatchJob.objects.get().done == 1
    assert SECRET not in everywhere()


@pytest.mark.parametrize("debug", [True, False])
def test_no_report_of_an_error_shows_it(
    client, oscar, make_instance, monkeypatch, settings, caplog, debug
):
    settings.DEBUG = debug
    client.force_login(oscar)
    client.raise_request_exception = False

    def broken(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr(verbs, "report_moves", broken)

    answer = reset(client, make_instance())

    assert answer.status_code == 500
    assert SECRET not in answer.text + caplog.text
