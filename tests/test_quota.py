"""Quotas of accounts and capacity of zones: who is refused, what is counted, and who sees it."""

import re
from concurrent.futures import Future
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import strip_tags

from recycle import actions
from recycle.actions.create import Disk, Order
from recycle.actions.limits import Limit, Short, uses, with_account_use, with_zone_use
from recycle.actions.resources import addresses, volumes
from recycle.lifecycle import State
from recycle.models import Account, ElasticIP, Event, Instance, User, Volume, Zone
from recycle.policy import BillingMode, Refusal
from tests.conftest import acting
from tests.threads import PATIENCE, Threads, nobody_writes_events, threads  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.both]
on_postgres = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's"),
]


@pytest.fixture
def order(account, zone, instance_type):
    def order(**changes):
        return Order(
            account=account,
            zone=zone,
            instance_type=instance_type,
            billing_mode=BillingMode.DAILY,
            name="web",
            **changes,
        )

    return order


def limit(row, **limits):
    type(row).objects.filter(pk=row.pk).update(**limits)


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


def refusals(outcome):
    return [refused.refusal for refused in outcome.refused]


# --- What counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "left"),
    [({"vcpu_capacity": 3}, Limit.VCPU), ({"memory_gb_capacity": 7}, Limit.MEMORY_GB)],
)
def test_so_many_at_once_need_so_many_times_the_room(alice, order, zone, capacity, left):
    limit(zone, **capacity)

    two = actions.create(order(count=2), context=acting(alice))
    one = actions.create(order(), context=acting(alice))

    assert (refusals(two), [str(short.name) for short in two.refused], len(one.done)) == (
        [Refusal.SOLD_OUT],
        [str(left.label)],
        1,
    )


def test_what_lies_in_the_bin_counts_and_what_was_released_does_not(
    alice, order, account, make_instance
):
    make_instance(State.RECYCLED)
    make_instance(State.PURGED)
    limit(account, max_instances=2)

    first, second = (actions.create(order(), context=acting(alice)) for _ in range(2))

    assert (len(first.done), refusals(second)) == (1, [Refusal.QUOTA])


def test_disks_count_by_number_and_by_size(alice, order, account):
    limit(account, max_volumes=2, max_volume_gb=100)

    too_many = actions.create(order(disks=[Disk("SSD3.0", 10)] * 3), context=acting(alice))
    too_large = actions.create(order(disks=[Disk("SSD3.0", 101)]), context=acting(alice))
    fits = actions.create(order(disks=[Disk("SSD3.0", 50)] * 2), context=acting(alice))

    assert (refusals(too_many), refusals(too_large), len(fits.done)) == (
        [Refusal.QUOTA],
        [Refusal.QUOTA],
        1,
    )


def test_a_limit_below_the_use_leaves_nothing_and_takes_nothing(
    alice, order, account, make_instance
):
    make_instance()
    make_instance()
    limit(account, max_instances=1)

    outcome = actions.create(order(), context=acting(alice))

    [short] = outcome.refused
    assert isinstance(short, Short)
    assert (short.wanted, short.left) == (1, 0)
    assert Instance.objects.count() == 2


def test_the_owner_is_charged_not_who_acts(alice, mallory, order, account, zone, now):
    own = mallory.memberships.get().account
    limit(own, max_elastic_ips=0, max_volumes=0)
    mallory.memberships.create(account=account, role=30)

    made = actions.create(
        order(bandwidth_mbps=1, disks=[Disk("SSD3.0", 10)]),
        context=acting(User.objects.get(pk=mallory.pk)),
    )

    assert len(made.done) == 1
    assert ElasticIP.objects.get().account == Volume.objects.get().account == account


def test_addresses_and_volumes_made_on_their_own_pages_obey_the_same_quota(
    alice, account, zone, now
):
    limit(account, max_elastic_ips=0, max_volume_gb=39)
    context = acting(alice, now)
    eip = ElasticIP(account=account, region=zone.region, address="120.92.9.1", created_at=now)
    volume = Volume(
        account=account, zone=zone, name="data", type="SSD3.0", size_gb=40, created_at=now
    )

    assert refusals(addresses.create(eip, context=context)) == [Refusal.QUOTA]
    assert refusals(volumes.create(volume, context=context)) == [Refusal.QUOTA]


# --- Zones ----------------------------------------------------------------------------------------


def test_no_fees_gives_back_and_starting_may_find_the_zone_sold_out(
    alice, order, zone, make_instance
):
    sleeping = make_instance(State.STOPPED, billing_mode=BillingMode.HOURLY, no_fees=True)
    limit(zone, vcpu_capacity=2)

    made = actions.create(order(), context=acting(alice))
    started = actions.start(only(sleeping), context=acting(alice))

    assert (len(made.done), refusals(started)) == (1, [Refusal.SOLD_OUT])
    assert only(sleeping).get().no_fees


def test_a_restore_may_find_the_zone_sold_out_and_says_so_beforehand(
    alice, zone, make_instance, recycled
):
    make_instance()
    limit(zone, memory_gb_capacity=7)

    for dry_run in (True, False):
        assert refusals(
            actions.restore(only(recycled), dry_run=dry_run, context=acting(alice))
        ) == [Refusal.SOLD_OUT]
    assert only(recycled).get().state == State.RECYCLED


