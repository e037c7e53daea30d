"""Sends the passes of the schedule: no more than anybody takes, and whatever its clock shows."""

from datetime import datetime, timedelta
from typing import Any

from celery.beat import PersistentScheduler
from redis import RedisError

# As many as wait for a worker, no more are sent: a worker that comes back finds a few rounds, not
# those of a whole day. Each pass does all that is due, so that the ones left out are not missed.
MOST_WAITING = 100


class Scheduler(PersistentScheduler):
    """As Celery has it, for a queue that stays short and a clock that may be set back."""

    seen_at: datetime | None = None

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due. When the machine's clock was set back, that is everything: Celery would
        wait until the clock shows again what it showed before.
        """
        now = self.app.now()
        if self.seen_at and now < self.seen_at:
            for entry in self.schedule.values():
                entry.last_run_at = now - timedelta(days=1)
            self._heap = None
        self.seen_at = now
        wait: float = super().tick(*arguments, **options)
        return wait

    def apply_async(
        self, entry: Any, producer: Any = None, advance: bool = True, **options: Any
    ) -> Any:
        if producer and self._waiting(producer) >= MOST_WAITING:
            return None
        return super().apply_async(entry, producer=producer, advance=advance, **options)

    def _waiting(self, producer: Any) -> int:
        """How many no worker has taken yet."""
        try:
            return int(producer.channel.client.llen(self.app.conf.task_default_queue))
        except (RedisError, OSError):
            # Whether anything can be sent, sending finds out, and tries more than once.
            return 0
