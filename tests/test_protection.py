"""What is protected or held is deleted by nobody and nothing until that ends, and not at
once then.
"""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from recycle import actions, tasks
from recycle.actions.resources import addresses, volumes
from recycle.lifecycle import IN_USE, LIVING, Action, State
from recycle.models import ElasticIP, Event, Instance, Volume
from recycle.policy import GRACE, BillingMode, Refusal
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

MOMENT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


def refusals(outcome):
    return [refused.refusal for refused in outcome.refused]


def state_of(instance):
    return only(instance).get().state


@pytest.fixture
def hold(alice, now):
    def hold(instance, review_on=None, **context):
        outcome = actions.hold(
            only(instance),
            context=acting(alice, **{"now": now, "reason": "case 12", **context}),
            review_on=review_on,
        )
        assert len(outcome.done) == 1
        instance.refresh_from_db()
        return instance

    return hold


@pytest.fixture
def held(hold, recycled):
    return hold(recycled)


# --- Protection -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", LIVING)
def test_whatever_lives_is_protected_and_keeps_its_state(oscar, make_instance, now, state):
    instance = make_instance(state)

    outcome = actions.protect(only(instance), context=acting(oscar, now))

    event = Event.objects.get()
    instance.refresh_from_db()
    assert [done.action for done in outcome.done] == [Action.PROTECT]
    assert (instance.protected, instance.state) == (True, state)
    assert (event.action, event.from_state, event.to_state, event.by, event.at) == (
        "protect", state, state, oscar, now,
    )  # fmt: skip


def test_who_switched_the_protection_off_and_why_is_told(oscar, make_instance, now):
    instance = make_instance(protected=True)

    actions.unprotect(only(instance), context=acting(oscar, now, reason="moved to the new cluster"))

    event = Event.objects.get()
    assert not only(instance).get().protected
    assert (event.action, event.by_name, event.reason) == (
        "unprotect",
        "oscar",
        "moved to the new cluster",
    )


@pytest.mark.parametrize("billing_mode", [BillingMode.DAILY, BillingMode.HOURLY])
@pytest.mark.parametrize("state", IN_USE)
def test_a_protected_instance_is_neither_recycled_nor_released(
    alice, make_instance, bind, billing_mode, state
):
    instance = make_instance(state, billing_mode, protected=True)
    bind(instance)

    outcome = actions.delete(only(instance), may_release=True, context=acting(alice))

    assert refusals(outcome) == [Refusal.PROTECTED]
    assert (state_of(instance), instance.volumes.count(), instance.elastic_ips.count()) == (
        state,
        2,
        1,
    )


def test_the_protected_ones_in_a_batch_do_not_hold_up_the_others(alice, make_instance):
    protected, free = make_instance(protected=True), make_instance()

    outcome = actions.delete(Instance.objects.all(), may_release=True, context=acting(alice))

    assert [done.id for done in outcome.done] == [free.pk]
    assert [(refused.id, refused.refusal) for refused in outcome.refused] == [
        (protected.pk, Refusal.PROTECTED)
    ]


def test_expiry_stops_a_protected_subscription_and_the_sweep_leaves_it(make_instance, bind, now):
    instance = make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now, protected=True)
    bind(instance)

    expired = actions.expire_due(context=acting(None, now))
    swept = actions.purge_due(context=acting(None, now + 900 * DAY))

    instance.refresh_from_db()
    assert ([done.id for done in expired.done], swept.done, swept.refused) == (
        [instance.pk],
        [],
        [],
    )
    assert (instance.state, instance.purge_at, instance.protected) == (
        State.EXPIRED,
        now + 7 * DAY,
        True,
    )
    assert instance.volumes.count() == 2


def test_a_protected_subscription_that_ended_long_ago_can_still_be_renewed(
    alice, make_instance, now
):
    instance = make_instance(
        State.EXPIRED, expires_at=now - 30 * DAY, purge_at=now - 23 * DAY, protected=True
    )

    outcome = actions.renew(only(instance), months=1, context=acting(alice, now))

    instance.refresh_from_db()
    assert len(outcome.done) == 1
    assert (instance.state, instance.purge_at, instance.protected) == (State.ACTIVE, None, True)