def test_of_several_as_many_are_restored_as_there_is_room_for(alice, zone, make_instance):
    for _ in range(3):
        make_instance(State.RECYCLED)
    limit(zone, vcpu_capacity=5)

    outcome = actions.restore(Instance.objects.in_bin(), context=acting(alice))

    assert (len(outcome.done), refusals(outcome)) == (2, [Refusal.SOLD_OUT])


def test_another_zone_has_room_of_its_own(alice, order, zone):
    limit(zone, vcpu_capacity=0)
    other = Zone.objects.create(code="cn-beijing-6b", region=zone.region, vcpu_capacity=2)

    assert refusals(actions.create(order(), context=acting(alice))) == [Refusal.SOLD_OUT]
    assert actions.create(Order(**{**vars(order()), "zone": other}), context=acting(alice)).done


# --- Shown ----------------------------------------------------------------------------------------


def test_use_is_summed_up_for_accounts_and_zones(account, zone, make_instance, bind):
    for state in (State.ACTIVE, State.RECYCLED, State.PURGED):
        make_instance(state)
    bind(make_instance(State.STOPPED, billing_mode=BillingMode.HOURLY, no_fees=True))

    of_account = {
        use.limit: use.used
        for use in uses(with_account_use(Account.objects.all()).get(pk=account.pk))
    }
    of_zone = {
        use.limit: use.used for use in uses(with_zone_use(Zone.objects.all()).get(pk=zone.pk))
    }

    assert of_account == {
        Limit.INSTANCES: 3, Limit.ELASTIC_IPS: 1, Limit.VOLUMES: 2, Limit.VOLUME_GB: 80,
        Limit.LOAD_BALANCERS: 1,
            Limit.TAGS: 1,
    }  # fmt: skip
    assert of_zone == {Limit.VCPU: 2, Limit.MEMORY_GB: 4}


def test_the_overview_shows_the_quota_to_everybody_in_the_account(
    client, victor, account, make_instance
):
    make_instance()
    limit(account, max_instances=1)
    client.force_login(victor)

    text = client.get(reverse("recycle:overview")).text

    assert '<tr class="tight"><th scope="row">Instances</th>' in text
    assert "no limit" in text


def test_what_others_use_of_a_zone_is_told_to_nobody(
    client, alice, mallory, account, zone, instance_type, make_instance, recycled
):
    """Neither what a zone has nor what is free of it: both pages and answers say only that it does
    not suffice.
    """
    theirs = mallory.memberships.get().account
    for _number in range(3):
        make_instance(account=theirs)
    # A figure, and those near it, that stand nowhere by chance.
    limit(zone, vcpu_capacity=70_919_317, memory_gb_capacity=5)
    stopped = make_instance(State.STOPPED, billing_mode=BillingMode.HOURLY, no_fees=True)
    client.force_login(alice)
    create = {"zone": zone.pk, "instance_type": instance_type.pk, "count": "5", "name": "web"}
    asked = [
        (reverse("recycle:overview"), {}),
        (reverse("recycle:create"), create),
        (reverse("recycle:start"), {"ids": stopped.pk}),
        (reverse("recycle:restore"), {"ids": recycled.pk}),
    ]

    answers = [client.get(url, query).text for url, query in asked]
    answers += [
        client.post(url, {**query, "confirmed": "1"}, follow=True).text for url, query in asked[2:]
    ]

    for answer in answers:
        assert not re.search(r"70,?919,?3\d\d", answer)
        assert not re.search(r"\b\d+ left\b", strip_tags(answer))
    # The Overview says nothing of it; each of the others does.
    assert ["does not have enough left" in answer for answer in answers] == [False, *[True] * 5]


def test_the_overview_costs_the_same_whatever_is_used(client, victor, zone, make_instance, bind):
    client.force_login(victor)
    costs = []
    for number in range(2):
        bind(make_instance())
        Zone.objects.create(code=f"cn-beijing-6{'xy'[number]}", region=zone.region, vcpu_capacity=9)
        client.get(reverse("recycle:overview"))
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("recycle:overview"))
        costs.append(len(queries))

    assert costs[0] == costs[1]


