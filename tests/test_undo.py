"""Undo of a delete: out of the bin, bound, running; only in time, only by whom it was, only from
that batch.
"""

from collections import Counter
from datetime import timedelta
from importlib import import_module
from uuid import UUID, uuid4

import pytest

from recycle import actions
from recycle.actions.resources import addresses, volumes
from recycle.actions.undo import ON_ITS_WAY, UNDO_FOR
from recycle.lifecycle import Action, ResourceAction, State
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
from tests.conftest import acting, rejecting
from tests.deeds import everything

pytestmark = [pytest.mark.django_db, pytest.mark.both]

SECOND = timedelta(seconds=1)
# The batch of who undoes, where two outcomes are compared.
OURS = UUID(int=1)


def only(*instances):
    return Instance.objects.filter(pk__in=[each.pk for each in instances])


@pytest.fixture
def delete(now):
    """Delete instances by somebody, and hand back the batch."""

    def delete(*instances, by, at=now):
        return actions.delete(only(*instances), may_release=True, context=acting(by, at)).batch

    return delete


def undo(batch, *, context, dry_run=False):
    undone = actions.undo(batch, context=context, dry_run=dry_run)
    assert undone.items
    return undone


def done(undone, action):
    return [each for each in undone.done if each.action is action]


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
    assert Counter(each.action for each in undone.items) == {
        Action.RESTORE: 1,
        ResourceAction.BIND: 5,
        Action.START: 1,
    }
    assert len(undone.done) == 7
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

    taken, gone = undone.refused
    address = ElasticIP.objects.get().address
    assert {each.action for each in undone.refused} == {ResourceAction.BIND}
    assert (taken.name, taken.refusal) == (f"{instance.name} · {address}", Refusal.TAKEN)
    assert taken.blocker.name == "taker"
    assert (gone.name, gone.refusal) == (f"{instance.name} · data", Refusal.GONE)
    assert ElasticIP.objects.get().instance == taker
    assert only(instance).get().state == State.ACTIVE


def test_what_the_database_rejects_is_named_with_what_was_tried(
    oscar, make_instance, bind, delete, now
):
    instance = make_instance()
    bind(instance)
    address = instance.elastic_ips.get()
    batch = delete(instance, by=oscar)

    with rejecting('UPDATE "recycle_elasticip"'):
        undone = undo(batch, context=acting(oscar, now))

    [failed] = undone.failed
    assert (failed.name, failed.action) == (f"{instance.name} · {address}", ResourceAction.BIND)
    assert len(undone.done) == 6


def test_at_the_last_moment_it_is_undone_and_after_it_refused(oscar, make_instance, delete, now):
    early, late = make_instance(), make_instance()
    first, second = delete(early, by=oscar), delete(late, by=oscar)
    end = now + UNDO_FOR + ON_ITS_WAY

    undone = undo(first, context=acting(oscar, end))
    refused = undo(second, context=acting(oscar, end + timedelta(microseconds=1)))

    assert names(done(undone, Action.RESTORE)) == [early.name]
    assert [(each.name, each.refusal) for each in refused.items] == [(late.name, Refusal.TOO_LATE)]
    assert only(late).get().state == State.RECYCLED


def test_only_who_deleted_it_or_an_administrator_may_undo(
    alice, oscar, account, make_instance, delete, now
):
    olga = User.objects.create_user("olga")
    olga.memberships.create(account=account, role=Role.OPERATOR)
    instance = make_instance()
    batch = delete(instance, by=oscar)

    [refused] = undo(batch, context=acting(olga, now)).items
    assert refused.refusal is Refusal.NOT_YOURS
    assert only(instance).get().state == State.RECYCLED
    assert undo(batch, context=acting(alice, now)).refused == []
    assert only(instance).get().state == State.ACTIVE


def test_a_stranger_learns_nothing_of_a_batch(mallory, oscar, make_instance, delete, now):
    batch = delete(make_instance(), by=oscar)

    never_was = actions.undo(uuid4(), context=acting(oscar, now, batch=OURS))

    assert actions.undo(batch, context=acting(mallory, now, batch=OURS)) == never_was
    assert never_was.items == []


