"""Two at once at volumes, addresses, load balancers and tags: one wins, the other reads who."""

import threading
from datetime import timedelta
from typing import Any

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
    Listener,
    LoadBalancer,
    RealServer,
    Tag,
    User,
    Volume,
)
from recycle.policy import BillingMode, Refusal
from tests.conftest import LONG_AGO, acting
from tests.threads import PATIENCE, done, held, nobody_writes_events, refusals, result

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
]


@pytest.fixture
def context(alice, now):
    def context():
        # Each request reads its user anew.
        return acting(User.objects.get(pk=alice.pk), now)

    return context


def rows(row):
    return type(row)._default_manager.filter(pk=row.pk)


def blockers(*outcomes):
    return [
        refused.blocker and refused.blocker.id
        for outcome in outcomes
        for refused in outcome.refused
    ]


@pytest.fixture
def race(threads):
    """Let calls loose on a row that somebody holds, so that each has read it before; what they
    answer.
    """

    def race(row, *calls):
        with held(row):
            running = [threads.go(call) for call in calls]
            threads.wait_until_blocked(len(calls))
        return result(*running)

    return race


@pytest.fixture
def in_turn(threads):
    """The first has locked and judged before the second starts; what they answer."""

    def in_turn(*calls):
        running = []
        with nobody_writes_events():
            for call in calls:
                running.append(threads.go(call))
                threads.wait_until_blocked(len(running))
        return result(*running)

    return in_turn


# --- Two people want the same ---------------------------------------------------------------------


def test_of_two_who_attach_one_volume_one_wins_and_the_other_reads_who(
    race, context, make_instance, make_volume
):
    volume, one, two = make_volume(), make_instance(), make_instance()

    outcomes = race(
        volume,
        *(
            lambda target=target: volumes.attach(rows(volume), target, context=context())
            for target in (one, two)
        ),
    )

    winner = rows(volume).get().instance_id
    assert winner in (one.pk, two.pk)
    assert (done(*outcomes), refusals(*outcomes), blockers(*outcomes)) == (
        [volume.pk],
        [Refusal.TAKEN],
        [winner],
    )
    assert Event.objects.get().instance_id == winner


def test_of_two_who_attach_one_volume_to_one_instance_one_wins(
    race, context, make_instance, make_volume
):
    volume, target = make_volume(), make_instance()

    outcomes = race(target, *[lambda: volumes.attach(rows(volume), target, context=context())] * 2)

    assert (done(*outcomes), refusals(*outcomes), blockers(*outcomes)) == (
        [volume.pk],
        [Refusal.ALREADY],
        [target.pk],
    )
    assert Event.objects.count() == 1


def test_two_volumes_at_one_instance_get_two_mount_points(
    race, context, make_instance, make_volume
):
    target, one, two = make_instance(), make_volume(), make_volume()

    outcomes = race(
        target,
        *(
            lambda volume=volume: volumes.attach(rows(volume), target, context=context())
            for volume in (one, two)
        ),
    )

    assert sorted(done(*outcomes)) == sorted([one.pk, two.pk])
    assert sorted(Volume.objects.values_list("mount_point", flat=True)) == ["/dev/vdb", "/dev/vdc"]


def test_of_two_who_associate_one_address_one_wins_and_the_other_reads_who(
    race, context, make_instance, make_address
):
    address, one, two = make_address(), make_instance(), make_instance()

    outcomes = race(
        address,
        *(
            lambda target=target: addresses.associate(rows(address), target, context=context())
            for target in (one, two)
        ),
    )

    winner = rows(address).get().instance_id
    assert winner in (one.pk, two.pk)
    assert (done(*outcomes), refusals(*outcomes), blockers(*outcomes)) == (
        [address.pk],
        [Refusal.TAKEN],
        [winner],
    )