def test_the_admin_shows_use_and_sets_limits_and_times(
    client, account, zone, make_instance, django_user_model
):
    make_instance()
    client.force_login(django_user_model.objects.create_superuser("root"))
    lists = [
        client.get(reverse(f"admin:recycle_{name}_changelist")).text for name in ("account", "zone")
    ]
    url = reverse("admin:recycle_account_change", args=[account.pk])
    inline = {f"memberships-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}

    page = client.get(url).text
    entered = {
        "name": account.name,
        "max_instances": "7",
        "keep_for_0": "3",
        "keep_for_1": "86400",
        **inline,
    }
    response = client.post(url, entered)

    account.refresh_from_db()
    assert response.status_code == 302
    assert "1 / ∞" in lists[0]
    assert "2 / ∞" in lists[1]
    assert "1 / ∞" in page
    assert (account.max_instances, account.keep_for) == (7, timedelta(days=3))
    assert [(event.action, event.detail) for event in Event.objects.order_by("id")] == [
        ("update", {"retention": {"before": None, "after": 259_200}}),
        ("update", {"changes": {"max_instances": [None, 7]}}),
    ]


@pytest.mark.parametrize("number", ["1", "31"])
def test_the_admin_refuses_times_that_are_too_short_or_too_long(
    client, account, django_user_model, number
):
    client.force_login(django_user_model.objects.create_superuser("root"))
    url = reverse("admin:recycle_account_change", args=[account.pk])
    inline = {f"memberships-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}
    unit = "3600" if number == "1" else "86400"

    response = client.post(
        url, {"name": account.name, "keep_for_0": number, "keep_for_1": unit, **inline}
    )

    account.refresh_from_db()
    assert response.status_code == 200
    assert "30 days at most" in response.text
    assert account.keep_for is None


def test_an_account_is_added_in_the_admin_with_limits_from_the_start(client, db, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    inline = {f"memberships-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}

    entered = {"name": "New", "max_volumes": "0", "keep_for_0": "5", "keep_for_1": "3600", **inline}
    response = client.post(reverse("admin:recycle_account_add"), entered)

    made = Account.objects.get(name="New")
    assert response.status_code == 302
    assert (made.max_volumes, made.keep_for) == (0, timedelta(hours=5))


# --- Two at once ----------------------------------------------------------------------------------


def race(test):
    for mark in on_postgres:
        test = mark(test)
    return test


def both(threads: Threads, *calls) -> list:  # noqa: F811
    """The first has judged and waits before it writes; the second waits for the first."""
    with nobody_writes_events():
        futures: list[Future] = []
        for number, call in enumerate(calls, start=1):
            futures.append(threads.go(call))
            threads.wait_until_blocked(number)
    return [future.result(PATIENCE) for future in futures]


@race
def test_of_two_creates_for_the_last_unit_one_wins(threads, alice, order, account):  # noqa: F811
    limit(account, max_instances=1)

    first, second = both(
        threads, *(lambda: actions.create(order(), context=acting(alice)) for _ in range(2))
    )

    assert (len(first.done), refusals(first)) == (1, [])
    assert (second.done, refusals(second)) == ([], [Refusal.QUOTA])
    assert Instance.objects.count() == 1


@race
def test_two_creates_for_the_last_room_of_a_zone_have_one_winner(
    threads,  # noqa: F811
    alice,
    mallory,
    order,
    zone,
):
    """Of two accounts, so that no quota's lock stands between them."""
    limit(zone, vcpu_capacity=3)
    hers = Order(
        **{**vars(order()), "account": mallory.memberships.get().account, "token": order().token}
    )

    first, second = both(
        threads,
        lambda: actions.create(order(), context=acting(alice)),
        lambda: actions.create(hers, context=acting(mallory)),
    )

    assert (len(first.done), refusals(second)) == (1, [Refusal.SOLD_OUT])


@race
def test_a_create_and_a_start_for_the_last_room_have_one_winner(
    threads,  # noqa: F811
    alice,
    order,
    zone,
    make_instance,
):
    sleeping = make_instance(State.STOPPED, billing_mode=BillingMode.HOURLY, no_fees=True)
    limit(zone, vcpu_capacity=2)

    made, started = both(
        threads,
        lambda: actions.create(order(), context=acting(alice)),
        lambda: actions.start(only(sleeping), context=acting(alice)),
    )

    assert (len(made.done), refusals(started)) == (1, [Refusal.SOLD_OUT])


@race
def test_the_same_order_sent_twice_at_once_is_made_once(threads, alice, order):  # noqa: F811
    wanted = order(count=3)

    first, second = both(
        threads, *(lambda: actions.create(wanted, context=acting(alice)) for _ in range(2))
    )

    assert (len(first.done), refusals(second)) == (3, [Refusal.ALREADY])
    assert Instance.objects.count() == 3


@race
def test_two_orders_for_one_free_address_have_one_winner_and_the_other_reads_who(
    threads,  # noqa: F811
    alice,
    order,
    account,
    zone,
    now,
):
    eip = ElasticIP.objects.create(
        account=account, region=zone.region, address="120.92.9.1", created_at=now
    )

    first, second = both(
        threads,
        *(lambda: actions.create(order(address=eip), context=acting(alice)) for _ in range(2)),
    )

    assert (len(first.done), refusals(second)) == (1, [Refusal.TAKEN])
    assert second.refused[0].blocker.id == Instance.objects.get().pk


@race
def test_two_in_a_subnet_get_other_addresses(threads, alice, order, make_instance):  # noqa: F811
    there = make_instance(private_ip="10.0.7.2")
    wanted = [order(subnet_id=there.subnet_id, count=5) for _ in range(2)]

    outcomes = both(
        threads, *(lambda each=each: actions.create(each, context=acting(alice)) for each in wanted)
    )

    assert [len(outcome.done) for outcome in outcomes] == [5, 5]
    assert Instance.objects.values("private_ip").distinct().count() == 11
