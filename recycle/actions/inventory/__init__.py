"""Importing an inventory: what is missing in the account is created, what is there is left alone.

All or nothing: one transaction, and nothing is written when there is a problem. Batches of rows at a time, each a
constant number of statements; what spans the batches lies in the database or in the notes, never in memory.
While it runs nobody else can write to a SQLite database; sweeps catch up afterwards. PostgreSQL goes on as usual.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from recycle.actions.inventory.imported import Imported
from recycle.actions.inventory.rows import Import, batches
from recycle.inventory import KINDS, Notes, Source, read
from recycle.models import Account

__all__ = ["Imported", "import_inventory"]


def import_inventory(sources: Sequence[Source], *, account_name: str, region: str = "", now: datetime) -> Imported:
    """Create in the account what these files have and it lacks.

    `region` is that of the EIPs and load balancers which nothing else tells the region of.
    An instance that was ever deleted here gets no binding again: what an owner cancelled, an import does not restore.
    """
    imported = Imported(account_name)
    keys = frozenset(kind.key for kind in KINDS)
    for source in sources:
        imported.add(*source.survey(keys))
    if imported.problems:
        # What cannot be read may hold what the others refer to: nothing more can be said of them.
        return imported
    with Notes() as notes, transaction.atomic():
        account, _ = Account.objects.get_or_create(name=account_name)
        import_ = Import(account, region, now, notes, imported)
        for kind in KINDS:
            entries = (entry for source in sources if kind.key in source.holds for entry in read(source, kind))
            for batch in batches(entries):
                import_.take(kind, batch)
        import_.conclude()
        if imported.problems:
            transaction.set_rollback(True)
    return imported
