"""Volumes, addresses, load balancers and tags: each verb, each refusal with what stands in the way,
each event.
"""

from typing import Any
from uuid import UUID

import pytest

from recycle import actions
from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.lifecycle import State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    Listener,
    LoadBalancer,
    RealServer,
    Tag,
    Volume,
)
from recycle.policy import BillingMode, Refusal
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

HERE, THERE = UUID(int=1), UUID(int=2)
UNBINDABLE = [
    (State.EXPIRED, Refusal.EXPIRED),
    (State.RECYCLED, Refusal.IN_BIN),
    (State.PURGED, Refusal.GONE),
]
EVERYTHING = (Volume, ElasticIP, LoadBalancer, Listener, RealServer, Tag, InstanceTag, Event)


@pytest.fixture
def context(oscar, now):
    return acting(oscar, now)


@pytest.fixture
def foreign(mallory):
    """The account of somebody else."""
    return mallory.memberships.get().account


@pytest.fixture
def make_server(make_listener):
    """A real server behind a listener of its own, unless one is given."""

    def make(instance, port=8080, **fields):
        listener = fields.pop("listener", None) or make_listener()
        return RealServer.objects.create(
            listener=listener, instance=instance, address=instance.private_ip, port=port, **fields
        )

    return make


def rows(*named):
    return type(named[0])._default_manager.filter(pk__in=[row.pk for row in named])


def refused(outcome):
    """Of each: which, why, and what stands in the way."""
    assert outcome.failed == []
    return [
        (each.id, each.refusal, each.blocker and (each.blocker.id, each.blocker.name))
        for each in outcome.refused
    ]


def is_done(outcome, *named):
    return [each.id for each in outcome.done] == [row.pk for row in named] and refused(
        outcome
    ) == []


def told():
    """The events, oldest first: what was done to what of which instance."""
    return list(
        Event.objects.order_by("pk").values_list("action", "kind", "resource_name", "instance_name")
    )


def everything():
    return [
        list(model._default_manager.order_by("pk").values()) for model in (*EVERYTHING, Instance)
    ]


# --- Create ---------------------------------------------------------------------------------------


@pytest.fixture
def new(make_volume, make_address, make_balancer, make_listener, make_tag):
    """Of each kind: one that is not saved yet, what creates it, and how its events call it."""
    return {
        "volume": (lambda **fields: make_volume(new=True, **fields), volumes.create),
        "eip": (lambda **fields: make_address(new=True, **fields), addresses.create),
        "load_balancer": (lambda **fields: make_balancer(new=True, **fields), balancers.create),
        "listener": (lambda **fields: make_listener(new=True, **fields), balancers.create_listener),
        "tag": (lambda **fields: make_tag(new=True, **fields), tags.create),
    }


