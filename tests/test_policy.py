"""The rules as tables, without a database."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from recycle.labels import duration_label, refusal_label
from recycle.lifecycle import TRANSITIONS, Action, ResourceAction, Right, State
from recycle.policy import (
    GRACE,
    LONGEST_KEEP,
    NEEDED,
    POLICIES,
    RENEWAL_MONTHS,
    RULES,
    WRONG_STATE,
    BillingMode,
    Refusal,
    Retention,
    RetentionKind,
    Role,
    deletable_from,
    deletion_of,
    end_of_expired,
    retention,
    why_not,
    why_not_no_fees,
)
from tests.conftest import at

NOW = at(12)
MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


@dataclass
class Server:
    """As much of an instance as the rules look at."""

    state: str = State.ACTIVE
    billing_mode: str = BillingMode.DAILY
    created_at: datetime = NOW - timedelta(days=3)
    expires_at: datetime | None = None
    purge_at: datetime | None = None
    protected: bool = False
    held_at: datetime | None = None
    quarantined_at: datetime | None = None
    delete_at: datetime | None = None
    no_fees: bool = False
    family: str = "N3"


def server(state: str, billing_mode: str) -> Server:
    """Three days old, with times that fit its state and are not over."""
    expires_at = purge_at = None
    if billing_mode == BillingMode.MONTHLY:
        expires_at = NOW + timedelta(days=-1 if state == State.EXPIRED else 20)
    if state == State.EXPIRED:
        purge_at = NOW + timedelta(days=6)
    if state == State.RECYCLED:
        purge_at = NOW + HOUR
    return Server(state, billing_mode, expires_at=expires_at, purge_at=purge_at)


# What somebody who may do it is told. "-": only subscriptions expire; some refusal, whichever.
ANSWERS = """
                 active            stopped           expired       recycled  purged
