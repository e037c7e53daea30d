"""Django admin: for superusers, and by the same verbs as everywhere else."""

import pytest
from django.contrib import admin
from django.urls import reverse

from recycle.lifecycle import State
from recycle.models import Event, Instance, User
from recycle.policy import BillingMode

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    return user


def act(client, action, *instances):
    data = {"action": action, "_selected_action": [instance.pk for instance in instances]}
    return client.post(reverse("admin:recycle_instance_changelist"), data, follow=True)


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.model_name)
def test_every_model_has_a_list_that_can_be_searched(client, root, model, make_instance, bind):
    bind(make_instance())

    response = client.get(reverse(f"admin:recycle_{model._meta.model_name}_changelist"), {"q": "10"})

    assert response.status_code == 200
    assert len(admin.site._registry[model].list_display) > 1


def test_staff_who_are_no_superusers_are_sent_to_the_login(client):
    client.force_login(User.objects.create_user("staff", is_staff=True))

    response = client.get(reverse("admin:index"))

    assert response.status_code == 302


def test_recycle_moves_to_the_bin_and_releases_nothing(client, root, make_instance):
    daily, hourly = make_instance(), make_instance(billing_mode=BillingMode.HOURLY)

    response = act(client, "recycle", daily, hourly)

    assert Instance.objects.get(pk=daily.pk).state == State.RECYCLED
    assert Instance.objects.get(pk=hourly.pk).state == State.ACTIVE
    assert "Done for 1 instance." in response.text
    assert hourly.name in response.text
    assert Event.objects.get().by == root


def test_restore_and_purge_do_what_the_console_does(client, root, make_instance):
    back, gone = make_instance(State.RECYCLED), make_instance(State.RECYCLED)

    act(client, "restore", back)
    act(client, "purge", gone)

    assert Instance.objects.get(pk=back.pk).state == State.STOPPED
    assert Instance.objects.get(pk=gone.pk).state == State.PURGED


@pytest.mark.parametrize("model", [Instance, Event])
def test_the_admins_own_delete_is_off(client, root, model, recycled, rf):
    request = rf.get("/")
    request.user = root

    assert "delete_selected" not in admin.site._registry[model].get_actions(request)
    assert not admin.site._registry[model].has_delete_permission(request)


def test_state_and_times_are_read_only(client, root, recycled):
    url = reverse("admin:recycle_instance_change", args=[recycled.pk])

    response = client.post(url, {"name": "renamed", "image_name": "", "state": "active", "purge_at_0": "2030-01-01"})

    before = recycled.purge_at
    recycled.refresh_from_db()
    assert response.status_code == 302
    assert (recycled.name, recycled.state, recycled.purge_at) == ("renamed", State.RECYCLED, before)


def test_an_account_with_instances_cannot_be_deleted_with_them(client, root, recycled):
    url = reverse("admin:recycle_account_delete", args=[recycled.account_id])

    client.post(url, {"post": "yes"})

    assert Instance.objects.filter(pk=recycled.pk).exists()