KINDS = ["volume", "eip", "load_balancer", "listener", "tag"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_created_is_there_and_an_event_says_who_made_it(
    new, context, oscar, account, now, kind
):
    make, create = new[kind]
    row = make()

    outcome = create(row, context=context)

    event = Event.objects.get()
    assert is_done(outcome, row)
    assert rows(row).exists()
    assert (event.action, event.kind, event.resource_id, event.resource_name) == (
        "create",
        kind,
        str(row.pk),
        str(row),
    )
    assert (event.by, event.by_name, event.at, event.batch, event.account) == (
        oscar, "oscar", now, outcome.batch, account,
    )  # fmt: skip
    assert (event.instance_id, event.instance_name, event.from_state, event.to_state) == (
        None,
        "",
        "",
        "",
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", ["victor", "mallory"])
def test_a_viewer_and_a_stranger_create_nothing(request, new, now, kind, who):
    make, create = new[kind]
    row = make()

    outcome = create(row, context=acting(request.getfixturevalue(who), now))

    assert [each.refusal for each in outcome.refused] == [Refusal.ROLE]
    assert not rows(row).exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("kind", "limit", "most"),
    [
        ("volume", "max_volumes", 1),
        ("volume", "max_volume_gb", 79),
        ("eip", "max_elastic_ips", 1),
        ("load_balancer", "max_load_balancers", 1),
    ],
)
def test_more_than_the_quota_is_not_created(new, context, account, kind, limit, most):
    make, create = new[kind]
    Account.objects.filter(pk=account.pk).update(**{limit: most})

    outcomes = [create(make(), context=context) for _ in range(2)]

    assert [len(outcome.done) for outcome in outcomes] == [1, 0]
    assert [each.refusal for each in outcomes[1].refused] == [Refusal.QUOTA]
    assert Event.objects.count() == 1


def test_the_quota_is_that_of_the_owner_and_room_comes_back_with_a_removal(
    new, context, account, foreign, make_volume
):
    make, create = new["volume"]
    Account.objects.update(max_volumes=1, max_volume_gb=40)
    make_volume(account=foreign)
    first = make()
    create(first, context=context)

    volumes.remove(rows(first), context=context)
    outcome = create(make(), context=context)

    assert len(outcome.done) == 1


def test_a_tag_is_there_once_and_who_creates_it_again_is_told(context, make_tag):
    there = make_tag("env", "prod")

    outcome = tags.create(make_tag("env", "prod", new=True), context=context)

    assert [each[1:] for each in refused(outcome)] == [(Refusal.ALREADY, (there.pk, "env=prod"))]
    assert Tag.objects.count() == 1


def test_the_tag_of_another_account_is_not_the_same(context, make_tag, foreign):
    make_tag("env", "prod", account=foreign)

    assert len(tags.create(make_tag("env", "prod", new=True), context=context).done) == 1


def test_a_reserved_tag_fails_and_says_so_to_nobody_but_the_log(context, make_tag, caplog):
    caplog.set_level("CRITICAL", logger="recycle")

    outcome = tags.create(make_tag("ksc:team", new=True), context=context)

    assert ["tag_ksc_is_reserved" in each.error for each in outcome.failed] == [True]
    assert not Event.objects.exists()


def test_a_port_of_a_load_balancer_is_opened_once_for_each_protocol(context, make_listener):
    there = make_listener(protocol="TCP", port=443)
    balancer = there.load_balancer

    again = balancers.create_listener(
        make_listener(new=True, load_balancer=balancer, protocol="TCP", port=443), context=context
    )
    other = balancers.create_listener(
        make_listener(new=True, load_balancer=balancer, protocol="UDP", port=443), context=context
    )

    assert [each[1:] for each in refused(again)] == [(Refusal.TAKEN, (there.pk, "TCP:443"))]
    assert len(other.done) == 1
    assert Event.objects.get().detail == {"load_balancer": balancer.name}


def test_a_listener_is_not_opened_at_a_load_balancer_that_is_gone(context, make_listener):
    listener = make_listener(new=True)
    LoadBalancer.objects.all().delete()

    outcome = balancers.create_listener(listener, context=context)

    assert [each.refusal for each in outcome.refused] == [Refusal.GONE]


# --- Volumes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED])
def test_a_volume_is_attached_at_the_first_free_mount_point(
    context, make_instance, make_volume, state
):
    instance, volume = make_instance(state), make_volume()
    make_volume(instance=instance, mount_point="/dev/vdb")
    make_volume(instance=instance, mount_point="/dev/vdd")

    outcome = volumes.attach(rows(volume), instance, context=context)

    volume.refresh_from_db()
    event = Event.objects.get()
    assert is_done(outcome, volume)
    assert (volume.instance, volume.mount_point, volume.delete_with_instance) == (
        instance,
        "/dev/vdc",
        False,
    )
    assert (event.instance_id, event.detail) == (instance.pk, {"mount_point": "/dev/vdc"})
    assert told() == [("bind", "volume", volume.name, instance.name)]


@pytest.mark.parametrize(
    ("wanted", "got"),
    [("/dev/vde", "/dev/vde"), ("/dev/vdb", "/dev/vdc"), ("/dev/sda", "/dev/vdc")],
)
def test_the_mount_point_that_is_wanted_is_given_when_it_is_free(
    context, make_instance, make_volume, wanted, got
):
    instance, volume = make_instance(), make_volume()
    make_volume(instance=instance, mount_point="/dev/vdb")

    volumes.attach(rows(volume), instance, context=context, wanted=wanted)

    assert rows(volume).get().mount_point == got


@pytest.mark.parametrize(
    ("own", "asked", "after"), [(False, True, True), (True, None, True), (True, False, False)]
)
def test_who_attaches_says_whether_it_goes_with_the_instance(
    context, make_instance, make_volume, own, asked, after
):
    volume = make_volume(delete_with_instance=own)

    volumes.attach(rows(volume), make_instance(), context=context, delete_with_instance=asked)

    assert rows(volume).get().delete_with_instance is after


def test_eight_volumes_fit_an_instance_and_a_ninth_is_refused(context, make_instance, make_volume):
    instance, all_ = make_instance(), [make_volume(name=f"{number}") for number in range(9)]

    outcome = volumes.attach(rows(*all_).order_by("name"), instance, context=context)

    assert [each.id for each in outcome.done] == [volume.pk for volume in all_[:8]]
    assert refused(outcome) == [(all_[8].pk, Refusal.TOO_MANY, (instance.pk, instance.name))]
    assert sorted(instance.volumes.values_list("mount_point", flat=True)) == [
        f"/dev/vd{at}" for at in "bcdefghi"
    ]


def test_a_volume_without_a_known_mount_point_counts_as_well(context, make_instance, make_volume):
    instance, volume = make_instance(), make_volume()
    for _ in range(8):
        make_volume(instance=instance, mount_point="")

    assert refused(volumes.attach(rows(volume), instance, context=context)) == [
        (volume.pk, Refusal.TOO_MANY, (instance.pk, instance.name))
    ]


def test_a_volume_of_another_instance_is_not_taken_away(context, make_instance, make_volume):
    taker, instance = make_instance(), make_instance()
    volume = make_volume(instance=taker, mount_point="/dev/vdb")

    outcome = volumes.attach(rows(volume), instance, context=context)

    assert refused(outcome) == [(volume.pk, Refusal.TAKEN, (taker.pk, taker.name))]
    assert rows(volume).get().instance == taker
    assert told() == []


def test_a_volume_that_is_there_already_stays_where_it_is(context, make_instance, make_volume):
    instance = make_instance()
    volume = make_volume(instance=instance, mount_point="/dev/vdd")

    outcome = volumes.attach(rows(volume), instance, context=context, delete_with_instance=True)

    assert refused(outcome) == [(volume.pk, Refusal.ALREADY, (instance.pk, instance.name))]
    assert rows(volume).values("mount_point", "delete_with_instance").get() == {
        "mount_point": "/dev/vdd", "delete_with_instance": False,
    }  # fmt: skip


def test_a_volume_is_attached_in_its_own_zone_only(context, make_instance, make_volume, other_zone):
    instance, volume = make_instance(), make_volume(zone=other_zone)

    outcome = volumes.attach(rows(volume), instance, context=context)

    assert refused(outcome) == [(volume.pk, Refusal.OTHER_ZONE, (instance.pk, instance.name))]


def test_one_that_is_refused_does_not_hold_up_the_others(
    context, make_instance, make_volume, other_zone
):
    instance = make_instance()
    far, near = make_volume(name="a", zone=other_zone), make_volume(name="b")

    outcome = volumes.attach(rows(far, near).order_by("name"), instance, context=context)

    assert ([each.id for each in outcome.done], [each.id for each in outcome.refused]) == (
        [near.pk],
        [far.pk],
    )
    assert told() == [("bind", "volume", "b", instance.name)]


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED, State.EXPIRED])
def test_a_volume_is_detached_from_whatever_lives(context, make_instance, make_volume, state):
    instance = make_instance(state)
    volume = make_volume(instance=instance, mount_point="/dev/vdb", delete_with_instance=True)

    outcome = volumes.detach(rows(volume), context=context)

    volume.refresh_from_db()
    assert is_done(outcome, volume)
    # What stays behind does not go with an instance that it is not on.
    assert (volume.instance, volume.mount_point, volume.delete_with_instance) == (None, "", False)
    assert told() == [("unbind", "volume", volume.name, instance.name)]


