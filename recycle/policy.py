"""What each billing mode allows, who may do what, and why not. Tables and pure functions, no
queries.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.db.models import IntegerChoices, TextChoices
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from recycle.lifecycle import TRANSITIONS, Action, AnyAction, ResourceAction, Right, State


class BillingMode(TextChoices):
    """The values are the API's ChargeType."""

    MONTHLY = "Monthly", _("Subscription")
    DAILY = "Daily", _("Pay-By-Daily-Config")
    HOURLY = "HourlyInstantSettlement", _("Pay-As-You-Go")
    SPOT = "Spot", _("Spot")


class Role(IntegerChoices):
    """What a user may do in an account; each role may do all that a lower one may."""

    NONE = 0, _("No access")
    VIEWER = 10, _("Viewer")
    OPERATOR = 20, _("Operator")
    ADMINISTRATOR = 30, _("Administrator")
    # The schedule acts as this. Nobody is given it.
    SYSTEM = 100, _("System")


# The number of the project that every account has.
DEFAULT_PROJECT = 0


@dataclass(frozen=True)
class Reach:
    """What a membership allows: its role in the whole account, or, where it is restricted, a role
    in each of some projects.
    """

    role: Role
    # By number; None means all.
    projects: "dict[int, Role] | None" = None

    def role_in(self, project: int | None) -> Role:
        """None is the account as a whole."""
        if self.projects is None:
            return self.role
        if project is None:
            return Role.VIEWER if self.projects else Role.NONE
        return self.projects.get(project, Role.NONE)

    @property
    def best(self) -> Role:
        """The role in that project in which it allows most."""
        if self.projects is None:
            return self.role
        return max(self.projects.values(), default=Role.NONE)


NO_FEES_FAMILIES = ("N1", "N2", "N3", "C4", "S4")
# The families among which an instance may change. The vendor's own list is not public; this is
# ours.
ALIKE_FAMILIES = (
    frozenset({"N1", "N2", "N3"}),
    frozenset({"C3", "C4", "C7"}),
    frozenset({"S3", "S4", "S6"}),
    frozenset({"I1", "I2", "I3", "I4"}),
)
# No retention, and no extension of one, goes beyond this.
LONGEST_KEEP = timedelta(days=30)


