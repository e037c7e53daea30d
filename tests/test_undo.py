"""Undo of a delete: out of the bin, bound, running; only in time, only by whom it was, only from
that batch.
"""

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest

from recycle import actions
from recycle.actions.resources import addresses, volumes
from recycle.actions.undo import ON_ITS_WAY, UNDO_FOR
from recycle.lifecycle import State
from recycle.models import (
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    InstanceType,
    RealServer,
    User,
    Volume,
    Zone,
)
from recycle.policy import BillingMode, Refusal, Role
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

SECOND = timedelta(seconds=1)


def only(*instances):
    return Instance.objects.filter(pk__in=[each.pk for each in instances])


@pytest.fixture
def delete(now):
    """Delete instances by somebody, and hand back the batch."""

    def delete(*instances, by, at=now):
        return actions.delete(only(*instances), may_release=True, context=acting(by, at)).batch

    return delete


def undo(batch, *, context):
    undone = actions.undo(batch, context=context)
    assert undone is not None
    return undone


def names(rows):
    return sorted(row.name for row in rows)


def test_undo_brings_back_a_running_bound_instance(oscar, make_instance, bind, delete, now):
    instance = make_instance()
    bind(instance)
    volumes_before = sorted(
        Volume.objects.values_list("pk", "instance", "mount_point", "delete_with_instance")
    )
    batch = delete(instance, by=oscar)

    undone = undo(batch, context=acting(oscar, now + SECOND))

    instance.refresh_from_db()
    assert (instance.state, instance.recycled_at, instance.purge_at) == (State.ACTIVE, None, None)
    assert ElasticIP.objects.get().instance == instance
    assert RealServer.objects.get().instance == instance
    assert InstanceTag.objects.get().instance == instance
    assert volumes_before == sorted(
        Volume.objects.values_list("pk", "instance", "mount_point", "delete_with_instance")
    )
    assert (len(undone.restored.done), len(undone.started.done)) == (1, 1)
    assert all(result.done for result in undone.configured)
    assert (
        Event.objects.filter(action__in=["restore", "start"]).values_list("reason", flat=True)[0]
        == "undo"
    )


def test_what_was_stopped_comes_back_stopped(oscar, make_instance, delete, now):
    running, stopped = make_instance(), make_instance(State.STOPPED)
    batch = delete(running, stopped, by=oscar)

    undo(batch, context=acting(oscar, now + SECOND))

    assert only(running).get().state == State.ACTIVE
    assert only(stopped).get().state == State.STOPPED


def test_what_was_taken_meanwhile_is_left_to_the_taker_and_named(
    oscar, make_instance, bind, delete, now
):
    instance, taker = make_instance(), make_instance(name="taker")
    bind(instance)
    batch = delete(instance, by=oscar)
    context = acting(oscar, now + SECOND)
    addresses.associate(ElasticIP.objects.all(), taker, context=context)
    volumes.remove(Volume.objects.filter(name="data"), context=context)

    undone = undo(batch, context=acting(oscar, now + 2 * SECOND))

    refused = {
        result.former.kind: (result.refusal, result.blocker)
        for result in undone.configured
        if not result.done
    }
    assert refused["eip"][0] is Refusal.TAKEN
    assert refused["eip"][1].name == "taker"
    assert refused["volume"][0] is Refusal.GONE
    assert ElasticIP.objects.get().instance == taker
    assert only(instance).get().state == State.ACTIVE


def test_at_the_last_moment_it_is_undone_and_after_it_refused(oscar, make_instance, delete, now):
    early, late = make_instance(), make_instance()
    first, second = delete(early, by=oscar), delete(late, by=oscar)
    end = now + UNDO_FOR + ON_ITS_WAY

    undone = undo(first, context=acting(oscar, end))
    refused = undo(second, context=acting(oscar, end + timedelta(microseconds=1)))

    assert names(undone.restored.done) == [early.name]
    assert refused.refusal is Refusal.TOO_LATE
    assert only(late).get().state == State.RECYCLED


