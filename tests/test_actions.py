"""The verbs, one rule a test."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recycle import actions
from recycle.actions import bindings
from recycle.lifecycle import Action, State
from recycle.models import ElasticIP, Event, Instance, InstanceTag, RealServer, Volume
from recycle.policy import BillingMode, Refusal
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


def test_delete_moves_a_daily_instance_to_the_bin_and_cancels_what_bound_it(
    alice, make_instance, bind, now
):
    instance = make_instance()
    bind(instance)

    outcome = actions.delete(
        only(instance), may_release=False, context=acting(alice, now, reason="wrong stack")
    )

    instance.refresh_from_db()
    assert [done.action for done in outcome.done] == [Action.RECYCLE]
    assert (instance.state, instance.recycled_at, instance.recycled_by) == (
        State.RECYCLED,
        now,
        alice,
    )
    assert instance.purge_at == now + timedelta(hours=2)
    assert not RealServer.objects.exists()
    assert not InstanceTag.objects.exists()
    assert [eip.instance for eip in ElasticIP.objects.all()] == [None]
    assert [volume.instance for volume in Volume.objects.all()] == [None, None]


def test_the_event_says_who_when_why_from_where_and_what_was_cancelled(
    alice, make_instance, bind, now
):
    instance = make_instance()
    bind(instance)

    outcome = actions.delete(
        only(instance), may_release=False, context=acting(alice, now, reason="wrong stack")
    )

    event = Event.objects.get()
    assert (event.action, event.from_state, event.to_state) == ("recycle", "active", "recycled")
    assert (event.by, event.by_name, event.reason, event.at, event.batch) == (
        alice, "alice", "wrong stack", now, outcome.batch,
    )  # fmt: skip
    assert (event.instance_id, event.instance_name) == (instance.pk, instance.name)
    assert event.detail["eips"][0]["address"] == str(ElasticIP.objects.get().address)
    gone = {volume["name"]: volume["delete_with_instance"] for volume in event.detail["volumes"]}
    assert gone == {
        "data": False, "scratch": True,
    }  # fmt: skip
    assert event.detail["real_servers"][0]["load_balancer_name"] == "front"
    assert event.detail["tags"][0]["key"] == "env"


@pytest.mark.parametrize("count", [3, 30])
def test_a_chunk_costs_the_same_number_of_statements_whatever_its_size(
    alice, make_instance, bind, count
):
    for _ in range(count):
        bind(make_instance())

    with CaptureQueriesContext(
        connection,
    ) as queries:
        outcome = actions.delete(Instance.objects.all(), may_release=False, context=acting(alice))

    assert len(outcome.done) == count
    statements = [
        query["sql"]
        for query in queries
        if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN"))
    ]
    assert len(statements) <= 14


def test_restore_brings_it_back_stopped_and_unbound(alice, recycled, now):
    outcome = actions.restore(only(recycled), context=acting(alice, now))

    recycled.refresh_from_db()
    assert len(outcome.done) == 1
    assert (recycled.state, recycled.purge_at, recycled.recycled_at) == (State.STOPPED, None, None)


def test_nothing_brings_it_back_from_its_end_on(alice, recycled):
    outcome = actions.restore(only(recycled), context=acting(alice, recycled.purge_at))

    assert [refused.refusal for refused in outcome.refused] == [Refusal.PAST_DEADLINE]
    assert only(recycled).get().state == State.RECYCLED


def test_a_release_deletes_the_volumes_that_go_with_the_instance(alice, make_instance, bind, now):
    instance = make_instance(billing_mode=BillingMode.HOURLY)
    bind(instance)

    outcome = actions.delete(only(instance), may_release=True, context=acting(alice, now))

    assert [done.action for done in outcome.done] == [Action.RELEASE]
    assert only(instance).get().state == State.PURGED
    assert [volume.name for volume in Volume.objects.all()] == ["data"]


def test_what_is_taken_off_in_the_bin_keeps_nothing_of_its_instance(
    alice, make_instance, bind, now
):
    """Or it would go with the next instance that it is attached to."""
    instance = make_instance()
    bind(instance)

    actions.delete(only(instance), may_release=False, context=acting(alice, now))

    bare = Volume.objects.filter(instance=None, mount_point="", delete_with_instance=False)
    assert bare.count() == 2
    assert ElasticIP.objects.filter(instance=None, zone=None).count() == 1


def test_a_release_that_was_not_confirmed_is_refused(alice, make_instance):
    instance = make_instance(billing_mode=BillingMode.HOURLY)

    outcome = actions.delete(only(instance), may_release=False, context=acting(alice))

    assert [refused.refusal for refused in outcome.refused] == [Refusal.UNCONFIRMED]
    assert only(instance).get().state == State.ACTIVE


def test_renewing_an_expired_subscription_starts_it_again(alice, make_instance, now):
    instance = make_instance(State.EXPIRED)

    actions.renew(only(instance), months=1, context=acting(alice, now))

    instance.refresh_from_db()
    assert (instance.state, instance.purge_at) == (State.ACTIVE, None)
    assert instance.expires_at > now + timedelta(days=27)


def test_the_sweep_purges_what_is_due_and_nothing_else(make_instance, now):
    due = make_instance(State.RECYCLED, purge_at=now, recycled_at=now - timedelta(hours=2))
    waiting = make_instance(State.RECYCLED)

    outcome = actions.purge_due(context=acting(None, now))

    assert [done.id for done in outcome.done] == [due.pk]
    assert only(due).get().state == State.PURGED
    assert only(waiting).get().state == State.RECYCLED
    assert actions.purge_due(context=acting(None, now)).done == []
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("former", "present", "left"),
    [
        ({"eips": [{"id": "a"}]}, {}, {"eips": [{"id": "a"}]}),
        ({"eips": [{"id": "a"}, {"id": "b"}]}, {"eips": [{"id": "a"}]}, {"eips": [{"id": "b"}]}),
        ({"eips": [{"id": "a"}], "tags": None}, {"eips": [{"id": "a"}], "volumes": None}, {}),
        # A tag that was bound anew is the same tag.
        (
            {"tags": [{"id": 1, "key": "env", "value": "test"}]},
            {"tags": [{"id": 2, "key": "env", "value": "test"}]},
            {},
        ),
        (
            {"volumes": [{"id": "a", "name": "data"}]},
            {"volumes": [{"id": "b", "name": "data"}]},
            {"volumes": [{"id": "a", "name": "data"}]},
        ),
    ],
)
def test_former_is_what_is_not_bound_now(former, present, left):
    assert bindings.missing(former, present) == left
