"""How long instances are kept in the bin: read for those that enter it, set for an account, and
what setting it would mean.

What lies in the bin already is not touched: its time was promised when it entered.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from recycle.actions.context import Context
from recycle.actions.judged import AnyInstance
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import Item, No, each
from recycle.lifecycle import Action, ResourceAction, Right
from recycle.models import Account, Event, Instance, InstanceTag, RetentionRule
from recycle.policy import STANDARDS, Refusal, Retention, retention
from recycle.reading import reading_in_chunks

# How far a forecast looks back.
LOOKBACK = timedelta(days=30)
# How an event tells "excluded" from "not there", which is null.
EXCLUDED = 0


class Retentions:
    """What accounts and tags make of the time of these instances in the bin. Costs three statements
    at most.
    """

    def __init__(self, instances: Sequence[AnyInstance]) -> None:
        accounts = {instance.account_id for instance in instances}
        self.account_keeps = dict(
            Account.objects.filter(pk__in=accounts).values_list("pk", "keep_for")
        )
        self.rules: dict[int, list[RetentionRule]] = defaultdict(list)
        for rule in RetentionRule.objects.filter(account__in=accounts).order_by("pk"):
            self.rules[rule.account_id].append(rule)
        self.tags: dict[object, set[tuple[str, str]]] = defaultdict(set)
        if self.rules:
            tagged = InstanceTag.objects.filter(
                instance__id__among=[instance.pk for instance in instances]
            )
            for instance, key, value in tagged.values_list("instance", "tag__key", "tag__value"):
                self.tags[instance].add((key, value))
        # Without tags it is the same for all of a billing mode in an account.
        self.untagged: dict[tuple[int, str], Retention | None] = {}

    def of(self, instance: AnyInstance) -> Retention | None:
        """Return how long the bin would keep an instance; None where there is no bin."""
        account, mode = instance.account_id, instance.billing_mode
        tags = self.tags.get(instance.pk, ())
        if not tags and (account, mode) in self.untagged:
            return self.untagged[account, mode]
        found = retention(mode, self.account_keeps.get(account), self.rules.get(account, ()), tags)
        if not tags:
            self.untagged[account, mode] = found
        return found


# --- Setting it -----------------------------------------------------------------------------------


def keep(
    accounts: QuerySet[Account],
    keep_for: timedelta | None,
    *,
    context: Context,
    dry_run: bool = False,
) -> Outcome:
    """Set the time of accounts; None is the standard of each billing mode."""

    def step(account: Account) -> No | None:
        locked = _account(account.pk, lock=not dry_run)
        if locked.keep_for == keep_for:
            return No(Refusal.ALREADY)
        if dry_run:
            return None
        _record(context, locked.pk, None, _seconds(locked.keep_for), _seconds(keep_for))
        locked.keep_for = keep_for
        locked.save(update_fields=["keep_for"])
        return None

    return _each(accounts, step, context, dry_run, account_of=attrgetter("pk"))


def add_rule(rule: RetentionRule, *, context: Context, dry_run: bool = False) -> Outcome:
    """Add a rule that is not saved yet, or give the one of this tag another time."""

    def step(rule: RetentionRule) -> No | None:
        _account(rule.account_id, lock=not dry_run)
        same = RetentionRule.objects.filter(
            account=rule.account_id, key=rule.key, value=rule.value
        ).first()
        if same is not None and same.keep_for == rule.keep_for:
            return No(Refusal.ALREADY)
        if dry_run:
            return None
        _record(context, rule.account_id, rule, _of_rule(same), _of_rule(rule))
        if same is None:
            rule.save(force_insert=True)
        else:
            same.keep_for = rule.keep_for
            same.save(update_fields=["keep_for"])
        return None

    return _each([rule], step, context, dry_run)


def remove_rules(
    rules: QuerySet[RetentionRule], *, context: Context, dry_run: bool = False
) -> Outcome:
    """Remove rules; what lies in the bin already keeps its time."""

    def step(rule: RetentionRule) -> No | None:
        _account(rule.account_id, lock=not dry_run)
        locked = RetentionRule.objects.filter(pk=rule.pk).first()
        if locked is None:
            return No(Refusal.GONE)
        if dry_run:
            return None
        _record(context, locked.account_id, locked, _of_rule(locked), None)
        locked.delete()
        return None

    return _each(rules, step, context, dry_run)


def _each(
    items: Iterable[Item],
    step: Callable[[Item], No | None],
    context: Context,
    dry_run: bool,
    **account: Any,
) -> Outcome:
    return each(
        ResourceAction.UPDATE,
        items,
        step,
        context=context,
        dry_run=dry_run,
        needs=Right.RETENTION,
        **account,
    )


def _account(pk: int, *, lock: bool) -> Account:
    accounts = Account.objects.all()
    return (accounts.select_for_update(no_key=True) if lock else accounts).get(pk=pk)


def _seconds(keep_for: timedelta | None) -> int | None:
    return None if keep_for is None else int(keep_for.total_seconds())


def _of_rule(rule: RetentionRule | None) -> int | None:
    if rule is None:
        return None
    return EXCLUDED if rule.keep_for is None else _seconds(rule.keep_for)


def _record(
    context: Context,
    account_id: int,
    rule: RetentionRule | None,
    before: int | None,
    after: int | None,
) -> None:
    """Write the event of a change of this rule, or of the account's own time when it is None."""
    tag = {"key": rule.key, "value": rule.value} if rule else {}
    Event.objects.create(
        account_id=account_id,
        at=context.now,
        batch=context.batch,
        reason=context.reason,
        action=ResourceAction.UPDATE,
        **context.signature,
        detail={"retention": {**tag, "before": before, "after": after}},
    )


