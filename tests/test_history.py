"""History does not belong to who made it: people go, what they did stays and still says
their name.
"""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connection, transaction
from django.db.models import CASCADE, DO_NOTHING, PROTECT, ProtectedError
from django.db.models.deletion import get_candidate_relations_to_delete
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Account, AuditEvent, Event, Instance, Membership, Tag, User
from tests.conftest import acting
from tests.test_export import rows_of

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# What belongs to a person and goes with them: it says nothing about what they did. Django's own log
# would; each of its entries has one of ours beside it, which does not let the person go.
BELONGINGS = {
    "recycle.Membership.user",
    "recycle.ProjectRole.user",
    "recycle.User_groups.user",
    "recycle.User_user_permissions.user",
    "admin.LogEntry.user",
    "account.EmailAddress.user",
    "recycle.Session.user",
}
INLINES = ("memberships", "project_roles")
# What the admin deletes along with something else, and writes about.
GO_ALONG = {
    "User": {
        "recycle.Membership.user",
        "recycle.ProjectRole.user",
        "recycle.User_groups.user",
        "recycle.User_user_permissions.user",
    }
    | {"admin.LogEntry.user", "account.EmailAddress.user", "recycle.Session.user"},
    "Account": {
        "recycle.Membership.account",
        "recycle.Project.account",
        "recycle.RetentionRule.account",
    },
}


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    return user


@pytest.fixture
def deleted(alice, make_instance):
    """An instance that Alice has put into the bin."""
    instance = make_instance(name="web")
    actions.delete(
        Instance.objects.filter(pk=instance.pk), may_release=False, context=acting(alice)
    )
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


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.model_name)
def test_the_admin_deletes_nothing_in_silence_along_with_something_else(model, root, rf):
    request = rf.get("/")
    request.user = root
    if not admin.site._registry[model].has_delete_permission(request):
        return

    # What stands in the way of it goes with nothing.
    along = {
        label
        for label, field in foreign_keys_to(model)
        if field.remote_field.on_delete not in (PROTECT, DO_NOTHING)
    }

    assert along == GO_ALONG.get(model.__name__, set())


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
    User.objects.filter(pk=alice.pk).update(username="alice.smith", username_folded="alice.smith")
    Account.objects.filter(pk=account.pk).update(name="Acme", name_folded="acme")
    Instance.objects.filter(pk=deleted.pk).update(name="old-web", name_folded="old-web")
    client.force_login(victor)

    (event,) = client.get(reverse("recycle:log")).context["page"].rows

    assert (event.by_name, event.instance_name, event.instance_id) == ("alice", "web", deleted.pk)
    assert Instance.objects.get().recycled_by_name == "alice"


def test_a_restored_instance_was_deleted_by_nobody(deleted, alice):
    actions.restore(Instance.objects.all(), context=acting(alice))

    deleted.refresh_from_db()
    assert (deleted.recycled_by, deleted.recycled_by_name) == (None, None)


# --- In the admin ---------------------------------------------------------------------------------


def test_deleting_a_user_is_refused_and_deactivation_is_offered(client, root, deleted, alice):
    change = reverse("admin:recycle_user_change", args=[alice.pk])

    for method in (client.get, client.post):
        response = method(
            reverse("admin:recycle_user_delete", args=[alice.pk]), {"post": "yes"}, follow=True
        )

        assert response.redirect_chain == [(change, 302)]
        assert (
            "The user alice cannot be deleted: there are instances that name them." in response.text
        )
        assert "Deactivate the user instead" in response.text
    assert User.objects.filter(pk=alice.pk).exists()


def test_deleting_some_users_of_whom_one_is_named_deletes_none(client, root, deleted, alice):
    stray = User.objects.create_user("stray")
    selected = {
        "action": "delete_selected",
        "_selected_action": [alice.pk, stray.pk],
        "post": "yes",
    }

    response = client.post(reverse("admin:recycle_user_changelist"), selected, follow=True)

    assert "alice cannot be deleted" in response.text
    assert User.objects.filter(pk__in=[alice.pk, stray.pk]).count() == 2
    assert not AuditEvent.objects.filter(action="remove").exists()


