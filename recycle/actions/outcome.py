"""What became of a request, instance by instance."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from recycle.lifecycle import Action
from recycle.policy import Refusal


@dataclass(frozen=True, slots=True)
class Done:
    id: UUID
    name: str
    # What a delete turned out to mean; otherwise what was asked for.
    action: Action


@dataclass(frozen=True, slots=True)
class Refused:
    id: UUID
    name: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Failed:
    """The database rejected it; `error` is for the log and for who runs the console."""

    id: UUID
    name: str
    error: str


@dataclass(slots=True)
class Outcome:
    action: Action
    batch: UUID = field(default_factory=uuid4)
    done: list[Done] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def extend(self, other: "Outcome") -> None:
        self.done += other.done
        self.refused += other.refused
        self.failed += other.failed
