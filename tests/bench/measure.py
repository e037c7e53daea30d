"""Measuring in turns: wall time, and the processor's time of this process and of the database."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from django.db import connection


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for each unit of work."""

    wall: float
    client: float
    # Of PostgreSQL's process for this connection; 0 where the database has none of its own.
    backend: float

    @property
    def cpu(self) -> float:
        return self.client + self.backend


@dataclass(frozen=True)
class Form:
    """One way to do the work, measured some times."""

    costs: tuple[Cost, ...]

    @property
    def wall(self) -> float:
        return median(cost.wall for cost in self.costs)

    @property
    def cpu(self) -> float:
        return median(cost.cpu for cost in self.costs)

    @property
    def backend(self) -> float:
        return median(cost.backend for cost in self.costs)

    @property
    def spread(self) -> float:
        """Half of what lies between the fastest and the slowest, over the median."""
        walls = sorted(cost.wall for cost in self.costs)
        return (walls[-1] - walls[0]) / 2 / self.wall if self.wall else 0.0


# Does the work once and says how many units it was.
Work = Callable[[], int]


def in_turns(works: Mapping[str, Work], rounds: int) -> dict[str, Form]:
    """Measure each work once a round, in an order that is turned from round to round."""
    names = list(works)
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for number in range(rounds):
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            costs[name].append(cost_of(works[name]))
    return {name: Form(tuple(measured)) for name, measured in costs.items()}


def cost_of(work: Work) -> Cost:
    connection.ensure_connection()
    backend = _backend_seconds()
    wall, client = time.perf_counter(), time.process_time()
    units = max(work(), 1)
    wall, client = time.perf_counter() - wall, time.process_time() - client
    backend = _backend_seconds() - backend
    return Cost(wall / units, client / units, backend / units)


def _backend_seconds() -> float:
    if connection.vendor != "postgresql":
        return 0.0
    raw: Any = connection.connection
    try:
        stat = Path(f"/proc/{raw.info.backend_pid}/schedstat").read_text("ascii")
    except OSError:  # the database runs on another machine, or the kernel does not count
        return 0.0
    # Its first number is in nanoseconds. The kernel's ticks are too long for a page.
    return int(stat.split()[0]) / 1e9
