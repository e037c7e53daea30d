"""What people do to instances. Each takes a queryset, and answers for each instance in it.

The role of who acts is asked in each instance's account at that moment. With `limit`, so many
instances are worked through at most; a dry run only says what would become of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from recycle.actions.context import Context
from recycle.actions.judged import AnyInstance, Judged
from recycle.actions.keeping import Retentions
from recycle.actions.limits import Room
from recycle.actions.move import Changes, Move, carry_out
from recycle.actions.outcome import Outcome
from recycle.lifecycle import Action, State
from recycle.models import Account, InstanceQuerySet, InstanceType
from recycle.policy import (
    GRACE,
    LONGEST_KEEP,
    LONGEST_TERM,
    Refusal,
    Retention,
    RetentionKind,
    deletion_of,
    why_not_no_fees,
)
from recycle.terms import Term, term
from recycle.text import fold

# What tells whether the end has come.
BEFORE_ITS_END = ("purge_at", "protected", "held_at")
# What a failed try of the schedule left behind is over once somebody acts.
NO_RETRY: Mapping[str, Any] = {
    "retry_at": None,
    "attempts": 0,
    "last_error": "",
    "quarantined_at": None,
}


class Powering(Move):
    """A verb after which an instance uses vCPU and memory that it may have given back."""

    NEEDS: ClassVar = ("zone_id", "instance_type_id", "no_fees")

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        wanting = {
            instance.zone_id
            for instance in instances
            if instance.no_fees or instance.state == State.RECYCLED
        }
        self.room = Room(wanting, lock=lock)
        names = {instance.instance_type_id for instance in instances}
        self.types = InstanceType.objects.in_bulk(names) if self.room.free else {}

    def refuses(self, instance: Judged) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        if instance.zone_id not in self.room.free or not (
            instance.no_fees or instance.state == State.RECYCLED
        ):
            return None
        return self.room.take(instance.zone_id, self.types[instance.instance_type_id])


class Start(Powering):
    action = Action.START
    columns = (*Powering.NEEDS, "expires_at")
    RUNNING: ClassVar[Changes] = {"no_fees": False}

    def changes(self, instance: Judged, target: State) -> Changes:
        return self.RUNNING


@dataclass
class Stop(Move):
    action = Action.STOP
    columns = ("billing_mode", "instance_type_id")
    no_fees: bool

    def refuses(self, instance: Judged) -> Refusal | None:
        return super().refuses(instance) or (why_not_no_fees(instance) if self.no_fees else None)

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"no_fees": self.no_fees}


class Restart(Move):
    action = Action.RESTART
    columns = ("expires_at",)


@dataclass
class Delete(Move):
    action = Action.DELETE
    columns: ClassVar[tuple[str, ...]] = ("billing_mode", "protected", "held_at", "created_at")
    may_release: bool

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        self.retentions = Retentions(instances)
        self.changes_by: dict[Retention | None, Changes] = {}

    def refuses(self, instance: Judged) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        released = deletion_of(instance.billing_mode) is Action.RELEASE
        return Refusal.UNCONFIRMED if released and not self.may_release else None

    def changes(self, instance: Judged, target: State) -> Changes:
        retention = self.retentions.of(instance)
        if (known := self.changes_by.get(retention)) is None:
            known = self.changes_by[retention] = self._changes(retention)
        return known

    def _changes(self, retention: Retention | None) -> Changes:
        now, by = self.context.now, self.context.by
        if retention is None:
            return {"no_fees": False, "purged_at": now, "delete_at": None, **NO_RETRY}
        return {
            "no_fees": False,
            "recycled_at": now,
            "recycled_by": by,
            "recycled_by_name": by.get_username() if by else None,
            "recycled_by_name_folded": fold(by.get_username()) if by else None,
            "purge_at": now + retention.keep_for,
            "retention_kind": retention.kind,
            "retention_subject": retention.subject,
            "delete_at": None,
            **NO_RETRY,
        }


@dataclass
class Renew(Move):
    action = Action.RENEW
    columns = ("billing_mode", "expires_at", "anchor_day", *BEFORE_ITS_END)
    months: int

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        accounts = Account.objects.filter(pk__in={instance.account_id for instance in instances})
        self.zones = {account.pk: account.billing_zone for account in accounts}

    def refuses(self, instance: Judged) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        too_far = self._term(instance).expires_at > self.context.now + LONGEST_TERM
        return Refusal.TOO_FAR if too_far else None

    def changes(self, instance: Judged, target: State) -> Changes:
        new = self._term(instance)
        return {
            "expires_at": new.expires_at,
            "anchor_day": new.anchor_day,
            "purge_at": None,
            **NO_RETRY,
        }

    def _term(self, instance: Judged) -> Term:
        zone = self.zones[instance.account_id]
        return renewed(instance, self.months, zone=zone, now=self.context.now)


class Restore(Powering):
    action = Action.RESTORE
    columns = (*Powering.NEEDS, *BEFORE_ITS_END)
    LEFT: ClassVar[Mapping[str, Any]] = {
        "recycled_at": None,
        "recycled_by": None,
        "recycled_by_name": None,
        "recycled_by_name_folded": None,
        "purge_at": None,
        "retention_kind": None,
        "retention_subject": None,
        # A node of the release before may have left it there.
        "delete_at": None,
        **NO_RETRY,
    }

    def changes(self, instance: Judged, target: State) -> Changes:
        return self.LEFT


class Purge(Move):
    """What is in the bin, by a person; or what is due, by the schedule."""

    action = Action.PURGE
    columns = BEFORE_ITS_END

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        self.gone = {"purged_at": self.context.now, **NO_RETRY}

    def changes(self, instance: Judged, target: State) -> Changes:
        return self.gone


@dataclass
class Extend(Move):
    action = Action.EXTEND
    columns = ("recycled_at", *BEFORE_ITS_END)
    longer: timedelta

    def refuses(self, instance: Judged) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        assert instance.recycled_at is not None
        return (
            Refusal.NO_LONGER if self._end(instance) > instance.recycled_at + LONGEST_KEEP else None
        )

    def changes(self, instance: Judged, target: State) -> Changes:
        return {
            "purge_at": self._end(instance),
            "retention_kind": RetentionKind.EXTENDED,
            "retention_subject": str(self.context.by),
            **NO_RETRY,
        }

    def _end(self, instance: Judged) -> datetime:
        assert instance.purge_at is not None
        return instance.purge_at + self.longer


class Protect(Move):
    action = Action.PROTECT
    columns = BEFORE_ITS_END

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"protected": True}


class Resuming(Move):
    """A verb after which the end of the time comes again: never at once, so that somebody can
    still act.
    """

    def end(self, instance: Judged) -> Changes:
        ends = {name: getattr(instance, name) for name in ("purge_at", "delete_at")}
        soonest = self.context.now + GRACE
        later = {name: max(end, soonest) for name, end in ends.items() if end is not None}
        return {**later, **NO_RETRY} if later else {}


class Unprotect(Resuming):
    action = Action.UNPROTECT
    columns = ("protected", "purge_at", "delete_at")

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"protected": False, **self.end(instance)}


@dataclass
class Hold(Move):
    action = Action.HOLD
    columns = ("held_at",)
    review_on: date | None

    def changes(self, instance: Judged, target: State) -> Changes:
        return {
            "held_at": self.context.now,
            "held_by": str(self.context.by),
            "hold_reason": self.context.reason,
            "hold_review_on": self.review_on,
            # Nothing tries to delete it any more.
            **NO_RETRY,
        }


class Unhold(Resuming):
    action = Action.UNHOLD
    columns = ("held_at", "purge_at", "delete_at")

    def changes(self, instance: Judged, target: State) -> Changes:
        return {
            "held_at": None,
            "held_by": "",
            "hold_reason": "",
            "hold_review_on": None,
            **self.end(instance),
        }


class Retry(Move):
    action = Action.RETRY
    columns = ("quarantined_at",)

    def changes(self, instance: Judged, target: State) -> Changes:
        # Not in front of what is due for the first time.
        return {**NO_RETRY, "retry_at": self.context.now}


def start(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    return carry_out(Start(instances, context), dry_run=dry_run, limit=limit)


def stop(
    instances: InstanceQuerySet,
    *,
    context: Context,
    no_fees: bool = False,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Stop instances; with `no_fees`, give back vCPU and memory and charge nothing for them
    meanwhile.
    """
    return carry_out(Stop(instances, context, no_fees=no_fees), dry_run=dry_run, limit=limit)