def test_only_who_deleted_it_or_an_administrator_may_undo(
    alice, oscar, account, make_instance, delete, now
):
    olga = User.objects.create_user("olga")
    olga.memberships.create(account=account, role=Role.OPERATOR)
    instance = make_instance()
    batch = delete(instance, by=oscar)

    assert undo(batch, context=acting(olga, now)).refusal is Refusal.NOT_YOURS
    assert only(instance).get().state == State.RECYCLED
    assert undo(batch, context=acting(alice, now)).refusal is None
    assert only(instance).get().state == State.ACTIVE


def test_a_stranger_learns_nothing_of_a_batch(mallory, oscar, make_instance, delete, now):
    batch = delete(make_instance(), by=oscar)

    assert actions.undo(batch, context=acting(mallory, now)) is None
    assert actions.undo(uuid4(), context=acting(oscar, now)) is None


def test_who_lost_the_role_meanwhile_restores_nothing(oscar, make_instance, delete, now):
    instance = make_instance()
    batch = delete(instance, by=oscar)
    oscar.memberships.update(role=Role.VIEWER)

    undone = undo(batch, context=acting(User.objects.get(pk=oscar.pk), now))

    assert [refused.refusal for refused in undone.restored.refused] == [Refusal.ROLE]
    assert undone.configured == []
    assert only(instance).get().state == State.RECYCLED


def test_only_what_still_lies_in_the_bin_from_that_very_delete_comes_back(
    alice, oscar, make_instance, delete, now
):
    still, back, purged, again = (
        make_instance(name=name) for name in ("still", "back", "purged", "twice")
    )
    batch = delete(still, back, purged, again, by=oscar)
    actions.restore(only(back, again), context=acting(oscar, now))
    actions.purge(only(purged), context=acting(alice, now))
    delete(again, by=alice, at=now + SECOND)

    undone = undo(batch, context=acting(oscar, now + 2 * SECOND))

    assert names(undone.restored.done) == ["still"]
    assert {refused.name: refused.refusal for refused in undone.restored.refused} == {
        "back": Refusal.BACK, "purged": Refusal.GONE, "twice": Refusal.CHANGED,
    }  # fmt: skip
    assert only(again).get().state == State.RECYCLED
    assert only(back).get().state == State.STOPPED


def test_undone_twice_the_second_time_does_nothing(oscar, make_instance, bind, delete, now):
    instance = make_instance()
    bind(instance)
    batch = delete(instance, by=oscar)
    undo(batch, context=acting(oscar, now))
    events = Event.objects.count()

    second = undo(batch, context=acting(oscar, now))

    assert [refused.refusal for refused in second.restored.refused] == [Refusal.BACK]
    assert (second.configured, second.started.done) == ([], [])
    assert Event.objects.count() == events


def test_what_was_released_at_once_is_no_undo(oscar, make_instance, delete, now):
    binned, released = make_instance(), make_instance(billing_mode=BillingMode.HOURLY)
    mixed = delete(binned, released, by=oscar)
    gone = delete(make_instance(billing_mode=BillingMode.HOURLY), by=oscar)

    undone = undo(mixed, context=acting(oscar, now))

    assert names(undone.restored.done) == [binned.name]
    assert undone.restored.refused == []
    assert actions.undo(gone, context=acting(oscar, now)) is None


def test_where_the_zone_is_sold_out_meanwhile_it_stays_in_the_bin(
    oscar, zone, make_instance, bind, delete, now
):
    instance = make_instance()
    bind(instance)
    batch = delete(instance, by=oscar)
    used = InstanceType.objects.get().vcpu
    make_instance()
    Zone.objects.filter(pk=zone.pk).update(vcpu_capacity=used)

    undone = undo(batch, context=acting(oscar, now))

    assert [refused.refusal for refused in undone.restored.refused] == [Refusal.SOLD_OUT]
    assert undone.configured == []
    assert ElasticIP.objects.get().instance is None


def test_more_than_can_be_done_while_somebody_waits_is_refused(
    monkeypatch, oscar, make_instance, delete, now
):
    monkeypatch.setattr(import_module("recycle.actions.undo"), "MOST_UNDONE", 2)
    batch = delete(*(make_instance() for _ in range(3)), by=oscar)

    assert undo(batch, context=acting(oscar, now)).refusal is Refusal.TOO_LARGE
    assert Instance.objects.in_bin().count() == 3