def test_nobody_protects_what_is_past_its_end_to_renew_it_all_the_same(oscar, make_instance, now):
    instance = make_instance(State.EXPIRED, expires_at=now - 7 * DAY, purge_at=now)

    outcome = actions.protect(only(instance), context=acting(oscar, now))

    assert refusals(outcome) == [Refusal.PAST_DEADLINE]
    assert refusals(actions.renew(only(instance), months=1, context=acting(oscar, now))) == [
        Refusal.PAST_DEADLINE
    ]


@pytest.mark.parametrize(
    ("left", "given"),
    [
        (-30 * DAY, GRACE),
        (timedelta(0), GRACE),
        (GRACE - MOMENT, GRACE),
        (GRACE, GRACE),
        (5 * DAY, 5 * DAY),
    ],
)
def test_what_is_no_longer_protected_has_a_quarter_of_an_hour_at_least(
    oscar, make_instance, now, left, given
):
    end = now + left
    instance = make_instance(State.EXPIRED, expires_at=end - 7 * DAY, purge_at=end, protected=True)

    actions.unprotect(only(instance), context=acting(oscar, now))

    instance.refresh_from_db()
    assert instance.purge_at == now + given
    assert actions.purge_due(context=acting(None, now + given - MOMENT)).done == []
    assert [done.id for done in actions.purge_due(context=acting(None, now + given)).done] == [
        instance.pk
    ]


def test_what_has_no_end_gets_none_from_losing_its_protection(oscar, make_instance):
    instance = make_instance(protected=True)

    actions.unprotect(only(instance), context=acting(oscar))

    assert only(instance).get().purge_at is None


def test_the_two_switches_say_when_they_are_where_they_should_be(oscar, make_instance):
    on, off = make_instance(protected=True), make_instance()

    assert refusals(actions.protect(only(on), context=acting(oscar))) == [Refusal.PROTECTED]
    assert refusals(actions.unprotect(only(off), context=acting(oscar))) == [Refusal.NOT_PROTECTED]
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("state", "refusal"), [(State.RECYCLED, Refusal.IN_BIN), (State.PURGED, Refusal.GONE)]
)
def test_nothing_is_protected_in_the_bin_or_after_its_end(alice, make_instance, state, refusal):
    instance = make_instance(state)

    assert refusals(actions.protect(only(instance), context=acting(alice))) == [refusal]
    assert refusals(actions.unprotect(only(instance), context=acting(alice))) == [refusal]


@pytest.mark.parametrize("verb", [actions.protect, actions.unprotect])
def test_a_viewer_and_a_stranger_switch_no_protection(victor, mallory, make_instance, verb):
    instance = make_instance(protected=verb is actions.unprotect)

    outcomes = [verb(only(instance), context=acting(user)) for user in (victor, mallory)]

    assert [refusals(outcome) for outcome in outcomes] == [[Refusal.ROLE], [Refusal.ROLE]]
    assert only(instance).get().protected is (verb is actions.unprotect)


def test_what_is_protected_can_still_be_started_stopped_and_bound(
    oscar, make_instance, make_volume, now
):
    instance = make_instance(protected=True)

    stopped = actions.stop(only(instance), context=acting(oscar, now))
    started = actions.start(only(instance), context=acting(oscar, now))
    make_volume()
    attached = volumes.attach(Volume.objects.all(), instance, context=acting(oscar, now))

    assert [len(outcome.done) for outcome in (stopped, started, attached)] == [1, 1, 1]


# --- Legal hold -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [*LIVING, State.RECYCLED])
def test_an_administrator_places_a_hold_with_a_reason(alice, make_instance, now, state):
    instance = make_instance(state)
    end = instance.purge_at

    outcome = actions.hold(
        only(instance),
        review_on=(now + 30 * DAY).date(),
        context=acting(alice, now, reason="case 12"),
    )

    event = Event.objects.get()
    instance.refresh_from_db()
    assert len(outcome.done) == 1
    assert (instance.held_at, instance.held_by, instance.hold_reason) == (now, "alice", "case 12")
    assert (instance.hold_review_on, instance.state, instance.purge_at) == (
        (now + 30 * DAY).date(),
        state,
        end,
    )
    assert (event.action, event.reason, event.by) == ("hold", "case 12", alice)


def test_the_end_of_a_hold_leaves_nothing_of_it_but_two_events(alice, held, now):
    actions.unhold(only(held), context=acting(alice, now, reason="case closed"))

    held.refresh_from_db()
    assert (held.held_at, held.held_by, held.hold_reason, held.hold_review_on) == (
        None,
        "",
        "",
        None,
    )
    assert list(Event.objects.order_by("pk").values_list("action", "reason")) == [
        ("hold", "case 12"), ("unhold", "case closed"),
    ]  # fmt: skip