def test_a_user_made_by_mistake_can_be_deleted_and_that_is_written(client, root, account):
    stray = User.objects.create_user("stray")
    Membership.objects.create(user=stray, account=account, role=10)

    client.post(reverse("admin:recycle_user_delete", args=[stray.pk]), {"post": "yes"})

    assert not User.objects.filter(pk=stray.pk).exists()
    audit = AuditEvent.objects.get(action="remove")
    assert (audit.kind, audit.subject_name, audit.by, audit.by_name) == (
        "user",
        "stray",
        root,
        "root",
    )
    event = Event.objects.get()
    assert (event.action, event.kind, event.resource_name, event.account) == (
        "remove",
        "member",
        "stray",
        account,
    )
    assert event.changes == ["role: Viewer → –"]


def test_an_account_with_a_history_is_kept_and_said_so_without_naming_all_of_it(
    client, root, deleted, account
):
    Event.objects.bulk_create(
        Event(account=account, at=deleted.created_at, batch=deleted.pk, action="start")
        for _ in range(200)
    )
    url = reverse("admin:recycle_account_delete", args=[account.pk])

    response = client.post(url, {"post": "yes"}, follow=True)

    assert "Acme Research cannot be deleted" in response.text
    assert "Remove its members instead" in response.text
    assert response.text.count("Acme Research cannot be deleted") == 1
    assert Account.objects.filter(pk=account.pk).exists()


def test_an_account_without_a_history_can_be_deleted_and_the_log_says_who_was_in_it(
    client, root, alice, account
):
    client.post(reverse("admin:recycle_account_delete", args=[account.pk]), {"post": "yes"})

    assert not Account.objects.filter(pk=account.pk).exists()
    removed = (
        AuditEvent.objects.filter(action="remove")
        .order_by("id")
        .values_list("kind", "subject_name")
    )
    assert list(removed) == [
        ("membership", "alice · Acme Research · Administrator"),
        ("account", "Acme Research"),
    ]


def test_what_is_bound_cannot_be_deleted_in_the_admin_without_an_event(
    client, root, make_instance, bind
):
    bind(make_instance())

    for model in ("tag", "loadbalancer", "listener"):
        row = apps.get_model("recycle", model).objects.get()
        response = client.post(
            reverse(f"admin:recycle_{model}_delete", args=[row.pk]), {"post": "yes"}
        )
        assert response.status_code == 403
        selected = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        client.post(reverse(f"admin:recycle_{model}_changelist"), selected)

    assert Tag.objects.get().instance_tags.exists()


def test_no_admin_can_go_while_djangos_log_names_them(client, root, alice, account):
    membership = Membership.objects.get()
    edits = [
        (
            "recycle_account_add",
            [],
            {"name": "New", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0},
        ),
        ("recycle_membership_change", [membership.pk], {"role": 10}),
        ("recycle_membership_delete", [membership.pk], {"post": "yes"}),
        (
            "auth_user_password_change",
            [alice.pk],
            {"password1": "a-Long-Secret-7", "password2": "a-Long-Secret-7"},
        ),
    ]
    # Not the login: an edit alone is enough.
    AuditEvent.objects.all().delete()
    for name, args, data in edits:
        with transaction.atomic():
            before = LogEntry.objects.count()
            client.post(reverse(f"admin:{name}", args=args), data)
            assert LogEntry.objects.count() == before + 1

            with pytest.raises(ProtectedError):
                root.delete()

    assert LogEntry.objects.filter(user=root).count() == len(edits)


# --- Deactivated ----------------------------------------------------------------------------------


