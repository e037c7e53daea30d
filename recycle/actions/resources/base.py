"""What all actions on volumes, addresses, load balancers and tags share.

Each item is a transaction of its own: whatever happens to one, the others go on. The locks are
taken in one order everywhere: the instance, then what is bound to it, then zone and account. A dry
run takes none, and stops where the writing begins.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Model, QuerySet

from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.outcome import Blocker, Done, Failed, Outcome, Refused
from recycle.lifecycle import IN_USE, LIVING, AnyAction, ResourceAction
from recycle.models import (
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    Kind,
    Listener,
    LoadBalancer,
    Project,
    RealServer,
    Volume,
)
from recycle.policy import DEFAULT_PROJECT, WRONG_STATE, Refusal

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
    step: Callable[[Item], No | None],
    *,
    context: Context,
    dry_run: bool,
    account_of: Callable[[Item], int] = attrgetter("account_id"),
    needs: AnyAction | None = None,
    other: Model | None = None,
) -> Outcome:
    """Carry out `step` on every item, each in a transaction of its own; a step that says No has
    written nothing. In a dry run there is no transaction, and the step does not write either.

    Who acts needs the role for `needs` in the account and project of the item, and of the `other`
    one that it is bound to; None is the action itself.
    """
    outcome = Outcome(action, context.batch)
    for item in items:
        # A tag gets its number when it is saved.
        key, name = item.pk or 0, str(item)
        account, projects = account_of(item), projects_of(item, other)
        if not all(context.may(needs or action, account, project) for project in projects):
            outcome.refused.append(Refused(key, name, Refusal.ROLE))
            continue
        try:
            with nullcontext() if dry_run else transaction.atomic():
                no = step(item)
        except OperationalError:
            # This is no fault of the item: the database is gone or overloaded. What was committed
            # stays.
            raise
        except DatabaseError as error:
            logger.error(
                "%s of %s %s failed: %s", action, item._meta.model_name, key, str(error).strip()
            )
            outcome.failed.append(Failed(key, name, str(error)))
            continue
        if no is None:
            outcome.done.append(Done(key or item.pk or 0, name, action))
        else:
            outcome.refused.append(Refused(key, name, no.refusal, blocker_of(no, context)))
    return outcome if dry_run else tallied(outcome, context.edge)


def blocker_of(no: No, context: Context) -> Blocker | None:
    """What stands in the way, unless it is in a project that who acts does not see."""
    row, by = no.blocker, context.by
    if row is not None and by is not None and by.restrictions:
        account = getattr(row, "account_id", None)
        if account is None or not all(by.role_in(account, each) for each in projects_of(row)):
            return None
    return Blocker.of(row)


def look_up_instance(pk: UUID | None, *, lock: bool) -> Instance | None:
    """The instance as it is now; with `lock`, kept as it is until the transaction ends, so that no
    delete comes in between.
    """
    if pk is None:
        return None
    instances = Instance.objects.filter(pk=pk).select_related("zone")
    return (instances.locked() if lock else instances).first()


def instances_of(bound: QuerySet[Any], *, lock: bool) -> set[UUID]:
    """The instances that these rows bind something to; with `lock`, locked in the order in which a
    batch locks them.
    """
    ids = set(bound.order_by().values_list("instance", flat=True))
    instances = Instance.objects.filter(pk__among=ids)
    return set((instances.locked() if lock else instances).values_list("pk", flat=True))


def look_up(rows: QuerySet[Item], pk: Any, *, lock: bool) -> Item | None:
    """The row as it is now, None when it has gone; with `lock`, kept as it is until the transaction
    ends.

    `rows` joins only what never changes: a row that had to be waited for is read anew, what is
    joined to it is not.
    """
    if lock:
        rows = rows.select_for_update(of=("self",), no_key=True)
    return rows.filter(pk=pk).first()


def why_not_in(row: Instance | Volume | ElasticIP | LoadBalancer) -> No | None:
    """Why something new cannot be in its project."""
    return why_not_in_project(row.account_id, row.project_number)


def why_not_in_project(account_id: int, number: int) -> No | None:
    """Why a project takes nothing new. The one that every account has always does."""
    if number == DEFAULT_PROJECT:
        return None
    project = Project.objects.filter(account=account_id, number=number).first()
    if project is None:
        return No(Refusal.GONE)
    return No(Refusal.DISABLED, project) if project.disabled_at else None


def why_not_bind(instance: Instance) -> No | None:
    """Only what is running or stopped can be bound."""
    return None if instance.state in IN_USE else No(WRONG_STATE[instance.state], instance)


def why_not_unbind(instance: Instance) -> No | None:
    """Only what lives can lose something: in the bin nothing is bound any more."""
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


def projects_of(*rows: Model | None) -> set[int | None]:
    """The projects that these rows are in, by themselves or by what they are a part of; None alone
    where all of them belong to the account as a whole.
    """
    found: set[int | None] = set()
    for row in rows:
        match row:
            case Instance() | Volume() | ElasticIP() | LoadBalancer():
                found.add(row.project_number)
            case Listener():
                found.add(row.load_balancer.project_number)
            case InstanceTag():
                found.add(row.instance.project_number)
            case RealServer():
                found |= projects_of(row.instance, row.listener)
    return found or {None}


def project_of(*rows: Model | None) -> int | None:
    """The project whose members are told of something that is about these rows: None where they are
    in several, since then it would name what is not for all of them.
    """
    found = projects_of(*rows)
    return found.pop() if len(found) == 1 else None


def event(
    context: Context,
    action: ResourceAction,
    kind: Kind,
    resource: Model,
    *,
    account_id: int,
    instance: Instance | None = None,
    beside: Model | None = None,
    **detail: Any,
) -> Event:
    """The event of an item; `beside` is what it names without being about it."""
    return Event(
        account_id=account_id,
        at=context.now,
        batch=context.batch,
        action=action,
        instance_id=instance.pk if instance else None,
        instance_name=instance.name if instance else "",
        project_number=project_of(resource, instance, beside),
        kind=kind,
        resource_id=str(resource.pk),
        resource_name=str(resource),
        reason=context.reason,
        **context.signature,
        detail=detail,
    )


def record_one(
    context: Context,
    action: ResourceAction,
    kind: Kind,
    resource: Model,
    *,
    account_id: int,
    instance: Instance | None = None,
    beside: Model | None = None,
    **detail: Any,
) -> None:
    """Write the event of one item, in the transaction of what it tells."""
    record_all(
        context,
        [
            event(
                context,
                action,
                kind,
                resource,
                account_id=account_id,
                instance=instance,
                beside=beside,
                **detail,
            )
        ],
    )


def record_all(context: Context, events: Sequence[Event]) -> None:
    """Write events, and that something was done to the instances that they are about."""
    if ids := [each.instance_id for each in events if each.instance_id is not None]:
        # Who selected "all that match" by an EIP or a tag meant the instances as they were shown.
        Instance.objects.filter(pk__among=ids).update(changed_at=context.now)
    Event.objects.bulk_create(events, batch_size=500)
