"""What is edited in the admin is written where it belongs, in one transaction, and without
secrets.
"""

import json
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, connection
from django.urls import reverse

from recycle.actions import audit
from recycle.logged import LoggedAdmin
from recycle.models import Account, AuditEvent, Event, Instance, Membership, Region, User, Zone
from recycle.policy import Role
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

PASSWORD = "a-Long-Secret-7"
FROM = "203.0.113.7"
NO_ROLES = {"project_roles-TOTAL_FORMS": 0, "project_roles-INITIAL_FORMS": 0}
NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0, **NO_ROLES}


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    AuditEvent.objects.all().delete()
    return user


def everything_written():
    """All that the logs keep, as one text."""
    rows = [*Event.objects.values(), *AuditEvent.objects.values()]
    return json.dumps(rows, default=str)


def edit(client, page, /, *args, **data):
    response = client.post(reverse(f"admin:{page}", args=args), data, REMOTE_ADDR=FROM)
    assert response.status_code == 302, response.context["errors"]
    return response


def only(model):
    row = model.objects.get()
    assert (row.by_name, row.address) == ("root", FROM)
    assert row.request_id is not None
    return row


def test_a_new_user_is_written_without_the_password(client, root):
    typed = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    edit(client, "recycle_user_add", username="bob", **typed, **NO_MEMBERS)

    row = only(AuditEvent)
    assert (row.action, row.kind, row.subject_name, row.changes) == (
        "create",
        "user",
        "bob",
        ["username: – → bob"],
    )
    assert PASSWORD not in everything_written()
    assert User.objects.get(username="bob").password not in everything_written()


def test_a_change_of_somebodys_password_is_written_without_it(client, root, alice):
    edit(client, "auth_user_password_change", alice.pk, password1=PASSWORD, password2=PASSWORD)

    row = only(AuditEvent)
    assert (row.action, row.subject_name, row.detail) == ("password", "alice", {})
    assert PASSWORD not in everything_written()
    assert User.objects.get(pk=alice.pk).password not in everything_written()


def test_a_form_that_holds_a_secret_writes_all_but_that():
    typed = {"username": "bob", "password": PASSWORD, "password1": PASSWORD}

    changes = audit.changes_of(User, list(typed), {}, typed)

    assert changes == {"username": (None, "bob")}


def test_a_change_of_ones_own_password_is_written_too(client, root):
    root.set_password("Another-Secret-8")
    root.save()
    client.force_login(root)
    AuditEvent.objects.all().delete()

    client.post(
        reverse("recycle:password"),
        {"old": "wrong", "new": PASSWORD, "again": PASSWORD},
        REMOTE_ADDR="203.0.113.7",
    )
    assert not AuditEvent.objects.exists()
    client.post(
        reverse("recycle:password"),
        {"old": "Another-Secret-8", "new": PASSWORD, "again": PASSWORD},
        REMOTE_ADDR="203.0.113.7",
    )

    row = only(AuditEvent)
    assert (row.action, row.subject_name) == ("password", "root")
    assert PASSWORD not in everything_written()


def test_a_password_that_was_not_accepted_is_not_written(client, root, alice):
    client.get(reverse("admin:auth_user_password_change", args=[alice.pk]))
    client.post(
        reverse("admin:auth_user_password_change", args=[alice.pk]),
        {"password1": "a", "password2": "b"},
    )

    assert not AuditEvent.objects.exists()


def test_rights_and_names_of_users_are_written_with_what_they_were(client, root, alice):
    membership = alice.memberships.get()
    members = {
        **NO_ROLES,
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": membership.pk,
        "memberships-0-user": alice.pk,
        "memberships-0-account": membership.account_id,
        "memberships-0-role": 30,
    }

    edit(
        client,
        "recycle_user_change",
        alice.pk,
        username="alice",
        is_active="on",
        is_superuser="on",
        **members,
    )

    row = only(AuditEvent)
    assert (row.action, row.kind, row.subject_name) == ("update", "user", "alice")
    assert "superuser status: no → yes" in row.changes
    assert not Event.objects.exists()


def test_a_deactivation_is_written_by_either_way(client, root, alice):
    client.post(
        reverse("admin:recycle_user_changelist"),
        {"action": "deactivate", "_selected_action": [alice.pk]},
        REMOTE_ADDR=FROM,
    )
    assert only(AuditEvent).changes == ["active: yes → no"]

    AuditEvent.objects.all().delete()
    User.objects.filter(pk=alice.pk).update(is_active=True)
    edit(client, "recycle_user_change", alice.pk, username="alice", **NO_MEMBERS)
    assert only(AuditEvent).changes == ["active: yes → no"]