def test_of_an_instance_and_a_load_balancer_one_gets_the_address(
    race, context, make_instance, make_address, make_balancer
):
    address, instance, balancer = make_address(), make_instance(), make_balancer()

    outcomes = race(
        address,
        lambda: addresses.associate(rows(address), instance, context=context()),
        lambda: addresses.associate(rows(address), balancer, context=context()),
    )

    bound = rows(address).get()
    winner = bound.instance_id or bound.load_balancer_id
    assert (done(*outcomes), refusals(*outcomes), blockers(*outcomes)) == (
        [address.pk],
        [Refusal.TAKEN],
        [winner],
    )


@pytest.mark.parametrize("kind", ["instance", "balancer"])
def test_of_two_addresses_for_one_instance_or_load_balancer_one_wins(
    race, context, make_instance, make_balancer, make_address, kind
):
    target = make_instance() if kind == "instance" else make_balancer()
    one, two = make_address(), make_address()

    outcomes = race(
        target,
        *(
            lambda each=each: addresses.associate(rows(each), target, context=context())
            for each in (one, two)
        ),
    )

    assert refusals(*outcomes) == [Refusal.TOO_MANY]
    assert target.elastic_ips.count() == 1


def test_of_two_who_register_one_address_and_port_one_wins_and_the_other_reads_who(
    race, context, make_instance, make_listener
):
    """Two subnets may give out the same private IP."""
    listener = make_listener()
    one = make_instance(private_ip="10.9.0.1")
    two = make_instance(private_ip="10.9.0.1", subnet_id="00000000-0000-4000-8000-000000000001")

    outcomes = race(
        listener,
        *(
            lambda each=each: balancers.register(listener, rows(each), port=8080, context=context())
            for each in (one, two)
        ),
    )

    winner = RealServer.objects.get().instance_id
    assert done(*outcomes) == [winner]
    assert (refusals(*outcomes), blockers(*outcomes)) == ([Refusal.PORT_TAKEN], [winner])


def test_of_two_who_register_one_instance_at_one_port_one_wins(
    race, context, make_instance, make_listener
):
    listener, instance = make_listener(), make_instance()

    outcomes = race(
        instance,
        *[lambda: balancers.register(listener, rows(instance), port=8080, context=context())] * 2,
    )

    assert (done(*outcomes), refusals(*outcomes)) == ([instance.pk], [Refusal.ALREADY])
    assert RealServer.objects.count() == Event.objects.count() == 1


def test_of_two_who_add_one_tag_to_one_instance_one_wins(race, context, make_instance, make_tag):
    tag, instance = make_tag(), make_instance()

    outcomes = race(instance, *[lambda: tags.add(tag, rows(instance), context=context())] * 2)

    assert (done(*outcomes), refusals(*outcomes), blockers(*outcomes)) == (
        [instance.pk], [Refusal.ALREADY], [instance.pk],
    )  # fmt: skip
    assert InstanceTag.objects.count() == Event.objects.count() == 1


def test_of_two_who_create_one_tag_one_wins_and_the_other_is_told_that_it_is_there(
    in_turn, context, make_tag
):
    outcomes = in_turn(
        *[lambda: tags.create(make_tag("env", "prod", new=True), context=context())] * 2
    )

    tag = Tag.objects.get()
    assert (done(*outcomes), refusals(*outcomes), blockers(*outcomes)) == (
        [tag.pk],
        [Refusal.ALREADY],
        [tag.pk],
    )