start   Monthly  running           yes               expired       in_bin    gone
start   Daily    running           yes               -             in_bin    gone
start   Hourly   running           yes               -             in_bin    gone
start   Spot     running           yes               -             in_bin    gone
stop    Monthly  yes               stopped           expired       in_bin    gone
stop    Daily    yes               stopped           -             in_bin    gone
stop    Hourly   yes               stopped           -             in_bin    gone
stop    Spot     yes               stopped           -             in_bin    gone
restart Monthly  yes               stopped           expired       in_bin    gone
restart Daily    yes               stopped           -             in_bin    gone
restart Hourly   yes               stopped           -             in_bin    gone
restart Spot     yes               stopped           -             in_bin    gone
delete  Monthly  subscription      subscription      subscription  in_bin    gone
delete  Daily    yes               yes               -             in_bin    gone
delete  Hourly   yes               yes               -             in_bin    gone
delete  Spot     yes               yes               -             in_bin    gone
recycle Monthly  no_bin            no_bin            expired       in_bin    gone
recycle Daily    yes               yes               -             in_bin    gone
recycle Hourly   no_bin            no_bin            -             in_bin    gone
recycle Spot     no_bin            no_bin            -             in_bin    gone
release Monthly  subscription      subscription      subscription  in_bin    gone
release Daily    has_bin           has_bin           -             in_bin    gone
release Hourly   yes               yes               -             in_bin    gone
release Spot     yes               yes               -             in_bin    gone
expire  Monthly  not_due           not_due           expired       in_bin    gone
expire  Daily    not_due           not_due           -             in_bin    gone
expire  Hourly   not_due           not_due           -             in_bin    gone
expire  Spot     not_due           not_due           -             in_bin    gone
renew   Monthly  yes               yes               yes           in_bin    gone
renew   Daily    not_subscription  not_subscription  -             in_bin    gone
renew   Hourly   not_subscription  not_subscription  -             in_bin    gone
renew   Spot     not_subscription  not_subscription  -             in_bin    gone
restore Monthly  running           stopped           expired       yes       gone
restore Daily    running           stopped           -             yes       gone
restore Hourly   running           stopped           -             yes       gone
restore Spot     running           stopped           -             yes       gone
purge   Monthly  running           stopped           subscription  yes       gone
purge   Daily    running           stopped           -             yes       gone
purge   Hourly   running           stopped           -             yes       gone
purge   Spot     running           stopped           -             yes       gone
extend  Monthly  running           stopped           expired       yes       gone
extend  Daily    running           stopped           -             yes       gone
extend  Hourly   running           stopped           -             yes       gone
extend  Spot     running           stopped           -             yes       gone
rename  Monthly  yes               yes               yes           in_bin    gone
rename  Daily    yes               yes               yes           in_bin    gone
rename  Hourly   yes               yes               yes           in_bin    gone
rename  Spot     yes               yes               yes           in_bin    gone
resize  Monthly  running           yes               expired       in_bin    gone
resize  Daily    running           yes               -             in_bin    gone
resize  Hourly   running           yes               -             in_bin    gone
resize  Spot     running           fixed             -             in_bin    gone
reset_password Monthly  yes         yes               expired       in_bin    gone
reset_password Daily    yes         yes               -             in_bin    gone
reset_password Hourly   yes         yes               -             in_bin    gone
reset_password Spot     yes         yes               -             in_bin    gone
schedule Monthly  subscription     subscription      subscription  in_bin    gone
schedule Daily    yes              yes               -             in_bin    gone
schedule Hourly   yes              yes               -             in_bin    gone
schedule Spot     yes              yes               -             in_bin    gone
unschedule Monthly  not_scheduled  not_scheduled     expired       in_bin    gone
unschedule Daily    not_scheduled  not_scheduled     -             in_bin    gone
unschedule Hourly   not_scheduled  not_scheduled     -             in_bin    gone
unschedule Spot     not_scheduled  not_scheduled     -             in_bin    gone
protect Monthly  yes               yes               yes           in_bin    gone
protect Daily    yes               yes               yes           in_bin    gone
protect Hourly   yes               yes               yes           in_bin    gone
protect Spot     yes               yes               yes           in_bin    gone
unprotect Monthly  not_protected     not_protected     not_protected in_bin    gone
unprotect Daily    not_protected     not_protected     not_protected in_bin    gone
unprotect Hourly   not_protected     not_protected     not_protected in_bin    gone
unprotect Spot     not_protected     not_protected     not_protected in_bin    gone
hold    Monthly  yes               yes               yes           yes       gone
hold    Daily    yes               yes               yes           yes       gone
hold    Hourly   yes               yes               yes           yes       gone
hold    Spot     yes               yes               yes           yes       gone
unhold  Monthly  not_held          not_held          not_held      not_held  gone
unhold  Daily    not_held          not_held          not_held      not_held  gone
unhold  Hourly   not_held          not_held          not_held      not_held  gone
unhold  Spot     not_held          not_held          not_held      not_held  gone
quarantine Monthly yes             yes               yes           yes       gone
quarantine Daily   yes             yes               yes           yes       gone
quarantine Hourly  yes             yes               yes           yes       gone
quarantine Spot    yes             yes               yes           yes       gone
retry   Monthly  not_quarantined   not_quarantined   not_quarantined not_quarantined gone
retry   Daily    not_quarantined   not_quarantined   not_quarantined not_quarantined gone
retry   Hourly   not_quarantined   not_quarantined   not_quarantined not_quarantined gone
retry   Spot     not_quarantined   not_quarantined   not_quarantined not_quarantined gone
"""
MODES = {
    "Monthly": BillingMode.MONTHLY,
    "Daily": BillingMode.DAILY,
    "Hourly": BillingMode.HOURLY,
    "Spot": BillingMode.SPOT,
}
LOWEST = dict.fromkeys(Action, Role.OPERATOR) | {
    Action.PURGE: Role.ADMINISTRATOR,
    Action.EXPIRE: Role.SYSTEM,
    Action.HOLD: Role.ADMINISTRATOR,
    Action.UNHOLD: Role.ADMINISTRATOR,
    Action.QUARANTINE: Role.SYSTEM,
}


HEADER, *ROWS = (line.split() for line in ANSWERS.strip().splitlines())
CELLS = [
    pytest.param(Action(action), MODES[mode], State(state), answer, id=f"{action}-{mode}-{state}")
    for action, mode, *answers in ROWS
    for state, answer in zip(HEADER, answers, strict=True)
]


def expected(answer: str, action: Action, state: State, role: Role) -> Refusal | None:
    if role < LOWEST[action]:
        return Refusal.ROLE
    # The schedule ends nothing before its time, a subscription included.
    if action is Action.PURGE and role is Role.SYSTEM and state in (State.EXPIRED, State.RECYCLED):
        return Refusal.NOT_DUE
    return None if answer == "yes" else Refusal(answer)


@pytest.mark.parametrize(("action", "billing_mode", "state", "answer"), CELLS)
def test_why_not_answers_as_the_table_says_in_every_role(action, billing_mode, state, answer):
    subject = server(state, billing_mode)

    answers = {role: why_not(action, subject, role=role, now=NOW) for role in Role}

    if answer == "-":
        assert None not in answers.values()
    else:
        assert answers == {role: expected(answer, action, state, role) for role in Role}


def test_the_table_above_has_every_action_in_every_billing_mode_and_state():
    asked = {cell.values[:3] for cell in CELLS}

    assert asked == {
        (action, mode, state) for action in Action for mode in BillingMode for state in State
    }


@pytest.mark.parametrize(
    ("age", "refusal"),
    [
        (timedelta(0), Refusal.TOO_YOUNG),
        (HOUR - MOMENT, Refusal.TOO_YOUNG),
        (HOUR, Refusal.TOO_YOUNG),
        (HOUR + MOMENT, None),
        (timedelta(days=900), None),
    ],
)
@pytest.mark.parametrize("action", [Action.DELETE, Action.RECYCLE])
def test_a_daily_instance_is_deletable_once_it_is_more_than_an_hour_old(action, age, refusal):
    young = Server(created_at=NOW - age)

    assert why_not(action, young, role=Role.OPERATOR, now=NOW) is refusal


def test_a_pay_as_you_go_instance_is_deletable_at_any_age():
    young = Server(billing_mode=BillingMode.HOURLY, created_at=NOW)

    assert why_not(Action.DELETE, young, role=Role.OPERATOR, now=NOW) is None


def test_a_subscription_is_refused_for_what_it_is_and_not_for_its_age():
    young = replace(server(State.ACTIVE, BillingMode.MONTHLY), created_at=NOW)

    assert why_not(Action.DELETE, young, role=Role.OPERATOR, now=NOW) is Refusal.SUBSCRIPTION


def test_age_stands_in_the_way_until_the_moment_that_the_dialog_names():
    young = Server(created_at=at(8))

    assert deletable_from(young) == at(9)
    assert deletable_from(replace(young, billing_mode=BillingMode.HOURLY)) == at(8)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR, Role.SYSTEM])
@pytest.mark.parametrize(
    ("left", "refusal"),
    [
        (HOUR, None),
        (MOMENT, None),
        (timedelta(0), Refusal.PAST_DEADLINE),
        (-MOMENT, Refusal.PAST_DEADLINE),
    ],
)
def test_from_its_deadline_on_nobody_restores_or_renews(role, left, refusal):
    recycled = Server(State.RECYCLED, purge_at=NOW + left)
    expired = replace(server(State.EXPIRED, BillingMode.MONTHLY), purge_at=NOW + left)

    assert why_not(Action.RESTORE, recycled, role=role, now=NOW) is refusal
    assert why_not(Action.RENEW, expired, role=role, now=NOW) is refusal


@pytest.mark.parametrize("state", [State.RECYCLED, State.EXPIRED])
@pytest.mark.parametrize(
    ("left", "refusal"),
    [(HOUR, Refusal.NOT_DUE), (MOMENT, Refusal.NOT_DUE), (timedelta(0), None), (-MOMENT, None)],
)
def test_the_schedule_purges_from_the_deadline_on_and_not_before(state, left, refusal):
    waiting = replace(server(state, BillingMode.MONTHLY), purge_at=NOW + left)

    assert why_not(Action.PURGE, waiting, role=Role.SYSTEM, now=NOW) is refusal


@pytest.mark.parametrize("state", [State.RECYCLED, State.EXPIRED])
def test_a_missing_deadline_means_never_and_not_now(state):
    waiting = Server(state, BillingMode.MONTHLY)

    assert why_not(Action.PURGE, waiting, role=Role.SYSTEM, now=NOW) is Refusal.NOT_DUE


@pytest.mark.parametrize(
    ("left", "refusal"),
    [(MOMENT, Refusal.NOT_DUE), (timedelta(0), None), (-MOMENT, None)],
)
@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED])
def test_a_subscription_expires_when_it_has_run_out_and_not_before(state, left, refusal):
    subscription = Server(state, BillingMode.MONTHLY, expires_at=NOW + left)

    assert why_not(Action.EXPIRE, subscription, role=Role.SYSTEM, now=NOW) is refusal


@pytest.mark.parametrize(
    ("action", "state"), [(Action.START, State.STOPPED), (Action.RESTART, State.ACTIVE)]
)
@pytest.mark.parametrize(("left", "refusal"), [(MOMENT, None), (timedelta(0), Refusal.EXPIRED)])
def test_what_has_run_out_is_not_started_before_the_schedule_comes_by(action, state, left, refusal):
    subscription = Server(state, BillingMode.MONTHLY, expires_at=NOW + left)

    assert why_not(action, subscription, role=Role.OPERATOR, now=NOW) is refusal


def test_an_expired_subscription_ends_seven_days_after_its_expiry_however_late_that_is_noticed():
    subscription = Server(billing_mode=BillingMode.MONTHLY, expires_at=NOW - timedelta(days=1))

    assert end_of_expired(subscription) == NOW + timedelta(days=6)
    assert end_of_expired(Server()) is None


@dataclass
class Kept:
    """As much of a retention rule as the policy looks at."""

    tag: tuple[str, str]
    keep_for: timedelta | None
    key: str = "env"
    value: str = ""

    def matches(self, tags):
        return self.tag in tags


DAY = timedelta(days=1)
PROD, TEST = ("env", "prod"), ("env", "test")


@pytest.mark.parametrize(
    ("account_keeps", "rules", "kept", "kind"),
    [
        (None, [], 2 * HOUR, "standard"),
        (DAY, [], DAY, "account"),
        # Longer than the standard, never shorter.
        (HOUR, [], 2 * HOUR, "standard"),
        (DAY, [Kept(PROD, 7 * DAY)], 7 * DAY, "rule"),
        (7 * DAY, [Kept(PROD, DAY)], 7 * DAY, "account"),
        (None, [Kept(PROD, DAY), Kept(PROD, 3 * DAY)], 3 * DAY, "rule"),
        (None, [Kept(TEST, 7 * DAY)], 2 * HOUR, "standard"),
        # An exclusion leaves the standard alone, whatever else matches.
        (DAY, [Kept(PROD, 7 * DAY), Kept(PROD, None)], 2 * HOUR, "standard"),
        (DAY, [Kept(TEST, None)], DAY, "account"),
    ],
)
def test_the_longest_retention_wins_unless_a_tag_excludes(account_keeps, rules, kept, kind):
    subject = "env\n" if kind == "rule" else ""

    assert retention(BillingMode.DAILY, account_keeps, rules, {PROD}) == Retention(
        kept, RetentionKind(kind), subject
    )


@pytest.mark.parametrize("mode", [BillingMode.HOURLY, BillingMode.MONTHLY])
def test_no_rule_gives_a_bin_to_a_billing_mode_that_has_none(mode):
    assert retention(mode, DAY, [Kept(PROD, DAY)], {PROD}) is None


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR, Role.SYSTEM])
@pytest.mark.parametrize(
    ("action", "state", "mode"),
    [
        (Action.DELETE, State.ACTIVE, BillingMode.DAILY),
        (Action.DELETE, State.STOPPED, BillingMode.HOURLY),
        (Action.RECYCLE, State.ACTIVE, BillingMode.DAILY),
        (Action.RELEASE, State.ACTIVE, BillingMode.HOURLY),
    ],
)
def test_nobody_deletes_what_is_protected(action, state, mode, role):
    instance = replace(server(state, mode), protected=True)

    assert why_not(action, instance, role=role, now=NOW) is Refusal.PROTECTED


@pytest.mark.parametrize(
    ("suspended", "refusal"),
    [({"protected": True}, Refusal.PROTECTED), ({"held_at": NOW}, Refusal.HELD)],
)
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.SYSTEM])
def test_a_hold_and_a_protection_outlive_the_end_and_it_can_still_come_back(
    suspended, refusal, role
):
    expired = replace(server(State.EXPIRED, BillingMode.MONTHLY), purge_at=NOW - DAY, **suspended)

    assert why_not(Action.PURGE, expired, role=role, now=NOW) is refusal
    assert why_not(Action.RENEW, expired, role=role, now=NOW) is None


def test_what_is_held_may_go_into_the_bin_but_is_not_released():
    daily = replace(server(State.ACTIVE, BillingMode.DAILY), held_at=NOW)
    hourly = replace(server(State.ACTIVE, BillingMode.HOURLY), held_at=NOW)

    assert why_not(Action.DELETE, daily, role=Role.OPERATOR, now=NOW) is None
    assert why_not(Action.DELETE, hourly, role=Role.OPERATOR, now=NOW) is Refusal.HELD


@pytest.mark.parametrize(
    ("billing_mode", "action"),
    [
        (BillingMode.MONTHLY, Action.RELEASE),
        (BillingMode.DAILY, Action.RECYCLE),
        (BillingMode.HOURLY, Action.RELEASE),
    ],
)
def test_the_billing_mode_says_what_a_delete_means(billing_mode, action):
    assert deletion_of(billing_mode) is action


@pytest.mark.parametrize("mode", BillingMode)
@pytest.mark.parametrize("state", State)
def test_a_delete_is_answered_like_what_it_means(mode, state):
    instance = server(state, mode)

    meant = why_not(deletion_of(mode), instance, role=Role.ADMINISTRATOR, now=NOW)

    assert why_not(Action.DELETE, instance, role=Role.ADMINISTRATOR, now=NOW) is meant


@pytest.mark.parametrize(
    ("billing_mode", "family", "refusal"),
    [
        *((BillingMode.HOURLY, family, None) for family in ("N1", "N2", "N3", "C4", "S4")),
        *(
            (BillingMode.HOURLY, family, Refusal.NO_FEES_FAMILY)
            for family in ("N4", "S6", "C3", "N", "")
        ),
        *((mode, "N3", Refusal.NO_FEES_MODE) for mode in (BillingMode.DAILY, BillingMode.MONTHLY)),
    ],
)
def test_no_fees_is_for_pay_as_you_go_of_five_families(billing_mode, family, refusal):
    assert why_not_no_fees(Server(billing_mode=billing_mode, family=family)) is refusal


def test_every_role_may_do_all_that_a_lower_one_may():
    for action in Action:
        for mode in BillingMode:
            for state in State:
                allowed = [
                    why_not(action, server(state, mode), role=role, now=NOW) is not Refusal.ROLE
                    for role in Role
                ]
                assert allowed == sorted(allowed)


def test_every_member_has_its_row_in_every_table():
    assert set(POLICIES) == set(BillingMode)
    everything = [*Action, *ResourceAction, *Right]
    assert set(NEEDED) == set(everything)
    # A value alone names one: a template asks by it.
    assert len({each.value for each in everything}) == len(everything)
    assert set(WRONG_STATE) == set(State)
    # A delete is answered by what it means.
    assert set(RULES) == set(TRANSITIONS) == set(Action) - {Action.DELETE}


def test_subscriptions_are_renewed_for_the_months_on_offer():
    assert RENEWAL_MONTHS == (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 24, 36)


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_is_a_sentence(refusal):
    assert str(refusal.label).endswith(".")


@pytest.mark.parametrize("mode", BillingMode)
def test_the_readme_has_a_row_for_every_billing_mode_with_its_times(mode):
    readme = (settings.BASE_DIR / "README.md").read_text(encoding="utf-8")
    policy = POLICIES[mode]

    [row] = [line for line in readme.splitlines() if line.startswith(f"| {mode.label} (`{mode}`)")]

    times = [policy.keep_for, policy.keep_expired_for, policy.min_age or None]
    assert [time for time in times if time and duration_label(time) not in row] == []
    assert ("into the bin" in row) is (deletion_of(mode) is Action.RECYCLE)


def test_the_readme_names_the_times_that_hold_for_every_billing_mode():
    readme = " ".join((settings.BASE_DIR / "README.md").read_text(encoding="utf-8").split())

    assert f"by tag, up to {duration_label(LONGEST_KEEP)}," in readme
    assert f"at least {duration_label(GRACE)} are left" in readme


@pytest.mark.parametrize("mode", BillingMode)
def test_a_refusal_names_the_times_of_the_billing_mode(mode, monkeypatch):
    policy = replace(POLICIES[mode], min_age=5 * HOUR, keep_expired_for=4 * DAY)
    monkeypatch.setitem(POLICIES, mode, policy)
    instance = Server(billing_mode=mode)

    assert "more than 5 hours old" in refusal_label(Refusal.TOO_YOUNG, instance)
    assert "kept for 4 days after" in refusal_label(Refusal.SUBSCRIPTION, instance)
    assert refusal_label(Refusal.HELD, instance) == str(Refusal.HELD.label)


@pytest.mark.parametrize("refusal", Refusal)
def test_the_label_of_a_refusal_promises_no_time_that_a_billing_mode_decides(refusal):
    durations = [
        duration_label(time)
        for policy in POLICIES.values()
        for time in (policy.keep_for, policy.keep_expired_for, policy.min_age)
        if time
    ]

    assert not [each for each in durations if each in str(refusal.label)]