def test_a_free_volume_has_nothing_to_be_detached_from(context, make_volume):
    volume = make_volume()

    assert refused(volumes.detach(rows(volume), context=context)) == [
        (volume.pk, Refusal.NOT_BOUND, None)
    ]


def test_a_free_volume_is_deleted_and_the_event_says_what_it_was(context, make_volume):
    volume = make_volume(name="", size_gb=70)

    outcome = volumes.remove(rows(volume), context=context)

    event = Event.objects.get()
    assert is_done(outcome, volume)
    assert not Volume.objects.exists()
    assert (event.action, event.resource_id, event.resource_name) == (
        "remove",
        str(volume.pk),
        str(volume.pk),
    )
    assert event.detail == {"size_gb": 70, "type": "SSD3.0"}


def test_an_attached_volume_is_not_deleted_unless_it_is_detached_first(
    context, make_instance, make_volume
):
    instance = make_instance()
    volume = make_volume(instance=instance, mount_point="/dev/vdb")

    kept = volumes.remove(rows(volume), context=context)
    gone = volumes.remove(rows(volume), context=context, unbind=True)

    assert refused(kept) == [(volume.pk, Refusal.BOUND, (instance.pk, instance.name))]
    assert is_done(gone, volume)
    assert told() == [
        ("unbind", "volume", volume.name, instance.name),
        ("remove", "volume", volume.name, ""),
    ]


