"""Every scheduled pass says that it came by, so that a schedule that died is seen."""

from datetime import datetime, timedelta

from recycle.models import Sweep

# What comes by every second or two need not write that each time.
OFTEN_ENOUGH = timedelta(seconds=10)


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


def lately(name: str, at: datetime) -> bool:
    """Whether a pass has said so within the last seconds."""
    return Sweep.objects.filter(name=name, ran_at__range=(at - OFTEN_ENOUGH, at)).exists()
