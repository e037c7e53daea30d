"""How long something is kept in the bin: the standard, the account's time, the rules of its tags,
an extension.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Account, Event, Instance, InstanceTag, RetentionRule
from recycle.policy import LONGEST_KEEP, BillingMode, Refusal
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LINE = "\n"


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


def basis(instance):
    """Where its time comes from, in one line: "rule env=prod"."""
    return f"{instance.retention_kind} {instance.retention_subject.replace(LINE, '=')}".strip(" =")


def refusals(outcome):
    return [refused.refusal for refused in outcome.refused]


@pytest.fixture
def make_tagged(account, make_instance, make_tag):
    """An instance with tags given as "key=value"."""

    def make(*tags, **fields):
        instance = make_instance(**fields)
        for each in tags:
            key, _, value = each.partition("=")
            tag = account.tags.filter(key=key, value=value).first() or make_tag(key, value)
            InstanceTag.objects.create(instance=instance, tag=tag)
        return instance

    return make


@pytest.fixture
def make_rule(account):
    def make(key, value="", keep_for=None, **fields):
        return RetentionRule.objects.create(
            **{"account": account, **fields}, key=key, value=value, keep_for=keep_for
        )

    return make


@pytest.fixture
def kept(alice, now):
    """Delete an instance; for how long it is kept, and why."""

    def kept(instance):
        outcome = actions.delete(only(instance), may_release=False, context=acting(alice, now))
        instance.refresh_from_db()
        assert [done.id for done in outcome.done] == [instance.pk]
        assert instance.recycled_at == now
        return instance.purge_at - now, basis(instance)

    return kept


def test_the_standard_is_two_hours(kept, make_instance):
    assert kept(make_instance()) == (2 * HOUR, "standard")


@pytest.mark.parametrize(
    ("time", "kept_for"),
    [
        (7 * DAY, (7 * DAY, "account")),
        (HOUR, (2 * HOUR, "standard")),
        (30 * DAY, (30 * DAY, "account")),
    ],
)
def test_the_time_of_the_account_makes_it_longer_and_never_shorter(
    kept, account, make_instance, time, kept_for
):
    Account.objects.update(keep_for=time)

    assert kept(make_instance()) == kept_for


def test_the_time_of_another_account_is_not_asked(kept, mallory, make_instance):
    Account.objects.filter(memberships__user=mallory).update(keep_for=7 * DAY)

    assert kept(make_instance()) == (2 * HOUR, "standard")


@pytest.mark.parametrize(
    ("tags", "kept_for"),
    [
        ([], (2 * HOUR, "standard")),
        (["env=test"], (2 * HOUR, "standard")),
        (["env=prod"], (7 * DAY, "rule env=prod")),
        # Whatever the value.
        (["team=web"], (3 * DAY, "rule team")),
        (["team="], (3 * DAY, "rule team")),
        # The longest wins.
        (["team=web", "env=prod"], (7 * DAY, "rule env=prod")),
        # A rule shorter than the standard changes nothing.
        (["tier=cheap"], (2 * HOUR, "standard")),
        (["tier=cheap", "team=web"], (3 * DAY, "rule team")),
        # A tag that excludes wins over all, however it came.
        (["scratch="], (2 * HOUR, "standard")),
        (["scratch=yes", "env=prod", "team=web"], (2 * HOUR, "standard")),
        # What only looks alike.
        (["ENV=prod"], (2 * HOUR, "standard")),
        (["env=production"], (2 * HOUR, "standard")),
        (["prod=env"], (2 * HOUR, "standard")),
    ],
)
def test_the_longest_rule_of_its_tags_wins_unless_one_excludes(
    kept, make_rule, make_tagged, tags, kept_for
):
    make_rule("env", "prod", 7 * DAY)
    make_rule("team", keep_for=3 * DAY)
    make_rule("tier", "cheap", HOUR)
    make_rule("scratch")

    assert kept(make_tagged(*tags)) == kept_for


@pytest.mark.parametrize(
    ("rule", "kept_for"),
    [
        (DAY, (5 * DAY, "account")),
        (7 * DAY, (7 * DAY, "rule env=prod")),
        (None, (2 * HOUR, "standard")),
    ],
)
def test_a_rule_and_the_time_of_the_account_are_weighed_against_each_other(
    kept, make_rule, make_tagged, rule, kept_for
):
    Account.objects.update(keep_for=5 * DAY)
    make_rule("env", "prod", rule)

    assert kept(make_tagged("env=prod")) == kept_for


def test_the_rules_of_another_account_are_not_asked(kept, mallory, make_rule, make_tagged):
    make_rule("env", "prod", 7 * DAY, account=mallory.memberships.get().account)

    assert kept(make_tagged("env=prod")) == (2 * HOUR, "standard")


def test_each_of_a_batch_gets_the_time_of_its_own(
    alice, mallory, make_rule, make_tagged, make_instance, now
):
    make_rule("env", "prod", 7 * DAY)
    make_rule("env", "test", DAY)
    instances = [make_tagged("env=prod"), make_tagged("env=test"), make_tagged()]

    actions.delete(Instance.objects.all(), may_release=False, context=acting(alice, now))

    assert [only(each).get().purge_at - now for each in instances] == [7 * DAY, DAY, 2 * HOUR]


@pytest.mark.parametrize("count", [2, 40])
def test_what_the_times_cost_does_not_depend_on_how_many_are_deleted(
    alice, make_rule, make_tagged, count
):
    make_rule("env", "prod", 7 * DAY)
    for number in range(count):
        make_tagged("env=prod", f"number={number}")

    with CaptureQueriesContext(connection) as queries:
        outcome = actions.delete(Instance.objects.all(), may_release=False, context=acting(alice))

    asked = [
        query["sql"]
        for query in queries
        if "retentionrule" in query["sql"] or "keep_for" in query["sql"]
    ]
    assert len(outcome.done) == count
    assert len(asked) == 2
    assert len(queries) <= 18


def test_no_rule_gives_pay_as_you_go_a_bin(alice, make_rule, make_tagged, now):
    Account.objects.update(keep_for=7 * DAY)
    make_rule("env", "prod", 7 * DAY)
    instance = make_tagged("env=prod", billing_mode=BillingMode.HOURLY)

    actions.delete(only(instance), may_release=True, context=acting(alice, now))

    assert only(instance).get().state == State.PURGED


def test_an_expired_subscription_is_kept_for_seven_days_whatever_the_rules_say(
    make_rule, make_tagged, now
):
    Account.objects.update(keep_for=30 * DAY)
    make_rule("env", "prod", 30 * DAY)
    instance = make_tagged("env=prod", billing_mode=BillingMode.MONTHLY, expires_at=now)

    actions.expire_due(context=acting(None, now))

    assert only(instance).get().purge_at == now + 7 * DAY


# --- Stamped at the moment of entry ---------------------------------------------------------------


def test_what_lies_in_the_bin_keeps_its_time_whatever_is_changed_later(
    kept, account, make_rule, make_tagged, alice
):
    rule = make_rule("env", "prod", 7 * DAY)
    instance = make_tagged("env=prod")
    kept(instance)
    end = instance.purge_at

    rule.delete()
    make_rule("env", "prod")
    Account.objects.update(keep_for=30 * DAY)
    account.tags.all().delete()
    only(instance).update(name="renamed", name_folded="renamed")
    actions.purge_due(context=acting(None, end - MOMENT))

    instance.refresh_from_db()
    assert (instance.state, instance.purge_at, basis(instance)) == (
        State.RECYCLED,
        end,
        "rule env=prod",
    )


def test_it_is_purged_at_the_time_that_was_stamped(kept, make_rule, make_tagged, now):
    make_rule("env", "prod", 7 * DAY)
    instance = make_tagged("env=prod")
    kept(instance)

    early, due = (
        actions.purge_due(context=acting(None, now + 7 * DAY - MOMENT)),
        actions.purge_due(context=acting(None, now + 7 * DAY)),
    )

    assert (early.done, [done.id for done in due.done]) == ([], [instance.pk])


def test_a_second_stay_in_the_bin_has_a_time_of_its_own(kept, alice, make_rule, make_tagged, now):
    make_rule("env", "prod", 7 * DAY)
    instance = make_tagged("env=prod")
    kept(instance)

    actions.restore(only(instance), context=acting(alice, now))
    back = only(instance).get()
    # The tag went with the first delete.
    assert kept(instance) == (2 * HOUR, "standard")

    assert (back.purge_at, back.retention_kind, back.retention_subject) == (None, None, None)


def test_a_refused_restore_moves_no_clock(kept, victor, mallory, make_instance):
    instance = make_instance()
    kept(instance)
    was = only(instance).values().get()

    for user in (victor, mallory):
        actions.restore(only(instance), context=acting(user))

    assert only(instance).values().get() == was


def test_equals_signs_do_not_blur_which_rule_it_was(kept, account, make_rule, make_instance):
    shown = set()
    for key, value in (("a=b", "c"), ("a", "b=c"), ("a=b=c", "")):
        RetentionRule.objects.all().delete()
        make_rule(key, value, 7 * DAY)
        tag, _ = account.tags.get_or_create(key=key, value=value)
        instance = make_instance()
        InstanceTag.objects.create(instance=instance, tag=tag)
        kept(instance)

        assert instance.retention_subject.split("\n") == [key, value]
        shown.add(instance.kept)

    assert shown == {"rule a=b=c, 7 days"}


# --- Extend ---------------------------------------------------------------------------------------


def test_an_operator_extends_an_entry_and_is_named(oscar, recycled, now):
    end = recycled.purge_at

    outcome = actions.extend(only(recycled), longer=DAY, context=acting(oscar, now))

    event = Event.objects.get()
    recycled.refresh_from_db()
    assert [done.id for done in outcome.done] == [recycled.pk]
    assert (recycled.purge_at, basis(recycled), recycled.state) == (
        end + DAY,
        "extended oscar",
        State.RECYCLED,
    )
    assert (event.action, event.by, event.from_state, event.to_state) == (
        "extend",
        oscar,
        "recycled",
        "recycled",
    )


def test_an_extended_entry_outlives_its_first_end_and_not_its_second(oscar, recycled):
    end = recycled.purge_at
    actions.extend(only(recycled), longer=DAY, context=acting(oscar, end - MOMENT))

    early, due = (
        actions.purge_due(context=acting(None, end + DAY - MOMENT)),
        actions.purge_due(context=acting(None, end + DAY)),
    )

    assert (early.done, [done.id for done in due.done]) == ([], [recycled.pk])


def test_nothing_is_kept_longer_than_thirty_days_in_all(oscar, make_instance, now):
    recycled_at = now - DAY
    fits, over = (
        make_instance(
            State.RECYCLED,
            recycled_at=recycled_at,
            purge_at=recycled_at + LONGEST_KEEP - DAY + more,
        )
        for more in (timedelta(0), MOMENT)
    )

    outcome = actions.extend(Instance.objects.all(), longer=DAY, context=acting(oscar, now))

    assert [done.id for done in outcome.done] == [fits.pk]
    assert [(refused.id, refused.refusal) for refused in outcome.refused] == [
        (over.pk, Refusal.NO_LONGER)
    ]
    assert only(fits).get().purge_at == recycled_at + LONGEST_KEEP
    assert only(over).get().purge_at == over.purge_at


@pytest.mark.parametrize("longer", [timedelta(0), -HOUR])
def test_an_extension_makes_nothing_shorter(oscar, recycled, longer):
    with pytest.raises(ValueError, match="longer"):
        actions.extend(only(recycled), longer=longer, context=acting(oscar))

    assert only(recycled).get().purge_at == recycled.purge_at


def test_from_its_end_on_nothing_is_extended(oscar, recycled):
    outcome = actions.extend(only(recycled), longer=DAY, context=acting(oscar, recycled.purge_at))

    assert refusals(outcome) == [Refusal.PAST_DEADLINE]


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        (State.ACTIVE, Refusal.RUNNING),
        (State.STOPPED, Refusal.STOPPED),
        (State.EXPIRED, Refusal.EXPIRED),
        (State.PURGED, Refusal.GONE),
    ],
)
def test_only_what_lies_in_the_bin_is_extended(alice, make_instance, state, refusal):
    instance = make_instance(state)

    assert refusals(actions.extend(only(instance), longer=DAY, context=acting(alice))) == [refusal]


def test_a_viewer_and_a_stranger_extend_nothing(victor, mallory, recycled):
    outcomes = [
        actions.extend(only(recycled), longer=DAY, context=acting(user))
        for user in (victor, mallory)
    ]

    assert [refusals(outcome) for outcome in outcomes] == [[Refusal.ROLE], [Refusal.ROLE]]
    assert only(recycled).get().purge_at == recycled.purge_at


def test_entries_with_many_different_ends_are_extended_in_one_go(oscar, make_instance, now):
    entries = [
        make_instance(State.RECYCLED, recycled_at=now, purge_at=now + number * HOUR)
        for number in range(1, 15)
    ]

    outcome = actions.extend(Instance.objects.all(), longer=DAY, context=acting(oscar, now))

    assert len(outcome.done) == len(entries)
    assert [only(each).get().purge_at for each in entries] == [
        each.purge_at + DAY for each in entries
    ]


# --- A dry run says what then happens -------------------------------------------------------------


VERBS: dict[str, dict[str, Any]] = {
    "delete": {"may_release": True},
    "start": {},
    "stop": {"no_fees": True},
    "restart": {},
    "renew": {"months": 1},
    "restore": {},
    "purge": {},
    "extend": {"longer": 29 * DAY},
    "protect": {},
    "unprotect": {},
    "hold": {"reason": "case 12"},
    "unhold": {},
    "retry": {},
}


@pytest.fixture
def one_of_each(make_instance, now):
    for mode in BillingMode:
        for state in State:
            if state is not State.EXPIRED or mode == BillingMode.MONTHLY:
                make_instance(state, mode)
    make_instance(protected=True)
    make_instance(State.RECYCLED, held_at=now, hold_reason="case 11")
    make_instance(State.RECYCLED, recycled_at=now - 2 * HOUR, purge_at=now)
    make_instance(created_at=now)


@pytest.mark.parametrize("who", ["alice", "oscar", "victor"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_dry_run_answers_as_the_action_then_does_and_changes_nothing(
    request, one_of_each, now, verb, who
):
    call, options = getattr(actions, verb), dict(VERBS[verb])
    options["context"] = acting(request.getfixturevalue(who), now, reason=options.pop("reason", ""))
    before = list(Instance.objects.order_by("pk").values())

    foretold = call(Instance.objects.all(), **options, dry_run=True)

    assert list(Instance.objects.order_by("pk").values()) == before
    assert not Event.objects.exists()
    done = call(Instance.objects.all(), **options)
    assert (foretold.done, foretold.refused, done.failed) == (done.done, done.refused, [])
    assert len(foretold.done) + len(foretold.refused) == len(before)


def test_a_dry_run_locks_nothing(alice, one_of_each):
    with CaptureQueriesContext(connection) as queries:
        actions.restore(Instance.objects.all(), dry_run=True, context=acting(alice))

    assert not [
        query["sql"]
        for query in queries
        if "FOR NO KEY UPDATE" in query["sql"] or "UPDATE " in query["sql"]
    ]