# --- Addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED])
def test_an_address_is_associated_with_an_instance_of_its_region(
    context, make_instance, make_address, other_zone, state
):
    instance, address = make_instance(state, zone=other_zone), make_address()

    outcome = addresses.associate(rows(address), instance, context=context)

    assert is_done(outcome, address)
    assert rows(address).get().instance == instance
    assert told() == [("bind", "eip", address.address, instance.name)]


def test_an_address_is_associated_with_a_load_balancer_of_its_region(
    context, make_balancer, make_address
):
    balancer, address = make_balancer(), make_address()

    outcome = addresses.associate(rows(address), balancer, context=context)

    assert is_done(outcome, address)
    assert rows(address).get().load_balancer == balancer
    assert told() == [("bind", "eip", address.address, "")]
    assert Event.objects.get().detail == {"load_balancer": balancer.name}


def test_an_instance_takes_one_address_and_so_does_a_load_balancer(
    context, make_instance, make_balancer, make_address
):
    instance, balancer, address = make_instance(), make_balancer(), make_address()
    make_address(instance=instance)
    make_address(load_balancer=balancer)

    outcomes = [
        addresses.associate(rows(address), target, context=context)
        for target in (instance, balancer)
    ]

    assert [refused(outcome) for outcome in outcomes] == [
        [(address.pk, Refusal.TOO_MANY, (target.pk, target.name))]
        for target in (instance, balancer)
    ]


def test_of_a_batch_of_addresses_an_instance_takes_the_first(context, make_instance, make_address):
    instance, one, two = (
        make_instance(),
        make_address(address="120.94.0.1"),
        make_address(address="120.94.0.2"),
    )

    outcome = addresses.associate(rows(one, two).order_by("address"), instance, context=context)

    assert [each.id for each in outcome.done] == [one.pk]
    assert refused(outcome) == [(two.pk, Refusal.TOO_MANY, (instance.pk, instance.name))]


@pytest.mark.parametrize("taker", ["instance", "load_balancer"])
@pytest.mark.parametrize("target", ["instance", "load_balancer"])
def test_an_address_is_not_taken_away_from_what_has_it(
    context, make_instance, make_balancer, make_address, taker, target
):
    make = {"instance": make_instance, "load_balancer": make_balancer}
    has, wants = make[taker](), make[target]()
    address = make_address(**{taker: has})

    taken = addresses.associate(rows(address), wants, context=context)
    already = addresses.associate(rows(address), has, context=context)

    assert refused(taken) == [(address.pk, Refusal.TAKEN, (has.pk, has.name))]
    assert refused(already) == [(address.pk, Refusal.ALREADY, (has.pk, has.name))]
    [blocker] = [each.blocker for each in taken.refused]
    assert blocker
    assert blocker.kind == taker.replace("_", "")
    assert told() == []


def test_an_address_of_another_region_is_refused(
    context, make_instance, make_balancer, make_address, far_zone
):
    address = make_address(region=far_zone.region)
    instance, balancer = make_instance(), make_balancer()

    outcomes = [
        addresses.associate(rows(address), target, context=context)
        for target in (instance, balancer)
    ]

    assert [refused(outcome) for outcome in outcomes] == [
        [(address.pk, Refusal.OTHER_REGION, (target.pk, target.name))]
        for target in (instance, balancer)
    ]


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED, State.EXPIRED])
def test_an_address_is_disassociated_from_whatever_lives(
    context, make_instance, make_address, state
):
    instance = make_instance(state)
    address = make_address(instance=instance)

    outcome = addresses.disassociate(rows(address), context=context)

    assert is_done(outcome, address)
    assert rows(address).get().instance is None
    assert told() == [("unbind", "eip", address.address, instance.name)]


def test_an_address_is_disassociated_from_a_load_balancer_and_the_event_names_it(
    context, make_balancer, make_address
):
    balancer = make_balancer()
    address = make_address(load_balancer=balancer)

    outcome = addresses.disassociate(rows(address), context=context)

    assert is_done(outcome, address)
    assert rows(address).get().load_balancer is None
    assert Event.objects.get().detail == {"load_balancer": balancer.name}


def test_a_free_address_has_nothing_to_be_disassociated_from(context, make_address):
    address = make_address()

    assert refused(addresses.disassociate(rows(address), context=context)) == [
        (address.pk, Refusal.NOT_BOUND, None)
    ]


