"""What is read of an instance to decide about it: the columns that rules and verbs look at, without
the weight of a model, since a pass or a batch reads them a thousand at a time.
"""

from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from recycle.models import Instance, InstanceQuerySet


class Judged(NamedTuple):
    """An instance as it was read; its names are those of the model."""

    pk: UUID
    account_id: int
    zone_id: str
    instance_type_id: str
    name: str
    state: str
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

    @property
    def family(self) -> str:
        return self.instance_type_id.partition(".")[0]

    @classmethod
    def read(cls, rows: InstanceQuerySet) -> list[Self]:
        """These instances, in their order; one that a join of the caller's names twice, once."""
        found = rows.select_related(None).values_list(*cls._fields)
        return list({row[0]: cls._make(row) for row in found}.values())


# What both a list on a page and an action show to the rules.
AnyInstance = Instance | Judged
