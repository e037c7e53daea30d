"""What people do to instances. Each takes a queryset, and answers for each instance in it.

`by` is the user who acts; their role in each instance's account is asked at that moment. Beside what a verb needs, all
take the options in `Options`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

from dateutil.relativedelta import relativedelta
from django.utils import timezone

from recycle.actions.move import Move, carry_out
from recycle.actions.outcome import Outcome
from recycle.lifecycle import Action, State
from recycle.models import Instance, InstanceQuerySet, User
from recycle.policy import Refusal, deadline, deletion_of, why_not_no_fees

# What a failed try of the schedule left behind is over once somebody acts.
NO_RETRY: Mapping[str, Any] = {"retry_at": None, "attempts": 0, "last_error": ""}


class Options(TypedDict, total=False):
    # The one moment of the request; the clock's when not given.
    now: datetime
    reason: str
    # How many instances are worked through at most.
    limit: int


def start(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    return _carry_out(Action.START, instances, by, options, changes=lambda instance, target: {"no_fees": False})


def stop(instances: InstanceQuerySet, *, by: User, no_fees: bool = False, **options: Unpack[Options]) -> Outcome:
    """Stop instances; with `no_fees`, give back vCPU and memory and charge nothing for them meanwhile."""
    return _carry_out(
        Action.STOP,
        instances,
        by,
        options,
        changes=lambda instance, target: {"no_fees": no_fees},
        also=lambda instance: why_not_no_fees(instance) if no_fees else None,
    )


def restart(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    return _carry_out(Action.RESTART, instances, by, options)


def delete(instances: InstanceQuerySet, *, by: User, may_release: bool, **options: Unpack[Options]) -> Outcome:
    """Do what the billing mode makes of a delete: into the recycle bin, released at once, or refused.

    Without `may_release` nothing is released: what was announced as recoverable is never lost because the billing mode
    changed in between.
    """
    now = options.setdefault("now", timezone.now())

    def changes(instance: Instance, target: State) -> Mapping[str, Any]:
        if target == State.PURGED:
            return {"no_fees": False, "purged_at": now}
        purge_at = deadline(instance, target, now)
        return {"no_fees": False, "recycled_at": now, "recycled_by": by, "purge_at": purge_at, **NO_RETRY}

    def also(instance: Instance) -> Refusal | None:
        released = deletion_of(instance.billing_mode) is Action.RELEASE
        return Refusal.UNCONFIRMED if released and not may_release else None

    return _carry_out(Action.DELETE, instances, by, options, changes=changes, also=also)


def renew(instances: InstanceQuerySet, *, by: User, months: int, **options: Unpack[Options]) -> Outcome:
    """Give subscriptions more months, counted from their end or, when that has passed, from now; they run again."""
    now = options.setdefault("now", timezone.now())

    def changes(instance: Instance, target: State) -> Mapping[str, Any]:
        assert instance.expires_at is not None
        expires_at = max(instance.expires_at, now) + relativedelta(months=months)
        return {"expires_at": expires_at, "purge_at": None, **NO_RETRY}

    return _carry_out(Action.RENEW, instances, by, options, changes=changes)


def restore(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    """Take instances out of the bin; they come back stopped, with nothing bound."""
    left = {"recycled_at": None, "recycled_by": None, "purge_at": None, **NO_RETRY}
    return _carry_out(Action.RESTORE, instances, by, options, changes=lambda instance, target: left)


def purge(instances: InstanceQuerySet, *, by: User, **options: Unpack[Options]) -> Outcome:
    """Delete instances in the bin for good, before their time."""
    now = options.setdefault("now", timezone.now())
    return _carry_out(Action.PURGE, instances, by, options, changes=lambda instance, target: {"purged_at": now})


def _carry_out(action: Action, instances: InstanceQuerySet, by: User, options: Options, **rules: Any) -> Outcome:
    now = options.get("now") or timezone.now()
    move = Move(action=action, instances=instances, by=by, now=now, reason=options.get("reason", ""), **rules)
    return carry_out(move, limit=options.get("limit"))