def test_who_lost_the_role_meanwhile_restores_nothing(oscar, make_instance, delete, now):
    instance = make_instance()
    batch = delete(instance, by=oscar)
    oscar.memberships.update(role=Role.VIEWER)

    undone = undo(batch, context=acting(User.objects.get(pk=oscar.pk), now))

    assert [item.refusal for item in undone.items] == [Refusal.ROLE]
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

    assert names(done(undone, Action.RESTORE)) == ["still"]
    assert {refused.name: refused.refusal for refused in undone.refused} == {
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

    assert [item.refusal for item in second.items] == [Refusal.BACK]
    assert Event.objects.count() == events


def test_what_was_released_at_once_is_no_undo(oscar, make_instance, delete, now):
    binned, released = make_instance(), make_instance(billing_mode=BillingMode.HOURLY)
    mixed = delete(binned, released, by=oscar)
    gone = delete(make_instance(billing_mode=BillingMode.HOURLY), by=oscar)

    undone = undo(mixed, context=acting(oscar, now))

    assert names(done(undone, Action.RESTORE)) == [binned.name]
    assert undone.refused == []
    assert actions.undo(gone, context=acting(oscar, now)).items == []


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

    assert [item.refusal for item in undone.items] == [Refusal.SOLD_OUT]
    assert ElasticIP.objects.get().instance is None


def test_more_than_can_be_done_while_somebody_waits_is_refused(
    monkeypatch, oscar, make_instance, delete, now
):
    monkeypatch.setattr(import_module("recycle.actions.undo"), "MOST_UNDONE", 2)
    batch = delete(*(make_instance() for _ in range(3)), by=oscar)

    undone = undo(batch, context=acting(oscar, now))

    assert [item.refusal for item in undone.items] == [Refusal.TOO_LARGE] * 3
    assert Instance.objects.in_bin().count() == 3


def test_a_dry_run_says_what_would_come_back_be_bound_and_started_and_changes_nothing(
    alice, oscar, zone, make_instance, bind, delete, now
):
    # Where room runs out, it runs out for the last in the order of the primary keys.
    ran, stopped, last = (
        make_instance(state, pk=UUID(int=number), name=name)
        for number, (name, state) in enumerate(
            [("ran", State.ACTIVE), ("stopped", State.STOPPED), ("last", State.ACTIVE)], 1
        )
    )
    back, purged, taker = (make_instance(name=name) for name in ("back", "purged", "taker"))
    for instance in (ran, stopped, last):
        bind(instance)
    address = ran.elastic_ips.get()
    batch = delete(ran, stopped, last, back, purged, by=oscar)
    context = acting(oscar, now + SECOND, batch=OURS)
    actions.restore(only(back), context=context)
    actions.purge(only(purged), context=acting(alice, now))
    addresses.associate(ElasticIP.objects.filter(pk=address.pk), taker, context=context)
    volumes.remove(Volume.objects.filter(name="data"), context=context)
    # Room for two beside the two that are there.
    Zone.objects.filter(pk=zone.pk).update(vcpu_capacity=4 * InstanceType.objects.get().vcpu)
    before = everything()

    foretold = undo(batch, context=context, dry_run=True)

    assert everything() == before
    undone = undo(batch, context=context)
    assert foretold == undone
    assert names(done(undone, Action.RESTORE)) == ["ran", "stopped"]
    assert len(done(undone, ResourceAction.BIND)) == 7
    assert names(done(undone, Action.START)) == ["ran"]
    assert {(each.name, each.action, each.refusal) for each in undone.refused} == {
        ("last", None, Refusal.SOLD_OUT),
        ("back", None, Refusal.BACK),
        ("purged", None, Refusal.GONE),
        (f"ran · {address.address}", ResourceAction.BIND, Refusal.TAKEN),
        ("ran · data", ResourceAction.BIND, Refusal.GONE),
        ("stopped · data", ResourceAction.BIND, Refusal.GONE),
    }
