"""What was done in an account to what an inventory still has. The rows may be forgotten, the events
are not.
"""

from collections.abc import Iterable
from uuid import UUID

from recycle.lifecycle import ResourceAction, State
from recycle.models import Account, Event, Kind


def cancelled(account: Account, instances: Iterable[UUID]) -> set[UUID]:
    """The instances whose relationships were cancelled, by what their owner did or by the
    schedule.
    """
    events = Event.objects.cancelling().filter(account=account, instance_id__among=list(instances))
    return {pk for pk in events.values_list("instance_id", flat=True) if pk is not None}


def removed(account: Account, action: ResourceAction, ids: Iterable[UUID]) -> set[UUID]:
    """Of these resources, those to which `action` was done: REMOVE, or the UNBIND that is the end
    of a real server.
    """
    return {UUID(pk) for pk, _ in _of_resources(account, ids, action)}


def released_with(
    account: Account, instances: Iterable[UUID], volumes: Iterable[UUID]
) -> set[UUID]:
    """The volumes that went when an instance was released: one of `instances`, or whichever they
    were attached to here.
    """
    volumes = set(volumes)
    attached = _of_resources(account, volumes, ResourceAction.BIND)
    holders = {*instances, *(instance for _, instance in attached)} - {None}
    events = Event.objects.cancelling().filter(
        account=account, instance_id__among=list(holders), to_state=State.PURGED
    )
    return volumes & {
        UUID(volume["id"])
        for detail in events.values_list("detail", flat=True)
        for volume in detail.get("volumes") or ()
        if volume["delete_with_instance"]
    }


def _of_resources(
    account: Account, ids: Iterable[UUID], action: ResourceAction
) -> list[tuple[str, UUID | None]]:
    """What was done to these resources: the id of each, and of the instance."""
    events = Event.objects.filter(resource_id__in=[str(pk) for pk in ids], action=action)
    # By the index of resources, which has only events with one. Were the account asked as well,
    # SQLite would read all of its events.
    rows = events.exclude(resource_id="").values_list("account_id", "resource_id", "instance_id")
    return [(pk, instance) for owner, pk, instance in rows if owner == account.pk]


def tags_taken_off(instances: Iterable[UUID]) -> set[tuple[UUID | None, str]]:
    """The tags that were taken off these instances last, by the instance and the tag's name: a tag
    that was deleted and made again has another number.
    """
    events = Event.objects.filter(
        instance_id__among=list(instances),
        kind=Kind.TAG,
        action__in=[ResourceAction.BIND, ResourceAction.UNBIND],
    )
    last = {
        (pk, name): action
        for pk, name, action in events.order_by("id").values_list(
            "instance_id", "resource_name", "action"
        )
    }
    return {each for each, action in last.items() if action == ResourceAction.UNBIND}
