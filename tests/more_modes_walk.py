"""The two billing modes of `tests/more_modes.py`, from their creation to their end, on every page.

Run by `test_more_modes.py` in a process of its own. One migration, made from the models as they
are with these modes, is all that the database gets.
"""

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.urls import reverse

from recycle import tasks
from recycle.labels import standard_label
from recycle.lifecycle import State
from recycle.models import Account, Instance
from recycle.offer import IMAGES
from recycle.policy import POLICIES, BillingMode
from tests.conftest import send
from tests.inventory import an_instance

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEEKLY, YEARLY = BillingMode("Weekly"), BillingMode("Yearly")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        loader = MigrationLoader(connection)
        before, after = loader.project_state(), ProjectState.from_apps(apps)
        changes = MigrationAutodetector(before, after).changes(graph=loader.graph)
        [migration] = changes.pop("recycle")
        assert not changes
        with connection.schema_editor() as editor:
            migration.apply(loader.project_state(), editor)


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.fixture
def alices(clock, client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def create(alices, account, zone, instance_type):
    """An instance, made on the page."""

    def create(mode, **changes):
        entered = {
            "billing_mode": mode.value,
            "zone": zone.pk,
            "shown_zone": zone.pk,
            "instance_type": instance_type.pk,
            "image": next(iter(IMAGES)),
            "system_disk_type": "SSD3.0",
            "system_disk_gb": "40",
            "subnet": "new",
            "security_group": "new",
            "name": mode.value,
            "count": "1",
            "token": str(uuid4()),
            "scope": f"{account.pk}:",
        }
        response = alices.post(reverse("recycle:create"), {**entered, **changes})
        assert response.status_code == 302, response.text
        return Instance.objects.get(name=mode.value)

    return create


def only():
    return Instance.objects.get()


def page(client, name, *arguments, **query):
    response = client.get(reverse(f"recycle:{name}", args=arguments), query)
    assert response.status_code == 200
    return response.text


def exported(client, name):
    text = client.get(reverse(f"recycle:{name}")).getvalue().decode("utf-8-sig")
    *rows, _last = csv.DictReader(io.StringIO(text, newline=""))
    return [row["Billing mode"] for row in rows]


def test_the_pages_say_what_the_modes_mean_before_there_is_an_instance_of_them(alices):
    bin_sentence = "A deleted Pay-By-Week instance waits in the recycle bin for 5 hours."
    expiry_sentence = (
        "A Yearly Subscription instance cannot be deleted. It is kept for 3 days after it expires."
    )

    form = page(alices, "create")
    assert f"<b>Pay-By-Week</b><small>By the week. {bin_sentence}" in form
    assert 'value="Yearly" data-expires' in form
    assert 'value="Weekly" data-expires' not in form
    assert bin_sentence in (tip := page(alices, "instances"))
    assert expiry_sentence in tip
    assert bin_sentence in (empty := page(alices, "bin"))
    assert expiry_sentence not in empty
    assert expiry_sentence in (empty := page(alices, "expired"))
    assert bin_sentence not in empty
    assert bin_sentence in page(alices, "retention")
    for name in ("instances", "bin"):
        assert '<option value="Weekly"' in page(alices, name)


def test_a_mode_with_a_bin_goes_there_comes_back_and_ends(alices, clock, create):
    instance = create(WEEKLY)
    assert (instance.state, instance.expires_at) == (State.ACTIVE, None)
    assert "Pay-By-Week" in page(alices, "instance", instance.pk)
    assert str(instance.pk) in page(alices, "instances", billing="Weekly")
    assert str(instance.pk) not in page(alices, "instances", billing="Daily")
    assert exported(alices, "export_instances") == ["Pay-By-Week"]

    send(alices, "delete", instance)
    assert only().state == State.ACTIVE
    assert "more than 10 minutes old" in page(alices, "instance", instance.pk)

    clock.shift(10 * MINUTE + timedelta(seconds=1))
    send(alices, "stop", instance, mode="StopCharging")
    assert only().no_fees
    send(alices, "delete", instance)
    recycled = only()
    assert (recycled.state, recycled.no_fees) == (State.RECYCLED, False)
    assert recycled.purge_at == recycled.recycled_at + 5 * HOUR
    assert "standard, 5 hours" in page(alices, "bin", billing="Weekly")
    assert "standard, 5 hours" in page(alices, "instance", instance.pk)
    assert str(instance.pk) in page(alices, "overview")
    assert exported(alices, "export_bin") == ["Pay-By-Week"]

    send(alices, "restore", instance)
    assert only().state == State.STOPPED
    send(alices, "start", instance)
    send(alices, "delete", instance)
    clock.shift(5 * HOUR - MINUTE)
    tasks.purge_due()
    assert only().state == State.RECYCLED
    clock.shift(MINUTE)
    tasks.purge_due()
    assert only().state == State.PURGED


def test_a_mode_that_expires_is_renewed_and_ends(alices, alice, clock, create):
    instance = create(YEARLY, months="12")
    assert instance.expires_at == START.replace(year=2027)
    assert "12 months" in page(alices, "create", billing_mode="Yearly", months="12")
    assert reverse("recycle:renew") in page(alices, "instance", instance.pk)

    send(alices, "delete", instance)
    assert only().state == State.ACTIVE
    assert "it expires. It is kept for 3 days" in page(alices, "instance", instance.pk)

    clock.move_to(instance.expires_at)
    # The session has ended long since.
    alices.force_login(alice)
    tasks.expire_due()
    expired = only()
    assert (expired.state, expired.purge_at) == (State.EXPIRED, instance.expires_at + 3 * DAY)
    assert str(instance.pk) in page(alices, "expired", billing="Yearly")
    assert exported(alices, "export_expired") == ["Yearly Subscription"]

    send(alices, "renew", instance, months="1")
    renewed = only()
    assert (renewed.state, renewed.expires_at) == (State.ACTIVE, START.replace(year=2027, month=4))
    clock.move_to(renewed.expires_at + 3 * DAY)
    tasks.expire_due()
    tasks.purge_due()
    assert only().state == State.PURGED


def test_an_import_takes_the_modes_by_their_names(clock, load):
    load(
        {
            "InstancesSet": [
                an_instance(
                    "weekly",
                    ChargeType="Weekly",
                    InstanceState={"Name": "stopped"},
                    ShutdownNoCharge=True,
                    ServiceEndTime="2026-03-09T09:00:00Z",
                ),
                an_instance("yearly", ChargeType="Yearly", ServiceEndTime="2026-03-09T09:00:00Z"),
                an_instance("expired", ChargeType="Yearly", ServiceEndTime="2026-03-01T09:00:00Z"),
                an_instance("over", ChargeType="Yearly", ServiceEndTime="2026-02-26T09:00:00Z"),
            ]
        }
    )

    weekly, yearly, expired = (
        Instance.objects.get(name=name) for name in ("weekly", "yearly", "expired")
    )
    assert (weekly.billing_mode, weekly.no_fees, weekly.expires_at) == (WEEKLY, True, None)
    assert (yearly.billing_mode, yearly.expires_at) == (YEARLY, START + 7 * DAY)
    assert (expired.state, expired.purge_at) == (State.EXPIRED, START + 2 * DAY)
    assert not Instance.objects.filter(name="over").exists()


def test_retention_is_measured_at_the_standard_of_each_mode(alices, account, create):
    assert standard_label() == "Pay-By-Week 5 hours, Pay-By-Daily-Config 2 hours"

    # Longer than the standard of one mode; the other keeps what it has.
    alices.post(
        reverse("recycle:keep_for"),
        {"keep_for_0": "3", "keep_for_1": "3600", "confirmed": "1", "scope": f"{account.pk}:"},
    )

    assert Account.objects.get().keep_for == 3 * HOUR


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        (WEEKLY, {"expires_at": START}),
        (YEARLY, {"expires_at": None}),
        (YEARLY, {"state": State.STOPPED, "no_fees": True}),
        (WEEKLY, {"state": State.EXPIRED, "purge_at": START}),
    ],
)
def test_the_database_keeps_what_follows_from_the_rows(make_instance, mode, fields):
    instance = make_instance(billing_mode=mode, expires_at=START if mode is YEARLY else None)

    with pytest.raises(IntegrityError), transaction.atomic():
        Instance.objects.filter(pk=instance.pk).update(**fields)


def test_the_rows_are_those_of_this_test():
    assert {WEEKLY, YEARLY} < set(POLICIES)