def test_a_hold_without_a_reason_is_none(alice, recycled, caplog):
    caplog.set_level("CRITICAL", logger="recycle")

    outcome = actions.hold(only(recycled), context=acting(alice))

    assert (outcome.done, [failed.id for failed in outcome.failed]) == ([], [recycled.pk])
    assert only(recycled).get().held_at is None
    assert not Event.objects.exists()


@pytest.mark.parametrize("verb", [actions.hold, actions.unhold])
@pytest.mark.parametrize("who", ["oscar", "victor", "mallory"])
def test_only_administrators_place_and_end_holds(request, hold, recycled, verb, who):
    if verb is actions.unhold:
        hold(recycled)
    was = only(recycled).values().get()

    outcome = verb(only(recycled), context=acting(request.getfixturevalue(who), reason="case 12"))

    assert refusals(outcome) == [Refusal.ROLE]
    assert only(recycled).values().get() == was


def test_there_is_one_hold_at_a_time_and_its_reason_stays(alice, held):
    again = actions.hold(only(held), context=acting(alice, reason="case 13"))

    assert refusals(again) == [Refusal.HELD]
    assert only(held).get().hold_reason == "case 12"


def test_what_is_not_held_has_no_hold_to_end(alice, recycled):
    assert refusals(actions.unhold(only(recycled), context=acting(alice))) == [Refusal.NOT_HELD]


def test_a_hold_in_the_bin_outlives_every_sweep(held, now):
    outcomes = [
        actions.purge_due(context=acting(None, held.purge_at + after))
        for after in (timedelta(0), HOUR, 900 * DAY)
    ]
    tasks.purge_due()

    assert [(outcome.done, outcome.refused, outcome.failed) for outcome in outcomes] == [
        ([], [], [])
    ] * 3
    assert state_of(held) == State.RECYCLED
    assert actions.forget_tombstones(context=acting(None, now + 2000 * DAY)).done == []


def test_a_held_entry_does_not_starve_the_sweep_of_what_lies_behind_it(held, make_instance, now):
    behind = make_instance(State.RECYCLED, recycled_at=now - HOUR, purge_at=held.purge_at + MINUTE)

    outcome = actions.purge_due(limit=1, context=acting(None, held.purge_at + HOUR))

    assert [done.id for done in outcome.done] == [behind.pk]


def test_an_administrator_does_not_purge_what_is_held(alice, held):
    outcome = actions.purge(Instance.objects.all(), context=acting(alice))

    assert refusals(outcome) == [Refusal.HELD]
    assert state_of(held) == State.RECYCLED


def test_the_page_purges_the_others_and_not_what_is_held(client, alice, held, make_instance):
    client.force_login(alice)
    other = make_instance(State.RECYCLED)

    for instance in (held, other):
        client.post(
            reverse("recycle:purge"),
            {"ids": [instance.pk], "confirmed": "on", "confirm": instance.name},
        )

    assert (state_of(held), state_of(other)) == (State.RECYCLED, State.PURGED)


@pytest.mark.parametrize(
    ("action", "after"), [("purge", State.PURGED), ("delete_selected", State.RECYCLED)]
)
def test_the_admin_purges_the_others_and_not_what_is_held(
    client, alice, held, make_instance, action, after
):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client.force_login(alice)
    other = make_instance(State.RECYCLED)

    client.post(
        reverse("admin:recycle_instance_changelist"),
        {"action": action, "_selected_action": [held.pk, other.pk], "confirm": "2"},
    )

    assert (state_of(held), state_of(other)) == (State.RECYCLED, after)


@pytest.mark.parametrize("bound", ["protected", "held"])
def test_the_database_itself_keeps_what_is_held_or_protected(hold, make_instance, now, bound):
    instance = make_instance(protected=bound == "protected")
    if bound == "held":
        hold(instance)

    with pytest.raises(IntegrityError), transaction.atomic():
        only(instance).update(state=State.PURGED, purged_at=now)

    assert state_of(instance) == State.ACTIVE


@pytest.mark.parametrize(
    ("mode", "refused", "state"),
    [(BillingMode.DAILY, [], State.RECYCLED), (BillingMode.HOURLY, [Refusal.HELD], State.ACTIVE)],
)
def test_what_is_held_goes_into_the_bin_but_is_not_released(
    oscar, hold, make_instance, mode, refused, state
):
    instance = hold(make_instance(billing_mode=mode))

    outcome = actions.delete(only(instance), may_release=True, context=acting(oscar))

    assert refusals(outcome) == refused
    assert state_of(instance) == state
    assert only(instance).get().held_at is not None


