"""What became of a request, item by item."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from django.db.models import Model

from recycle.lifecycle import Action, ResourceAction
from recycle.policy import Refusal

# UUIDs, the numbers of tags, and the handles of sessions.
Key = UUID | int | str


@dataclass(frozen=True, slots=True)
class Done:
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
    id: Key
    name: str
    refusal: Refusal
    blocker: Blocker | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The database rejected it; `error` is for the log and for who runs the console."""

    id: Key
    name: str
    error: str


@dataclass(slots=True)
class Outcome:
    action: Action | ResourceAction
    batch: UUID = field(default_factory=uuid4)
    done: list[Done] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def extend(self, other: "Outcome") -> None:
        self.done += other.done
        self.refused += other.refused
        self.failed += other.failed