def test_who_is_deactivated_is_logged_out_cannot_log_in_and_is_still_named(
    client, root, deleted, alice
):
    alice.set_password("a-Long-Secret-7")
    alice.save()
    browser = type(client)()
    browser.force_login(alice)
    assert browser.get(reverse("recycle:bin")).status_code == 200

    client.post(
        reverse("admin:recycle_user_changelist"),
        {"action": "deactivate", "_selected_action": [alice.pk]},
    )

    alice.refresh_from_db()
    assert not alice.is_active
    assert browser.get(reverse("recycle:bin")).status_code == 302
    assert not browser.login(username="alice", password="a-Long-Secret-7")
    Membership.objects.create(user=root, account=deleted.account, role=10)
    assert "by alice" in client.get(reverse("recycle:bin")).text


@pytest.mark.parametrize("way", ["action", "form"])
def test_a_session_that_a_deactivation_ended_does_not_come_back(client, root, alice, way):
    browser = type(client)()
    browser.force_login(alice)
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    inlines = [f"{name}-{kind}_FORMS" for name in INLINES for kind in ("TOTAL", "INITIAL")]
    form = {"username": "alice", **dict.fromkeys(inlines, 0)}
    change = reverse("admin:recycle_user_change", args=[alice.pk])

    if way == "action":
        client.post(
            reverse("admin:recycle_user_changelist"),
            {"action": "deactivate", "_selected_action": [alice.pk]},
        )
    else:
        client.post(change, form)
    assert not User.objects.get(pk=alice.pk).is_active
    client.post(change, form | {"is_active": "on"})
    assert User.objects.get(pk=alice.pk).is_active

    browser.cookies[settings.SESSION_COOKIE_NAME] = session
    assert browser.get(reverse("recycle:bin")).status_code == 302
    browser.force_login(User.objects.get(pk=alice.pk))
    assert browser.get(reverse("recycle:bin")).status_code == 200


def test_nobody_deactivates_themselves_by_selecting_all(client, root, alice):
    selected = {"action": "deactivate", "_selected_action": [root.pk, alice.pk]}

    response = client.post(reverse("admin:recycle_user_changelist"), selected, follow=True)

    assert set(User.objects.filter(is_active=True)) == {root}
    assert "1 user is deactivated." in response.text
    assert "You cannot deactivate yourself." in response.text


# --- Upgrade --------------------------------------------------------------------------------------


def test_the_upgrade_finds_the_names_of_people_who_are_gone(
    deleted, alice, oscar, make_instance, now, monkeypatch
):
    """By the event of the deletion, and without one by the user."""
    other = make_instance(State.RECYCLED, recycled_by=oscar)
    Instance.objects.filter(pk=deleted.pk).update(recycled_by=None)
    Event.objects.update(by=None)
    Instance.objects.update(recycled_by_name=None, recycled_by_name_folded=None)
    alice.delete()
    # It runs before there are folded columns.
    monkeypatch.setattr("tests.folding.BESIDE", {})

    import_module("recycle.migrations.0009_fill_recycled_by_name").fill(apps, None)

    names = dict(Instance.objects.values_list("pk", "recycled_by_name"))
    assert names == {deleted.pk: "alice", other.pk: "oscar"}


def test_the_upgrade_copies_djangos_log_without_values(alice, mallory):
    kind = ContentType.objects.get_for_model(User)
    for user, message in (
        (
            alice,
            (
                '[{"changed": {"fields": ["Username", "Password"]}}, {"added": '
                '{"name": "membership", "object": "X"}}]'
            ),
        ),
        (mallory, "Changed something."),
    ):
        LogEntry.objects.create(
            user=user,
            content_type=kind,
            object_id="7",
            object_repr="bob",
            action_flag=CHANGE,
            change_message=message,
        )

    import_module("recycle.migrations.0012_copy_admin_log").copy(apps, None)

    copied = AuditEvent.objects.order_by("id")
    assert [
        (each.by, each.by_name, each.action, each.kind, each.subject_name) for each in copied
    ] == [
        (alice, "alice", "update", "user", "bob"),
        (mallory, "mallory", "update", "user", "bob"),
    ]
    assert [each.changes for each in copied] == [["Username, Password, X"], ["Changed something."]]
    with pytest.raises(ProtectedError):
        mallory.delete()
