"""What maintains a machine: its name, its configuration, and the moment at which it is
deleted. As the other verbs, each answers for every instance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from recycle.actions.context import Context
from recycle.actions.create import in_series
from recycle.actions.judged import AnyInstance, Judged
from recycle.actions.limits import Room
from recycle.actions.move import Changes, Move, carry_out
from recycle.actions.outcome import Outcome
from recycle.actions.verbs import NO_RETRY
from recycle.lifecycle import Action, State
from recycle.models import InstanceQuerySet, InstanceType
from recycle.policy import Refusal, deletable_from, why_not_type
from recycle.text import fold


@dataclass
class Rename(Move):
    action = Action.RENAME
    name: str
    # The number of the first one, where there are several, and how many were named.
    number: int
    count: int

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        going = [instance for instance in instances if self.refuses(instance) is None]
        self.names = new_names(going, self.name, self.number, self.count, before=self.done_before)

    def changes(self, instance: Judged, target: State) -> Changes:
        name = self.names[instance.pk]
        return {"name": name, "name_folded": fold(name)}

    def detail(self, instance: Judged) -> Mapping[str, Any]:
        return {"changes": {"name": [instance.name, self.names[instance.pk]]}}


def new_names(
    instances: Sequence[AnyInstance], name: str, number: int, count: int, *, before: int = 0
) -> Mapping[UUID, str]:
    """What these will be called, numbered in the order of their old names behind those that were
    renamed before. Where only one was named, it gets the name alone.
    """
    ordered = sorted(instances, key=lambda instance: (instance.name, instance.pk))
    first = number + before
    numbers = range(first, first + len(ordered))
    names = in_series(name, numbers, last=number + count - 1) if count > 1 else [name]
    return {instance.pk: new for instance, new in zip(ordered, names, strict=False)}


@dataclass
class Resize(Move):
    action = Action.RESIZE
    columns = ("billing_mode", "zone_id", "instance_type_id", "no_fees")
    instance_type: str

    def prepare(self, instances: Sequence[Judged], *, lock: bool) -> None:
        names = {self.instance_type, *(instance.instance_type_id for instance in instances)}
        self.types = InstanceType.objects.in_bulk(names)
        # What is stopped with no fees uses nothing of its zone: its start asks.
        using = {instance.zone_id for instance in instances if not instance.no_fees}
        self.room = Room(using, lock=lock)

    def refuses(self, instance: Judged) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        if instance.instance_type_id == self.instance_type:
            return Refusal.SAME_TYPE
        new = self.types.get(self.instance_type)
        if new is None:
            return Refusal.CHANGED
        if refusal := why_not_type(instance, new.family):
            return refusal
        if instance.no_fees:
            return None
        return self.room.swap(instance.zone_id, self.types[instance.instance_type_id], new)

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"instance_type_id": self.instance_type}

    def detail(self, instance: Judged) -> Mapping[str, Any]:
        return {"changes": {"instance_type": [instance.instance_type_id, self.instance_type]}}


class ResetPassword(Move):
    action = Action.RESET_PASSWORD


@dataclass
class Schedule(Move):
    action = Action.SCHEDULE
    columns = ("billing_mode", "created_at", "protected", "held_at", "delete_at")
    delete_at: datetime

    def refuses(self, instance: Judged) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        if self.delete_at <= self.context.now:
            return Refusal.PASSED
        # At that moment nothing but a hold or a protection stands in the way.
        return Refusal.TOO_YOUNG if self.delete_at <= deletable_from(instance) else None

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"delete_at": self.delete_at, **NO_RETRY}

    def detail(self, instance: Judged) -> Mapping[str, Any]:
        return moved(instance, self.delete_at)


class Unschedule(Move):
    action = Action.UNSCHEDULE
    columns = ("delete_at",)
    NEVER: ClassVar[Changes] = {"delete_at": None, **NO_RETRY}

    def changes(self, instance: Judged, target: State) -> Changes:
        return self.NEVER

    def detail(self, instance: Judged) -> Mapping[str, Any]:
        return moved(instance, None)


def resize(
    instances: InstanceQuerySet,
    *,
    context: Context,
    instance_type: str,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Give stopped instances another type, of their own family or of one alike, as far as their
    zone has room for it.
    """
    move = Resize(instances, context, instance_type=instance_type)
    return carry_out(move, dry_run=dry_run, limit=limit)


def reset_password(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Write down that instances have got another password. No machine stands behind them, so the
    password itself is told to nobody, this function included.
    """
    return carry_out(ResetPassword(instances, context), dry_run=dry_run, limit=limit)


def moved(instance: Judged, to: datetime | None) -> Mapping[str, Any]:
    ends = [end and end.isoformat() for end in (instance.delete_at, to)]
    return {"changes": {"delete_at": ends}}


def schedule_deletion(
    instances: InstanceQuerySet,
    *,
    context: Context,
    delete_at: datetime,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Have instances deleted at this moment, or at another one than was set before: into the bin
    where their billing mode has one, else for good.
    """
    move = Schedule(instances, context, delete_at=delete_at)
    return carry_out(move, dry_run=dry_run, limit=limit)


def cancel_deletion(
    instances: InstanceQuerySet,
    *,
    context: Context,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    return carry_out(Unschedule(instances, context), dry_run=dry_run, limit=limit)


def rename(
    instances: InstanceQuerySet,
    *,
    context: Context,
    name: str,
    number: int = 1,
    count: int = 1,
    dry_run: bool = False,
    limit: int | None = None,
) -> Outcome:
    """Give instances another name; of `count`, web-01, web-02 and so on, from `number`."""
    move = Rename(instances, context, name=name, number=number, count=count)
    return carry_out(move, dry_run=dry_run, limit=limit)