@pytest.mark.parametrize("kind", ["instance", "load_balancer"])
def test_a_bound_address_is_not_released_unless_it_is_disassociated_first(
    context, make_instance, make_balancer, make_address, kind
):
    bound = make_instance() if kind == "instance" else make_balancer()
    address = make_address(**{kind: bound})

    kept = addresses.remove(rows(address), context=context)
    gone = addresses.remove(rows(address), context=context, unbind=True)

    assert refused(kept) == [(address.pk, Refusal.BOUND, (bound.pk, bound.name))]
    assert is_done(gone, address)
    assert [event[:3] for event in told()] == [
        ("unbind", "eip", address.address),
        ("remove", "eip", address.address),
    ]


def test_a_free_address_is_released(context, make_address):
    address = make_address()

    assert is_done(addresses.remove(rows(address), context=context), address)
    assert not ElasticIP.objects.exists()


# --- Load balancers -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED])
def test_instances_are_registered_at_their_private_ips(
    context, make_instance, make_listener, state
):
    listener, one, two = (
        make_listener(),
        make_instance(state, name="a"),
        make_instance(state, name="b"),
    )

    outcome = balancers.register(
        listener, rows(one, two).order_by("name"), port=8080, weight=5, context=context
    )

    assert is_done(outcome, one, two)
    assert list(
        RealServer.objects.order_by("instance__name").values_list(
            "address", "port", "weight", "listener"
        )
    ) == [(each.private_ip, 8080, 5, listener.pk) for each in (one, two)]
    assert told() == [
        ("bind", "real_server", f"{each.private_ip}:8080", each.name) for each in (one, two)
    ]
    assert Event.objects.earliest("pk").detail == {
        "listener": str(listener),
        "load_balancer": listener.load_balancer.name,
    }


def test_an_instance_is_behind_a_listener_at_more_than_one_port_but_once_at_each(
    context, make_instance, make_listener
):
    listener, instance = make_listener(), make_instance()

    outcomes = [
        balancers.register(listener, rows(instance), port=port, context=context)
        for port in (80, 81, 80)
    ]

    assert [len(outcome.done) for outcome in outcomes] == [1, 1, 0]
    assert refused(outcomes[2]) == [(instance.pk, Refusal.ALREADY, (instance.pk, instance.name))]


def test_of_two_with_one_private_ip_the_second_reads_who_has_the_port(
    context, make_instance, make_listener
):
    listener = make_listener()
    first = make_instance(private_ip="10.9.0.1")
    second = make_instance(private_ip="10.9.0.1", subnet_id=THERE)
    balancers.register(listener, rows(first), port=80, context=context)

    outcome = balancers.register(listener, rows(second), port=80, context=context)

    assert refused(outcome) == [(second.pk, Refusal.PORT_TAKEN, (first.pk, first.name))]


@pytest.mark.parametrize(
    ("balancer_vpc", "instance_vpc", "refusal"),
    [
        (None, None, None), (HERE, None, None), (None, HERE, None), (HERE, HERE, None),
        (HERE, THERE, Refusal.OTHER_VPC),
    ],
)  # fmt: skip
def test_a_load_balancer_and_its_real_servers_stand_in_one_vpc(
    context, make_instance, make_balancer, make_listener, balancer_vpc, instance_vpc, refusal
):
    balancer, instance = make_balancer(vpc_id=balancer_vpc), make_instance(vpc_id=instance_vpc)

    outcome = balancers.register(
        make_listener(load_balancer=balancer), rows(instance), port=80, context=context
    )

    assert refused(outcome) == (
        [(instance.pk, refusal, (balancer.pk, balancer.name))] if refusal else []
    )


def test_a_load_balancer_and_its_real_servers_stand_in_one_region(
    context, make_instance, make_balancer, make_listener, far_zone, other_zone
):
    balancer = make_balancer()
    far, near = make_instance(zone=far_zone), make_instance(zone=other_zone)
    listener = make_listener(load_balancer=balancer)

    outcomes = [
        balancers.register(listener, rows(each), port=80, context=context) for each in (far, near)
    ]

    assert refused(outcomes[0]) == [(far.pk, Refusal.OTHER_REGION, (balancer.pk, balancer.name))]
    assert is_done(outcomes[1], near)


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED, State.EXPIRED])
def test_a_real_server_is_deregistered_from_whatever_lives(
    context, make_instance, make_server, state
):
    instance = make_instance(state)
    server, other = make_server(instance), make_server(instance)

    outcome = balancers.deregister(rows(server), context=context)

    assert is_done(outcome, server)
    assert list(RealServer.objects.all()) == [other]
    assert told() == [("unbind", "real_server", str(server), instance.name)]
    assert Event.objects.get().detail["load_balancer"] == server.listener.load_balancer.name


