"""What is measured, each against what, and which ratio it has to reach."""

import gzip
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recycle import actions
from recycle.actions import Context, JobOrder
from recycle.forms import ListForm
from recycle.forms.places import FILTERED
from recycle.lifecycle import Action
from recycle.models import (
    Account,
    BatchJob,
    Edge,
    Instance,
    InstanceQuerySet,
    RetentionRule,
    User,
)
from recycle.views.verbs.dialog import may_be_final
from tests.bench import rivals, sweeps
from tests.bench.data import RARE, Size
from tests.bench.measure import Form, in_turns
from tests.bench.served import by_up_and_alone

ROUNDS = 5
# Instances that one turn of a verb acts on.
ONE_TURN = 5_000
# Requests that one turn of a page is made of: a single one is too short to be measured.
TIMES = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio. `higher` says which way is better; None as `must`: told for its own sake."""

    n: int
    what: str
    against: str
    ratio: float
    must: float | None
    reach: float | None
    higher: bool
    detail: str = ""

    @property
    def held(self) -> bool | None:
        if self.must is None:
            return None
        return self.ratio >= self.must if self.higher else self.ratio <= self.must

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "held": self.held}


@dataclass(frozen=True)
class Bench:
    """Two databases with the console's schema, and which of them is in use."""

    small: Size
    large: Size
    use: Callable[[Size], None]

    @contextmanager
    def on(self, size: Size) -> Iterator[None]:
        self.use(size)
        yield
        self.use(self.large)


def _context(now: datetime, by: User | None = None) -> Context:
    return Context(by=by, now=now, edge=Edge.COMMAND)


def _milliseconds(form: Form) -> str:
    return f"{form.wall * 1e3:,.1f} ms ±{form.spread:.0%}"


def _microseconds(form: Form) -> str:
    wall, backend = form.wall * 1e6, form.backend * 1e6
    client = (form.cpu - form.backend) * 1e6
    return f"{wall:.0f} µs a row ±{form.spread:.0%} (client {client:.0f}, backend {backend:.0f})"


# --- Verbs ----------------------------------------------------------------------------------------