def test_expiry_stops_a_held_subscription_and_the_sweep_leaves_it(hold, make_instance, now):
    instance = hold(make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now + MINUTE))

    actions.expire_due(context=acting(None, now + HOUR))
    swept = actions.purge_due(context=acting(None, now + 900 * DAY))

    assert swept.done == []
    assert state_of(instance) == State.EXPIRED


def test_what_is_held_can_be_restored_after_its_end_and_stays_held(oscar, held):
    outcome = actions.restore(only(held), context=acting(oscar, held.purge_at + 30 * DAY))

    held.refresh_from_db()
    assert len(outcome.done) == 1
    assert (held.state, held.hold_reason) == (State.STOPPED, "case 12")


@pytest.mark.parametrize(
    ("left", "given"),
    [
        (-30 * DAY, GRACE),
        (timedelta(0), GRACE),
        (GRACE - MOMENT, GRACE),
        (GRACE, GRACE),
        (5 * DAY, 5 * DAY),
    ],
)
def test_when_a_hold_ends_a_quarter_of_an_hour_is_left_at_least(
    alice, hold, make_instance, now, left, given
):
    entry = hold(
        make_instance(State.RECYCLED, recycled_at=now - 40 * DAY, purge_at=now + left),
        now=now - 40 * DAY,
    )

    actions.unhold(only(entry), context=acting(alice, now))

    entry.refresh_from_db()
    assert entry.purge_at == now + given
    assert actions.purge_due(context=acting(None, now + given - MOMENT)).done == []
    assert [done.id for done in actions.purge_due(context=acting(None, now + given)).done] == [
        entry.pk
    ]


def test_a_hold_and_a_protection_each_keep_it_until_both_have_ended(
    alice, hold, make_instance, now
):
    end = now - DAY
    instance = make_instance(State.EXPIRED, expires_at=end - 7 * DAY, purge_at=end, protected=True)
    hold(instance)

    actions.unprotect(only(instance), context=acting(alice, now))
    while_held = actions.purge_due(context=acting(None, now + DAY))
    actions.unhold(only(instance), context=acting(alice, now + DAY))

    assert while_held.done == []
    assert actions.purge_due(context=acting(None, now + DAY + GRACE - MOMENT)).done == []
    assert len(actions.purge_due(context=acting(None, now + DAY + GRACE)).done) == 1


@pytest.mark.parametrize("state", LIVING)
def test_neither_a_hold_nor_a_protection_nor_their_end_unbinds_anything(
    alice, make_instance, bind, now, state
):
    instance = make_instance(state)
    bind(instance)

    for verb in (actions.hold, actions.protect, actions.unprotect, actions.unhold):
        verb(only(instance), context=acting(alice, now, reason="case 12"))

    assert Event.objects.count() == 4
    assert all(event.detail == {} for event in Event.objects.all())
    assert [rows.count() for rows in (instance.volumes, instance.elastic_ips)] == [2, 1]
    assert [rows.count() for rows in (instance.real_servers, instance.instance_tags)] == [1, 1]


@pytest.mark.parametrize("verb", ["protect", "unprotect", "hold", "unhold"])
def test_a_dry_run_says_what_would_be_and_changes_nothing(alice, hold, make_instance, now, verb):
    instance = make_instance(protected=verb == "unprotect")
    if verb == "unhold":
        hold(instance)
    was, events = only(instance).values().get(), Event.objects.count()

    outcome = getattr(actions, verb)(
        only(instance), context=acting(alice, now, reason="case 12"), dry_run=True
    )

    assert [(done.id, done.action) for done in outcome.done] == [(instance.pk, verb)]
    assert (only(instance).values().get(), Event.objects.count()) == (was, events)


def test_an_address_of_a_held_instance_stays_bound_through_its_expiry(
    hold, make_instance, make_address, oscar, now
):
    instance = hold(make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now + MINUTE))
    addresses.associate(
        ElasticIP.objects.filter(pk=make_address().pk), instance, context=acting(oscar, now)
    )

    actions.expire_due(context=acting(None, now + HOUR))
    actions.purge_due(context=acting(None, now + 900 * DAY))

    assert ElasticIP.objects.get().instance == instance