def test_a_listener_with_real_servers_is_not_deleted_unless_these_go_with_it(
    context, make_instance, make_server
):
    instance = make_instance()
    server = make_server(instance)
    listener = server.listener

    kept = balancers.remove_listeners(rows(listener), context=context)
    gone = balancers.remove_listeners(rows(listener), context=context, unbind=True)

    assert refused(kept) == [(listener.pk, Refusal.BOUND, (instance.pk, instance.name))]
    assert is_done(gone, listener)
    assert told() == [
        ("unbind", "real_server", str(server), instance.name),
        ("remove", "listener", str(listener), ""),
    ]
    assert Event.objects.latest("pk").detail == {
        "load_balancer": listener.load_balancer.name, "real_servers": [str(server)],
    }  # fmt: skip
    assert LoadBalancer.objects.exists()


def test_a_listener_without_real_servers_is_deleted(context, make_listener):
    listener, other = make_listener(), make_listener()

    assert is_done(balancers.remove_listeners(rows(listener), context=context), listener)
    assert list(Listener.objects.all()) == [other]


def test_a_load_balancer_with_nothing_behind_it_is_deleted_with_its_listeners(
    context, make_listener
):
    listener, other = make_listener(port=443), make_listener()
    balancer = listener.load_balancer

    outcome = balancers.remove(rows(balancer), context=context)

    assert is_done(outcome, balancer)
    assert list(Listener.objects.all()) == [other]
    assert (told(), Event.objects.get().detail) == (
        [("remove", "load_balancer", balancer.name, "")], {"listeners": ["TCP:443"]},
    )  # fmt: skip


def test_a_load_balancer_that_is_in_use_is_not_deleted_unless_all_is_unbound_first(
    context, make_instance, make_server, make_address
):
    instances = [make_instance(), make_instance()]
    server = make_server(instances[0])
    make_server(instances[1], listener=server.listener)
    balancer = server.listener.load_balancer
    address = make_address(load_balancer=balancer)

    kept = balancers.remove(rows(balancer), context=context)
    gone = balancers.remove(rows(balancer), context=context, unbind=True)

    [(_, refusal, blocker)] = refused(kept)
    assert refusal is Refusal.BOUND
    assert blocker in [(instance.pk, instance.name) for instance in instances]
    assert is_done(gone, balancer)
    assert not RealServer.objects.exists()
    assert rows(address).get().load_balancer is None
    assert sorted((action, kind, name) for action, kind, _, name in told()) == sorted(
        [
            ("remove", "load_balancer", ""),
            ("unbind", "eip", ""),
            *(("unbind", "real_server", instance.name) for instance in instances),
        ]
    )


def test_an_address_alone_keeps_its_load_balancer_from_being_deleted(
    context, make_balancer, make_address
):
    balancer = make_balancer()
    address = make_address(load_balancer=balancer)

    outcome = balancers.remove(rows(balancer), context=context)

    assert refused(outcome) == [(balancer.pk, Refusal.BOUND, (address.pk, address.address))]


# --- Tags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED])
def test_a_tag_is_added_to_instances_once(context, make_instance, make_tag, state):
    tag, one, two = (
        make_tag("env", "prod"),
        make_instance(state, name="a"),
        make_instance(state, name="b"),
    )
    InstanceTag.objects.create(instance=one, tag=tag)

    outcome = tags.add(tag, rows(one, two).order_by("name"), context=context)

    assert [each.id for each in outcome.done] == [two.pk]
    assert refused(outcome) == [(one.pk, Refusal.ALREADY, (one.pk, one.name))]
    assert told() == [("bind", "tag", "env=prod", two.name)]


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED, State.EXPIRED])
def test_a_tag_is_taken_off_whatever_lives(context, make_instance, make_tag, state):
    tag, instance, other = make_tag("env", "prod"), make_instance(state), make_instance()
    taken, left = (InstanceTag.objects.create(instance=each, tag=tag) for each in (instance, other))

    outcome = tags.take_off(rows(taken), context=context)

    assert is_done(outcome, taken)
    assert list(InstanceTag.objects.all()) == [left]
    assert told() == [("unbind", "tag", "env=prod", instance.name)]
    assert Event.objects.get().resource_id == str(tag.pk)


