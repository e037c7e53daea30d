"""What all actions on volumes, addresses, load balancers and tags share.

Each item is a transaction of its own: whatever happens to one, the others go on. The locks are
taken in one order everywhere: the instance, then what is bound to it, then zone and account.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Model, QuerySet

from recycle.actions.context import Context
from recycle.actions.outcome import Blocker, Done, Failed, Outcome, Refused
from recycle.lifecycle import IN_USE, LIVING, ResourceAction
from recycle.models import Event, Instance, Kind
from recycle.policy import WRONG_STATE, Refusal, Role

logger = logging.getLogger(__name__)

Item = TypeVar("Item", bound=Model)

# What is unbound along with one deletion, in its transaction.
MOST_UNBOUND = 1_000


@dataclass(frozen=True, slots=True)
class No:
    """Why an item is left alone, and what stands in the way."""

    refusal: Refusal
    blocker: Model | None = None


def each(
    action: ResourceAction,
    items: Iterable[Item],
    context: Context,
    step: Callable[[Item], No | None],
) -> Outcome:
    """Carry out `step` on every item, each in a transaction of its own; a step that says No has
    written nothing.
    """
    outcome = Outcome(action, context.batch)
    for item in items:
        # A tag gets its number when it is saved.
        key, name = item.pk or 0, str(item)
        try:
            with transaction.atomic():
                no = step(item)
        except OperationalError:
            # Not the item's fault: the database is gone or overloaded. What was committed stays.
            raise
        except DatabaseError as error:
            logger.error(
                "%s of %s %s failed: %s", action, item._meta.model_name, key, str(error).strip()
            )
            outcome.failed.append(Failed(key, name, str(error)))
            continue
        if no is None:
            outcome.done.append(Done(key or item.pk, name, action))
        else:
            outcome.refused.append(Refused(key, name, no.refusal, Blocker.of(no.blocker)))
    return outcome


def may(context: Context, account_id: int) -> bool:
    """Whether the role of who acts, in the account at this moment, is enough to bind and unbind."""
    return context.role_in(account_id) >= Role.OPERATOR


def lock_instance(pk: UUID | None) -> Instance | None:
    """The instance as it is now, kept as it is until the transaction ends: no delete comes in
    between.
    """
    return (
        None
        if pk is None
        else Instance.objects.filter(pk=pk).select_related("zone").locked().first()
    )


def lock_instances_of(bound: QuerySet[Any]) -> set[UUID]:
    """Lock the instances that these rows bind something to, in the order in which a batch locks
    them.
    """
    ids = set(bound.order_by().values_list("instance", flat=True))
    return set(Instance.objects.filter(pk__among=ids).locked().values_list("pk", flat=True))


def lock(rows: QuerySet[Item], pk: Any) -> Item | None:
    """The row as it is now, kept as it is until the transaction ends.

    `rows` joins only what never changes: a row that had to be waited for is read anew, what is
    joined to it is not.
    """
    return rows.select_for_update(of=("self",), no_key=True).filter(pk=pk).first()


def why_not_bind(instance: Instance) -> No | None:
    """Only what is running or stopped can be bound."""
    return None if instance.state in IN_USE else No(WRONG_STATE[instance.state], instance)


def why_not_unbind(instance: Instance) -> No | None:
    return None if instance.state in LIVING else No(WRONG_STATE[instance.state], instance)


def is_too_much(*bound: QuerySet[Any]) -> bool:
    """Whether a deletion would unbind more than one transaction should hold everybody up for."""
    return sum(rows.order_by()[: MOST_UNBOUND + 1].count() for rows in bound) > MOST_UNBOUND


def why_not_unbind_all(
    bound: Collection[Any], locked: Collection[UUID], *, unbind: bool
) -> No | None:
    """Why what has all of `bound` cannot be deleted with them; their instances are to be among the
    locked ones.
    """
    for row in bound:
        if not unbind:
            return No(Refusal.BOUND, row.instance)
        if row.instance_id not in locked:
            # It came after the person had said yes.
            return No(Refusal.CHANGED, row.instance)
    return None


def event(
    context: Context,
    action: ResourceAction,
    kind: Kind,
    resource: Model,
    *,
    account_id: int,
    instance: Instance | None = None,
    **detail: Any,
) -> Event:
    return Event(
        account_id=account_id,
        at=context.now,
        batch=context.batch,
        action=action,
        instance_id=instance.pk if instance else None,
        instance_name=instance.name if instance else "",
        kind=kind,
        resource_id=str(resource.pk),
        resource_name=str(resource),
        reason=context.reason,
        **context.signature,
        detail=detail,
    )


def record(
    context: Context,
    action: ResourceAction,
    kind: Kind,
    resource: Model,
    *,
    account_id: int,
    instance: Instance | None = None,
    **detail: Any,
) -> None:
    """Write the event of one item, in the transaction of what it tells."""
    record_all(
        context,
        [
            event(
                context, action, kind, resource, account_id=account_id, instance=instance, **detail
            )
        ],
    )


def record_all(context: Context, events: Sequence[Event]) -> None:
    if ids := [each.instance_id for each in events if each.instance_id is not None]:
        # Who selected "all that match" by an EIP or a tag meant the instances as they were shown.
        Instance.objects.filter(pk__among=ids).update(changed_at=context.now)
    Event.objects.bulk_create(events, batch_size=500)
