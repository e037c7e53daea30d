"""How long instances are kept in the bin: read for those that enter it, and set for an account.

What lies in the bin already is not touched: its time was promised when it entered.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.judged import AnyInstance
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import Item, No, each
from recycle.lifecycle import ResourceAction, Right
from recycle.models import Account, Event, InstanceTag, RetentionRule
from recycle.policy import Refusal, Retention, retention

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
        project_number=None,
        **context.signature,
        detail={"retention": {**tag, "before": before, "after": after}},
    )
