"""Importing an inventory: what is missing in the account is created, what is there is left alone
but for its end.

All or nothing. First everything is read and judged; then one transaction writes, and nothing is
written when there is a problem. Batches of rows at a time, each a constant number of statements;
what spans the batches lies in the database or in the notes, never in memory. While it writes nobody
else can write to a SQLite database; sweeps catch up afterwards. On PostgreSQL only those wait who
act on an instance that the import binds something to or renews.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.inventory.imported import Imported
from recycle.actions.inventory.rows import Import, batches
from recycle.actions.outcome import Done
from recycle.inventory import LISTINGS, Notes, Progress, Source, gather, kept
from recycle.lifecycle import ResourceAction
from recycle.models import Account

__all__ = ["Imported", "Options", "import_inventory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    account_name: str
    # Of the EIPs and load balancers which nothing else tells the region of.
    region: str = ""
    # Take answers that say they are not all.
    partial: bool = False
    # Take subscriptions that had reached their end before they were imported.
    accept_ended: bool = False


def import_inventory(
    sources: Sequence[Source],
    notes: Notes,
    options: Options,
    progress: Progress,
    *,
    context: Context,
    dry_run: bool = False,
) -> Imported:
    """Create in the account what these files have and it lacks. What is to be told beside the
    counts is in `notes`.

    An instance that was ever deleted here gets no binding again, and what was deleted or taken off
    here is not made again: what an owner ended, an import does not restore.

    A dry run writes and rolls back: each batch is judged by what the ones before it wrote, and the
    database checks at the end what it would check at the commit. It locks as the import does.
    """
    imported = Imported(ResourceAction.UPDATE, context.batch, account=options.account_name)
    for problem in gather(sources, notes, partial=options.partial, progress=progress):
        imported.fail(problem)
    if imported.failed:
        # What cannot be read may hold what the others refer to: nothing more can be said of them.
        return imported
    with (
        progress.begin("Writing", notes.count()) as bar,
        transaction.atomic(),
    ):
        account, _ = Account.objects.get_or_create(name=options.account_name)
        import_ = Import(
            account, options.region, context, notes, imported, accept_ended=options.accept_ended
        )
        import_.lock()
        written = 0
        for kind in LISTINGS:
            for batch in batches(kept(kind, notes)):
                import_.take(kind, batch)
                written += len(batch)
                bar.advance(len(batch), written)
        import_.conclude()
        if dry_run:
            # Some are deferred until the commit, which there will be none of.
            connection.check_constraints()
        if imported.failed or dry_run:
            transaction.set_rollback(True)
    if not imported.failed:
        imported.done.append(Done(account.pk, account.name, imported.action))
    return imported if dry_run else tallied(imported, context.edge)