def purge(bench: Bench) -> Iterator[Figure]:
    due = bench.large.rows * 3 // 10 // (3 * ROUNDS)
    turn = min(ONE_TURN, due // 1000 * 1000 or due)
    now = timezone.now()
    wal: dict[str, list[float]] = {"product": [], "sql": []}

    def counted(name: str, work: Callable[[], int]) -> Callable[[], int]:
        def run() -> int:
            before = _wal()
            done = work()
            wal[name].append((_wal() - before) / max(done, 1))
            return done

        return run

    def by_pass() -> int:
        return _done(actions.purge_due(context=_context(now), limit=turn))

    forms = in_turns(
        {
            "product": counted("product", by_pass),
            "sql": counted("sql", lambda: rivals.purge_by_sql(now, turn)),
            "loop": lambda: rivals.purge_in_a_loop(now, min(turn, 500)),
        },
        ROUNDS,
    )
    product, sql, loop = forms["product"], forms["sql"], forms["loop"]
    told = f"{_microseconds(product)}; SQL {_microseconds(sql)}"
    told += f"; CPU {sql.cpu / product.cpu:.2f}"
    sqlite = connection.vendor == "sqlite"
    number, must, reach = (5, 0.7, 0.85) if sqlite else (1, 0.8, 0.9)
    yield Figure(
        number, "purge", "hand-written SQL", sql.wall / product.wall, must, reach, True, told
    )
    yield Figure(2, "purge", "ORM loop", loop.wall / product.wall, None if sqlite else 60, 90, True)
    if not sqlite:
        ratio = sum(wal["product"]) / sum(wal["sql"])
        yield Figure(4, "WAL of a purged row", "hand-written SQL", ratio, 1.0, 0.9, False)


def sweepers(bench: Bench) -> Iterator[Figure]:
    """Two workers beside one. SQLite has one writer at a time."""
    if connection.vendor == "sqlite":
        return
    rows = min(20_000, bench.large.rows // 5 // 1000 * 1000)
    gain = sweeps.gains(timezone.now(), rows)
    told = f"hand-written SQL {gain['sql']:.2f}; {rows:,} rows"
    yield Figure(3, "two sweep workers", "one", gain["product"], 1.5, gain["sql"], True, told)


def poison(bench: Bench) -> Iterator[Figure]:
    bad = min(10_000, bench.large.rows // 10)
    ratio, passes = sweeps.poisoned(timezone.now(), bad, 2 * bad)
    told = f"{bad:,} in front of {2 * bad:,}, done in {passes} passes"
    yield Figure(18, "purge with rows in front that fail", "without", ratio, 0.8, 0.95, True, told)


def import_(bench: Bench) -> Iterator[Figure]:
    if connection.vendor == "sqlite":
        return
    rows = min(10_000, bench.large.rows // 10)
    wall, copy = sweeps.imported(rows)
    told = f"{wall / rows * 1e6:.0f} µs a row; COPY {copy / rows * 1e6:.0f}"
    yield Figure(16, f"import of {rows:,}", "COPY", copy / wall, 0.15, 0.25, True, told)


def _wal() -> float:
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return float(cursor.fetchone()[0])


def _done(outcome: actions.Outcome) -> int:
    return len(outcome.done)


def verbs(bench: Bench) -> Iterator[Figure]:
    """Recycle and restore of what has one of each relationship, as the page does it."""
    ids = bench.large.in_use()
    now = timezone.now()
    user = User.objects.get(username="bench")
    turn = max(len(ids) // (2 * ROUNDS), 1)
    slices = iter([ids[start : start + turn] for start in range(0, len(ids), turn)])
    binned: dict[str, list[list[Any]]] = {"product": [], "sql": []}

    def recycle(name: str, work: Callable[[list[Any]], int]) -> Callable[[], int]:
        def run() -> int:
            chosen = next(slices)
            binned[name].append(chosen)
            return work(chosen)

        return run

    def by_page(chosen: list[Any]) -> int:
        rows = Instance.objects.visible_to(user).filter(pk__among=chosen)
        context = _context(now, user)
        assert not may_be_final(Action.DELETE, rows)
        return _done(actions.delete(rows, may_release=False, context=context))

    def restored_by_page() -> int:
        rows = Instance.objects.visible_to(user).filter(pk__among=binned["product"].pop())
        return _done(actions.restore(rows, context=_context(now, user)))

    end = now + timedelta(hours=2)
    forms = in_turns(
        {
            "product": recycle("product", by_page),
            "sql": recycle("sql", lambda some: rivals.recycle_by_sql(some, now, end, user)),
        },
        ROUNDS,
    )
    yield _against_sql(forms, f"recycle of {turn * ROUNDS:,} with four relationships each")
    forms = in_turns(
        {
            "product": restored_by_page,
            "sql": lambda: rivals.restore_by_sql(binned["sql"].pop(), now, user),
        },
        ROUNDS,
    )
    yield _against_sql(forms, f"restore of {turn * ROUNDS:,}")


def job(bench: Bench) -> Iterator[Figure]:
    """Everything in use of an account recycled, restored, recycled and purged, by batch jobs."""
    user = User.objects.get(username="bench")
    account = Account.objects.get(name="Bench")
    ours = Instance.objects.of(account)
    in_use = ours.filter(pk__in=ours.living().filter(protected=False).values("pk"))

    def ask(rows: InstanceQuerySet, action: Action, parameters: dict[str, Any]) -> int:
        order = JobOrder(account=account, action=action, parameters=parameters)
        context = _context(timezone.now(), user)
        actions.request_job(rows.order_by("name", "pk"), order, context=context)
        return BatchJob.objects.unfinished().get().total

    def work() -> int:
        [asked] = BatchJob.objects.unfinished()
        while BatchJob.objects.unfinished().exists():
            actions.carry_out_jobs(context=_context(timezone.now()))
        return BatchJob.objects.get(pk=asked.pk).done

    for rows, action, parameters in (
        (in_use, Action.DELETE, {"may_release": False}),
        (ours.in_bin(), Action.RESTORE, {}),
        (in_use, Action.DELETE, {"may_release": False}),
        (ours.in_bin(), Action.PURGE, {}),
    ):
        before = _peak()
        asked = in_turns({"ask": partial(ask, rows, action, parameters)}, 1)["ask"]
        done = in_turns({"work": work}, 1)["work"]
        count = BatchJob.objects.latest("created_at").done
        told = (
            f"{count:,} done, {_microseconds(done)}; asked for in {asked.wall * 1e6:.1f} µs a row"
        )
        told += f"; {_peak() - before:.1f} MB more at most"
        what = f"batch job: {action.value}, instances a second"
        yield Figure(17, what, "–", 1 / done.wall, None, None, True, told)


def _peak() -> float:
    """The most memory that this process has had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _against_sql(forms: dict[str, Form], what: str) -> Figure:
    product, sql = forms["product"], forms["sql"]
    told = f"{_microseconds(product)}; SQL {_microseconds(sql)}"
    told += f"; CPU {sql.cpu / product.cpu:.2f}"
    return Figure(6, what, "hand-written SQL", sql.wall / product.wall, 0.75, 0.85, True, told)


# --- Pages ----------------------------------------------------------------------------------------


def _client() -> Client:
    client = Client()
    client.force_login(User.objects.get(username="bench"))
    return client


def _get(client: Client, address: str, times: int = 1) -> Callable[[], int]:
    def get() -> int:
        for _time in range(times):
            response = client.get(address)
            assert response.status_code == 200, (address, response.status_code)
        return times

    return get


def addresses() -> Iterator[str]:
    """Every list with every sort, from both ends and in the middle, and with every filter."""
    filters = [f"q={RARE}", "q=web", "q=nothing-like-that", "q=10.1", "zone=cn-beijing-6a"]
    for name, form in FILTERED.items():
        if not issubclass(form, ListForm) or name == "recycle:audit":
            continue
        for sort in form.sorts:
            yield f"{reverse(name)}?sort={sort}&size=50"
        yield from (f"{reverse(name)}?{query}" for query in filters)
    day = timezone.now().date()
    yield f"{reverse('recycle:bin')}?deleted_from={day}&deleted_to={day}"
    yield f"{reverse('recycle:bin')}?deleted_by=bench"
    yield f"{reverse('recycle:log')}?since={day}&until={day}"
    yield f"{reverse('recycle:log')}?by=bench"
    yield f"{reverse('recycle:log')}?by=nobody"
    yield f"{reverse('recycle:log')}?action=recycle"


def lists(bench: Bench) -> Iterator[Figure]:
    yield from _grown(bench, 7, list(addresses()))


def overview(bench: Bench) -> Iterator[Figure]:
    yield from _grown(bench, 8, [reverse("recycle:overview")])


def _grown(bench: Bench, number: int, pages: list[str]) -> Iterator[Figure]:
    found: dict[int, dict[str, Form]] = {}
    for size in (bench.small, bench.large):
        with bench.on(size):
            client = _client()
            for page in pages:
                _get(client, page)()
            found[size.rows] = in_turns({page: _get(client, page) for page in pages}, 3)
    small, large = found[bench.small.rows], found[bench.large.rows]
    for page in pages:
        ratio = large[page].wall / small[page].wall
        told = f"{_milliseconds(small[page])} → {_milliseconds(large[page])}"
        against = f"itself at {bench.small.rows:,}"
        yield Figure(number, page, against, ratio, 1.5, 1.1, False, told)


def page(bench: Bench) -> Iterator[Figure]:
    """The bin's page beside the smallest view of the same rows, and the admin's list."""
    user = User.objects.get(username="bench")
    user.is_superuser = user.is_staff = True
    user.save()
    client = _client()
    address = f"{reverse('recycle:bin')}?size=50"
    works = {
        "bin": _get(client, address, TIMES),
        "smallest": _get(client, "/bench/smallest/", TIMES),
    }
    for work in works.values():
        work()
    forms = in_turns(works, 2 * ROUNDS)
    told = f"{_milliseconds(forms['bin'])}; smallest {_milliseconds(forms['smallest'])}"
    ratio = forms["bin"].cpu / forms["smallest"].cpu
    yield Figure(9, "bin page, 50 rows", "the smallest view", ratio, 2, 1.3, False, told)
    with bench.on(bench.small):
        user.save()
        client = _client()
        admin = f"{reverse('admin:recycle_instance_changelist')}?state__exact=recycled"
        works = {"bin": _get(client, address, TIMES), "admin": _get(client, admin, TIMES)}
        for work in works.values():
            work()
        forms = in_turns(works, 2 * ROUNDS)
    told = f"{_milliseconds(forms['bin'])}; admin {_milliseconds(forms['admin'])}"
    ratio = forms["bin"].wall / forms["admin"].wall
    yield Figure(10, "bin page", "Django admin's changelist", ratio, 0.7, 0.4, False, told)


def served(bench: Bench) -> Iterator[Figure]:
    """Requests a second, over HTTP; more processes than the cores hold are no gain."""
    if connection.vendor == "sqlite":
        return
    session = _client().cookies["sessionid"].value
    forms = by_up_and_alone(f"{reverse('recycle:bin')}?size=50", session, ROUNDS)
    up, alone = forms["up"].wall, forms["alone"].wall
    told = f"{1 / up:.0f} a second; alone {1 / alone:.0f}; {len(os.sched_getaffinity(0))} cores"
    yield Figure(
        15, "bin page over HTTP", "one process, one thread", alone / up, 1.8, 1.95, True, told
    )


def weight(bench: Bench) -> Iterator[Figure]:
    """Bytes, which are the same on any machine."""
    response = _client().get(
        f"{reverse('recycle:bin')}?size=50", headers={"Accept-Encoding": "gzip"}
    )
    body = response.content
    sent = len(body)
    plain = gzip.decompress(body) if response.get("Content-Encoding") == "gzip" else body
    yield Figure(11, "bin page, 50 rows, kB", "–", len(plain) / 1e3, 90, 60, False)
    yield Figure(11, "the same as sent, kB", "–", sent / 1e3, 12, 8, False)
    files = set(re.findall(r'(?:src|href)="/static/([^"#?]+)', plain.decode()))
    total = sent + sum(len(gzip.compress(_static(name))) for name in files)
    yield Figure(12, "first visit, gzip, kB", "–", total / 1e3, 55, 40, False)
    yield Figure(12, "first visit, requests", "–", 1 + len(files), 5, 4, False)


def _static(name: str) -> bytes:
    # The names carry a hash of what is in them.
    path = finders.find(re.sub(r"\.[0-9a-f]{12}(\.\w+)$", r"\1", name))
    assert isinstance(path, str), name
    return Path(path).read_bytes()


# --- What happens by itself -----------------------------------------------------------------------


def _pass(act: Callable[..., object], context: Context) -> int:
    act(context=context)
    return 1


def idle(bench: Bench) -> Iterator[Figure]:
    """Passes that find nothing to do."""
    context = _context(timezone.now() - timedelta(days=300))
    for name in (
        "expire_due",
        "purge_due",
        "forget_tombstones",
        "clear_sessions",
        "carry_out_jobs",
    ):
        act = getattr(actions, name)
        act(context=context)
        form = in_turns({name: partial(_pass, act, context)}, 2 * ROUNDS)[name]
        wall = form.wall * 1e3
        yield Figure(13, f"idle pass: {name}, ms", "–", wall, 5, 2, False, _milliseconds(form))


def retention(bench: Bench) -> Iterator[Figure]:
    """What another time would have meant, over all deletions of 30 days."""
    from recycle.actions.forecast import forecast

    account = Account.objects.get(name="Bench")
    rule = RetentionRule(account=account, key="env", value="prod", keep_for=timedelta(days=3))

    def preview() -> int:
        forecast(account, [], keep_for=timedelta(days=7), new_rules=[rule], now=timezone.now())
        return 1

    form = in_turns({"preview": preview}, 1)["preview"]
    yield Figure(14, "retention preview, s", "–", form.wall, 3, 1, False, _milliseconds(form))


SUBJECTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "lists": lists,
    "overview": overview,
    "page": page,
    "served": served,
    "weight": weight,
    "idle": idle,
    "retention": retention,
    "verbs": verbs,
    "job": job,
    "import": import_,
    # Last: it changes what the others read.
    "purge": purge,
    "sweepers": sweepers,
    "poison": poison,
}
