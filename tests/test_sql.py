"""The SQL of our own."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, connection, transaction
from django.db.models import F, UUIDField, Value

from recycle.lifecycle import State
from recycle.models import Event, Instance
from recycle.models.sql import Ids, insert_from, insert_rows
from recycle.policy import BillingMode

MOMENT = datetime(2026, 1, 5, 8, 0, 0, 123456, tzinfo=UTC)

pytestmark = [pytest.mark.django_db, pytest.mark.both]


def test_each_column_gets_its_own_expression_in_whatever_order_they_come(account, make_instance):
    instance = make_instance()
    batch = uuid4()
    columns: dict[str, Any] = {
        "account_id": F("account_id"),
        "at": F("created_at"),
        "batch": Value(batch, UUIDField()),
        "action": Value("start"),
        "instance_id": F("pk"),
        "instance_name": F("name"),
        "instance_name_folded": F("name_folded"),
        # Alike, so that nothing but their place tells them apart.
        "from_state": Value("stopped"),
        "to_state": F("state"),
        "by_name": Value("somebody"),
        "by_name_folded": Value("folded"),
        "reason": Value("because"),
        "detail": Value({}, Event._meta.get_field("detail")),
    }

    for order in (list(columns), sorted(columns), sorted(columns, reverse=True)):
        named = {column: columns[column] for column in order}
        insert_from(Event, Instance.objects.order_by("-name"), named)

    rows = Event.objects.values(*columns)
    assert rows[0] == rows[1] == rows[2]
    assert rows[0] | {"detail": None} == {
        "account_id": account.pk,
        "at": instance.created_at,
        "batch": batch,
        "action": "start",
        "instance_id": instance.pk,
        "instance_name": instance.name,
        "instance_name_folded": instance.name_folded,
        "from_state": "stopped",
        "to_state": "active",
        "by_name": "somebody",
        "by_name_folded": "folded",
        "reason": "because",
        "detail": None,
    }


def test_ids_are_found_whether_they_come_as_a_list_or_as_one_text_for_several_statements(
    make_instance,
):
    here, there = make_instance(), make_instance()

    for ids in ([here.pk, uuid4()], {here.pk}, Ids([here.pk]), Ids(pk for pk in [here.pk])):
        found = Instance.objects.filter(pk__among=ids)
        assert list(found) == list(found.all()) == [here]
        assert list(Instance.objects.exclude(pk__among=ids)) == [there]
    assert not Instance.objects.filter(pk__among=Ids([])).exists()


def test_rows_are_inserted_as_bulk_create_inserts_them(make_instance):
    made = [
        make_instance(),
        make_instance(
            name='Größe "{1}", \\ 100 %s',
            private_ip="fd00::1",
            vpc_id=uuid4(),
            security_group_ids=["sg-1", 'sg-"2"'],
            hold_review_on=date(2026, 11, 27),
            protected=True,
        ),
        make_instance(State.RECYCLED, recycled_by_name="Ärger"),
        make_instance(State.EXPIRED),
        make_instance(State.STOPPED, BillingMode.MONTHLY),
    ]
    for some in (made, made[:1], made[1:2]):
        ids = [row.pk for row in some]
        written = []
        for insert in (Instance.objects.bulk_create, insert_rows):
            Instance.objects.filter(pk__in=ids).delete()
            insert(some)
            written.append(list(Instance.objects.filter(pk__in=ids).order_by("pk").values()))

        assert written[0] == written[1]
        assert len(written[1]) == len(some)


def test_rows_get_the_ids_and_the_defaults_that_the_database_has(account):
    batch = uuid4()
    alike = [Event(account=account, at=MOMENT, batch=batch, action="start") for _ in range(2)]

    insert_rows(alike)
    insert_rows([])

    columns = ("account_id", "at", "batch", "action", "kind", "resource_id", "detail")
    rows = list(Event.objects.values_list(*columns))
    assert rows == [(account.pk, MOMENT, batch, "start", "", "", {})] * 2


def test_a_text_that_does_not_fit_its_column_is_refused_and_not_cut_off(make_instance):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite knows no lengths.")
    rows = [make_instance(), make_instance()]
    Instance.objects.all().delete()
    for row in rows:
        row.image_name = f"{row.pk} {'x' * 60}"

    # What differs, and what is the same in all rows, go different ways.
    for some in (rows, rows[:1]):
        with pytest.raises(DataError), transaction.atomic():
            insert_rows(some)
