"""How any action is carried out: in chunks, each one transaction and a constant number of
statements.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    F,
    GenericIPAddressField,
    JSONField,
    UUIDField,
    Value,
    When,
)
from django.db.models import DateTimeField as DateTime
from django.db.models.functions import Cast

from recycle.actions import bindings
from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.outcome import Done, Failed, Outcome, Refused
from recycle.lifecycle import TRANSITIONS, UNBOUND, Action, State
from recycle.models import Event, Instance, InstanceQuerySet
from recycle.models.sql import insert_from
from recycle.policy import Refusal, deletion_of, why_not
from recycle.text import fold

logger = logging.getLogger(__name__)

# Measured: larger chunks bring little and hold their locks longer.
CHUNK = 1_000
# Up to this many different sets of new values are written with an UPDATE each, more with one CASE.
ALIKE = 8
# What the rules look at; the rest of a row is not read.
JUDGED = (
    "account",
    "zone",
    "instance_type",
    "name",
    "state",
    "billing_mode",
    "no_fees",
    "created_at",
    "expires_at",
    "anchor_day",
    "recycled_at",
    "purge_at",
    "protected",
    "held_at",
)
LONGEST_WAIT = timedelta(days=1)

Row = tuple[UUID, str]
# The new values of one instance.
Changes = Mapping[str, Any]


@dataclass
class Move:
    """One action on some instances. A verb is a subclass, and adds what it needs to know."""

    action: ClassVar[Action]
    # The schedule passes over what somebody else holds; it will come by again.
    skip_locked: ClassVar[bool] = False

    instances: InstanceQuerySet
    context: Context

    def prepare(self, instances: Sequence[Instance], *, lock: bool) -> None:
        """Read what the rules need beside the rows of this chunk; with `lock`, so that it stays
        true until the end.
        """

    def refuses(self, instance: Instance) -> Refusal | None:
        role = self.context.role_in(instance.account_id)
        return why_not(self.action, instance, role=role, now=self.context.now)

    def changes(self, instance: Instance, target: State) -> Changes:
        """The new values beside the state."""
        return {}


def carry_out(move: Move, *, dry_run: bool, limit: int | None = None) -> Outcome:
    """Work through the instances of `move`, `limit` of them at most. Whatever happens to one, the
    others go on. A dry run answers the same, by the same rules, and locks and changes nothing.

    Costs three statements a chunk, one or two more for each kind of relationship where these are
    cancelled, and what `prepare` costs.
    """
    if dry_run:
        return _preview(move, limit)
    outcome = Outcome(move.action, move.context.batch)
    # A join of the caller's may name an instance twice; it is worked on once.
    rows = iter(dict(move.instances.values_list("pk", "name")[:limit]).items())
    while chunk := list(islice(rows, CHUNK)):
        outcome.extend(_carry_out_chunk(move, chunk))
    return tallied(outcome, move.context.edge)


def _preview(move: Move, limit: int | None) -> Outcome:
    """Reads all at once."""
    outcome = Outcome(move.action, move.context.batch)
    rows = move.instances.select_related(None).only(*JUDGED)[:limit]
    instances = list({instance.pk: instance for instance in rows}.values())
    move.prepare(instances, lock=False)
    # In the order in which they would be locked: where room runs out, the same ones are refused.
    for start in range(0, len(instances), CHUNK):
        _judge(
            move,
            sorted(instances[start : start + CHUNK], key=lambda instance: instance.pk),
            outcome,
        )
    return outcome


def _carry_out_chunk(move: Move, chunk: Sequence[Row]) -> Outcome:
    try:
        with transaction.atomic():
            return _write(move, chunk)
    except OperationalError:
        # Not the rows' fault: the database is gone or overloaded. What was committed stays, the
        # rest was not touched.
        raise
    except DatabaseError as error:
        if len(chunk) == 1:
            return _fail(move, chunk[0], str(error))
        # One bad row must not roll back its neighbours.
        outcome = Outcome(move.action, move.context.batch)
        for row in chunk:
            outcome.extend(_carry_out_chunk(move, [row]))
        return outcome


def _asked(move: Move, ids: Sequence[UUID]) -> InstanceQuerySet:
    return move.instances.select_related(None).filter(pk__among=ids).only(*JUDGED)


def _write(move: Move, chunk: Sequence[Row]) -> Outcome:
    outcome = Outcome(move.action, move.context.batch)
    # The caller's own question and the rules are asked again of the locked rows: what was read
    # before may be stale.
    asked = _asked(move, [pk for pk, _ in chunk]).locked(skip_locked=move.skip_locked)
    locked = list({instance.pk: instance for instance in asked}.values())
    if not move.skip_locked:
        found = {instance.pk for instance in locked}
        outcome.refused += [
            Refused(pk, name, Refusal.CHANGED) for pk, name in chunk if pk not in found
        ]
    move.prepare(locked, lock=True)
    for action, instances in _judge(move, locked, outcome).items():
        _transit(move, action, instances)
    return outcome


def _judge(
    move: Move, instances: Sequence[Instance], outcome: Outcome
) -> Mapping[Action, Sequence[Instance]]:
    """Tell apart what may be done and what is refused, and put both into the outcome."""
    approved: dict[Action, list[Instance]] = defaultdict(list)
    for instance in instances:
        if refusal := move.refuses(instance):
            outcome.refused.append(Refused(instance.pk, instance.name, refusal))
        else:
            action = (
                deletion_of(instance.billing_mode) if move.action is Action.DELETE else move.action
            )
            approved[action].append(instance)
            outcome.done.append(Done(instance.pk, instance.name, action))
    return approved


def _transit(move: Move, action: Action, instances: Sequence[Instance]) -> None:
    targets = TRANSITIONS[action]
    ids = [instance.pk for instance in instances]
    # What enters the bin or its end from anywhere else; a verb may lead some there and leave others
    # where they are.
    bound = [
        each.pk
        for each in instances
        if each.state not in UNBOUND and targets[State(each.state)] in UNBOUND
    ]
    cancels = bool(bound)

    _record(move.context, action, ids, cancels=cancels)
    if cancels:
        bindings.cancel(bound, released=State.PURGED in targets.values())
    _update(
        (
            instance,
            {"state": target, "changed_at": move.context.now, **move.changes(instance, target)},
        )
        for instance in instances
        for target in (targets[State(instance.state)],)
    )


def _record(context: Context, action: Action, ids: Sequence[UUID], *, cancels: bool) -> None:
    """One event for each instance, written by the database from the rows as they still are."""
    rows = Instance.objects.filter(pk__among=ids).order_by("pk")
    by, origin = context.by, context.origin
    by_name = by.get_username() if by else ""
    to_state = Case(
        *(When(state=source, then=Value(target)) for source, target in TRANSITIONS[action].items())
    )
    columns: dict[str, Any] = {
        "account_id": F("account_id"),
        "at": Value(context.now, DateTime()),
        "batch": Value(context.batch, UUIDField()),
        "action": Value(action.value),
        "instance_id": F("pk"),
        "instance_name": F("name"),
        "instance_name_folded": F("name_folded"),
        "from_state": F("state"),
        "to_state": Cast(to_state, CharField()),
        "by_id": Cast(Value(by and by.pk), BigIntegerField()),
        "by_name": Value(by_name),
        "by_name_folded": Value(fold(by_name)),
        "address": Cast(Value(origin.address), GenericIPAddressField()),
        "request_id": Cast(Value(origin.request_id, UUIDField()), UUIDField()),
        "edge": Value(context.edge.value),
        "reason": Value(context.reason),
        "detail": bindings.described() if cancels else Value({}, JSONField()),
    }
    insert_from(Event, rows, columns)


def _update(changed: Iterator[tuple[Instance, dict[str, Any]]]) -> None:
    """Write the new values: one UPDATE for all that change alike, which nearly always is all."""
    alike: dict[tuple[Any, ...], list[Instance]] = defaultdict(list)
    for instance, changes in changed:
        alike[tuple(changes.items())].append(instance)
    if len(alike) <= ALIKE:
        for changes_, instances in alike.items():
            Instance.objects.filter(pk__among=[instance.pk for instance in instances]).update(
                **dict(changes_)
            )
        return
    for changes_, instances in alike.items():
        for instance in instances:
            for field, value in changes_:
                setattr(instance, field, value)
    fields = {field for changes_ in alike for field, _ in changes_}
    Instance.objects.bulk_update(
        [instance for group in alike.values() for instance in group], sorted(fields)
    )


def _fail(move: Move, row: Row, error: str) -> Outcome:
    pk, name = row
    logger.error("%s of instance %s failed: %s", move.action, pk, error.strip())
    if move.context.by is None:
        try_later(pk, error, move.context.now)
    return Outcome(move.action, move.context.batch, failed=[Failed(pk, name, error)])


def try_later(pk: UUID, error: str, now: datetime) -> None:
    """The schedule leaves the row alone for a while: a minute, then two, four, ... a day
    at most.
    """
    try:
        with transaction.atomic():
            # Somebody may hold it, or have deleted it, by now: it is not worth waiting for.
            instance = Instance.objects.filter(pk=pk).locked(skip_locked=True).first()
            if instance is None:
                return
            wait = min(timedelta(minutes=2 ** min(instance.attempts, 20)), LONGEST_WAIT)
            Instance.objects.filter(pk=pk).update(
                attempts=instance.attempts + 1,
                retry_at=now + wait,
                last_error=" ".join(error.split())[:200],
            )
    except OperationalError:
        raise
    except DatabaseError as again:
        # Not even this can be written to the row; the others go on all the same.
        logger.error("instance %s cannot be marked for a later try: %s", pk, str(again).strip())
