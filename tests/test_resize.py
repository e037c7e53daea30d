"""Another type for a stopped instance, as far as its zone has room for it."""

import pytest
from django.db import connection
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import Action, State
from recycle.models import Event, Instance, InstanceType, Zone
from recycle.policy import BillingMode, Refusal
from tests.conftest import HTMX, acting, send
from tests.threads import done, nobody_writes_events, refusals, result

pytestmark = [pytest.mark.django_db, pytest.mark.both]

ALL = Instance.objects.all()
NO_FEES = {"state": State.STOPPED, "billing_mode": BillingMode.HOURLY, "no_fees": True}


@pytest.fixture(autouse=True)
def types(instance_type):
    shapes = {"N3.1B": (1, 2), "N3.4B": (4, 8), "N1.2B": (2, 4), "C7.2B": (2, 4), "S6.2B": (2, 4)}
    for name, (vcpu, memory) in shapes.items():
        family = name.partition(".")[0]
        InstanceType.objects.create(name=name, family=family, vcpu=vcpu, memory_gb=memory)


def resize(alice, name, rows=ALL):
    return actions.resize(rows, instance_type=name, context=acting(alice))


@pytest.mark.parametrize("name", ["N3.4B", "N3.1B", "N1.2B"])
def test_it_gets_another_type_of_its_own_family_or_of_one_alike(alice, make_instance, name):
    make_instance(State.STOPPED)

    resize(alice, name)

    instance = Instance.objects.get()
    assert (instance.instance_type_id, instance.state) == (name, State.STOPPED)
    event = Event.objects.get(action=Action.RESIZE)
    assert event.changes == [f"instance type: N3.2B → {name}"]


@pytest.mark.parametrize(
    ("fields", "name", "why"),
    [
        ({"state": State.ACTIVE}, "N3.4B", Refusal.RUNNING),
        ({"state": State.RECYCLED}, "N3.4B", Refusal.IN_BIN),
        ({"billing_mode": BillingMode.SPOT}, "N3.4B", Refusal.FIXED),
        ({}, "N3.2B", Refusal.SAME_TYPE),
        ({}, "S6.2B", Refusal.OTHER_FAMILY),
        # What costs nothing meanwhile goes on costing nothing.
        ({**NO_FEES, "instance_type_id": "C4.2B"}, "C7.2B", Refusal.NO_FEES_FAMILY),
    ],
)
def test_why_not(alice, make_instance, fields, name, why):
    if kind := fields.get("instance_type_id"):
        InstanceType.objects.create(name=kind, family="C4", vcpu=2, memory_gb=4)
        fields = {**fields, "instance_type": InstanceType.objects.get(pk=kind)}
        del fields["instance_type_id"]
    make_instance(**{"state": State.STOPPED, **fields})

    assert refusals(resize(alice, name)) == [why]


def test_only_the_difference_is_asked_of_the_zone_one_instance_after_the_other(
    alice, make_instance, zone
):
    Zone.objects.update(vcpu_capacity=7)
    for _ in range(2):
        make_instance(State.STOPPED)

    outcome = resize(alice, "N3.4B")

    assert (len(outcome.done), refusals(outcome)) == (1, [Refusal.SOLD_OUT])


@pytest.mark.parametrize("name", ["N3.1B", "N1.2B"])
def test_in_a_zone_that_was_made_too_small_less_can_still_be_had(alice, make_instance, zone, name):
    Zone.objects.update(vcpu_capacity=1, memory_gb_capacity=1)
    make_instance(State.STOPPED)

    assert len(resize(alice, name).done) == 1


def test_what_is_stopped_with_no_fees_asks_nothing_before_its_start(alice, make_instance, zone):
    Zone.objects.update(vcpu_capacity=2)
    make_instance(**NO_FEES)

    resized = resize(alice, "N3.4B")

    assert len(resized.done) == 1
    assert refusals(actions.start(ALL, context=acting(alice))) == [Refusal.SOLD_OUT]


def test_the_dialog_suggests_the_next_larger_one_and_says_what_each_choice_means(
    client, oscar, make_instance
):
    client.force_login(oscar)
    instance = make_instance(State.STOPPED)
    where, data = reverse("recycle:resize"), {"ids": [instance.pk]}

    suggested = client.get(where, data, headers=HTMX)
    other = client.post(where, {**data, "instance_type": "S6.2B"}, headers=HTMX)
    wrong = send(client, "resize", instance, instance_type="N9.9Z")
    send(client, "resize", instance, instance_type="N3.4B")

    assert "N3.2B → N3.4B" in suggested.text
    # Another one can be chosen where this one cannot be had.
    assert str(Refusal.OTHER_FAMILY.label) in other.text
    assert "<select" in other.text
    assert wrong.status_code == 422
    assert Instance.objects.get().instance_type_id == "N3.4B"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks are PostgreSQL's")
@pytest.mark.parametrize("first", ["resize", "start"])
def test_of_a_change_and_a_start_for_the_last_vcpu_of_a_zone_one_wins(
    threads, alice, make_instance, zone, first
):
    growing, starting = make_instance(State.STOPPED), make_instance(**NO_FEES)
    Zone.objects.update(vcpu_capacity=4)
    deeds = {
        "resize": (actions.resize, growing, {"instance_type": "N3.4B"}),
        "start": (actions.start, starting, {}),
    }
    futures = {}
    with nobody_writes_events():
        for count, name in enumerate(sorted(deeds, key=lambda name: name != first), 1):
            act, instance, options = deeds[name]
            rows = Instance.objects.filter(pk=instance.pk)
            futures[name] = threads.go(act, rows, context=acting(alice), **options)
            threads.wait_until_blocked(count)

    outcomes = dict(zip(futures, result(*futures.values()), strict=True))

    [winner] = done(*outcomes.values())
    assert winner == deeds[first][1].pk
    assert refusals(*outcomes.values()) == [Refusal.SOLD_OUT]
