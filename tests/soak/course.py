"""The course of a soak: people work, parts are killed, the broker goes away and the database is
restarted; then all comes to rest, and it is proved that every promise was kept.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.models import Count, Sum

from recycle.models import BatchJob, Event
from tests.postgres import Cluster
from tests.soak.data import PEOPLE, Fleet
from tests.soak.parts import Parts, wait_until
from tests.soak.people import Answer, Person, join
from tests.soak.pressure import (
    Rate,
    is_due,
    long_readers,
    now_of_database,
    open_transaction,
    rates,
)
from tests.soak.proof import NAMED, Broken, prove

# Seconds for which the broker stays away, and at most so much of the whole time.
BROKER_AWAY, MOST_OF_IT = 30, 0.5
# Rows that come due at once.
BURST = 50_000
# Shorter runs have a smaller burst, and rates are not measured in them.
MEASURED_FROM = 3
MEASURED_ROWS = 10_000
# Seconds after which somebody who was answered 503 tries again.
RETRY_AFTER = 5
# Between two that are killed.
PAUSES = (2.0, 5.0)
# Until all that is due is done when nothing disturbs any more.
SETTLES = 300


@dataclass(frozen=True)
class Outage:
    """When something that the console needs was away."""

    what: str
    began: float
    ended: float


@dataclass
class Report:
    seed: int
    minutes: float
    answers: Counter[str] = field(default_factory=Counter)
    # Of these, what was not answered as asked, with its path.
    refusals: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    outages: list[Outage] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    jobs: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        away = [
            {"what": each.what, "seconds": round(each.ended - each.began, 1)}
            for each in self.outages
        ]
        rates = [rate.as_json() for rate in self.rates]
        return {**vars(self), "outages": away, "rates": rates}

    def lines(self) -> Iterable[str]:
        yield f"Seed {self.seed}, {self.minutes:g} minutes, {len(PEOPLE)} people."
        yield f"They did: {_counted(self.deeds)}."
        yield f"They were answered: {_counted(self.answers)}."
        yield f"Of this: {_counted(self.refusals)}."
        yield f"Killed: {_counted(self.kills)}."
        for away in self.outages:
            yield f"The {away.what} was away for {away.ended - away.began:.1f} s."
        yield f"Instances in batch jobs: {_counted(self.jobs)}."
        yield f"Written: {_counted(self.events)}."
        yield from map(str, self.rates)
        yield from (f"BROKEN {line}" for line in self.broken)
        yield "A promise was broken." if self.broken else "Every promise was kept."


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def soak(
    cluster: Cluster,
    parts: Parts,
    ports: Sequence[int],
    *,
    seed: int,
    minutes: float,
    say: Callable[[str], None],
) -> Report:
    """Django is set up, on the database of the cluster; the rest of the parts is to be started."""
    course = Course(cluster, parts, ports, Report(seed, minutes), say)
    with ExitStack() as stack:
        stack.callback(parts.end)
        course.begin()
        course.disturb()
        course.settle()
        course.measure()
    course.prove()
    return course.report


class Course:
    def __init__(
        self,
        cluster: Cluster,
        parts: Parts,
        ports: Sequence[int],
        report: Report,
        say: Callable[[str], None],
    ) -> None:
        self.cluster, self.parts, self.report, self.say = cluster, parts, report, say
        self.chance = random.Random(report.seed)
        self.seconds = report.minutes * 60
        self.halt = threading.Event()
        self.people = [Person(name, ports, report.seed, self.halt) for name, _role in PEOPLE]

    def begin(self) -> None:
        self.say("Loading.")
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        span = timedelta(seconds=self.seconds)
        self.fleet = Fleet(self.report.seed, now_of_database(), span)
        self.fleet.load(int(BURST * min(1, self.report.minutes)))
        self.say("Starting.")
        self.parts.start()
        for person in self.people:
            wait_until(person.log_in, f"{person.name} cannot log in")
        # Until then no web node was there to answer.
        for person in self.people:
            person.browser.answers.clear()
            person.start()

    def disturb(self) -> None:
        self.say("Disturbing.")
        began = time.monotonic()
        away = min(BROKER_AWAY, self.seconds * MOST_OF_IT)
        due = {
            0.15 * self.seconds: lambda: self._lose_the_broker(away),
            0.75 * self.seconds: self._restart_the_database,
        }
        next_kill = began + PAUSES[0]
        with ExitStack() as self.pressures:
            self._press()
            while (now := time.monotonic()) < began + self.seconds:
                for at in [at for at in due if began + at <= now]:
                    due.pop(at)()
                if now > next_kill:
                    self._kill()
                    next_kill = now + self.chance.uniform(*PAUSES)
                self.parts.start_what_ended()
                time.sleep(0.2)
            for happens in due.values():
                happens()

    def settle(self) -> None:
        self.say("Coming to rest.")
        self.halt.set()
        join(self.people)
        self.rests_at = now_of_database()
        self.parts.start_what_ended()
        try:
            wait_until(lambda: not is_due() and not _jobs_wait(), "", patience=SETTLES)
        except TimeoutError:
            # What is left over, the proof will name.
            self.say("It does not come to rest.")

    def measure(self) -> None:
        """When nobody is killed any more, and nobody works beside it."""
        if self.report.minutes < MEASURED_FROM:
            return
        self.say("Measuring.")
        self.report.rates = rates(self.fleet, MEASURED_ROWS, BURST, self.say)
        self.rests_at = now_of_database()

    def prove(self) -> None:
        self.say("Proving.")
        report = self.report
        answers = [answer for person in self.people for answer in person.browser.answers]
        report.answers.update(str(answer.status or "broken off") for answer in answers)
        report.refusals.update(
            f"{answer.status} {answer.path.partition('?')[0]}"
            for answer in answers
            if answer.status >= 400
        )
        for person in self.people:
            report.deeds.update(person.did)
            if person.fault:
                report.broken.append(f"{person.name} could not go on: {person.fault!r}")
        counts = Event.objects.order_by().values_list("action").annotate(count=Count("pk"))
        report.events.update(dict(counts))
        jobs = BatchJob.objects.values_list("state").annotate(count=Sum("total"))
        report.jobs.update(dict(jobs))
        broken = [*wrong_answers(answers, report.outages), *prove(self.rests_at)]
        report.broken += map(str, broken)
        if report.broken:
            report.broken += self.parts.faults()

    # --- What happens -----------------------------------------------------------------------------

    def _press(self) -> None:
        """For the whole time, but for the moment in which the database is restarted."""
        self.pressures.enter_context(open_transaction())
        self.pressures.enter_context(long_readers())

    def _kill(self) -> None:
        self.report.kills[self.parts.kill_one(self.chance)] += 1

    def _lose_the_broker(self, seconds: float) -> None:
        began = time.monotonic()
        self.parts.stop_broker()
        while time.monotonic() < began + seconds:
            self._kill()
            self.parts.start_what_ended()
            time.sleep(self.chance.uniform(*PAUSES))
        self.parts.start_broker()
        self.report.outages.append(Outage("broker", began, time.monotonic()))

    def _restart_the_database(self) -> None:
        self.pressures.close()
        connection.close()
        began = time.monotonic()
        self.cluster.stop()
        time.sleep(self.chance.uniform(1, 3))
        self.cluster.start()
        self.report.outages.append(Outage("database", began, time.monotonic()))
        self._press()


def _jobs_wait() -> bool:
    return BatchJob.objects.unfinished().exists()


def wrong_answers(answers: Iterable[Answer], outages: Sequence[Outage]) -> list[Broken]:
    """Faults of the console: every 5xx but a 503 while something was away or shortly after, and
    every file that is not what it says.
    """
    wrong = []
    for answer in answers:
        said = f"{answer.method} {answer.path.partition('?')[0]}"
        if answer.wrong:
            wrong.append(f"{said}: {answer.wrong}")
        elif answer.status == 429:
            # They mistype nothing, and ask for no more than anybody may.
            wrong.append(f"{said}: 429")
        elif answer.status >= 500 and not (answer.status == 503 and _excused(answer, outages)):
            wrong.append(f"{said}: {answer.status}")
    if not wrong:
        return []
    return [Broken("people are answered", len(wrong), tuple(wrong[:NAMED]))]


def _excused(answer: Answer, outages: Sequence[Outage]) -> bool:
    """Without the broker nobody is let in, because nobody would count who fails; who is in already
    goes on.
    """
    return any(
        away.began <= answer.ended
        and answer.began <= away.ended + RETRY_AFTER
        and (away.what == "database" or answer.path == "/login/")
        for away in outages
    )
