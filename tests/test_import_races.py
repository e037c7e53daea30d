"""Imports while people work in the console, with real threads and real row locks. What an import
shows of its progress is the gate.
"""

import json
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from recycle import actions
from recycle.actions.inventory import Options, import_inventory, rows
from recycle.actions.resources import balancers, tags
from recycle.inventory import Notes, Progress, ProgressBar, Source
from recycle.lifecycle import State
from recycle.models import Event, Instance, InstanceTag, RealServer, Tag, User
from recycle.policy import Refusal
from tests.conftest import acting
from tests.inventory import a_real_server, a_tag
from tests.threads import done, refusals, result

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
]


class Meanwhile(Progress):
    """When the import has written its first batch, somebody else does `what`, up to where it has to
    wait.
    """

    def __init__(self, threads, what):
        self.threads, self.what = threads, what
        self.running: Any = None

    @contextmanager
    def begin(self, what, total, *, in_bytes=False):
        meanwhile = self

        class Waiting(ProgressBar):
            def advance(self, done, rows):
                if not in_bytes and meanwhile.running is None:
                    meanwhile.running = meanwhile.threads.go(meanwhile.what)
                    meanwhile.threads.wait_until_blocked(1)

        yield Waiting()


@pytest.fixture
def race(threads, account, tmp_path):
    """Import this while somebody does that; the latter's answer, and what was imported."""

    def race(content, what):
        meanwhile = Meanwhile(threads, what)
        options = Options(account_name=account.name)
        file = tmp_path / "1.json"
        file.write_text(json.dumps(content))
        with Notes() as notes:
            imported = import_inventory(
                [Source(str(file))], notes, options, meanwhile, context=acting(None)
            )
        assert not imported.failed
        return result(meanwhile.running)[0]

    return race


@pytest.fixture
def context(alice, now):
    # Each request reads its user anew.
    return lambda: acting(User.objects.get(pk=alice.pk), now)


def test_a_delete_and_restore_waits_and_cancels_what_the_import_bound(race, make_instance, context):
    instance = make_instance()

    def delete_and_restore():
        mine = Instance.objects.filter(pk=instance.pk)
        return [
            actions.delete(mine, may_release=False, context=context()),
            actions.restore(mine, context=context()),
        ]

    both = race({"Tags": [a_tag() | {"ResourceUuid": str(instance.pk)}]}, delete_and_restore)

    assert done(*both) == [instance.pk, instance.pk]
    assert Instance.objects.get().state == State.STOPPED
    assert not InstanceTag.objects.exists()
    assert [tag["key"] for tag in Event.objects.get(action="recycle").detail["tags"]] == ["env"]


def test_a_tag_that_is_added_by_both_is_added_once(race, account, make_instance, context):
    instance, tag = make_instance(), Tag.objects.create(account=account, key="env", value="prod")

    added = race(
        {"Tags": [a_tag() | {"ResourceUuid": str(instance.pk)}]},
        lambda: tags.add(tag, Instance.objects.all(), context=context()),
    )

    assert refusals(added) == [Refusal.ALREADY]
    assert InstanceTag.objects.count() == 1


def test_a_real_server_that_is_registered_by_both_is_registered_once(
    race, make_instance, make_listener, context
):
    instance, listener = make_instance(), make_listener()
    server = a_real_server(
        InstanceId=str(instance.pk), ListenerId=str(listener.pk), RealServerIp=instance.private_ip
    )

    registered = race(
        {"RealServerSet": [server]},
        lambda: balancers.register(
            listener, Instance.objects.all(), port=server["RealServerPort"], context=context()
        ),
    )

    assert refusals(registered) == [Refusal.ALREADY]
    assert RealServer.objects.count() == 1


def test_a_delete_of_several_and_an_import_in_another_order_do_not_deadlock(
    race, make_instance, monkeypatch, context
):
    monkeypatch.setattr(rows, "WRITTEN_AT_ONCE", 1)
    first, second = sorted((make_instance(), make_instance()), key=lambda each: each.pk)
    content = {"Tags": [a_tag() | {"ResourceUuid": str(each.pk)} for each in (second, first)]}

    outcome = race(
        content,
        lambda: actions.delete(Instance.objects.all(), may_release=False, context=context()),
    )

    assert done(outcome) == [first.pk, second.pk]
    assert not InstanceTag.objects.exists()