def test_of_two_who_open_one_port_one_wins(in_turn, context, make_balancer, make_listener):
    balancer = make_balancer()

    outcomes = in_turn(
        *[
            lambda: balancers.create_listener(
                make_listener(load_balancer=balancer, new=True), context=context()
            )
        ]
        * 2
    )

    listener = Listener.objects.get()
    assert (done(*outcomes), refusals(*outcomes), blockers(*outcomes)) == (
        [listener.pk], [Refusal.TAKEN], [listener.pk],
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["volume", "gigabytes", "address", "balancer"])
def test_of_two_who_want_the_last_of_the_quota_one_gets_it(
    in_turn, context, account, make_volume, make_address, make_balancer, kind
):
    kinds: dict[str, tuple[str, Any, Any]] = {
        "volume": ("max_volumes", make_volume, volumes.create),
        "gigabytes": ("max_volume_gb", make_volume, volumes.create),
        "address": ("max_elastic_ips", make_address, addresses.create),
        "balancer": ("max_load_balancers", make_balancer, balancers.create),
    }
    limit, make, create = kinds[kind]
    setattr(account, limit, 40 if kind == "gigabytes" else 1)
    account.save()

    outcomes = in_turn(*[lambda: create(make(new=True), context=context())] * 2)

    assert (len(done(*outcomes)), refusals(*outcomes)) == (1, [Refusal.QUOTA])


# --- Bind against delete --------------------------------------------------------------------------


@pytest.fixture
def bindings_of(context, make_volume, make_address, make_listener, make_tag):
    """What binds something of each kind to an instance."""

    def bindings_of(instance):
        volume, address, listener, tag = (
            make_volume(),
            make_address(),
            make_listener(),
            make_tag("team"),
        )
        return {
            "volume": lambda: volumes.attach(rows(volume), instance, context=context()),
            "address": lambda: addresses.associate(rows(address), instance, context=context()),
            "real server": lambda: balancers.register(
                listener, rows(instance), port=8080, context=context()
            ),
            "tag": lambda: tags.add(tag, rows(instance), context=context()),
        }

    return bindings_of


KINDS = ["volume", "address", "real server", "tag"]