def test_memberships_are_written_in_the_log_of_their_account(client, root, mallory, account):
    edit(client, "recycle_membership_add", user=mallory.pk, account=account.pk, role=10)
    membership = Membership.objects.get(user=mallory, account=account)
    edit(client, "recycle_membership_change", membership.pk, role=20)
    edit(client, "recycle_membership_delete", membership.pk, post="yes")

    events = Event.objects.order_by("id")
    assert [(each.action, each.kind, each.resource_name, each.changes) for each in events] == [
        ("create", "member", "mallory", ["role: – → Viewer"]),
        ("update", "member", "mallory", ["role: Viewer → Operator"]),
        ("remove", "member", "mallory", ["role: Operator → –"]),
    ]
    assert {(each.account, each.by, each.address) for each in events} == {(account, root, FROM)}
    assert not AuditEvent.objects.exists()


def test_memberships_on_the_page_of_the_account_are_written_too(
    client, root, alice, oscar, mallory, account
):
    hers, his = (Membership.objects.get(user=user) for user in (alice, oscar))
    edit(
        client,
        "recycle_account_change",
        account.pk,
        **{
            "name": account.name,
            "memberships-TOTAL_FORMS": 3,
            "memberships-INITIAL_FORMS": 2,
            "memberships-0-id": hers.pk,
            "memberships-0-account": account.pk,
            "memberships-0-role": 10,
            # Another person is another membership.
            "memberships-0-user": mallory.pk,
            "memberships-1-id": his.pk,
            "memberships-1-account": account.pk,
            "memberships-1-role": 20,
            "memberships-1-DELETE": "on",
            "memberships-2-user": mallory.pk,
            "memberships-2-role": 20,
        },
    )

    assert list(Event.objects.order_by("id").values_list("action", "resource_name")) == [
        ("update", "alice"),
        ("remove", "oscar"),
        ("create", "mallory"),
    ]
    assert Membership.objects.get(pk=hers.pk).user == alice


def test_settings_of_an_account_are_written_in_its_own_log(client, root, account):
    data = {"name": "Acme", "max_instances": 10, "keep_for_0": 3, "keep_for_1": 86_400}

    edit(client, "recycle_account_change", account.pk, **data, **NO_MEMBERS)

    kept, changed = Event.objects.order_by("id")
    assert kept.detail == {"retention": {"before": None, "after": 259_200}}
    assert (changed.action, changed.kind, changed.resource_name) == ("update", "account", "Acme")
    assert changed.changes == ["name: Acme Research → Acme", "instances at most: – → 10"]
    assert not AuditEvent.objects.exists()


def test_that_an_account_came_is_written_for_the_installation(client, root):
    edit(client, "recycle_account_add", name="New", max_volumes=3, **NO_MEMBERS)

    row = only(AuditEvent)
    assert (row.action, row.kind, row.subject_name) == ("create", "account", "New")
    assert row.changes == ["name: – → New", "EBS volumes at most: – → 3"]
    # So that an account made by mistake can be deleted again.
    assert not Event.objects.exists()
    edit(client, "recycle_account_delete", Account.objects.get(name="New").pk, post="yes")


def test_the_catalogue_is_written_for_the_installation(client, root):
    edit(client, "recycle_region_add", code="cn-north-9", name="North")
    edit(client, "recycle_zone_add", code="cn-north-9a", region="cn-north-9", vcpu_capacity=4)
    edit(
        client,
        "recycle_zone_change",
        "cn-north-9a",
        code="cn-north-9a",
        region="cn-north-9",
        vcpu_capacity=8,
    )
    edit(
        client,
        "recycle_zone_change",
        "cn-north-9a",
        code="cn-north-9a",
        region="cn-north-9",
        vcpu_capacity=8,
    )
    edit(client, "recycle_zone_delete", "cn-north-9a", post="yes")
    selected = {"action": "delete_selected", "_selected_action": ["cn-north-9"], "post": "yes"}
    edit(client, "recycle_region_changelist", **selected)

    rows = AuditEvent.objects.order_by("id").values_list("action", "kind", "subject_name")
    assert list(rows) == [
        ("create", "region", "cn-north-9 · North"),
        ("create", "zone", "cn-north-9a · Zone A"),
        ("update", "zone", "cn-north-9a · Zone A"),
        ("remove", "zone", "cn-north-9a · Zone A"),
        ("remove", "region", "cn-north-9 · North"),
    ]
    assert AuditEvent.objects.get(action="update").changes == ["vCPU at most: 4 → 8"]
    assert not Zone.objects.exists()
    assert not Region.objects.exists()


