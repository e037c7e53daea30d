"""The SQL of our own."""

from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F, UUIDField, Value

from recycle.models import Event, Instance
from recycle.models.sql import Ids, insert_from

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
