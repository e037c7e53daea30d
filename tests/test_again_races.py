"""Configure again and Undo against somebody else at the same moment: one wins, the other
reads who.
"""

from collections import Counter

import pytest
from django.db import connection

from recycle import actions
from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.lifecycle import State
from recycle.models import (
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    Kind,
    Listener,
    RealServer,
    Tag,
    Volume,
)
from recycle.policy import Refusal
from tests.conftest import acting
from tests.threads import held, nobody_writes_events, result

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
]


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


@pytest.fixture
def back(alice, make_instance, bind, now):
    """An instance that had one relationship of every kind and came out of the bin."""
    instance = make_instance(name="back")
    bind(instance)
    actions.delete(only(instance), may_release=False, context=acting(alice, now))
    actions.restore(only(instance), context=acting(alice, now))
    return instance


@pytest.fixture
def rival(make_instance):
    return make_instance(name="rival")


@pytest.fixture
def context(oscar, now):
    return acting(oscar, now)


def pick(instance, kind, by, now):
    return [
        line
        for line in actions.plan(only(instance), context=acting(by, now))
        if line.former.kind is kind
    ][:1]


def associate(rival, context):
    return addresses.associate(
        ElasticIP.objects.all(), Instance.objects.get(pk=rival.pk), context=context
    )


def attach(rival, context):
    return volumes.attach(
        Volume.objects.filter(name="data"), Instance.objects.get(pk=rival.pk), context=context
    )


BIND = [(Kind.EIP, associate), (Kind.VOLUME, attach)]


def holder(kind):
    return (
        ElasticIP.objects.get() if kind is Kind.EIP else Volume.objects.get(name="data")
    ).instance


@pytest.mark.parametrize(("kind", "bind_it"), BIND)
def test_configured_first_it_wins_and_the_other_reads_who(
    threads, alice, back, rival, context, now, kind, bind_it
):
    lines = pick(back, kind, alice, now)
    with nobody_writes_events():
        ours = threads.go(actions.configure, lines, context=acting(alice, now))
        threads.wait_until_blocked(1)
        theirs = threads.go(bind_it, rival, context)
        threads.wait_until_blocked(2)

    configured, outcome = result(ours, theirs)

    assert len(configured.done) == 1
    assert [(each.refusal, each.blocker.name) for each in outcome.refused] == [
        (Refusal.TAKEN, "back")
    ]
    assert holder(kind) == back


@pytest.mark.parametrize(("kind", "bind_it"), BIND)
def test_bound_first_by_another_it_is_not_stolen_and_the_plan_reads_who(
    threads, alice, back, rival, context, now, kind, bind_it
):
    lines = pick(back, kind, alice, now)
    with nobody_writes_events():
        theirs = threads.go(bind_it, rival, context)
        threads.wait_until_blocked(1)
        ours = threads.go(actions.configure, lines, context=acting(alice, now))
        threads.wait_until_blocked(2)

    outcome, configured = result(theirs, ours)

    assert len(outcome.done) == 1
    [refused] = configured.items
    assert (refused.refusal, refused.blocker.name) == (Refusal.TAKEN, "rival")
    assert holder(kind) == rival
    assert Event.objects.filter(action="bind").count() == 1


def test_two_plans_carried_out_at_once_bind_everything_once(threads, alice, oscar, back, now):
    lines = actions.plan(only(back), context=acting(alice, now))
    with held(back):
        runs = [
            threads.go(actions.configure, lines, context=acting(by, now)) for by in (alice, oscar)
        ]
        threads.wait_until_blocked(2)

    first, second = result(*runs)

    assert Counter(each.id for each in (*first.done, *second.done)) == {
        line.former.key: 1 for line in lines
    }
    assert [each.refusal for each in (*first.refused, *second.refused)] == [Refusal.ALREADY] * 5
    assert (RealServer.objects.count(), InstanceTag.objects.count()) == (1, 1)
    assert Event.objects.filter(action="bind").count() == 5


def test_registered_at_once_by_another_way_the_real_server_is_there_once(
    threads, alice, back, context, now
):
    lines = pick(back, Kind.REAL_SERVER, alice, now)
    listener = Listener.objects.get()
    with held(back):
        ours = threads.go(actions.configure, lines, context=acting(alice, now))
        theirs = threads.go(balancers.register, listener, only(back), port=8080, context=context)
        threads.wait_until_blocked(2)

    configured, outcome = result(ours, theirs)

    assert len(configured.done) + len(outcome.done) == 1
    assert RealServer.objects.count() == 1


def test_a_tag_deleted_at_the_same_moment_is_gone_or_goes_with_the_tag(
    threads, alice, back, context, now
):
    lines = pick(back, Kind.TAG, alice, now)
    with nobody_writes_events():
        theirs = threads.go(tags.remove, Tag.objects.all(), context=context)
        threads.wait_until_blocked(1)
        ours = threads.go(actions.configure, lines, context=acting(alice, now))
        threads.wait_until_blocked(2)

    _outcome, configured = result(theirs, ours)

    assert [each.refusal for each in configured.items] == [Refusal.GONE]
    assert not InstanceTag.objects.exists()


def test_deleted_again_at_the_same_moment_nothing_is_bound_in_the_bin(threads, alice, back, now):
    lines = actions.plan(only(back), context=acting(alice, now))
    with nobody_writes_events():
        delete = threads.go(
            actions.delete, only(back), may_release=False, context=acting(alice, now)
        )
        threads.wait_until_blocked(1)
        ours = threads.go(actions.configure, lines, context=acting(alice, now))
        threads.wait_until_blocked(2)

    _deleted, configured = result(delete, ours)

    assert {each.refusal for each in configured.items} == {Refusal.IN_BIN}
    assert not RealServer.objects.exists()
    assert set(Volume.objects.values_list("instance", flat=True)) == {None}


def test_of_two_undos_one_brings_it_back_and_the_other_says_so(
    threads, alice, oscar, make_instance, bind, now
):
    instance = make_instance()
    bind(instance)
    batch = actions.delete(only(instance), may_release=False, context=acting(oscar, now)).batch
    with held(instance):
        undos = [threads.go(actions.undo, batch, context=acting(by, now)) for by in (alice, oscar)]
        threads.wait_until_blocked(2)

    undone = result(*undos)

    # The instance, its five relationships, and its start.
    assert sorted(len(each.done) for each in undone) == [0, 7]
    assert sorted(len(each.refused) for each in undone) == [0, 1]
    assert only(instance).get().state == State.ACTIVE
    assert Event.objects.filter(action="restore").count() == 1


def test_an_undo_against_somebody_who_takes_the_address_has_one_holder(
    threads, oscar, make_instance, bind, rival, context, now
):
    instance = make_instance(name="ours")
    bind(instance)
    batch = actions.delete(only(instance), may_release=False, context=acting(oscar, now)).batch
    with held(instance):
        undo = threads.go(actions.undo, batch, context=acting(oscar, now))
        threads.wait_until_blocked(1)
        [outcome] = result(threads.go(associate, rival, context))

    [undone] = result(undo)

    assert len(outcome.done) == 1
    address = ElasticIP.objects.get().address
    assert [(each.name, each.blocker.name) for each in undone.refused] == [
        (f"ours · {address}", "rival")
    ]
    assert ElasticIP.objects.get().instance == rival
