"""A database that is busy, and requests that would write too much: a sentence, and nothing is
changed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event as Signal
from typing import Any

import pytest
from django.contrib.auth.hashers import get_hasher
from django.db import OperationalError, ProgrammingError, connection
from django.urls import reverse
from psycopg.errors import AdminShutdown, DiskFull

from recycle import actions
from recycle.actions.create import Order
from recycle.actions.resources import balancers, base, tags
from recycle.lifecycle import State
from recycle.models import (
    AuditEvent,
    Event,
    Instance,
    InstanceTag,
    Listener,
    LoadBalancer,
    Membership,
    RealServer,
    Tag,
    User,
)
from recycle.policy import MOST_TAGS, BillingMode, Refusal, Role
from recycle.views.errors import is_disk_full, is_passing
from tests.client import Client
from tests.conftest import HTMX, acting
from tests.threads import held

PASSWORD = "a-Long-Secret-7"

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.both]


@contextmanager
def somebody_else_writes(threads, instance) -> Iterator[None]:
    """The writer's lock of SQLite, or the row's of PostgreSQL, for longer than this connection
    waits.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")
        with closing(
            sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 20000")
        return
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    with other_holds(threads, instance):
        yield
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 0")


@contextmanager
def other_holds(threads, instance):
    """The row is held by a thread with a connection of its own."""
    ready, over = Signal(), Signal()

    def hold():
        with held(instance):
            ready.set()
            over.wait(20)

    done = threads.go(hold)
    assert ready.wait(20)
    yield
    over.set()
    done.result(20)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_busy_database_is_a_sentence_and_pages_go_on(
    client,
    alice,
    make_instance,
    threads,
    headers,
):
    instance = make_instance()
    client.force_login(alice)
    client.raise_request_exception = False

    with somebody_else_writes(threads, instance):
        answer = client.post(
            reverse("recycle:delete"), {"ids": instance.pk, "confirmed": "1"}, headers=headers
        )
        page = client.get(reverse("recycle:instances"), headers=headers)

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The database is busy" in answer.text
    assert page.status_code == 200
    assert instance.name in page.text
    assert Instance.objects.get().state == State.ACTIVE
    assert not Event.objects.exists()


on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite has the one lock")


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_page_of_another_region_is_shown_while_somebody_writes(
    client, alice, make_instance, zone, threads
):
    """Where the next page starts is not worth waiting for: later it is remembered again."""
    client.force_login(alice)
    client.get(reverse("recycle:instances"), {"region": ""})
    url = reverse("recycle:instances")

    with somebody_else_writes(threads, make_instance()):
        page = client.get(url, {"region": zone.region_id})
        pages = [
            client.get(reverse(f"recycle:{name}"), {"region": zone.region_id})
            for name in ("overview", "bin", "log")
        ]

    assert {answer.status_code for answer in (page, *pages)} == {200}
    assert client.session.get("region") == ""
    client.get(url, {"region": zone.region_id})
    assert client.session.get("region") == zone.region_id


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_session_that_cannot_be_saved_is_a_busy_database(
    client, alice, mallory, account, make_instance, threads
):
    Membership.objects.create(
        user=alice, account=mallory.memberships.get().account, role=Role.VIEWER
    )
    client.force_login(alice)
    client.raise_request_exception = False
    other = mallory.memberships.get().account

    with somebody_else_writes(threads, make_instance()):
        answer = client.post(reverse("recycle:account"), {"account": other.pk})

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_and_a_page_of_the_admin_wait_for_nobody(
    client, alice, make_instance, threads
):
    User.objects.filter(pk=alice.pk).update(is_superuser=True, is_staff=True)
    admin = Client()
    admin.force_login(alice)

    with somebody_else_writes(threads, make_instance()):
        wrong = client.post(reverse("login"), {"login": "nobody", "password": "wrong"})
        page = admin.get(reverse("admin:auth_user_password_change", args=[alice.pk]))

    assert (wrong.status_code, page.status_code) == (200, 200)
    assert not AuditEvent.objects.filter(action="login_failed").exists()


@pytest.mark.django_db(transaction=True)
def test_no_password_is_hashed_while_others_wait_for_the_database(client, alice, monkeypatch):
    """Hashing takes half a second on purpose: in a transaction, nobody else could write on
    SQLite.
    """
    User.objects.filter(pk=alice.pk).update(is_superuser=True, is_staff=True)
    client.force_login(alice)
    hasher, within = type(get_hasher()), []
    encode = hasher.encode

    def noticed(self, *args, **options):
        within.append(connection.in_atomic_block)
        return encode(self, *args, **options)

    monkeypatch.setattr(hasher, "encode", noticed)
    for name, typed in (
        ("auth_user_password_change", {"password1": PASSWORD, "password2": PASSWORD}),
        ("auth_user_password_change", {"usable_password": "false", "unset-password": "on"}),
    ):
        answer = client.post(reverse(f"admin:{name}", args=[alice.pk]), typed)
        assert answer.status_code == 302
    assert within == [False]
    assert not User.objects.get(pk=alice.pk).has_usable_password()
    assert AuditEvent.objects.filter(action="password", subject_name="alice").count() == 2


@on_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_full_disk_is_named_and_pages_go_on(client, alice, make_instance, headers):
    instances = [make_instance() for _ in range(200)]
    client.force_login(alice)
    client.raise_request_exception = False
    sent = {"ids": [instance.pk for instance in instances], "confirmed": "1"}

    with connection.cursor() as cursor:
        # Not a page more than there are.
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA max_page_count = 1")
        answer = client.post(reverse("recycle:delete"), sent, headers=headers)
        page = client.get(reverse("recycle:instances"), headers=headers)
        cursor.execute("PRAGMA max_page_count = 1073741823")

    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "The disk of the console is full" in answer.text
    assert (page.status_code, instances[-1].name in page.text) == (200, True)
    assert not Event.objects.exists()
    assert client.post(reverse("recycle:delete"), sent).status_code == 302


def test_a_full_disk_of_postgresql_is_no_busy_database():
    full, gone = OperationalError(), OperationalError()
    full.__cause__, gone.__cause__ = DiskFull(), AdminShutdown()

    assert (is_disk_full(full), is_disk_full(gone), is_disk_full(None)) == (True, False, False)
    assert is_passing(gone)


def test_what_is_wrong_with_the_request_is_no_busy_database(db):
    table_is_missing = OperationalError()
    with (
        pytest.raises((OperationalError, ProgrammingError)) as caught,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM there_is_no_such_table")
    connection.needs_rollback = False

    assert not is_passing(caught.value)
    assert not is_passing(ValueError())
    assert is_passing(table_is_missing)


# --- One request's fan-out ------------------------------------------------------------------------


@pytest.fixture
def make_tags(account):
    def make_tags(count, prefix="team"):
        return Tag.objects.bulk_create(
            Tag(account=account, key=prefix, value=str(n)) for n in range(count)
        )

    return make_tags


def refusals(outcome):
    return [refused.refusal for refused in outcome.refused]


def test_an_instance_takes_ten_tags(alice, make_instance, make_tags, now):
    instance, context = make_instance(), acting(alice, now)
    *first, last = make_tags(MOST_TAGS + 1)
    for tag in first:
        assert tags.add(tag, Instance.objects.all(), context=context).done

    assert refusals(tags.add(last, Instance.objects.all(), context=context)) == [Refusal.TOO_MANY]
    assert instance.instance_tags.count() == MOST_TAGS == 10


def test_an_order_of_more_tags_writes_nothing(alice, account, zone, instance_type, make_tags):
    order = Order(
        account=account,
        zone=zone,
        instance_type=instance_type,
        billing_mode=BillingMode.DAILY,
        count=100,
        tags=make_tags(6),
        new_tags=[("env", str(number)) for number in range(5)],
    )

    for dry_run in (True, False):
        outcome = actions.create(order, dry_run=dry_run, context=acting(alice))
        assert refusals(outcome) == [Refusal.TOO_MANY]

    assert (Instance.objects.count(), Tag.objects.count()) == (0, 6)


def test_the_page_says_how_many_tags_there_may_be(client, alice, account, zone, instance_type):
    client.force_login(alice)
    sent = {
        "billing_mode": "Daily", "zone": zone.pk, "shown_zone": zone.pk,
        "instance_type": instance_type.pk,
        "count": "100", "name": "web",
        "new_tags": "\n".join(f"key{number}=x" for number in range(12)),
    }  # fmt: skip

    text = client.get(reverse("recycle:create"), sent).text

    assert "An instance has 10 tags at most." in text


def test_the_quota_of_tags_is_kept_on_the_page_of_tags_and_by_an_order(
    alice, account, zone, instance_type, now
):
    account.max_tags = 2
    account.save()
    context = acting(alice, now)
    order = {
        "account": account,
        "zone": zone,
        "instance_type": instance_type,
        "billing_mode": BillingMode.DAILY,
    }

    made = [
        tags.create(Tag(account=account, key="env", value=value), context=context)
        for value in "abc"
    ]
    ordered = actions.create(Order(**order, new_tags=[("team", "x")]), context=acting(alice))

    assert [refusals(outcome) for outcome in made] == [[], [], [Refusal.QUOTA]]
    assert refusals(ordered) == [Refusal.QUOTA]
    assert Tag.objects.count() == 2


def test_no_deletion_unbinds_without_bound(
    alice, account, zone, make_instance, make_tags, now, monkeypatch, django_assert_max_num_queries
):
    """Whatever is deleted together with what is bound to it: too much is refused before anything is
    locked.
    """
    monkeypatch.setattr(base, "MOST_UNBOUND", 2)
    [tag] = make_tags(1)
    balancer = LoadBalancer.objects.create(
        account=account, region=zone.region, name="front", created_at=now
    )
    listener = Listener.objects.create(
        load_balancer=balancer, protocol="TCP", port=80, created_at=now
    )
    for _number in range(3):
        instance = make_instance()
        InstanceTag.objects.create(instance=instance, tag=tag)
        RealServer.objects.create(
            listener=listener, instance=instance, address=instance.private_ip, port=80
        )
    context = acting(alice, now)
    deletions: tuple[tuple[Any, Any], ...] = (
        (tags.remove, Tag.objects.all()),
        (balancers.remove_listeners, Listener.objects.all()),
        (balancers.remove, LoadBalancer.objects.all()),
    )

    for remove, rows in deletions:
        with django_assert_max_num_queries(9):
            outcome = remove(rows, context=context, unbind=True)
        assert refusals(outcome) == [Refusal.TOO_WIDE]
    monkeypatch.setattr(base, "MOST_UNBOUND", 4)

    assert all(remove(rows, context=context, unbind=True).done for remove, rows in deletions)
    assert not Tag.objects.exists()
    assert not RealServer.objects.exists()