def restart(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    return carry_out(Restart(instances, context), dry_run=dry_run, limit=limit)


def delete(
    instances: InstanceQuerySet,
    *,
    context: Context,
    may_release: bool,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Do what the billing mode makes of a delete: into the recycle bin, released at once, or
    refused.

    Without `may_release` nothing is released: what was announced as recoverable is never lost
    because the billing mode changed in between.
    """
    return carry_out(
        Delete(instances, context, may_release=may_release), dry_run=dry_run, limit=limit
    )


def renew(
    instances: InstanceQuerySet,
    *,
    context: Context,
    months: int,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Give subscriptions more calendar months, counted as in `renewed`; expired ones run again."""
    return carry_out(Renew(instances, context, months=months), dry_run=dry_run, limit=limit)


def restore(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Take instances out of the bin; they come back stopped, with nothing bound."""
    return carry_out(Restore(instances, context), dry_run=dry_run, limit=limit)


def purge(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Delete instances in the bin for good, before their time."""
    return carry_out(Purge(instances, context), dry_run=dry_run, limit=limit)


def renewed(instance: AnyInstance, months: int, *, zone: ZoneInfo, now: datetime) -> Term:
    """The term that a renewal gives a subscription: from its end or, when that has passed, from
    now.
    """
    assert instance.expires_at is not None
    if instance.expires_at < now:
        return term(now, months, zone)
    return term(instance.expires_at, months, zone, instance.anchor_day)


def extend(
    instances: InstanceQuerySet,
    *,
    context: Context,
    longer: timedelta,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Keep instances in the bin longer than was promised, LONGEST_KEEP from when they entered
    at most.
    """
    if longer <= timedelta(0):
        raise ValueError("An extension makes the time longer.")
    return carry_out(Extend(instances, context, longer=longer), dry_run=dry_run, limit=limit)


def protect(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """From now on nobody and nothing deletes these instances."""
    return carry_out(Protect(instances, context), dry_run=dry_run, limit=limit)


def unprotect(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    return carry_out(Unprotect(instances, context), dry_run=dry_run, limit=limit)


def hold(
    instances: InstanceQuerySet,
    *,
    context: Context,
    review_on: date | None = None,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Place a legal hold, for which the reason is not empty: from now on nothing deletes these
    instances for good.
    """
    return carry_out(Hold(instances, context, review_on=review_on), dry_run=dry_run, limit=limit)


def unhold(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """End a legal hold. What lies in the bin is kept for 15 minutes more at least."""
    return carry_out(Unhold(instances, context), dry_run=dry_run, limit=limit)


def retry(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Let instances out of quarantine: the schedule tries again what it failed to do."""
    return carry_out(Retry(instances, context), dry_run=dry_run, limit=limit)
