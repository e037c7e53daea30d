"""What is read of an instance to decide about it: the columns that rules and verbs look at, without
the weight of a model, since a pass or a batch reads them a thousand at a time.
"""

from collections import namedtuple
from datetime import datetime
from functools import cache
from typing import NamedTuple, cast
from uuid import UUID

from recycle.models import Instance, InstanceQuerySet


class Judged(NamedTuple):
    """An instance as it was read; its names are those of the model.

    Of what was read for one verb only the columns that it looks at are there. To look at another is
    an AttributeError, never a decision about something that nobody has read.
    """

    # What is done with each of them, and said of it.
    pk: UUID
    account_id: int
    project_number: int
    name: str
    state: str
    # What some verbs look at.
    zone_id: str
    instance_type_id: str
    billing_mode: str
    no_fees: bool
    created_at: datetime
    expires_at: datetime | None
    anchor_day: int | None
    recycled_at: datetime | None
    purge_at: datetime | None
    protected: bool
    held_at: datetime | None
    quarantined_at: datetime | None
    delete_at: datetime | None

    @property
    def family(self) -> str:
        return self.instance_type_id.partition(".")[0]

    @staticmethod
    def read(rows: InstanceQuerySet, columns: tuple[str, ...] = ()) -> list["Judged"]:
        """These instances, in their order, with these columns beside the first five; one that a
        join of the caller's names twice, once.
        """
        names = tuple(dict.fromkeys((*ALWAYS, *columns)))
        found = rows.select_related(None).values_list(*names)
        return list(map(cut_to(names)._make, {row[0]: row for row in found}.values()))


ALWAYS = Judged._fields[:5]


SHARED = {"__slots__": (), "family": Judged.family}


@cache
def cut_to(columns: tuple[str, ...]) -> type[Judged]:
    """A `Judged` of these columns alone."""
    return cast("type[Judged]", type("Judged", (namedtuple("Judged", columns),), SHARED))


# What both a list on a page and an action show to the rules.
AnyInstance = Instance | Judged
