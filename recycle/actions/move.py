"""How any action is carried out: in chunks, each one transaction and a constant number of
statements.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import (
    BigIntegerField,
    Case,
    F,
    GenericIPAddressField,
    JSONField,
    UUIDField,
    Value,
    When,
)
from django.db.models import DateTimeField as DateTime
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from recycle.actions import bindings
from recycle.actions.claim import CHUNK
from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.judged import Judged
from recycle.actions.outcome import Done, Failed, Outcome, Refused
from recycle.lifecycle import TRANSITIONS, UNBOUND, Action, State
from recycle.models import Event, Instance, InstanceQuerySet
from recycle.models.sql import Ids, insert_from
from recycle.policy import Refusal, deletion_of, why_not
from recycle.text import fold

logger = logging.getLogger(__name__)

# Up to this many different sets of new values are written with an UPDATE each, more with one CASE.
ALIKE = 8
# An instance as its outcome names it.
Named = tuple[UUID, str]
# The new values of one instance.
Changes = Mapping[str, Any]
NOTHING: Mapping[str, Any] = {}


@dataclass
class Move:
    """One action on some instances. A verb is a subclass, and adds what it needs to know."""

    action: ClassVar[Action]
    # What it looks at of an instance beside what is always read: see `Judged`.
    columns: ClassVar[tuple[str, ...]] = ()

    instances: InstanceQuerySet
    context: Context
    # To how many the same request has done it before this chunk.
    done_before: int = field(default=0, init=False)

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        """Read what the rules need beside the rows of this chunk; with `lock`, so that it stays
        true until the end.
        """

    def refuses(self, instance: Judged) -> Refusal | None:
        role = self.context.role_in(instance.account_id, instance.project_number)
        return why_not(self.action, instance, role=role, now=self.context.now)

    def changes(self, instance: Judged, target: State) -> Changes:
        """The new values beside the state. Where they are the same of many instances, better one
        object for all of these: then they need not be compared.
        """
        return {}

    def detail(self, instance: Judged) -> Mapping[str, Any]:
        """What the event keeps beside the states: what it was before, where that is overwritten."""
        return NOTHING


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
    instances = Judged.read(move.instances[:limit], move.columns)
    move.prepare(instances, lock=False)
    # In the order in which they would be locked: where room runs out, the same ones are refused.
    for start in range(0, len(instances), CHUNK):
        _judge(
            move,
            sorted(instances[start : start + CHUNK], key=lambda instance: instance.pk),
            outcome,
        )
    return outcome


def _carry_out_chunk(move: Move, chunk: Sequence[Named]) -> Outcome:
    try:
        with transaction.atomic():
            outcome = _write(move, chunk)
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
    move.done_before += len(outcome.done)
    return outcome


def _write(move: Move, chunk: Sequence[Named]) -> Outcome:
    # The caller's own question and the rules are asked again of the locked rows: what was read
    # before may be stale.
    rows = move.instances.filter(pk__among=Ids([pk for pk, _ in chunk]))
    locked = Judged.read(rows.locked(), move.columns)
    outcome = work_off(move, locked)
    if len(locked) < len(chunk):
        found = {instance.pk for instance in locked}
        outcome.refused += [
            Refused(pk, name, Refusal.CHANGED) for pk, name in chunk if pk not in found
        ]
    return outcome


def work_off(move: Move, locked: Sequence[Judged]) -> Outcome:
    """Do to locked instances what may be done, in a transaction that is open."""
    outcome = Outcome(move.action, move.context.batch)
    move.prepare(locked, lock=True)
    for action, instances in _judge(move, locked, outcome).items():
        _transit(move, action, instances)
    return outcome


def _judge(
    move: Move, instances: Sequence[Judged], outcome: Outcome
) -> Mapping[Action, Sequence[Judged]]:
    """Tell apart what may be done and what is refused, and put both into the outcome."""
    approved: dict[Action, list[Judged]] = defaultdict(list)
    action = move.action
    for instance in instances:
        if refusal := move.refuses(instance):
            outcome.refused.append(Refused(instance.pk, instance.name, refusal))
        else:
            if move.action is Action.DELETE:
                action = deletion_of(instance.billing_mode)
            approved[action].append(instance)
            outcome.done.append(Done(instance.pk, instance.name, action))
    return approved


def _transit(move: Move, action: Action, instances: Sequence[Judged]) -> None:
    """The rows first: where the database rejects one of them, nothing else has been written in
    vain.
    """
    sources = ids_by_state(instances)
    targets = TRANSITIONS[action]
    # What enters the bin or its end from anywhere else; a verb may lead some there and leave others
    # where they are.
    bound = [
        pk
        for source, found in sources.items()
        if source not in UNBOUND and targets[source] in UNBOUND
        for pk in found
    ]
    _update(move, targets, instances)
    detail = bindings.described() if bound else _detail(move, instances)
    record(move.context, action, sources, detail=detail)
    if bound:
        bindings.cancel(Ids(bound), released=State.PURGED in targets.values())


def _detail(move: Move, instances: Sequence[Judged]) -> Combinable | None:
    """What the events of these keep, one CASE for all; None where that is nothing, as mostly."""
    told: dict[str, list[UUID]] = defaultdict(list)
    for instance in instances:
        if detail := move.detail(instance):
            told[json.dumps(detail)].append(instance.pk)
    if not told:
        return None
    return Case(
        *(
            When(pk__among=ids, then=Value(json.loads(detail), JSONField()))
            for detail, ids in told.items()
        ),
        default=Value({}, JSONField()),
    )


def ids_by_state(instances: Sequence[Judged]) -> Mapping[State, Sequence[UUID]]:
    ids: dict[str, list[UUID]] = defaultdict(list)
    for instance in instances:
        ids[instance.state].append(instance.pk)
    return {State(state): found for state, found in ids.items()}


def record(
    context: Context,
    action: Action,
    sources: Mapping[State, Sequence[UUID]],
    *,
    detail: Combinable | None = None,
    reason: Combinable | None = None,
) -> None:
    """One event for each instance, written by the database from the rows. `sources` are their ids
    by the state in which they were; `detail` is of each row, and so is `reason`, instead of that of
    the request.
    """
    ids = Ids(pk for found in sources.values() for pk in found)
    rows = Instance.objects.filter(pk__among=ids).order_by("pk")
    by, origin = context.by, context.origin
    by_name = by.get_username() if by else ""
    targets = {source: TRANSITIONS[action][source] for source in sources}
    columns: dict[str, Any] = {
        "account_id": F("account_id"),
        "at": Value(context.now, DateTime()),
        "batch": Value(context.batch, UUIDField()),
        "action": Value(action.value),
        "instance_id": F("pk"),
        "instance_name": F("name"),
        "instance_name_folded": F("name_folded"),
        "project_number": F("project_number"),
        "from_state": _by_source(sources, {source: source for source in sources}),
        "to_state": _by_source(sources, targets),
        "by_id": Cast(Value(by and by.pk), BigIntegerField()),
        "by_name": Value(by_name),
        "by_name_folded": Value(fold(by_name)),
        "address": Cast(Value(origin.address), GenericIPAddressField()),
        "request_id": Cast(Value(origin.request_id, UUIDField()), UUIDField()),
        "edge": Value(context.edge.value),
        "reason": reason or Value(context.reason),
        "detail": detail or Value({}, JSONField()),
    }
    insert_from(Event, rows, columns)


def _by_source(
    sources: Mapping[State, Sequence[UUID]], said: Mapping[State, State]
) -> Value | Case:
    """What is `said` of the state in which a row was: nearly always the same of all."""
    if len(set(said.values())) == 1:
        return Value(next(iter(said.values())).value)
    *others, last = sources
    return Case(
        *(When(pk__among=sources[each], then=Value(said[each].value)) for each in others),
        default=Value(said[last].value),
    )


def _update(move: Move, targets: Mapping[State, State], instances: Sequence[Judged]) -> None:
    """Write the new values: one UPDATE for all that change alike, which nearly always is all."""
    alike: dict[tuple[State, tuple[tuple[str, Any], ...]], list[UUID]] = defaultdict(list)
    reached = {source.value: target for source, target in targets.items()}
    last: tuple[State | None, Changes] = (None, {})
    ids: list[UUID] = []
    for instance in instances:
        target = reached[instance.state]
        changes = move.changes(instance, target)
        if target is not last[0] or changes is not last[1]:
            last = target, changes
            ids = alike[target, tuple(changes.items())]
        ids.append(instance.pk)
    changed = [
        ({"state": target, "changed_at": move.context.now, **dict(changes)}, ids)
        for (target, changes), ids in alike.items()
    ]
    if len(changed) <= ALIKE:
        for values, ids in changed:
            Instance.objects.filter(pk__among=Ids(ids)).update(**values)
        return
    fields = {field for values, _ids in changed for field in values}
    rows = [Instance(pk=pk) for _values, ids in changed for pk in ids]
    for row, values in zip(rows, (values for values, ids in changed for _pk in ids), strict=True):
        for name, value in values.items():
            setattr(row, name, value)
    Instance.objects.bulk_update(rows, sorted(fields))


def _fail(move: Move, row: Named, error: str) -> Outcome:
    pk, name = row
    logger.error("%s of instance %s failed: %s", move.action, pk, error.strip())
    return Outcome(move.action, move.context.batch, failed=[Failed(pk, name, error)])