def bound_to(instance):
    return [
        model.objects.filter(instance=instance).count()
        for model in (Volume, ElasticIP, RealServer, InstanceTag)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("billing_mode", [BillingMode.DAILY, BillingMode.HOURLY])
def test_a_bind_that_comes_while_the_instance_is_deleted_is_refused(
    in_turn, alice, bindings_of, make_instance, kind, billing_mode
):
    instance = make_instance(billing_mode=billing_mode)

    deleted, bound = in_turn(
        lambda: actions.delete(rows(instance), may_release=True, context=acting(alice)),
        bindings_of(instance)[kind],
    )

    gone = Refusal.IN_BIN if billing_mode == BillingMode.DAILY else Refusal.GONE
    assert (done(deleted), done(bound)) == ([instance.pk], [])
    assert (refusals(bound), blockers(bound)) == ([gone], [instance.pk])
    assert bound_to(instance) == [0, 0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_delete_that_comes_while_something_is_bound_cancels_that_as_well(
    in_turn, alice, bindings_of, make_instance, kind
):
    instance = make_instance()

    bound, deleted = in_turn(
        bindings_of(instance)[kind],
        lambda: actions.delete(rows(instance), may_release=False, context=acting(alice)),
    )

    assert (len(done(bound)), done(deleted)) == (1, [instance.pk])
    assert bound_to(instance) == [0, 0, 0, 0]
    cancelled = Event.objects.get(action="recycle").detail
    assert sorted(len(listed) for listed in cancelled.values() if listed) == [1]


def test_binds_and_deletes_let_loose_together_leave_nothing_bound_in_the_bin(
    threads, alice, context, make_instance, bind, make_volume
):
    fleet = [make_instance() for _ in range(12)]
    for instance in fleet:
        bind(instance)
    free = [make_volume() for _ in fleet]
    tag = Tag.objects.get(key="env")
    start = threading.Barrier(4)

    def attach(pairs):
        start.wait(PATIENCE)
        for volume, instance in pairs:
            volumes.attach(rows(volume), instance, context=context())

    def delete(order):
        start.wait(PATIENCE)
        return actions.delete(
            Instance.objects.order_by(order), may_release=False, context=acting(alice)
        )

    def untag():
        start.wait(PATIENCE)
        return tags.remove(rows(tag), context=context(), unbind=True)

    result(
        threads.go(attach, list(zip(free, reversed(fleet), strict=True))),
        threads.go(delete, "pk"),
        threads.go(delete, "-pk"),
        threads.go(untag),
    )

    assert not Tag.objects.exists()
    assert Instance.objects.filter(state=State.RECYCLED).count() == len(fleet)
    for model in (Volume, ElasticIP, RealServer, InstanceTag):
        assert not model.objects.filter(instance__state=State.RECYCLED).exists()


# --- Delete of what is bound, against delete of the instances it is bound to ----------------------


@pytest.fixture
def pair(make_instance, make_listener, make_tag):
    """Two instances behind one listener and with one tag, bound in the order opposite to that of
    their locks.
    """
    listener, tag = make_listener(), make_tag()
    pair = sorted([make_instance(), make_instance()], key=lambda instance: instance.pk)
    for instance in reversed(pair):
        RealServer.objects.create(
            listener=listener, instance=instance, address=instance.private_ip, port=80
        )
        InstanceTag.objects.create(tag=tag, instance=instance)
    return pair


@pytest.fixture
def removals(context):
    return {
        "tag": lambda: tags.remove(Tag.objects.all(), context=context(), unbind=True),
        "listener": lambda: balancers.remove_listeners(
            Listener.objects.all(), context=context(), unbind=True
        ),
        "balancer": lambda: balancers.remove(
            LoadBalancer.objects.all(), context=context(), unbind=True
        ),
    }


@pytest.mark.parametrize("kind", ["tag", "listener", "balancer"])
@pytest.mark.parametrize("removed_first", [True, False])
def test_a_delete_of_what_binds_and_one_of_what_is_bound_do_not_deadlock(
    in_turn, alice, pair, removals, kind, removed_first
):
    def recycle():
        return actions.delete(Instance.objects.all(), may_release=False, context=acting(alice))

    calls = [removals[kind], recycle] if removed_first else [recycle, removals[kind]]

    outcomes = in_turn(*calls)

    assert refusals(*outcomes) == []
    assert len(done(*outcomes)) == 3
    assert not (InstanceTag if kind == "tag" else RealServer).objects.exists()


@pytest.mark.parametrize("kind", ["tag", "listener", "balancer"])
def test_a_delete_of_what_binds_waits_for_the_instances_before_it_holds_anything_they_want(
    threads, alice, pair, removals, kind
):
    """It stands at the first instance, so it holds none of the rows that a delete of the second
    writes.
    """
    first, second = pair
    with held(first):
        removal = threads.go(removals[kind])
        threads.wait_until_blocked(1)
        [deleted] = result(
            threads.go(actions.delete, rows(second), may_release=False, context=acting(alice))
        )

    [removed] = result(removal)

    assert (done(deleted), len(done(removed))) == ([second.pk], 1)


# --- Remove against bind --------------------------------------------------------------------------


def test_a_volume_that_is_attached_meanwhile_is_not_deleted(
    in_turn, context, make_instance, make_volume
):
    volume, instance = make_volume(), make_instance()

    attached, removed = in_turn(
        lambda: volumes.attach(rows(volume), instance, context=context()),
        lambda: volumes.remove(rows(volume), context=context(), unbind=True),
    )

    assert done(attached) == [volume.pk]
    assert (refusals(removed), blockers(removed)) == ([Refusal.BOUND], [instance.pk])
    assert rows(volume).get().instance_id == instance.pk


def test_a_volume_that_is_deleted_meanwhile_is_not_attached(
    in_turn, context, make_instance, make_volume
):
    volume, instance = make_volume(), make_instance()

    removed, attached = in_turn(
        lambda: volumes.remove(rows(volume), context=context()),
        lambda: volumes.attach(rows(volume), instance, context=context()),
    )

    assert (done(removed), refusals(attached)) == ([volume.pk], [Refusal.GONE])


def test_a_volume_that_moved_to_another_instance_meanwhile_stays_there(
    threads, context, make_instance, make_volume
):
    here, there = make_instance(), make_instance()
    volume = make_volume(instance=here, mount_point="/dev/vdb")
    with held(here):
        detach = threads.go(volumes.detach, rows(volume), context=context())
        remove = threads.go(volumes.remove, rows(volume), context=context(), unbind=True)
        threads.wait_until_blocked(2)
        rows(volume).update(instance=there)

    outcomes = result(detach, remove)

    assert refusals(*outcomes) == [Refusal.CHANGED, Refusal.CHANGED]
    assert rows(volume).get().instance_id == there.pk


def test_an_address_that_is_associated_meanwhile_is_not_released(
    in_turn, context, make_instance, make_address
):
    address, instance = make_address(), make_instance()

    associated, removed = in_turn(
        lambda: addresses.associate(rows(address), instance, context=context()),
        lambda: addresses.remove(rows(address), context=context(), unbind=True),
    )

    assert done(associated) == [address.pk]
    assert (refusals(removed), blockers(removed)) == ([Refusal.BOUND], [instance.pk])


def test_an_address_that_moved_to_another_instance_meanwhile_stays_there(
    threads, context, make_instance, make_address
):
    here, there = make_instance(), make_instance()
    address = make_address(instance=here)
    with held(here):
        disassociate = threads.go(addresses.disassociate, rows(address), context=context())
        threads.wait_until_blocked(1)
        rows(address).update(instance=there, zone=there.zone)

    [outcome] = result(disassociate)

    assert refusals(outcome) == [Refusal.CHANGED]
    assert rows(address).get().instance_id == there.pk


@pytest.mark.parametrize("kind", ["listener", "balancer"])
def test_who_is_registered_meanwhile_is_not_dropped_unasked(
    in_turn, context, make_instance, make_listener, kind
):
    listener, instance = make_listener(), make_instance()

    registered, removed = in_turn(
        lambda: balancers.register(listener, rows(instance), port=80, context=context()),
        lambda: (
            balancers.remove_listeners(rows(listener), context=context())
            if kind == "listener"
            else balancers.remove(rows(listener.load_balancer), context=context())
        ),
    )

    assert done(registered) == [instance.pk]
    assert (refusals(removed), blockers(removed)) == ([Refusal.BOUND], [instance.pk])
    assert RealServer.objects.get().instance_id == instance.pk


@pytest.mark.parametrize("kind", ["listener", "balancer"])
def test_with_a_listener_that_is_deleted_meanwhile_nobody_is_registered(
    in_turn, context, make_instance, make_listener, kind
):
    listener, instance = make_listener(), make_instance()

    removed, registered = in_turn(
        lambda: (
            balancers.remove_listeners(rows(listener), context=context())
            if kind == "listener"
            else balancers.remove(rows(listener.load_balancer), context=context())
        ),
        lambda: balancers.register(listener, rows(instance), port=80, context=context()),
    )

    assert (len(done(removed)), refusals(registered)) == (1, [Refusal.GONE])


def test_a_tag_that_is_added_meanwhile_is_not_deleted_unasked(
    in_turn, context, make_instance, make_tag
):
    tag, instance = make_tag(), make_instance()

    added, removed = in_turn(
        lambda: tags.add(tag, rows(instance), context=context()),
        lambda: tags.remove(rows(tag), context=context()),
    )

    assert done(added) == [instance.pk]
    assert (refusals(removed), blockers(removed)) == ([Refusal.BOUND], [instance.pk])


def test_a_tag_that_is_deleted_meanwhile_is_not_added(in_turn, context, make_instance, make_tag):
    tag, instance = make_tag(), make_instance()

    removed, added = in_turn(
        lambda: tags.remove(rows(tag), context=context()),
        lambda: tags.add(tag, rows(instance), context=context()),
    )

    assert (done(removed), refusals(added)) == ([tag.pk], [Refusal.GONE])


@pytest.mark.parametrize("kind", ["tag", "listener", "balancer"])
def test_who_is_bound_after_the_person_said_yes_is_not_unbound_unseen(
    threads, context, pair, removals, make_instance, kind
):
    """The removal has read whom it unbinds, and waits for one of them; then a third one comes."""
    third, tag, listener = make_instance(), Tag.objects.get(), Listener.objects.get()
    with held(pair[0]):
        removal = threads.go(removals[kind])
        threads.wait_until_blocked(1)
        if kind == "tag":
            [late] = result(threads.go(tags.add, tag, rows(third), context=context()))
        else:
            [late] = result(
                threads.go(balancers.register, listener, rows(third), port=80, context=context())
            )

    [removed] = result(removal)

    assert done(late) == [third.pk]
    assert refusals(removed) == [Refusal.CHANGED]
    assert bound_to(third) in ([0, 0, 1, 0], [0, 0, 0, 1])


# --- Protection and hold --------------------------------------------------------------------------


def test_a_protection_that_came_first_keeps_it_from_the_bin(in_turn, alice, make_instance):
    instance = make_instance()

    protected, deleted = in_turn(
        lambda: actions.protect(rows(instance), context=acting(alice)),
        lambda: actions.delete(rows(instance), may_release=True, context=acting(alice)),
    )

    assert (done(protected), refusals(deleted)) == ([instance.pk], [Refusal.PROTECTED])
    assert rows(instance).get().state == State.ACTIVE


def test_a_delete_that_came_first_is_not_protected_in_the_bin(in_turn, alice, make_instance):
    instance = make_instance()

    deleted, protected = in_turn(
        lambda: actions.delete(rows(instance), may_release=True, context=acting(alice)),
        lambda: actions.protect(rows(instance), context=acting(alice)),
    )

    assert (done(deleted), refusals(protected)) == ([instance.pk], [Refusal.IN_BIN])
    assert not rows(instance).get().protected


def test_a_hold_that_came_first_outlives_the_sweep_and_the_purge_by_hand(threads, alice, recycled):
    end = recycled.purge_at
    with nobody_writes_events():
        hold = threads.go(
            actions.hold, rows(recycled), context=acting(alice, end, reason="case 12")
        )
        threads.wait_until_blocked(1)
        [swept] = result(threads.go(actions.purge_due, context=acting(None, end)))
        purge = threads.go(actions.purge, rows(recycled), context=acting(alice, end))
        threads.wait_until_blocked(2)

    on_hold, purged = result(hold, purge)

    assert (done(on_hold), done(swept), refusals(purged)) == ([recycled.pk], [], [Refusal.HELD])
    assert actions.purge_due(context=acting(None, end + LONG_AGO)).done == []
    assert rows(recycled).get().state == State.RECYCLED


def test_a_hold_that_comes_while_the_sweep_purges_is_refused(in_turn, alice, recycled):
    end = recycled.purge_at

    swept, on_hold = in_turn(
        lambda: actions.purge_due(context=acting(None, end)),
        lambda: actions.hold(rows(recycled), context=acting(alice, end, reason="case 12")),
    )

    assert (done(swept), refusals(on_hold)) == ([recycled.pk], [Refusal.GONE])


def test_the_end_of_a_hold_gives_a_sweep_that_waits_nothing_for_a_quarter_of_an_hour(
    in_turn, alice, recycled
):
    end = recycled.purge_at
    actions.hold(
        rows(recycled), context=acting(alice, end - timedelta(minutes=1), reason="case 12")
    )
    Event.objects.all().delete()

    ended, swept = in_turn(lambda: actions.unhold(rows(recycled), context=acting(alice, end))), None
    swept = actions.purge_due(
        context=acting(None, end + timedelta(minutes=15) - timedelta(microseconds=1))
    )

    assert (done(*ended), swept.done) == ([recycled.pk], [])
    assert done(actions.purge_due(context=acting(None, end + timedelta(minutes=15)))) == [
        recycled.pk
    ]