def test_an_instance_that_is_renamed_says_so_in_the_operation_log(client, root, make_instance):
    instance = make_instance(name="web", image_name="")

    edit(client, "recycle_instance_change", instance.pk, name="db", image_name="")

    event = only(Event)
    assert (event.action, event.instance_id, event.instance_name) == ("update", instance.pk, "db")
    assert event.changes == ["name: web → db"]


def test_what_can_be_bound_says_so_there_as_well(client, root, make_volume):
    volume = make_volume(name="data")
    fields = {"account": volume.account_id, "name": "logs", "type": volume.type, "size_gb": 40}

    edit(
        client,
        "recycle_volume_change",
        volume.pk,
        **fields,
        billing_mode=volume.billing_mode,
        created_at_0=f"{volume.created_at:%Y-%m-%d}",
        created_at_1=f"{volume.created_at:%H:%M:%S}",
    )

    event = only(Event)
    assert (event.action, event.kind, event.resource_name, event.account) == (
        "update",
        "volume",
        "logs",
        volume.account,
    )
    assert "name: data → logs" in event.changes


def test_an_edit_that_cannot_be_written_down_does_not_happen(client, root, alice, account):
    """Neither is there without the other."""
    membership = alice.memberships.get()
    refuse = {
        "sqlite": "CREATE TRIGGER full BEFORE INSERT ON {0} BEGIN SELECT RAISE(ABORT, 'full'); END",
        "postgresql": "ALTER TABLE {0} ADD CONSTRAINT full_ CHECK (false) NOT VALID",
    }[connection.vendor]
    # PostgreSQL alters no table of which checks are still to come.
    connection.check_constraints()
    with connection.cursor() as cursor:
        for table in ("recycle_event", "recycle_auditevent"):
            cursor.execute(refuse.format(table).replace("TRIGGER full", f"TRIGGER full_{table}"))
    edits: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("recycle_membership_change", [membership.pk], {"role": 10}),
        ("recycle_membership_delete", [membership.pk], {"post": "yes"}),
        ("auth_user_password_change", [alice.pk], {"password1": PASSWORD, "password2": PASSWORD}),
        ("recycle_region_add", [], {"code": "x", "name": "X"}),
        ("recycle_user_changelist", [], {"action": "deactivate", "_selected_action": [alice.pk]}),
        (
            "recycle_membership_changelist",
            [],
            {"action": "delete_selected", "_selected_action": [membership.pk]},
        ),
    ]

    for name, args, data in edits:
        with pytest.raises(DatabaseError):
            client.post(reverse(f"admin:{name}", args=args), data | {"post": "yes"})

    now = User.objects.get(pk=alice.pk)
    assert (now.is_active, now.password) == (True, alice.password)
    assert alice.memberships.get().role == Role.ADMINISTRATOR
    assert not Region.objects.filter(code="x").exists()


@pytest.mark.parametrize("model_admin", admin.site._registry.values(), ids=str)
def test_every_page_of_the_admin_writes_what_it_edits(model_admin):
    assert isinstance(model_admin, LoggedAdmin)


def test_what_is_saved_without_a_change_is_no_edit(client, root, account, alice, make_instance):
    instance = make_instance(name="web", image_name="")

    edit(client, "recycle_instance_change", instance.pk, name="web", image_name="")
    edit(client, "recycle_account_change", account.pk, name=account.name, **NO_MEMBERS)
    edit(client, "recycle_membership_change", alice.memberships.get().pk, role=30)

    for log in (Event, AuditEvent, LogEntry):
        assert not log.objects.exists()


def test_two_who_deactivate_the_same_person_write_it_once(root, alice, now):
    context = acting(root, now)

    first = audit.deactivate(User.objects.filter(pk=alice.pk), context=context)
    second = audit.deactivate(User.objects.filter(pk=alice.pk), context=context)

    assert [done.id for done in first.done] == [alice.pk]
    assert second.done == []
    assert AuditEvent.objects.count() == 1


def test_only_a_role_changes_in_a_membership(client, root, alice, mallory, account):
    membership = alice.memberships.get()
    other = Account.objects.exclude(pk=account.pk).get()

    edit(
        client,
        "recycle_membership_change",
        membership.pk,
        user=mallory.pk,
        account=other.pk,
        role=int(Role.VIEWER),
    )

    membership.refresh_from_db()
    assert (membership.user, membership.account, membership.role) == (alice, account, Role.VIEWER)


def test_an_action_in_the_admin_is_written_once(client, root, make_instance):
    instance = make_instance()

    edit(client, "recycle_instance_changelist", action="recycle", _selected_action=[instance.pk])

    assert only(Event).action == "recycle"
    assert Instance.objects.get().recycled_by_name == "root"
