"""What became of a request, item by item. Every action answers with an `Outcome`, and a dry run
with the one that the deed would have.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar
from uuid import UUID, uuid4

from django.db.models import Model

from recycle.lifecycle import Action, ResourceAction
from recycle.policy import Refusal

# UUIDs, the numbers of tags, the handles of sessions, and the keys of former relationships.
Key = UUID | int | str


@dataclass(frozen=True, slots=True)
class Done:
    became: ClassVar[str] = "done"

    id: Key
    name: str
    # What a delete turned out to mean; otherwise what was asked for.
    action: Action | ResourceAction


@dataclass(frozen=True, slots=True)
class Blocker:
    """The instance, or whatever else, that stands in the way."""

    id: Key
    name: str
    # What it is: the name of its model.
    kind: str = "instance"

    @classmethod
    def of(cls, row: Model | None) -> "Blocker | None":
        return None if row is None else cls(row.pk, str(row), row._meta.model_name or "")


@dataclass(frozen=True, slots=True)
class Refused:
    became: ClassVar[str] = "refused"

    id: Key
    name: str
    refusal: Refusal
    blocker: Blocker | None = None
    # None: the action of the outcome. A verb that consists of several says which one it was.
    action: Action | ResourceAction | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The database rejected it, or an import cannot take it; `error` is for the log and for who
    runs the console.
    """

    became: ClassVar[str] = "failed"

    id: Key
    name: str
    error: str
    # As in `Refused`.
    action: Action | ResourceAction | None = None


Became = Done | Refused | Failed


@dataclass(slots=True)
class Outcome:
    action: Action | ResourceAction
    batch: UUID = field(default_factory=uuid4)
    done: list[Done] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    @property
    def items(self) -> list[Became]:
        """All of them. There is none when there was nothing to act on, or nothing that who acts
        may see.
        """
        return [*self.done, *self.refused, *self.failed]

    def add(self, item: Became) -> None:
        match item:
            case Done():
                self.done.append(item)
            case Refused():
                self.refused.append(item)
            case Failed():
                self.failed.append(item)

    def extend(self, other: "Outcome") -> None:
        """Take over the items of another outcome. Those of another action say which one it was."""
        self.done += other.done
        if other.action is self.action:
            self.refused += other.refused
            self.failed += other.failed
        else:
            self.refused += [replace(each, action=other.action) for each in other.refused]
            self.failed += [replace(each, action=other.action) for each in other.failed]