# --- What a change would mean ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the deletions of LOOKBACK would have come to, as it is now and as it would be."""

    deletions: int = 0
    longer: int = 0
    shorter: int = 0
    # Instances that somebody brought back later than the rules would have kept them.
    lost: int = 0
    # The most instances that were in the bin at once.
    peak: int = 0
    peak_after: int = 0
    # GB of system disk times days that the bin would hold more; negative when it holds less.
    gb_days: float = 0


@dataclass(frozen=True, slots=True)
class Stay:
    """One instance in the bin: from when, until when the rules keep it, and when somebody took it
    out.
    """

    start: datetime
    keep_for: timedelta
    out: datetime | None

    @property
    def end(self) -> datetime:
        end = self.start + self.keep_for
        return min(end, self.out) if self.out else end


def forecast(
    account: Account,
    rules: Sequence[RetentionRule],
    *,
    keep_for: timedelta | None,
    new_rules: Sequence[RetentionRule],
    now: datetime,
) -> Forecast:
    """Compare how `account` keeps by `rules` with a time and rules it does not have yet, over its
    LOOKBACK.

    Only what the events tell counts: each deletion with the tags it had then, and who took it out
    again. A stay ends at `now` at the latest.
    """
    since = now - LOOKBACK
    longer = shorter = lost = count = 0
    gb_days = 0.0
    before, after = [], []
    for start, out, restored, mode, gb, tags in _deletions(account, since, now):
        kept = retention(mode, account.keep_for, rules, tags)
        would_keep = retention(mode, keep_for, new_rules, tags)
        if kept is None or would_keep is None:
            continue
        count += 1
        is_now, would_be = Stay(start, kept.keep_for, out), Stay(start, would_keep.keep_for, out)
        longer += would_be.end > is_now.end
        shorter += would_be.end < is_now.end
        lost += bool(restored and out and is_now.end == out and would_be.end < out)
        before.append((start, min(is_now.end, now)))
        after.append((start, min(would_be.end, now)))
        gb_days += gb * (after[-1][1] - before[-1][1]) / timedelta(days=1)
    return Forecast(count, longer, shorter, lost, _peak(before), _peak(after), round(gb_days, 1))


Deletion = tuple[datetime, datetime | None, bool, str, int, set[tuple[str, str]]]


def _deletions(account: Account, since: datetime, now: datetime) -> Iterable[Deletion]:
    """Every entry into the bin, with when and how somebody took the instance out, its billing mode,
    disk and tags.
    """
    instance = Instance.objects.filter(pk=OuterRef("instance_id"))
    events = (
        Event.objects.filter(
            account=account,
            at__gte=since,
            at__lte=now,
            action__in=[Action.RECYCLE, Action.RESTORE, Action.PURGE],
        )
        .annotate(
            mode=Subquery(instance.values("billing_mode")[:1]),
            gb=Subquery(instance.values("system_disk_gb")[:1]),
        )
        .order_by("-id")
        .values_list("instance_id", "at", "action", "by_name", "mode", "gb", "detail__tags")
    )
    # Of rows that have been forgotten nobody knows the billing mode: the one that keeps things for
    # the shortest time stands for it.
    default = min(STANDARDS, key=lambda mode: STANDARDS[mode])
    left: dict[UUID | None, tuple[datetime, str]] = {}
    with reading_in_chunks():
        for pk, at, action, by_name, mode, gb, tags in events.iterator():
            if action != Action.RECYCLE:
                # What the schedule purged, it purged because the time was over.
                if by_name:
                    left[pk] = at, action
                continue
            out, how = left.pop(pk, (None, ""))
            yield (
                at,
                out,
                how == Action.RESTORE,
                mode or default,
                gb or 0,
                {_pair(tag) for tag in tags or ()},
            )


def _pair(tag: Mapping[str, Any]) -> tuple[str, str]:
    return str(tag["key"]), str(tag["value"])


def _peak(stays: Iterable[tuple[datetime, datetime]]) -> int:
    """How many there were at once at most."""
    steps = sorted(step for start, end in stays if end > start for step in ((start, 1), (end, -1)))
    most = here = 0
    for _moment, step in steps:
        here += step
        most = max(most, here)
    return most
