"""What all processes of all nodes count together, in the broker.

Each could keep its own numbers, as Prometheus's client does in files; but a worker has no page to
show them on, files outlive who wrote them, and a node that ends takes its numbers along. What is
counted here is in one place a tenth of a millisecond later, whoever dies then. It begins anew with
the broker, as counters may.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from threading import Lock

from django.conf import settings
from redis import Redis, RedisError

KEY = "console:tally"
# Seconds that somebody waits for the broker in order to count, and until it is asked again.
COUNT_PATIENCE, ASK_AGAIN_AFTER = 0.2, 5

# What is counted, and of what kind. There are few of them: never what came with a request.
Counted = tuple[str, ...]


class Tally:
    """The numbers of this process that are not in the broker yet: while it is away they wait."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.waiting: Counter[Counted] = Counter()
        self.ask_at = -float("inf")

    def add(self, numbers: Mapping[Counted, int]) -> None:
        """Never fails: nothing is worth less than what is counted."""
        with self.lock:
            self.waiting.update(numbers)
            if time.monotonic() < self.ask_at:
                return
            sent, self.waiting = self.waiting, Counter()
        try:
            together = _broker(settings.REDIS_URL).pipeline(transaction=False)
            for counted, number in sent.items():
                together.hincrby(KEY, json.dumps(counted), number)
            together.execute()
        except (RedisError, OSError):
            with self.lock:
                self.waiting.update(sent)
                self.ask_at = time.monotonic() + ASK_AGAIN_AFTER


_tally = Tally()


def count(numbers: Mapping[Counted, int]) -> None:
    _tally.add(numbers)


def counted() -> dict[Counted, int]:
    """The numbers of all processes. RedisError or OSError when the broker does not answer."""
    found = _broker(settings.REDIS_URL).hgetall(KEY)
    return {tuple(json.loads(field)): int(number) for field, number in found.items()}


@lru_cache(maxsize=2)
def _broker(url: str) -> Redis:
    return Redis.from_url(url, socket_connect_timeout=COUNT_PATIENCE, socket_timeout=COUNT_PATIENCE)
