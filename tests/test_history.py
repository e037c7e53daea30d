"""History does not belong to who made it: people go, what they did stays and still says their name."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import CASCADE, PROTECT, ProtectedError
from django.db.models.deletion import get_candidate_relations_to_delete
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Account, Event, Instance, Membership, User
from tests.test_export import rows_of

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# What belongs to a person and goes with them: it says nothing about what they did.
BELONGINGS = {
    "recycle.Membership.user",
    "recycle.User_groups.user",
    "recycle.User_user_permissions.user",
    # Django's own log, which goes with its user.
    "admin.LogEntry.user",
}


@pytest.fixture
def deleted(alice, make_instance):
    """An instance that Alice has put into the bin."""
    instance = make_instance(name="web")
    actions.delete(Instance.objects.filter(pk=instance.pk), by=alice, may_release=False)
    instance.refresh_from_db()
    return instance


def foreign_keys_to(model):
    relations: Any = get_candidate_relations_to_delete(model._meta)
    for relation in relations:
        field = relation.field
        yield f"{field.model._meta.label}.{field.name}", field


def delete_by_sql(user):
    Membership.objects.filter(user=user).delete()
    User.objects.filter(pk=user.pk)._raw_delete(using="default")
    connection.check_constraints()


@pytest.mark.parametrize(("label", "field"), list(foreign_keys_to(User)))
def test_whatever_names_a_user_is_history_with_a_name_or_a_belonging(label, field):
    if label in BELONGINGS:
        assert field.remote_field.on_delete is CASCADE
    else:
        assert field.remote_field.on_delete is PROTECT
        # Beside it stands what the user was called, so that the row can be read without the user.
        assert field.model._meta.get_field(f"{field.name}_name").get_internal_type() == "CharField"


def test_there_is_no_other_way_to_name_a_user():
    found = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.concrete_fields
        if field.related_model is User
    }

    assert found == {label for label, _field in foreign_keys_to(User)}
    assert found >= BELONGINGS


def test_a_user_whom_history_names_cannot_be_deleted_whatever_way(deleted, alice):
    with pytest.raises(ProtectedError):
        alice.delete()
    with pytest.raises(ProtectedError):
        User.objects.filter(pk=alice.pk).delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        delete_by_sql(alice)

    assert User.objects.filter(pk=alice.pk).exists()
    assert Membership.objects.filter(user=alice).exists()


def test_a_user_of_whom_nothing_is_known_can_be_deleted(alice):
    alice.delete()

    assert not User.objects.exists()


def test_the_bin_says_who_deleted_without_the_user(client, deleted, alice, victor):
    # As before users were protected, and as in a database that somebody has mended by hand.
    Instance.objects.update(recycled_by=None)
    Event.objects.update(by=None)
    alice.delete()
    client.force_login(victor)

    assert "by alice" in client.get(reverse("recycle:bin")).text
    assert "· alice" in client.get(reverse("recycle:instance", args=[deleted.pk])).text
    for name, found in (("alice", ["web"]), ("ALI", ["web"]), ("victor", [])):
        page = client.get(reverse("recycle:bin"), {"deleted_by": name}).context["page"]
        assert [instance.name for instance in page.rows] == found
    (row,) = rows_of(client.get(reverse("recycle:export_bin")))
    assert row["Deleted by"] == "alice"


def test_what_was_done_keeps_the_names_of_the_time(client, deleted, alice, account, victor):
    User.objects.filter(pk=alice.pk).update(username="alice.smith")
    Account.objects.filter(pk=account.pk).update(name="Acme")
    Instance.objects.filter(pk=deleted.pk).update(name="old-web")
    client.force_login(victor)

    (event,) = client.get(reverse("recycle:log")).context["page"].rows

    assert (event.by_name, event.instance_name, event.instance_id) == ("alice", "web", deleted.pk)
    assert Instance.objects.get().recycled_by_name == "alice"


def test_a_restored_instance_was_deleted_by_nobody(deleted, alice):
    actions.restore(Instance.objects.all(), by=alice)

    deleted.refresh_from_db()
    assert (deleted.recycled_by, deleted.recycled_by_name) == (None, None)


# --- Upgrade ----------------------------------------------------------------------------------------------


def test_the_upgrade_finds_the_names_of_people_who_are_gone(deleted, alice, oscar, make_instance, now):
    """By the event of the deletion, and without one by the user."""
    other = make_instance(State.RECYCLED, recycled_by=oscar)
    Instance.objects.filter(pk=deleted.pk).update(recycled_by=None)
    Event.objects.update(by=None)
    Instance.objects.update(recycled_by_name=None)
    alice.delete()

    import_module("recycle.migrations.0061_fill_recycled_by_name").fill(apps, None)

    names = dict(Instance.objects.values_list("pk", "recycled_by_name"))
    assert names == {deleted.pk: "alice", other.pk: "oscar"}
