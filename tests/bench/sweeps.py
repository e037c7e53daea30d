"""Several workers, rows that fail, and an import: what is measured of the work in bulk beside the
verbs.
"""

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from recycle import actions
from recycle.actions import Context
from recycle.actions.inventory import Options, import_inventory
from recycle.inventory.answers import Source
from recycle.inventory.notes import Notes
from recycle.inventory.progress import Progress
from recycle.models import Edge, Instance
from tests.bench import rivals
from tests.bench.data import uuid

ROUNDS = 3
# Works off so many rows that are due.
Sweep = Callable[[int], int]


def by_pass(now: datetime) -> Sweep:
    def sweep(rows: int) -> int:
        context = Context(by=None, now=now, edge=Edge.COMMAND)
        return len(actions.purge_due(context=context, limit=rows).done)

    return sweep


def by_sql(now: datetime) -> Sweep:
    return lambda rows: rivals.purge_by_sql(now, rows)


def refill() -> None:
    """Bring what was purged back into the bin, as due as it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE recycle_instance SET state = 'recycled', purged_at = NULL"
            " WHERE state = 'purged' AND recycled_at IS NOT NULL"
        )
        cursor.execute("VACUUM ANALYZE recycle_instance" if _postgresql() else "ANALYZE")


def _postgresql() -> bool:
    return connection.vendor == "postgresql"


# --- Two workers ----------------------------------------------------------------------------------


def gains(now: datetime, rows: int) -> dict[str, float]:
    """By what factor two workers are faster than one, of the pass and of hand-written SQL."""
    walls: dict[tuple[str, int], list[float]] = {}
    for _round in range(ROUNDS):
        for name, sweep in (("product", by_pass(now)), ("sql", by_sql(now))):
            for workers in (1, 2):
                refill()
                walls.setdefault((name, workers), []).append(_wall(sweep, workers, rows))
    return {name: median(walls[name, 1]) / median(walls[name, 2]) for name in ("product", "sql")}


def _wall(sweep: Sweep, workers: int, rows: int) -> float:
    """Seconds for so many rows by so many processes at once."""
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(workers + 1)

    def work() -> None:
        connection.ensure_connection()
        start.wait()
        sweep(rows // workers)
        connection.close()

    # Each process has a connection of its own.
    connection.close()
    processes = [fork.Process(target=work) for _ in range(workers)]
    for process in processes:
        process.start()
    start.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
    if failed := [process.exitcode for process in processes if process.exitcode]:
        raise RuntimeError(f"a worker ended with {failed[0]}")
    return time.perf_counter() - began


# --- Rows that fail -------------------------------------------------------------------------------


def poisoned(now: datetime, bad: int, good: int) -> tuple[float, int]:
    """The rate of healthy rows with so many in front of them that fail, over that without these;
    and in how many passes.
    """
    refill()
    due = list(Instance.objects.due_for_purge(now).values_list("pk", flat=True)[: bad + good])
    with connection.cursor() as cursor:
        _poison(cursor, due[:bad])
    walls: dict[bool, list[float]] = {True: [], False: []}
    passes = 0
    for _round in range(ROUNDS):
        for in_front in (False, True):
            refill()
            _put_in_front(due[:bad], now, there=in_front)
            began, done, passes, moment = time.perf_counter(), 0, 0, now
            while done < good:
                context = Context(by=None, now=moment, edge=Edge.COMMAND)
                outcome = actions.purge_due(context=context)
                done, passes = done + len(outcome.done), passes + 1
                if not outcome.done:
                    # What stood beside those that fail was set aside with them, for a minute.
                    moment += timedelta(minutes=1)
            walls[in_front].append(time.perf_counter() - began)
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER poison" + (" ON recycle_instance" if _postgresql() else ""))
    return median(walls[False]) / median(walls[True]), passes


def _poison(cursor: Any, ids: list[Any]) -> None:
    """From now on the database rejects that these are purged."""
    Instance.objects.filter(pk__among=ids).update(image_id="poisoned")
    when = "WHEN (NEW.state = 'purged' AND NEW.image_id = 'poisoned')"
    if _postgresql():
        cursor.execute(
            "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$"
        )
        body = "EXECUTE FUNCTION poison()"
    else:
        body = "BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
    cursor.execute(
        f"CREATE TRIGGER poison BEFORE UPDATE ON recycle_instance FOR EACH ROW {when} {body}"
    )


def _put_in_front(ids: list[Any], now: datetime, *, there: bool) -> None:
    rows = Instance.objects.filter(pk__among=ids)
    rows.update(retry_at=None, attempts=0, quarantined_at=None if there else now)


# --- Import ---------------------------------------------------------------------------------------


def imported(rows: int) -> tuple[float, float]:
    """Seconds for an import of so many instances, and for a COPY of the same rows."""
    imports, copies = [], []
    for number in range(ROUNDS):
        name = f"Imported {number}"
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "inventory.json"
            file.write_text(json.dumps({"InstancesSet": list(_answers(number, rows))}))
            with Notes() as notes:
                began = time.perf_counter()
                result = import_inventory(
                    [Source(str(file))],
                    notes,
                    Options(account_name=name),
                    Progress(),
                    context=Context(by=None, now=timezone.now(), edge=Edge.COMMAND),
                )
                imports.append(time.perf_counter() - began)
            if result.failed:
                raise RuntimeError(str(result.failed[0]))
        made = Instance.objects.filter(account__name=name)
        assert made.count() == rows
        with transaction.atomic():
            copies.append(_copied(made))
            transaction.set_rollback(True)
    return median(imports), median(copies)


def _answers(number: int, rows: int) -> Iterator[dict[str, Any]]:
    for n in range(rows):
        yield {
            "InstanceId": str(uuid(-10_000_000 * (number + 1) - n)),
            "InstanceName": f"web-{n:07}",
            "InstanceType": "N3.2B",
            "InstanceConfigure": {"VCPU": 2, "MemoryGb": 4},
            "InstanceState": {"Name": "active"},
            "SubnetId": str(uuid(-500 - number)),
            "PrivateIpAddress": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
            "NetworkInterfaceSet": [
                {"NetworkInterfaceId": str(uuid(-n - 1)), "VpcId": str(uuid(-600))}
            ],
            "AvailabilityZone": "cn-beijing-6a",
            "ChargeType": "Daily",
            "CreationDate": "2026-01-05T08:00:00Z",
            "SystemDisk": {"DiskType": "SSD3.0", "DiskSize": 40},
        }


def _copied(made: Any) -> float:
    """Take the rows out, and write the same again."""
    with connection.cursor() as cursor:
        account = made[0].account_id
        taken = f"SELECT * FROM recycle_instance WHERE account_id = {account}"
        with cursor.copy(f"COPY ({taken}) TO STDOUT") as copy:
            data = b"".join(bytes(piece) for piece in copy)
        cursor.execute("DELETE FROM recycle_instance WHERE account_id = %s", [account])
        began = time.perf_counter()
        with cursor.copy("COPY recycle_instance FROM STDIN") as copy:
            copy.write(data)
        return time.perf_counter() - began
