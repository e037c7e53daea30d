"""What an account may have and a zone can give: counted when it matters, and kept by whoever comes
first.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recycle import actions
from recycle.actions import move as moving
from recycle.actions.limits import Quota, Room
from recycle.lifecycle import State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceType,
    LoadBalancer,
    User,
    Volume,
    Zone,
)
from recycle.policy import BillingMode, Refusal, Role
from tests.conftest import acting, make_user
from tests.threads import done, nobody_writes_events, result

pytestmark = [pytest.mark.django_db, pytest.mark.both]

DAY = timedelta(days=1)
NO_FEES = {"state": State.STOPPED, "billing_mode": BillingMode.HOURLY, "no_fees": True}


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


def refusals(outcome):
    return [refused.refusal for refused in outcome.refused]


def capacity(zone, vcpu=None, memory=None):
    Zone.objects.filter(pk=zone.pk).update(vcpu_capacity=vcpu, memory_gb_capacity=memory)


# --- What a zone can give: an N3.2B takes 2 vCPU and 4 GB -----------------------------------------


@pytest.mark.parametrize(("vcpu", "memory"), [(1, None), (None, 3), (1, 100), (100, 3), (0, 0)])
def test_a_start_and_a_restore_are_refused_where_the_zone_is_sold_out(
    alice, zone, make_instance, vcpu, memory
):
    stopped, recycled = make_instance(**NO_FEES), make_instance(State.RECYCLED)
    capacity(zone, vcpu, memory)

    started = actions.start(only(stopped), context=acting(alice))
    restored = actions.restore(only(recycled), context=acting(alice))

    assert (refusals(started), refusals(restored)) == ([Refusal.SOLD_OUT], [Refusal.SOLD_OUT])
    assert (only(stopped).get().no_fees, only(recycled).get().state) == (True, State.RECYCLED)
    assert only(recycled).get().purge_at == recycled.purge_at
    assert not Event.objects.exists()


@pytest.mark.parametrize(("vcpu", "memory"), [(2, None), (None, 4), (2, 4)])
def test_the_last_room_is_given(alice, zone, make_instance, vcpu, memory):
    stopped = make_instance(**NO_FEES)
    capacity(zone, vcpu, memory)

    outcome = actions.start(only(stopped), context=acting(alice))

    started = only(stopped).get()
    assert len(outcome.done) == 1
    assert (started.state, started.no_fees) == (State.ACTIVE, False)


@pytest.mark.parametrize(
    ("fields", "uses"),
    [
        ({"state": State.ACTIVE}, True),
        ({"state": State.STOPPED}, True),
        ({"state": State.EXPIRED}, True),
        (NO_FEES, False),
        ({"state": State.RECYCLED}, False),
        ({"state": State.PURGED}, False),
    ],
)
def test_what_runs_stands_or_has_expired_uses_room_and_the_rest_gave_it_back(
    alice, zone, make_instance, fields, uses
):
    make_instance(**fields)
    recycled = make_instance(State.RECYCLED)
    capacity(zone, vcpu=2)

    outcome = actions.restore(only(recycled), context=acting(alice))

    assert refusals(outcome) == ([Refusal.SOLD_OUT] if uses else [])


def test_the_instances_of_all_accounts_share_the_room(alice, mallory, zone, make_instance):
    make_instance(account=mallory.memberships.get().account)
    recycled = make_instance(State.RECYCLED)
    capacity(zone, vcpu=3)

    assert refusals(actions.restore(only(recycled), context=acting(alice))) == [Refusal.SOLD_OUT]


def test_another_zone_has_room_of_its_own(alice, zone, other_zone, make_instance):
    here, there = make_instance(State.RECYCLED), make_instance(State.RECYCLED, zone=other_zone)
    capacity(zone, vcpu=0)
    capacity(other_zone, vcpu=2)

    outcome = actions.restore(Instance.objects.all(), context=acting(alice))

    assert [each.id for each in outcome.done] == [there.pk]
    assert [(each.id, each.refusal) for each in outcome.refused] == [(here.pk, Refusal.SOLD_OUT)]


def test_a_batch_takes_the_room_that_there_is_and_a_smaller_one_still_fits(
    alice, zone, make_instance
):
    small = InstanceType.objects.create(name="N3.1A", family="N3", vcpu=1, memory_gb=1)
    for _ in range(4):
        make_instance(State.RECYCLED)
    make_instance(State.RECYCLED, instance_type=small)
    capacity(zone, vcpu=5)

    outcome = actions.restore(Instance.objects.all(), context=acting(alice))

    back = Instance.objects.filter(state=State.STOPPED)
    assert set(refusals(outcome)) == {Refusal.SOLD_OUT}
    assert sum(back.values_list("instance_type__vcpu", flat=True)) == 5
    assert len(outcome.done) == len(back) == 3


@pytest.mark.parametrize("chunk", [1, 2, 100])
@pytest.mark.parametrize("dry_run", [True, False])
def test_neither_chunks_nor_a_dry_run_give_the_same_room_twice(
    monkeypatch, alice, zone, other_zone, make_instance, chunk, dry_run
):
    monkeypatch.setattr(moving, "CHUNK", chunk)
    for where in (zone, zone, other_zone, zone, zone):
        make_instance(State.RECYCLED, zone=where)
    capacity(zone, vcpu=5)
    capacity(other_zone, vcpu=1)

    outcome = actions.restore(
        Instance.objects.order_by("name"), dry_run=dry_run, context=acting(alice)
    )

    assert (len(outcome.done), refusals(outcome)) == (2, [Refusal.SOLD_OUT] * 3)


def test_who_is_refused_for_something_else_takes_no_room(alice, victor, zone, make_instance, now):
    make_instance(State.RECYCLED, name="a", recycled_at=now - DAY, purge_at=now)
    fits = make_instance(State.RECYCLED, name="b")
    capacity(zone, vcpu=2)

    outcome = actions.restore(Instance.objects.all(), context=acting(alice, now))

    assert [each.id for each in outcome.done] == [fits.pk]
    assert refusals(outcome) == [Refusal.PAST_DEADLINE]


def test_what_never_gave_its_room_back_starts_in_a_zone_that_is_sold_out(
    alice, zone, make_instance
):
    stopped = make_instance(State.STOPPED, BillingMode.HOURLY)
    capacity(zone, vcpu=0)

    assert len(actions.start(only(stopped), context=acting(alice)).done) == 1


def test_a_renewal_in_a_zone_that_is_sold_out_starts_what_kept_its_room(
    alice, zone, make_instance, now
):
    expired = make_instance(State.EXPIRED)
    capacity(zone, vcpu=0)

    assert len(actions.renew(only(expired), months=1, context=acting(alice, now)).done) == 1


def test_a_stop_with_no_fees_makes_room_for_another(alice, zone, make_instance):
    running, recycled = (
        make_instance(billing_mode=BillingMode.HOURLY),
        make_instance(State.RECYCLED),
    )
    capacity(zone, vcpu=2)

    before = actions.restore(only(recycled), context=acting(alice))
    actions.stop(only(running), no_fees=True, context=acting(alice))
    after = actions.restore(only(recycled), context=acting(alice))

    assert (refusals(before), len(after.done)) == ([Refusal.SOLD_OUT], 1)
    assert refusals(actions.start(only(running), context=acting(alice))) == [Refusal.SOLD_OUT]


def test_a_zone_without_limits_costs_no_sum(alice, make_instance):
    for _ in range(3):
        make_instance(State.RECYCLED)

    with CaptureQueriesContext(connection) as queries:
        outcome = actions.restore(Instance.objects.all(), context=acting(alice))

    assert len(outcome.done) == 3
    assert not [query["sql"] for query in queries if "SUM(" in query["sql"].upper()]


def test_who_takes_no_room_does_not_ask_for_the_zone(alice, zone, make_instance):
    capacity(zone, vcpu=0)
    make_instance(State.STOPPED)

    with CaptureQueriesContext(connection) as queries:
        actions.start(Instance.objects.all(), context=acting(alice))

    assert not [query["sql"] for query in queries if "vcpu_capacity" in query["sql"]]


def test_a_capacity_below_the_use_gives_nothing_and_takes_nothing(alice, zone, make_instance):
    running, recycled = make_instance(), make_instance(State.RECYCLED)
    capacity(zone, vcpu=1)

    assert refusals(actions.restore(only(recycled), context=acting(alice))) == [Refusal.SOLD_OUT]
    assert only(running).get().state == State.ACTIVE
    assert Room([zone.pk], lock=False).free[zone.pk] == (-1, float("inf"))


# --- What an account may have ---------------------------------------------------------------------


def test_an_account_without_limits_may_have_any_number_and_that_costs_no_count(account):
    with CaptureQueriesContext(connection) as queries:
        quota = Quota(account.pk, lock=False)
        left = {quota.left_for(model) for model in (Instance, ElasticIP, Volume, LoadBalancer)} | {
            quota.gb_left()
        }

    assert left == {float("inf")}
    assert len(queries) == 1


def test_binned_instances_count_and_those_gone_for_good_do_not(account, make_instance):
    Account.objects.update(max_instances=10)
    for state in State:
        make_instance(state)

    assert Quota(account.pk, lock=False).left_for(Instance) == 10 - (len(State) - 1)


def test_what_is_counted_is_what_the_account_has_itself(
    account, mallory, make_instance, make_volume, make_address, make_balancer
):
    other = mallory.memberships.get().account
    Account.objects.update(
        max_instances=5, max_elastic_ips=5, max_volumes=5, max_volume_gb=500, max_load_balancers=5
    )
    for owner in (account, other, other):
        make_instance(account=owner)
        make_volume(account=owner, size_gb=30)
        make_address(account=owner)
        make_balancer(account=owner)

    quota = Quota(account.pk, lock=False)

    assert [quota.left_for(model) for model in (Instance, ElasticIP, Volume, LoadBalancer)] == [
        4,
        4,
        4,
        4,
    ]
    assert quota.gb_left() == 470


def test_a_limit_below_the_use_leaves_less_than_nothing(account, make_volume):
    make_volume(size_gb=30)
    make_volume(size_gb=30)
    Account.objects.update(max_volumes=1, max_volume_gb=50)

    quota = Quota(account.pk, lock=False)

    assert (quota.left_for(Volume), quota.gb_left()) == (-1, -10)


def test_a_restore_needs_no_quota_as_the_binned_count_all_along(alice, make_instance):
    recycled = make_instance(State.RECYCLED)
    Account.objects.update(max_instances=0)

    assert len(actions.restore(only(recycled), context=acting(alice)).done) == 1


# --- The last of it -------------------------------------------------------------------------------


def on_postgres(test):
    for mark in (
        pytest.mark.postgres,
        pytest.mark.django_db(transaction=True),
        pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
    ):
        test = mark(test)
    return test


@pytest.fixture
def for_the_last(alice, zone, make_instance):
    capacity(zone, vcpu=3)
    return [make_instance(State.RECYCLED) for _ in range(2)]


@on_postgres
def test_of_two_restores_for_the_last_vcpu_of_a_zone_one_wins(threads, alice, zone, for_the_last):
    with nobody_writes_events():
        restores = []
        for count, instance in enumerate(for_the_last, 1):
            by = User.objects.get(pk=alice.pk)
            restores.append(threads.go(actions.restore, only(instance), context=acting(by)))
            threads.wait_until_blocked(count)

    outcomes = result(*restores)

    assert done(*outcomes) == [for_the_last[0].pk]
    assert [each.refusal for outcome in outcomes for each in outcome.refused] == [Refusal.SOLD_OUT]
    assert Instance.objects.filter(state=State.STOPPED).count() == Event.objects.count() == 1


@on_postgres
def test_of_a_restore_and_a_start_by_two_accounts_one_wins(
    threads, alice, mallory, zone, make_instance
):
    capacity(zone, vcpu=3)
    own = make_instance(State.RECYCLED)
    foreign = make_instance(account=mallory.memberships.get().account, **NO_FEES)
    with nobody_writes_events():
        start = threads.go(actions.start, only(foreign), context=acting(mallory))
        threads.wait_until_blocked(1)
        restore = threads.go(actions.restore, only(own), context=acting(alice))
        threads.wait_until_blocked(2)

    outcomes = result(start, restore)

    assert (done(*outcomes), refusals(outcomes[1])) == ([foreign.pk], [Refusal.SOLD_OUT])


@on_postgres
def test_many_restores_let_loose_together_never_oversell(threads, account, zone, make_instance):
    fleet = [make_instance(State.RECYCLED) for _ in range(12)]
    capacity(zone, vcpu=11)
    people = [make_user(f"person-{number}", account, Role.OPERATOR) for number in range(3)]

    outcomes = result(
        *(
            threads.go(
                actions.restore,
                Instance.objects.order_by("-pk" if number else "pk"),
                context=acting(person),
            )
            for number, person in enumerate(people)
        )
    )

    assert len(done(*outcomes)) == len(set(done(*outcomes))) == 5
    assert Instance.objects.filter(state=State.STOPPED).count() == 5
    assert len(fleet) - Instance.objects.filter(state=State.RECYCLED).count() == 5