def test_a_tag_that_is_on_instances_is_not_deleted_unless_it_is_taken_off_first(
    context, make_instance, make_tag
):
    tag, other, instances = (
        make_tag("env", "prod"),
        make_tag("team"),
        [make_instance(), make_instance()],
    )
    for instance in instances:
        InstanceTag.objects.create(instance=instance, tag=tag)
    left = InstanceTag.objects.create(instance=instances[0], tag=other)

    kept = tags.remove(rows(tag), context=context)
    gone = tags.remove(rows(tag), context=context, unbind=True)

    assert refused(kept) == [(tag.pk, Refusal.BOUND, (instances[0].pk, instances[0].name))]
    assert is_done(gone, tag)
    assert list(InstanceTag.objects.all()) == [left]
    assert told() == [
        *(("unbind", "tag", "env=prod", instance.name) for instance in instances),
        ("remove", "tag", "env=prod", ""),
    ]


def test_a_tag_on_nothing_is_deleted(context, make_tag):
    tag = make_tag()

    assert is_done(tags.remove(rows(tag), context=context), tag)
    assert not Tag.objects.exists()


# --- What holds for all of them -------------------------------------------------------------------


@pytest.fixture
def binds(make_volume, make_address, make_listener, make_tag):
    """Of each kind: a call that binds something of the account to an instance."""
    volume, address, listener, tag = (
        make_volume(),
        make_address(),
        make_listener(port=9000),
        make_tag("bound"),
    )
    return {
        "volume": lambda instance, context: volumes.attach(rows(volume), instance, context=context),
        "address": lambda instance, context: addresses.associate(
            rows(address), instance, context=context
        ),
        "real server": lambda instance, context: balancers.register(
            listener, rows(instance), port=80, context=context
        ),
        "tag": lambda instance, context: tags.add(tag, rows(instance), context=context),
    }


@pytest.fixture
def unbinds(make_volume, make_address, make_server, make_tag):
    """Of each kind: a call that takes what is bound off an instance, or deletes it."""

    def bound(kind: str, instance: Instance) -> tuple[Any, list[Any]]:
        row: Any
        calls: list[Any]
        if kind == "volume":
            row = make_volume(instance=instance, mount_point="/dev/vdb")
            calls = [volumes.detach, volumes.remove]
        elif kind == "address":
            row = make_address(instance=instance)
            calls = [addresses.disassociate, addresses.remove]
        elif kind == "real server":
            row = make_server(instance)
            calls = [balancers.deregister]
        else:
            row = InstanceTag.objects.create(instance=instance, tag=make_tag("off"))
            calls = [tags.take_off]
        return row, calls

    return bound


ALL = ["volume", "address", "real server", "tag"]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(("state", "refusal"), UNBINDABLE)
def test_only_what_runs_or_stands_can_be_bound(context, binds, make_instance, kind, state, refusal):
    instance = make_instance(state)
    before = everything()

    outcome = binds[kind](instance, context)

    assert [each[1:] for each in refused(outcome)] == [(refusal, (instance.pk, instance.name))]
    assert everything() == before


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("who", ["victor", "mallory"])
def test_a_viewer_and_a_stranger_bind_and_unbind_nothing(
    request, binds, unbinds, make_instance, now, kind, who
):
    context = acting(request.getfixturevalue(who), now)
    row, calls = unbinds(kind, make_instance())
    bound = make_instance()
    before = everything()

    outcomes = [binds[kind](bound, context), *(call(rows(row), context=context) for call in calls)]

    assert [[each.refusal for each in outcome.refused] for outcome in outcomes] == [
        [Refusal.ROLE]
    ] * len(outcomes)
    assert everything() == before


