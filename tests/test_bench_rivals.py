"""What `manage.py bench` compares does the same: hand-written SQL that wrote less, or more, would
be no limit.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from recycle import actions
from recycle.actions import Context
from recycle.models import (
    Edge,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    RealServer,
    User,
    Volume,
)
from tests.bench import rivals
from tests.bench.data import Size

pytestmark = [pytest.mark.django_db, pytest.mark.both]

TABLES: tuple[type[Model], ...] = (Instance, ElasticIP, Volume, RealServer, InstanceTag)


@pytest.fixture
def size():
    size = Size(200, timezone.now())
    size.fill()
    return size


def left_by(act: Callable[[], object]) -> dict[type[Model], list[Any]]:
    """All rows as this leaves them, which is undone. Nobody cares in which order it wrote them."""
    with transaction.atomic():
        act()
        left = {table: list(table._default_manager.order_by("pk").values()) for table in TABLES}
        events = Event.objects.order_by("instance_id", "at", "action").values()
        left[Event] = [{**event, "id": None, "batch": None} for event in events]
        transaction.set_rollback(True)
    return left


def test_a_purge_by_hand_leaves_what_the_pass_leaves(size):
    now = timezone.now()
    context = Context(by=None, now=now, edge=Edge.COMMAND)

    by_pass = left_by(lambda: actions.purge_due(context=context))
    by_hand = left_by(lambda: rivals.purge_by_sql(now, 1_000))

    assert by_pass == by_hand
    assert sum(event["action"] == "purge" for event in by_pass[Event]) == 60


def test_a_recycle_and_a_restore_by_hand_leave_what_the_page_leaves(size):
    now, by = timezone.now(), User.objects.get(username="bench")
    ids = size.in_use()
    rows = Instance.objects.visible_to(by).filter(pk__among=ids)
    context = Context(by=by, now=now, edge=Edge.COMMAND)
    end = now + timedelta(hours=2)

    def delete():
        actions.delete(rows, may_release=False, context=context)

    by_page = left_by(delete)
    by_hand = left_by(lambda: rivals.recycle_by_sql(ids, now, end, by))
    delete()
    restored_by_page = left_by(lambda: actions.restore(rows, context=context))
    restored_by_hand = left_by(lambda: rivals.restore_by_sql(ids, now, by))

    assert by_page == by_hand
    assert restored_by_page == restored_by_hand
    assert restored_by_page != by_page
    cancelled = [event["detail"] for event in by_page[Event] if event["detail"]]
    assert len(cancelled) == len(ids) == 20
    assert all(len(kinds) == 4 and all(kinds.values()) for kinds in cancelled)
