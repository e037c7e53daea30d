"""Configure again: what the plan says of each former relationship, and that the deed says
the same.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recycle import actions
from recycle.actions import Blocker
from recycle.actions.again import Prospect
from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.lifecycle import State
from recycle.models import (
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    Kind,
    Listener,
    LoadBalancer,
    RealServer,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.policy import BillingMode, Refusal
from tests.conftest import acting, rejecting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

HOUR = timedelta(hours=1)


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


@pytest.fixture
def delete(alice, now):
    def delete(*instances, at=now):
        actions.delete(
            Instance.objects.filter(pk__in=[each.pk for each in instances]),
            may_release=True,
            context=acting(alice, at),
        )

    return delete


@pytest.fixture
def restore(alice, now):
    def restore(*instances, at=now):
        actions.restore(
            Instance.objects.filter(pk__in=[each.pk for each in instances]),
            context=acting(alice, at),
        )

    return restore


@pytest.fixture
def back(make_instance, bind, delete, restore):
    """An instance that had one relationship of every kind and came out of the bin."""
    instance = make_instance(name="back")
    bind(instance)
    delete(instance)
    restore(instance)
    return instance


@pytest.fixture
def look(alice, now):
    def look(*instances, by=alice):
        rows = Instance.objects.filter(pk__in=[each.pk for each in instances]).order_by(
            "name", "pk"
        )
        return actions.plan(rows, context=acting(by, now))

    return look


@pytest.fixture
def context(alice, now):
    return acting(alice, now)


def line(lines, kind):
    return next(line for line in lines if line.former.kind is kind)


def prospects(lines):
    return [line.prospect for line in lines]


# --- The plan -------------------------------------------------------------------------------------


def test_after_a_restore_everything_that_is_still_free_can_be_bound(look, back):
    lines = look(back)

    assert [(line.former.kind, line.prospect) for line in lines] == [
        (Kind.REAL_SERVER, Prospect.FREE),
        (Kind.EIP, Prospect.FREE),
        (Kind.VOLUME, Prospect.FREE),
        (Kind.VOLUME, Prospect.FREE),
        (Kind.TAG, Prospect.FREE),
    ]
    assert all(line.ticked for line in lines)


def test_a_restore_binds_nothing_and_a_plan_neither(look, back):
    look(back)

    assert not RealServer.objects.exists()
    assert not InstanceTag.objects.exists()
    assert set(ElasticIP.objects.values_list("instance", flat=True)) == {None}
    assert set(Volume.objects.values_list("instance", flat=True)) == {None}


def test_what_lies_in_the_bin_has_a_plan_that_says_so(look, make_instance, bind, delete):
    instance = make_instance()
    bind(instance)
    delete(instance)

    lines = look(instance)

    assert {(line.prospect, line.refusal) for line in lines} == {
        (Prospect.IMPOSSIBLE, Refusal.IN_BIN)
    }


def test_what_is_gone_for_good_has_a_plan_that_says_so(look, alice, make_instance, bind, delete):
    instance = make_instance()
    bind(instance)
    delete(instance)
    actions.purge(only(instance), context=acting(alice))

    lines = look(instance)

    assert {line.prospect for line in lines} == {Prospect.IMPOSSIBLE}


def test_taken_names_the_taker(look, back, make_instance, context):
    taker = make_instance(name="taker")
    addresses.associate(ElasticIP.objects.all(), taker, context=context)
    volumes.attach(Volume.objects.filter(name="data"), taker, context=context)

    lines = look(back)

    assert (line(lines, Kind.EIP).prospect, line(lines, Kind.EIP).blocker.name) == (
        Prospect.TAKEN,
        "taker",
    )
    assert line(lines, Kind.VOLUME).blocker.id == taker.pk
    assert not line(lines, Kind.EIP).ticked


def test_an_address_on_a_load_balancer_is_taken_by_that(look, back, context):
    addresses.associate(ElasticIP.objects.all(), LoadBalancer.objects.get(), context=context)

    blocker = line(look(back), Kind.EIP).blocker

    assert (blocker.name, blocker.kind) == ("front", "loadbalancer")


def test_gone_says_when_and_by_whom(look, back, context, now):
    addresses.remove(ElasticIP.objects.all(), context=context)
    volumes.remove(Volume.objects.filter(name="data"), context=context)
    balancers.remove(LoadBalancer.objects.all(), context=context)
    tags.remove(Tag.objects.all(), context=context)

    lines = look(back)

    assert [line.prospect for line in lines] == [
        Prospect.GONE, Prospect.GONE, Prospect.GONE, Prospect.FREE, Prospect.GONE,
    ]  # fmt: skip
    assert {(line.removed.by_name, line.removed.at) for line in lines if line.removed} == {
        ("alice", now)
    }
    assert sum(1 for line in lines if line.removed) == 4


def test_a_listener_that_went_alone_is_gone_as_well(look, back, context):
    balancers.remove_listeners(Listener.objects.all(), context=context)

    server = line(look(back), Kind.REAL_SERVER)

    assert (server.prospect, server.removed.kind) == (Prospect.GONE, Kind.LISTENER)


def test_what_nobody_saw_go_is_just_gone(look, back):
    Volume.objects.filter(name="data").delete()

    volume = line(look(back), Kind.VOLUME)

    assert (volume.prospect, volume.removed) == (Prospect.GONE, None)


def test_a_tag_that_was_made_anew_is_the_same_tag(look, back, account, context):
    tags.remove(Tag.objects.all(), context=context)
    Tag.objects.create(account=account, key="env", value="prod")

    assert line(look(back), Kind.TAG).prospect is Prospect.FREE


def test_another_zone_another_vpc_a_taken_port_and_no_room_are_not_possible(
    look, back, make_instance, account, zone, now, make_volume
):
    other = Zone.objects.create(code="cn-beijing-6b", region=zone.region)
    Volume.objects.filter(name="data").update(zone=other)
    RealServer.objects.create(
        listener=Listener.objects.get(),
        instance=make_instance(),
        address=back.private_ip,
        port=8080,
    )
    ElasticIP.objects.create(
        account=account, region=zone.region, address="120.92.9.9", instance=back, created_at=now
    )
    for letter in "bdefghij":
        make_volume(instance=back, mount_point=f"/dev/vd{letter}")

    refusals = [line.refusal for line in look(back)]

    assert refusals == [
        Refusal.PORT_TAKEN,
        Refusal.TOO_MANY,
        Refusal.OTHER_ZONE,
        Refusal.TOO_MANY,
        None,
    ]


def test_a_viewer_is_told_that_the_role_does_not_allow_it(look, back, victor):
    assert {line.refusal for line in look(back, by=victor)} == {Refusal.ROLE}


def test_a_stranger_is_told_nothing_about_what_others_have(look, back, mallory):
    assert {line.refusal for line in look(back, by=mallory)} == {Refusal.ROLE}
    assert {line.blocker for line in look(back, by=mallory)} == {None}


def test_only_the_last_delete_counts(look, back, delete, restore, now):
    volumes_before = line(look(back), Kind.VOLUME).former.event

    delete(back, at=now + HOUR)
    restore(back, at=now + HOUR)

    assert look(back) == []
    assert Event.objects.cancelling().count() == 2
    assert volumes_before != Event.objects.cancelling().order_by("-id").first()


def test_a_purge_from_the_bin_does_not_hide_what_the_delete_cancelled(
    look, alice, make_instance, bind, delete
):
    instance = make_instance()
    bind(instance)
    delete(instance)
    actions.purge(only(instance), context=acting(alice))

    assert len(look(instance)) == 5


def test_of_two_that_had_the_same_address_the_first_is_offered_it_and_the_second_is_told(
    look, make_instance, make_address, delete, restore
):
    address = make_address()
    first, second = make_instance(name="a"), make_instance(name="b")
    for instance in (first, second):
        ElasticIP.objects.filter(pk=address.pk).update(instance=instance, zone=instance.zone)
        delete(instance)
    restore(first, second)

    one, two = look(first, second)

    assert (one.prospect, one.ticked) == (Prospect.FREE, True)
    assert (two.prospect, two.ticked, two.rival.name) == (Prospect.FREE, False, "a")


def test_a_try_and_the_deed_give_one_address_to_the_first_of_two(
    look, make_instance, make_address, delete, restore, context
):
    """The try counts what those before would have taken, as the deed finds it taken."""
    address = make_address()
    for name in ("a", "b"):
        instance = make_instance(name=name)
        ElasticIP.objects.filter(pk=address.pk).update(instance=instance, zone=instance.zone)
        delete(instance)
        restore(instance)
    lines = look(*Instance.objects.all())

    tried = actions.configure(lines, context=context, dry_run=True)
    assert ElasticIP.objects.get().instance is None
    done = actions.configure(lines, context=context)

    assert tried == done
    assert [each.name for each in done.done] == [f"a · {address.address}"]
    assert [(each.name, each.refusal) for each in done.refused] == [
        (f"b · {address.address}", Refusal.TAKEN)
    ]


@pytest.fixture
def make_address(account, zone, now):
    def make(**fields):
        number = ElasticIP.objects.count()
        return ElasticIP.objects.create(
            account=account,
            region=zone.region,
            address=f"120.93.0.{number}",
            created_at=now,
            **fields,
        )

    return make


@pytest.fixture
def make_volume(account, zone, now):
    def make(**fields):
        return Volume.objects.create(
            account=account,
            zone=zone,
            name="extra",
            type="SSD3.0",
            size_gb=10,
            created_at=now,
            **fields,
        )

    return make


@pytest.mark.parametrize("count", [2, 20])
def test_a_plan_costs_the_same_number_of_queries_whatever_its_size(
    look, make_instance, bind, delete, restore, count
):
    instances = [make_instance() for _ in range(count)]
    for instance in instances:
        bind(instance)
    delete(*instances)
    restore(*instances)
    Volume.objects.filter(name="scratch").delete()

    with CaptureQueriesContext(connection) as queries:
        lines = look(*instances)

    assert len(lines) == 5 * count
    # One more for the role, which a request has read before.
    assert len(queries) <= 9


# --- The deed -------------------------------------------------------------------------------------


def test_configured_again_everything_is_as_it_was(
    alice, look, make_instance, bind, delete, restore, now
):
    instance = make_instance()
    bind(instance)
    RealServer.objects.update(weight=7)
    before = {
        "eips": list(ElasticIP.objects.values_list("pk", "instance")),
        "volumes": sorted(
            Volume.objects.values_list("pk", "instance", "mount_point", "delete_with_instance")
        ),
        "servers": list(
            RealServer.objects.values_list("listener", "instance", "address", "port", "weight")
        ),
        "tags": list(InstanceTag.objects.values_list("tag", "instance")),
    }
    # Out of order, so that "the first free one" would not do.
    Volume.objects.filter(name="data").update(mount_point="/dev/vdf")
    before["volumes"] = sorted(
        Volume.objects.values_list("pk", "instance", "mount_point", "delete_with_instance")
    )
    delete(instance)
    restore(instance)

    outcome = actions.configure(look(instance), context=acting(alice, now))

    assert len(outcome.done) == len(outcome.items) == 5
    assert before == {
        "eips": list(ElasticIP.objects.values_list("pk", "instance")),
        "volumes": sorted(
            Volume.objects.values_list("pk", "instance", "mount_point", "delete_with_instance")
        ),
        "servers": list(
            RealServer.objects.values_list("listener", "instance", "address", "port", "weight")
        ),
        "tags": list(InstanceTag.objects.values_list("tag", "instance")),
    }
    assert Instance.objects.get().state == State.STOPPED
    events = Event.objects.filter(action="bind")
    assert events.count() == 5
    assert events.values("batch").distinct().count() == 1


def test_only_what_was_picked_is_bound(alice, look, back, now):
    lines = [line for line in look(back) if line.former.kind is Kind.EIP]

    actions.configure(lines, context=acting(alice, now))

    assert ElasticIP.objects.get().instance == back
    assert not RealServer.objects.exists()
    assert not InstanceTag.objects.exists()


def test_configured_twice_it_is_there_already(alice, look, back, now):
    lines = look(back)
    actions.configure(lines, context=acting(alice, now))

    again = actions.configure(lines, context=acting(alice, now))

    assert [each.refusal for each in again.refused] == [Refusal.ALREADY] * 5
    assert prospects(look(back)) == [Prospect.THERE] * 5


def test_what_was_taken_after_the_plan_is_not_stolen_and_the_others_are_bound(
    alice, look, back, make_instance, context, now
):
    lines = look(back)
    taker = make_instance(name="taker")
    addresses.associate(ElasticIP.objects.all(), taker, context=context)

    outcome = actions.configure(lines, context=acting(alice, now))

    [refused] = outcome.refused
    assert refused.id == line(lines, Kind.EIP).former.key
    assert (refused.refusal, refused.blocker) == (Refusal.TAKEN, Blocker.of(taker))
    assert len(outcome.done) == 4
    assert ElasticIP.objects.get().instance == taker


def test_what_the_database_rejects_fails_alone_and_goes_by_its_key(alice, look, back, now):
    lines = look(back)

    with rejecting('UPDATE "recycle_elasticip"'):
        outcome = actions.configure(lines, context=acting(alice, now))

    [failed] = outcome.failed
    assert (failed.id, failed.error) == (line(lines, Kind.EIP).former.key, "impossible")
    assert len(outcome.done) == 4


def test_what_is_gone_after_the_plan_is_refused_as_gone(alice, look, back, context, now):
    lines = look(back)
    addresses.remove(ElasticIP.objects.all(), context=context)
    volumes.remove(Volume.objects.all(), context=context)
    balancers.remove(LoadBalancer.objects.all(), context=context)
    tags.remove(Tag.objects.all(), context=context)

    outcome = actions.configure(lines, context=acting(alice, now))

    assert [each.refusal for each in outcome.refused] == [Refusal.GONE] * 5


def test_an_event_does_not_let_anybody_reach_into_another_account(alice, mallory, look, back, now):
    """The ids in an event are only a memory: whose the things are is asked at the moment of the
    deed.
    """
    theirs = mallory.memberships.get().account
    ElasticIP.objects.update(account=theirs)
    Volume.objects.update(account=theirs)
    LoadBalancer.objects.update(account=theirs)
    Listener.objects.update(account=theirs)
    lines = look(back)

    outcome = actions.configure(lines, context=acting(alice, now))

    assert [each.refusal for each in outcome.refused] == [Refusal.GONE] * 4
    assert len(outcome.done) == 1
    assert [line.refusal for line in lines] == [Refusal.GONE] * 4 + [None]


@pytest.mark.parametrize("who", ["alice", "oscar", "victor", "mallory"])
@pytest.mark.parametrize("state", ["back", "binned", "released", "taken", "gone", "moved"])
def test_the_plan_and_the_deed_never_disagree(
    request, look, make_instance, bind, delete, restore, now, who, state
):
    for name in ("alice", "oscar", "victor", "mallory"):
        request.getfixturevalue(name)
    instance = make_instance(
        billing_mode=BillingMode.HOURLY if state == "released" else BillingMode.DAILY
    )
    bind(instance)
    delete(instance)
    if state not in ("binned", "released"):
        restore(instance)
    if state == "taken":
        other = make_instance()
        ElasticIP.objects.update(instance=other, zone=other.zone)
        Volume.objects.filter(name="data").update(instance=other)
    if state == "gone":
        ElasticIP.objects.all().delete()
        Listener.objects.all().delete()
    if state == "moved":
        only(instance).update(vpc_id=instance.pk)
        LoadBalancer.objects.update(vpc_id=instance.subnet_id)
    by = User.objects.get(username=who)

    lines = look(instance, by=by)
    outcome = actions.configure(lines, context=acting(by, now))

    assert lines
    said = {line.former.key: (line.refusal, line.blocker) for line in lines}
    refused = {each.id: (each.refusal, each.blocker) for each in outcome.refused}
    assert {each.id: (None, None) for each in outcome.done} | refused == said
