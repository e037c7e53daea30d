"""What maintains a machine: its name. As the other verbs, each answers for every instance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from recycle.actions.context import Context
from recycle.actions.create import in_series
from recycle.actions.judged import AnyInstance, Judged
from recycle.actions.move import Changes, Move, carry_out
from recycle.actions.outcome import Outcome
from recycle.lifecycle import Action, State
from recycle.models import InstanceQuerySet
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