class Refusal(TextChoices):
    """Why an action is not carried out: a code for programs, a sentence for people."""

    ROLE = "role", _("Your role does not allow this.")
    RUNNING = "running", _("It is running.")
    STOPPED = "stopped", _("It is stopped.")
    EXPIRED = "expired", _("Its subscription has expired. Renew it first.")
    IN_BIN = "in_bin", _("It is in the recycle bin.")
    GONE = "gone", _("It has been deleted for good.")
    SUBSCRIPTION = "subscription", _("A subscription cannot be deleted; it expires.")
    NOT_SUBSCRIPTION = "not_subscription", _("Only subscriptions are renewed.")
    FIXED = "fixed", _("The configuration of its billing mode is fixed.")
    SAME_TYPE = "same_type", _("It has this configuration already.")
    OTHER_FAMILY = "other_family", _("It cannot change to this family.")
    NOT_SCHEDULED = "not_scheduled", _("Its deletion is not scheduled.")
    PASSED = "passed", _("That moment is over.")
    TOO_YOUNG = "too_young", _("It is not old enough to be deleted.")
    NO_BIN = "no_bin", _("Its billing mode has no recycle bin.")
    HAS_BIN = "has_bin", _("Its billing mode goes through the recycle bin.")
    UNCONFIRMED = (
        "unconfirmed",
        _("It would be released at once, for good, and that was not confirmed."),
    )
    PAST_DEADLINE = "past_deadline", _("Its time is over; it is being deleted for good.")
    NOT_DUE = "not_due", _("Its time is not over yet.")
    NO_FEES_MODE = "no_fees_mode", _("Its billing mode has no shutdown without fees.")
    PROTECTED = "protected", _("It is protected. Switch the protection off first.")
    NOT_PROTECTED = "not_protected", _("It is not protected.")
    HELD = "held", _("It is under legal hold.")
    NOT_QUARANTINED = "not_quarantined", _("It is not in quarantine.")
    NOT_HELD = "not_held", _("It is not under legal hold.")
    NO_LONGER = (
        "no_longer",
        format_lazy(_("It cannot be kept longer than {n} days."), n=LONGEST_KEEP.days),
    )
    TOO_FAR = "too_far", _("It cannot be paid for more than 10 years ahead.")
    SOLD_OUT = "sold_out", _("Its zone does not have enough left.")
    QUOTA = "quota", _("The account's quota is used up.")
    TAKEN = "taken", _("It is taken by another one.")
    ALREADY = "already", _("It is there already.")
    AS_ASKED = "as_asked", _("It is as you want it already.")
    NOT_BOUND = "not_bound", _("It is not bound.")
    BOUND = "bound", _("Something is bound to it.")
    TOO_WIDE = (
        "too_wide",
        _("Too much is bound to it to unbind it all at once. Unbind some of it first."),
    )
    OTHER_ZONE = "other_zone", _("It stands in another zone.")
    OTHER_REGION = "other_region", _("It stands in another region.")
    OTHER_VPC = "other_vpc", _("It stands in another VPC.")
    PORT_TAKEN = "port_taken", _("This address and port are registered already.")
    TOO_MANY = "too_many", _("There is no room for another one.")
    NO_FEES_FAMILY = (
        "no_fees_family",
        format_lazy(
            _("No Fees Upon Shutdown is for these families only: {families}."),
            families=", ".join(NO_FEES_FAMILIES),
        ),
    )
    CHANGED = "changed", _("It has changed in the meantime.")
    BACK = "back", _("It is back already.")
    TOO_LATE = "too_late", _("The time to undo this is over. Restore it from the recycle bin.")
    NOT_YOURS = (
        "not_yours",
        _("Only the person who deleted it, or an administrator, can undo this."),
    )
    TOO_LARGE = "too_large", _("So much at once cannot be undone. Restore it from the recycle bin.")
    OVER = "over", _("The batch job is over already.")
    NOT_OVER = "not_over", _("The batch job is not over yet.")
    DEFAULT_PROJECT = "default_project", _("The Default Project is always there.")
    DISABLED = "disabled", _("The project is disabled and takes nothing new.")
    NOTHING_FAILED = "nothing_failed", _("Nothing has failed in it.")
    RETRIED = "retried", _("What failed is being tried again already.")


