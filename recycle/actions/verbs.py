"""What people do to instances. Each takes a queryset, and answers for each instance in it.

`by` is the user who acts; their role in each instance's account is asked at that moment. Beside
what a verb needs, all take the options in `Options`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, TypedDict, Unpack
from zoneinfo import ZoneInfo

from django.utils import timezone

from recycle.actions.limits import Room
from recycle.actions.move import Changes, Move, carry_out, preview
from recycle.actions.outcome import Outcome
from recycle.actions.retention import Retentions
from recycle.lifecycle import Action, State
from recycle.models import Account, Instance, InstanceQuerySet, InstanceType, User
from recycle.policy import (
    GRACE,
    LONGEST_KEEP,
    LONGEST_TERM,
    Refusal,
    RetentionKind,
    deletion_of,
    why_not_no_fees,
)
from recycle.terms import Term, term
from recycle.text import fold

# What a failed try of the schedule left behind is over once somebody acts.
NO_RETRY: Mapping[str, Any] = {"retry_at": None, "attempts": 0, "last_error": ""}


class Options(TypedDict, total=False):
    # The one moment of the request; the clock's when not given.
    now: datetime
    reason: str
    # How many instances are worked through at most.
    limit: int
    # Only say what would become of them.
    dry_run: bool


class Powering(Move):
    """A verb after which an instance uses vCPU and memory that it may have given back."""

    def prepare(self, instances: Sequence[Instance], *, lock: bool) -> None:
        wanting = {
            instance.zone_id
            for instance in instances
            if instance.no_fees or instance.state == State.RECYCLED
        }
        self.room = Room(wanting, lock=lock)
        names = {instance.instance_type_id for instance in instances}
        self.types = InstanceType.objects.in_bulk(names) if self.room.free else {}

    def refuses(self, instance: Instance) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        if instance.zone_id not in self.room.free or not (
            instance.no_fees or instance.state == State.RECYCLED
        ):
            return None
        return self.room.take(instance.zone_id, self.types[instance.instance_type_id])


class Start(Powering):
    def changes(self, instance: Instance, target: State) -> Changes:
        return {"no_fees": False}


@dataclass(kw_only=True)
class Stop(Move):
    no_fees: bool

    def refuses(self, instance: Instance) -> Refusal | None:
        return super().refuses(instance) or (why_not_no_fees(instance) if self.no_fees else None)

    def changes(self, instance: Instance, target: State) -> Changes:
        return {"no_fees": self.no_fees}


@dataclass(kw_only=True)
class Delete(Move):
    may_release: bool

    def prepare(self, instances: Sequence[Instance], *, lock: bool) -> None:
        self.retentions = Retentions(instances)

    def refuses(self, instance: Instance) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        released = deletion_of(instance.billing_mode) is Action.RELEASE
        return Refusal.UNCONFIRMED if released and not self.may_release else None

    def changes(self, instance: Instance, target: State) -> Changes:
        retention = self.retentions.of(instance)
        if retention is None:
            return {"no_fees": False, "purged_at": self.now}
        return {
            "no_fees": False,
            "recycled_at": self.now,
            "recycled_by": self.by,
            "recycled_by_name": self.by.get_username() if self.by else None,
            "recycled_by_name_folded": fold(self.by.get_username()) if self.by else None,
            "purge_at": self.now + retention.keep_for,
            "retention_kind": retention.kind,
            "retention_subject": retention.subject,
            **NO_RETRY,
        }


@dataclass(kw_only=True)
class Renew(Move):
    months: int

    def prepare(self, instances: Sequence[Instance], *, lock: bool) -> None:
        accounts = Account.objects.filter(pk__in={instance.account_id for instance in instances})
        self.zones = {account.pk: account.billing_zone for account in accounts}

    def refuses(self, instance: Instance) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        return (
            Refusal.TOO_FAR if self._term(instance).expires_at > self.now + LONGEST_TERM else None
        )

    def changes(self, instance: Instance, target: State) -> Changes:
        new = self._term(instance)
        return {
            "expires_at": new.expires_at,
            "anchor_day": new.anchor_day,
            "purge_at": None,
            **NO_RETRY,
        }

    def _term(self, instance: Instance) -> Term:
        return renewed(instance, self.months, zone=self.zones[instance.account_id], now=self.now)


class Restore(Powering):
    LEFT: ClassVar[Mapping[str, Any]] = {
        "recycled_at": None,
        "recycled_by": None,
        "recycled_by_name": None,
        "recycled_by_name_folded": None,
        "purge_at": None,
        "retention_kind": None,
        "retention_subject": None,
        **NO_RETRY,
    }

    def changes(self, instance: Instance, target: State) -> Changes:
        return self.LEFT


class Purge(Move):
    def changes(self, instance: Instance, target: State) -> Changes:
        return {"purged_at": self.now}


@dataclass(kw_only=True)
class Extend(Move):
    longer: timedelta

    def refuses(self, instance: Instance) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        assert instance.recycled_at is not None
        return (
            Refusal.NO_LONGER if self._end(instance) > instance.recycled_at + LONGEST_KEEP else None
        )

    def changes(self, instance: Instance, target: State) -> Changes:
        return {
            "purge_at": self._end(instance),
            "retention_kind": RetentionKind.EXTENDED,
            "retention_subject": str(self.by),
        }

    def _end(self, instance: Instance) -> datetime:
        assert instance.purge_at is not None
        return instance.purge_at + self.longer


class Protect(Move):
    def changes(self, instance: Instance, target: State) -> Changes:
        return {"protected": True}


class Suspended(Move):
    """A verb that lets the end of the time come again: never at once, so that somebody can still
    act.
    """

    def end(self, instance: Instance) -> Changes:
        return (
            {}
            if instance.purge_at is None
            else {"purge_at": max(instance.purge_at, self.now + GRACE)}
        )


class Unprotect(Suspended):
    def changes(self, instance: Instance, target: State) -> Changes:
        return {"protected": False, **self.end(instance)}


@dataclass(kw_only=True)
class Hold(Move):
    review_on: date | None

    def changes(self, instance: Instance, target: State) -> Changes:
        return {
            "held_at": self.now,
            "held_by": str(self.by),
            "hold_reason": self.reason,
            "hold_review_on": self.review_on,
        }


class Unhold(Suspended):
    def changes(self, instance: Instance, target: State) -> Changes:
        return {
            "held_at": None,
            "held_by": "",
            "hold_reason": "",
            "hold_review_on": None,
            **self.end(instance),
        }


def start(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    return _do(Start, Action.START, instances, by, options)


def stop(
    instances: InstanceQuerySet, *, by: User, no_fees: bool = False, **options: Unpack[Options]
) -> Outcome:
    """Stop instances; with `no_fees`, give back vCPU and memory and charge nothing for them
    meanwhile.
    """
    return _do(Stop, Action.STOP, instances, by, options, no_fees=no_fees)


def restart(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    return _do(Move, Action.RESTART, instances, by, options)


def delete(
    instances: InstanceQuerySet, *, by: User, may_release: bool, **options: Unpack[Options]
) -> Outcome:
    """Do what the billing mode makes of a delete: into the recycle bin, released at once, or
    refused.

    Without `may_release` nothing is released: what was announced as recoverable is never lost
    because the billing mode changed in between.
    """
    return _do(Delete, Action.DELETE, instances, by, options, may_release=may_release)


def renew(
    instances: InstanceQuerySet, *, by: User, months: int, **options: Unpack[Options]
) -> Outcome:
    """Give subscriptions more calendar months, counted as in `renewed`; expired ones run again."""
    return _do(Renew, Action.RENEW, instances, by, options, months=months)


def restore(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    """Take instances out of the bin; they come back stopped, with nothing bound."""
    return _do(Restore, Action.RESTORE, instances, by, options)


def purge(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    """Delete instances in the bin for good, before their time."""
    return _do(Purge, Action.PURGE, instances, by, options)


def renewed(instance: Instance, months: int, *, zone: ZoneInfo, now: datetime) -> Term:
    """The term that a renewal gives a subscription: from its end or, when that has passed, from
    now.
    """
    assert instance.expires_at is not None
    if instance.expires_at < now:
        return term(now, months, zone)
    return term(instance.expires_at, months, zone, instance.anchor_day)


def extend(
    instances: InstanceQuerySet, *, by: User, longer: timedelta, **options: Unpack[Options]
) -> Outcome:
    """Keep instances in the bin longer than was promised, LONGEST_KEEP from when they entered
    at most.
    """
    if longer <= timedelta(0):
        raise ValueError("An extension makes the time longer.")
    return _do(Extend, Action.EXTEND, instances, by, options, longer=longer)


def protect(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    """From now on nobody and nothing deletes these instances."""
    return _do(Protect, Action.PROTECT, instances, by, options)


def unprotect(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    return _do(Unprotect, Action.UNPROTECT, instances, by, options)


def hold(
    instances: InstanceQuerySet,
    *,
    by: User,
    review_on: date | None = None,
    **options: Unpack[Options],
) -> Outcome:
    """Place a legal hold, for which `reason` is not empty: from now on nothing deletes these
    instances for good.
    """
    return _do(Hold, Action.HOLD, instances, by, options, review_on=review_on)


def unhold(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    """End a legal hold. What lies in the bin is kept for 15 minutes more at least."""
    return _do(Unhold, Action.UNHOLD, instances, by, options)


def _do(
    verb: type[Move],
    action: Action,
    instances: InstanceQuerySet,
    by: User,
    options: Options,
    **parameters: Any,
) -> Outcome:
    now = options.get("now") or timezone.now()
    move = verb(
        action=action,
        instances=instances,
        by=by,
        now=now,
        reason=options.get("reason", ""),
        **parameters,
    )
    return (preview if options.get("dry_run") else carry_out)(move, limit=options.get("limit"))