@pytest.mark.parametrize("who", ["victor", "mallory"])
@pytest.mark.parametrize("unbind", [False, True])
def test_a_viewer_and_a_stranger_delete_nothing(
    request, make_volume, make_address, make_listener, make_tag, now, who, unbind
):
    context = acting(request.getfixturevalue(who), now)
    listener = make_listener()
    named: list[tuple[Any, Any]] = [
        (volumes.remove, make_volume()),
        (addresses.remove, make_address()),
        (balancers.remove, listener.load_balancer),
        (balancers.remove_listeners, listener),
        (tags.remove, make_tag()),
    ]

    outcomes = [remove(rows(row), context=context, unbind=unbind) for remove, row in named]

    assert [refused(outcome) for outcome in outcomes] == [
        [(row.pk, Refusal.ROLE, None)] for _, row in named
    ]
    assert all(rows(row).exists() for _, row in named)
    assert told() == []


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_bound_to_an_instance_of_another_account(
    context, oscar, foreign, make_instance, make_volume, make_address, make_listener, make_tag, kind
):
    """Also by somebody who may do it in both."""
    oscar.memberships.create(account=foreign, role=30)
    instance, listener, tag = make_instance(account=foreign), make_listener(), make_tag()
    calls = {
        "volume": lambda: volumes.attach(rows(make_volume()), instance, context=context),
        "address": lambda: addresses.associate(rows(make_address()), instance, context=context),
        "real server": lambda: balancers.register(
            listener, rows(instance), port=80, context=context
        ),
        "tag": lambda: tags.add(tag, rows(instance), context=context),
    }

    outcome = calls[kind]()

    # Not even the name of what is there is told.
    assert [each[1:] for each in refused(outcome)] == [(Refusal.GONE, None)]
    assert told() == []


def test_an_address_is_not_bound_to_a_load_balancer_of_another_account(
    context, oscar, foreign, make_balancer, make_address
):
    oscar.memberships.create(account=foreign, role=30)
    address, balancer = make_address(), make_balancer(account=foreign)

    outcome = addresses.associate(rows(address), balancer, context=context)

    assert refused(outcome) == [(address.pk, Refusal.GONE, None)]


def test_a_superuser_sees_and_so_changes_what_they_belong_to(alice, foreign, make_volume, now):
    alice.is_superuser = True
    alice.save()
    make_volume(account=foreign)
    own = make_volume()

    outcome = volumes.remove(Volume.objects.visible_to(alice), context=acting(alice, now))

    assert is_done(outcome, own)
    assert Volume.objects.count() == 1


def test_each_kind_shows_its_own_to_its_people_only(
    oscar,
    victor,
    mallory,
    foreign,
    make_instance,
    make_volume,
    make_address,
    make_server,
    make_tag,
    account,
):
    instance = make_instance()
    make_volume()
    make_address()
    make_server(instance)
    InstanceTag.objects.create(instance=instance, tag=make_tag())

    for model in (Volume, ElasticIP, LoadBalancer, Listener, RealServer, Tag, InstanceTag):
        assert [model.objects.visible_to(user).count() for user in (oscar, victor, mallory)] == [
            1,
            1,
            0,
        ]
        assert [model.objects.of(owner).count() for owner in (account, foreign, None)] == [1, 0, 0]


@pytest.mark.parametrize("kind", ALL)
def test_what_is_gone_by_now_is_refused_as_gone(context, unbinds, binds, make_instance, kind):
    row, calls = unbinds(kind, make_instance())
    named = list(rows(row).select_related("instance"))
    rows(row).delete()

    class Read:
        """What was read a moment ago."""

        def select_related(self, *names):
            return named

        def __iter__(self):
            return iter(named)

    outcomes = [call(Read(), context=context) for call in calls[:1]]

    assert [each[:2] for outcome in outcomes for each in refused(outcome)] == [
        (row.pk, Refusal.GONE)
    ]


@pytest.mark.parametrize("kind", ALL)
def test_a_bind_and_an_unbind_are_a_change_of_the_instance(
    context, binds, unbinds, make_instance, now, kind
):
    bound, unbound = make_instance(), make_instance()
    row, calls = unbinds(kind, unbound)

    binds[kind](bound, context)
    calls[0](rows(row), context=context)

    assert [rows(each).get().changed_at for each in (bound, unbound)] == [now, now]


def test_all_of_one_request_is_one_batch(context, make_instance, make_volume):
    instance = make_instance()
    for _ in range(3):
        make_volume()

    outcome = volumes.attach(Volume.objects.all(), instance, context=context)

    assert set(Event.objects.values_list("batch", flat=True)) == {outcome.batch} == {context.batch}
    assert Event.objects.count() == 3


def test_what_was_bound_by_these_verbs_is_what_a_delete_cancels(
    context, alice, binds, make_instance, now
):
    instance = make_instance(billing_mode=BillingMode.DAILY)
    for bind in binds.values():
        bind(instance, context)

    actions.delete(rows(instance), may_release=False, context=acting(alice, now))

    cancelled = Event.objects.get(action="recycle").detail
    assert {kind: len(listed) for kind, listed in cancelled.items()} == {
        "eips": 1, "volumes": 1, "real_servers": 1, "tags": 1,
    }  # fmt: skip
