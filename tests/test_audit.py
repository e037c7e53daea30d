"""Who logs in and who tries: written with address and request, without secrets, and within
bounds.
"""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import authenticate
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle.actions import audit
from recycle.models import AuditEvent, Event, Origin, User
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

PASSWORD = "a-Long-Secret-7"
FROM = "203.0.113.7"


def log_in(client, name, password=PASSWORD, address=FROM):
    return client.post(reverse("login"), {"login": name, "password": password}, REMOTE_ADDR=address)


@pytest.fixture
def person(alice):
    alice.set_password(PASSWORD)
    alice.save()
    return alice


def test_who_logs_in_and_out_is_written_with_address_and_request(client, person):
    into = log_in(client, "alice")
    out = client.post(reverse("logout"), REMOTE_ADDR=FROM)

    login, logout = AuditEvent.objects.order_by("id")
    assert (login.action, logout.action) == ("login", "logout")
    for row, response in ((login, into), (logout, out)):
        assert (row.by, row.by_name, row.subject_name, row.kind) == (
            person,
            "alice",
            "alice",
            "user",
        )
        assert (row.address, row.request_id) == (FROM, UUID(response["X-Request-Id"]))


def test_logging_out_without_being_logged_in_writes_nothing(client):
    client.post(reverse("logout"))

    assert not AuditEvent.objects.exists()


def test_a_failed_login_names_an_existing_user_and_is_by_nobody(client, person):
    response = log_in(client, "alice", "wrong")

    row = AuditEvent.objects.get()
    assert (row.action, row.subject_name, row.subject_id) == (
        "login_failed",
        "alice",
        str(person.pk),
    )
    assert (row.by, row.by_name, row.address) == (None, "", FROM)
    assert row.request_id == UUID(response["X-Request-Id"])


@pytest.mark.parametrize("typed", ["Hunter-2-Hunter-2", "ALICE", "x", "名" * 150])
def test_a_name_that_nobody_has_may_be_a_password_and_is_not_kept(client, person, typed):
    log_in(client, typed, "wrong")

    row = AuditEvent.objects.get()
    assert (row.action, row.subject_name, row.subject_id) == ("login_failed", "", "")
    assert typed not in str(AuditEvent.objects.values())


def test_a_deactivated_user_fails_like_everybody_else(client, person):
    User.objects.update(is_active=False)

    log_in(client, "alice")

    assert AuditEvent.objects.get().action == "login_failed"


@pytest.mark.slow
def test_failures_add_up_instead_of_filling_the_log(client, person, mallory):
    for number in range(12):
        log_in(client, f"nobody-{number}", "wrong")
    for name in ("alice", "mallory", "alice"):
        log_in(client, name, "wrong")
    log_in(client, "alice", "wrong", address="203.0.113.8")

    rows = AuditEvent.objects.order_by("id").values_list("subject_name", "address", "count")
    assert list(rows) == [
        ("", FROM, 12),
        ("alice", FROM, 2),
        ("mallory", FROM, 1),
        ("alice", "203.0.113.8", 1),
    ]
    once = AuditEvent.objects.get(count=12)
    assert once.last_at
    assert once.last_at > once.at


def test_an_ipv6_subscriber_is_one_address(now):
    for host in range(5):
        audit.failed_login(None, context=acting(None, now, origin=Origin(f"2001:db8:1:2::{host}")))
    audit.failed_login(None, context=acting(None, now, origin=Origin("2001:db8:1:3::1")))

    rows = AuditEvent.objects.order_by("id").values_list("address", "count")
    assert list(rows) == [("2001:db8:1:2::", 5), ("2001:db8:1:3::", 1)]


def test_without_an_address_failures_add_up_all_the_same(now):
    for _ in range(3):
        audit.failed_login(None, context=acting(None, now, origin=Origin()))

    assert AuditEvent.objects.get().count == 3


def test_an_hour_later_a_new_row_begins(now):
    for minutes in (0, 59, 61):
        audit.failed_login(
            None, context=acting(None, now + timedelta(minutes=minutes), origin=Origin(FROM))
        )

    assert list(AuditEvent.objects.order_by("id").values_list("count", flat=True)) == [2, 1]


@pytest.mark.django_db(transaction=True)
def test_no_failure_is_lost_when_many_come_at_once(threads, now):
    audit.failed_login(None, context=acting(None, now, origin=Origin(FROM)))

    calls = [
        threads.go(audit.failed_login, None, context=acting(None, now, origin=Origin(FROM)))
        for _ in range(8)
    ]
    for call in calls:
        call.result()

    assert AuditEvent.objects.get().count == 9


def test_a_known_and_an_unknown_name_cost_the_same(client, person):
    log_in(client, "nobody", "wrong")
    log_in(client, "alice", "wrong")

    counts = []
    for name in ("nobody", "alice"):
        with CaptureQueriesContext(connection) as queries:
            log_in(client, name, "wrong")
        counts.append([word for query in queries if (word := query["sql"].split()[0]) != "PRAGMA"])
    assert counts[0] == counts[1]
    assert len(counts[0]) <= 8


def test_a_login_from_the_shell_is_no_fault(person):
    assert authenticate(username="alice", password="wrong") is None
    assert AuditEvent.objects.get().address is None


def test_the_row_of_a_failed_login_is_found_by_its_index(now):
    for number in range(300):
        audit.failed_login(
            None, context=acting(None, now, origin=Origin(f"10.1.{number // 250}.{number % 250}"))
        )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE recycle_auditevent")

    recent = AuditEvent.objects.filter(action="login_failed", address="10.1.0.7").order_by("-id")[
        :1
    ]

    assert "audit_failed_from" in recent.explain()


@pytest.mark.both
def test_what_one_request_did_is_found_by_an_index(account, alice, now):
    """Its number is looked for in every account of a person, however long their logs are."""
    common = {"at": now, "action": "create"}
    Event.objects.bulk_create(
        Event(account=account, batch=uuid4(), request_id=uuid4(), **common) for _ in range(1_000)
    )
    AuditEvent.objects.bulk_create(
        AuditEvent(request_id=uuid4(), kind="user", **common) for _ in range(1_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    events = Event.objects.visible_to(alice)

    assert (
        "event_of_request"
        in events.filter(account=account, request_id=uuid4()).order_by("-id")[:20].explain()
    )
    assert "event_of_batch" in events.filter(batch=uuid4()).values("account").explain()
    assert (
        "event_of_batch"
        in events.filter(account=account, batch=uuid4()).order_by("-id")[:20].explain()
    )
    assert (
        "audit_of_request"
        in AuditEvent.objects.filter(request_id=uuid4()).order_by("-id")[:20].explain()
    )