class Subject(Protocol):
    """What the rules look at in an instance: a model's row, or a tuple of these columns alone."""

    @property
    def state(self) -> str: ...
    @property
    def billing_mode(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def purge_at(self) -> datetime | None: ...
    @property
    def protected(self) -> bool: ...
    @property
    def held_at(self) -> datetime | None: ...
    @property
    def quarantined_at(self) -> datetime | None: ...
    @property
    def delete_at(self) -> datetime | None: ...
    @property
    def no_fees(self) -> bool: ...
    @property
    def family(self) -> str: ...


@dataclass(frozen=True)
class Policy:
    """What a billing mode allows. All that the console does and says about one follows from it."""

    # How it is paid for, in words.
    paid: str | Promise = ""
    deletable: bool = True
    # Deletable only when older than this.
    min_age: timedelta = timedelta(0)
    # Time in the recycle bin; None means that there is none, and a delete releases at once.
    keep_for: timedelta | None = None
    # Time from expiry until the end; None means that it does not expire.
    keep_expired_for: timedelta | None = None
    no_fees_upon_shutdown: bool = False
    # Whether its configuration may be changed.
    resizable: bool = True

    @property
    def expires(self) -> bool:
        return self.keep_expired_for is not None


POLICIES: dict[str, Policy] = {
    BillingMode.MONTHLY: Policy(
        paid=_("For months, paid before."), deletable=False, keep_expired_for=timedelta(days=7)
    ),
    BillingMode.DAILY: Policy(
        paid=_("By the day, settled monthly."),
        min_age=timedelta(hours=1),
        keep_for=timedelta(hours=2),
    ),
    BillingMode.HOURLY: Policy(paid=_("By the hour."), no_fees_upon_shutdown=True),
    BillingMode.SPOT: Policy(
        paid=_("By the hour, at the market's price."), min_age=timedelta(hours=1), resizable=False
    ),
}

# What the vendor calls ways to pay that share the rules of one of these, by the API's ChargeType:
# an instance keeps the word.
SHARING: dict[str, tuple[str, Promise]] = {
    "PostPaidByHour": (BillingMode.HOURLY, _("hourly, settled monthly")),
    "HourlySettlement": (BillingMode.HOURLY, _("hourly, settled monthly")),
    "FreeTrial": (BillingMode.DAILY, _("trial")),
}
# The billing modes that expire: subscriptions.
EXPIRING = [mode for mode, policy in POLICIES.items() if policy.expires]
# The billing modes whose instances may stop and cost nothing meanwhile.
WITHOUT_FEES = [mode for mode, policy in POLICIES.items() if policy.no_fees_upon_shutdown]
# How long the bin keeps what is of a billing mode that has one. Accounts and rules make it longer,
# never shorter.
STANDARDS = {
    mode: policy.keep_for for mode, policy in POLICIES.items() if policy.keep_for is not None
}
# The billing modes whose instances a delete releases at once, for good.
RELEASED = [
    mode for mode, policy in POLICIES.items() if policy.deletable and policy.keep_for is None
]
# What is left of the time at least when a hold or a protection ends.
GRACE = timedelta(minutes=15)

# No subscription is paid for further ahead.
LONGEST_TERM = timedelta(days=3_653)
# Tags that an instance has at most, as in KEC.
MOST_TAGS = 10
# Months a subscription can be renewed for.
RENEWAL_MONTHS = (*range(1, 10), 12, 24, 36)

# The role that each action needs. Nobody else compares a role with anything: see `may`.
NEEDED: dict[AnyAction, Role] = {
    Action.START: Role.OPERATOR,
    Action.STOP: Role.OPERATOR,
    Action.RESTART: Role.OPERATOR,
    Action.DELETE: Role.OPERATOR,
    Action.RECYCLE: Role.OPERATOR,
    Action.RELEASE: Role.OPERATOR,
    Action.EXPIRE: Role.SYSTEM,
    Action.RENEW: Role.OPERATOR,
    Action.RESTORE: Role.OPERATOR,
    Action.PURGE: Role.ADMINISTRATOR,
    Action.EXTEND: Role.OPERATOR,
    Action.RENAME: Role.OPERATOR,
    Action.RESIZE: Role.OPERATOR,
    Action.RESET_PASSWORD: Role.OPERATOR,
    Action.SCHEDULE: Role.OPERATOR,
    Action.UNSCHEDULE: Role.OPERATOR,
    Action.PROTECT: Role.OPERATOR,
    Action.UNPROTECT: Role.OPERATOR,
    Action.HOLD: Role.ADMINISTRATOR,
    Action.UNHOLD: Role.ADMINISTRATOR,
    Action.QUARANTINE: Role.SYSTEM,
    Action.RETRY: Role.OPERATOR,
    ResourceAction.CREATE: Role.OPERATOR,
    # Edits, as the admin makes them.
    ResourceAction.UPDATE: Role.ADMINISTRATOR,
    ResourceAction.BIND: Role.OPERATOR,
    ResourceAction.UNBIND: Role.OPERATOR,
    ResourceAction.REMOVE: Role.OPERATOR,
    ResourceAction.ENABLE: Role.OPERATOR,
    ResourceAction.DISABLE: Role.OPERATOR,
    ResourceAction.WEIGH: Role.OPERATOR,
    Right.RETENTION: Role.ADMINISTRATOR,
    Right.UNDO_OTHERS: Role.ADMINISTRATOR,
    Right.PROJECTS: Role.ADMINISTRATOR,
    ResourceAction.MOVE: Role.OPERATOR,
    # Whoever has asked for a job may stop it, even when they could not ask for it any more.
    ResourceAction.CANCEL: Role.VIEWER,
    Right.JOBS_OF_OTHERS: Role.ADMINISTRATOR,
}


# What concerns an account as a whole: nobody who is restricted to projects may do it.
OF_ACCOUNT = frozenset({Right.RETENTION, Right.JOBS_OF_OTHERS, Right.PROJECTS})


def may(role: Role, action: AnyAction) -> bool:
    """Whether a role is enough for an action, whatever it is done to."""
    return role >= NEEDED[action]


WRONG_STATE: dict[str, Refusal] = {
    State.ACTIVE: Refusal.RUNNING,
    State.STOPPED: Refusal.STOPPED,
    State.EXPIRED: Refusal.EXPIRED,
    State.RECYCLED: Refusal.IN_BIN,
    State.PURGED: Refusal.GONE,
}


def deletion_of(billing_mode: str) -> Action:
    """What a delete means for this billing mode: RECYCLE, or RELEASE where there is no bin to go
    to.
    """
    return Action.RECYCLE if billing_mode in STANDARDS else Action.RELEASE


def deletable_from(instance: Subject) -> datetime:
    """The moment after which its age no longer stands in the way of a delete."""
    return instance.created_at + POLICIES[instance.billing_mode].min_age


Rule = Callable[[Subject, Role, datetime], Refusal | None]


def _is_deletable(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if POLICIES[instance.billing_mode].deletable else Refusal.SUBSCRIPTION


def _is_old_enough(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    min_age = POLICIES[instance.billing_mode].min_age
    return Refusal.TOO_YOUNG if min_age and now <= instance.created_at + min_age else None


def _has_bin(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if deletion_of(instance.billing_mode) is Action.RECYCLE else Refusal.NO_BIN


def _has_no_bin(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if deletion_of(instance.billing_mode) is Action.RELEASE else Refusal.HAS_BIN


def _is_subscription(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if POLICIES[instance.billing_mode].expires else Refusal.NOT_SUBSCRIPTION


def _has_not_run_out(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return (
        Refusal.EXPIRED if instance.expires_at is not None and instance.expires_at <= now else None
    )


def _has_run_out(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return (
        None if instance.expires_at is not None and instance.expires_at <= now else Refusal.NOT_DUE
    )


def _is_before_its_end(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    """From `purge_at` on nothing brings it back, whether or not the sweep has come by.

    A hold or a protection suspends the end: as long as nothing may delete it, it can come back.
    """
    if instance.protected or instance.held_at is not None:
        return None
    return (
        Refusal.PAST_DEADLINE
        if instance.purge_at is not None and now >= instance.purge_at
        else None
    )


def _may_end_now(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    """The schedule purges what is due; a person purges what is in the bin, never an expired
    subscription.
    """
    if role is not Role.SYSTEM:
        return Refusal.SUBSCRIPTION if instance.state == State.EXPIRED else None
    # A missing deadline means never, not now.
    return None if instance.purge_at is not None and instance.purge_at <= now else Refusal.NOT_DUE


def _is_not_protected(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return Refusal.PROTECTED if instance.protected else None


def _is_protected(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if instance.protected else Refusal.NOT_PROTECTED


def _is_not_held(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return Refusal.HELD if instance.held_at is not None else None


def _is_held(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if instance.held_at is not None else Refusal.NOT_HELD


def _is_resizable(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if POLICIES[instance.billing_mode].resizable else Refusal.FIXED


def _is_scheduled(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if instance.delete_at is not None else Refusal.NOT_SCHEDULED


def _is_in_quarantine(instance: Subject, role: Role, now: datetime) -> Refusal | None:
    return None if instance.quarantined_at is not None else Refusal.NOT_QUARANTINED


RULES: dict[Action, tuple[Rule, ...]] = {
    Action.START: (_has_not_run_out,),
    Action.STOP: (),
    Action.RESTART: (_has_not_run_out,),
    Action.RECYCLE: (_has_bin, _is_not_protected, _is_old_enough),
    Action.RELEASE: (_is_deletable, _has_no_bin, _is_not_protected, _is_not_held, _is_old_enough),
    Action.EXPIRE: (_has_run_out,),
    Action.RENEW: (_is_subscription, _is_before_its_end),
    Action.RESTORE: (_is_before_its_end,),
    Action.PURGE: (_is_not_protected, _is_not_held, _may_end_now),
    Action.EXTEND: (_is_before_its_end,),
    Action.RENAME: (),
    Action.RESIZE: (_is_resizable,),
    Action.RESET_PASSWORD: (),
    Action.SCHEDULE: (_is_deletable, _is_not_protected, _is_not_held),
    Action.UNSCHEDULE: (_is_scheduled,),
    # Otherwise whoever is late with a renewal would only have to protect it first.
    Action.PROTECT: (_is_not_protected, _is_before_its_end),
    Action.UNPROTECT: (_is_protected,),
    Action.HOLD: (_is_not_held,),
    Action.UNHOLD: (_is_held,),
    Action.QUARANTINE: (),
    Action.RETRY: (_is_in_quarantine,),
}


def why_not(action: Action, instance: Subject, *, role: Role, now: datetime) -> Refusal | None:
    """Why `role` may not carry out `action` on this instance at `now`; None when it may.

    The disabled button, its tooltip, the dialog, the admin and the action itself are this one
    answer.
    """
    if not may(role, action):
        return Refusal.ROLE
    if action is Action.DELETE:
        action = deletion_of(instance.billing_mode)
    if instance.state not in TRANSITIONS[action]:
        # An expired subscription is refused for what it is, or the advice to renew would be wrong
        # for a delete.
        if action in (Action.RELEASE, Action.SCHEDULE) and instance.state == State.EXPIRED:
            return Refusal.SUBSCRIPTION
        return WRONG_STATE[instance.state]
    for rule in RULES[action]:
        if refusal := rule(instance, role, now):
            return refusal
    return None


def why_not_no_fees(instance: Subject) -> Refusal | None:
    """Why a stop cannot be one with No Fees Upon Shutdown; None when it can."""
    if not POLICIES[instance.billing_mode].no_fees_upon_shutdown:
        return Refusal.NO_FEES_MODE
    return None if instance.family in NO_FEES_FAMILIES else Refusal.NO_FEES_FAMILY


def why_not_type(instance: Subject, family: str) -> Refusal | None:
    """Why it cannot get a type of this family; None when it can."""
    own = instance.family
    if family != own and not any({own, family} <= alike for alike in ALIKE_FAMILIES):
        return Refusal.OTHER_FAMILY
    # What costs nothing meanwhile goes on costing nothing.
    stays_free = not instance.no_fees or family in NO_FEES_FAMILIES
    return None if stays_free else Refusal.NO_FEES_FAMILY


class KeepRule(Protocol):
    """A retention rule as an account has them."""

    key: str
    value: str
    keep_for: timedelta | None

    def matches(self, tags: Collection[tuple[str, str]]) -> bool: ...


class RetentionKind(TextChoices):
    """Where the time in the bin comes from."""

    STANDARD = "standard", _("standard")
    ACCOUNT = "account", _("set for the account")
    RULE = "rule", _("rule")
    EXTENDED = "extended", _("extended")


@dataclass(frozen=True)
class Retention:
    """How long something is kept in the bin, and where that comes from."""

    keep_for: timedelta
    kind: RetentionKind = RetentionKind.STANDARD
    # Of a rule: key and value of its tag, a line each, since neither can hold a line break but
    # both can hold an equals sign. Of an extension: the user's name. Else empty.
    subject: str = ""


def retention(
    billing_mode: str,
    account_keeps: timedelta | None,
    rules: Iterable[KeepRule],
    tags: Collection[tuple[str, str]],
) -> Retention | None:
    """How long an instance with these tags would be kept in the bin; None where there is no bin.

    The longest of the standard, the account's and the matching rules' wins; a matching rule without
    a time of its own excludes from all but the standard.
    """
    standard = POLICIES[billing_mode].keep_for
    if standard is None:
        return None
    found = [Retention(standard)]
    if account_keeps is not None:
        found.append(Retention(account_keeps, RetentionKind.ACCOUNT))
    for rule in rules:
        if not rule.matches(tags):
            continue
        if rule.keep_for is None:
            return Retention(standard)
        subject = f"{rule.key}\n{rule.value}"
        found.append(Retention(rule.keep_for, RetentionKind.RULE, subject))
    return max(found, key=lambda each: each.keep_for)


def end_of_expired(instance: Subject) -> datetime | None:
    """`purge_at` of a subscription that expires: counted from its expiry, not from when that was
    noticed.
    """
    kept = POLICIES[instance.billing_mode].keep_expired_for
    return (
        instance.expires_at + kept if kept is not None and instance.expires_at is not None else None
    )
