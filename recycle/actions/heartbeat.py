"""Every scheduled pass says that it came by, so that a schedule that died is seen."""

from datetime import datetime

from recycle.models import Sweep


def came_by(name: str, at: datetime, *, done: int, failed: int) -> None:
    """With one statement, in a transaction of its own: passes of one name wait for each other
    here.
    """
    Sweep.objects.bulk_create(
        [Sweep(name=name, ran_at=at, done=done, failed=failed)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["ran_at", "done", "failed"],
    )
