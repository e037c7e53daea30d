"""How the database finds what the lists and the passes of the schedule ask for: by an index, in its
order, however much there is.

SQLite uses a partial index only where a statement says its condition in constants, which is easily
lost by a change elsewhere.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recycle.condition import look
from recycle.forms import BinFilter, ExpiredFilter, InstanceFilter, QuarantineFilter
from recycle.forms.scope import Scope
from recycle.forms.search import address_begins, has, id_begins
from recycle.lifecycle import State
from recycle.models import Account, Event, Instance, InstanceType, Region, Tag, Zone
from recycle.policy import BillingMode, RetentionKind, Role
from tests.conftest import SUBNET, make_user

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.both]

ROWS = 15_000
ZONE = "cn-beijing-6a"
SCANS = re.compile(r"(?:SCAN|Seq Scan on) (?:recycle_instance|U0)\b")
SORTS = ("TEMP B-TREE", "Sort")


@pytest.fixture(scope="module")
def filled(django_db_setup, django_db_blocker) -> Iterator[int]:
    """As many instances as the planner needs to have a choice; the account that owns a fifth."""
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            # What other tests took back still lies in the table and in its indexes.
            _execute("TRUNCATE recycle_instance CASCADE")
        account = fill(timezone.now())
        _execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
        yield account.pk
        call_command("flush", interactive=False, verbosity=0)


def fill(now: datetime) -> Account:
    ours, other = (Account.objects.create(name=name) for name in ("Ours", "Other"))
    zone = Zone.objects.create(code=ZONE, region=Region.objects.create(code="cn-beijing-6"))
    shape = InstanceType.objects.create(name="N3.2B", family="N3", vcpu=2, memory_gb=4)
    rows = []
    for number in range(ROWS):
        state = (State.ACTIVE, State.STOPPED, State.RECYCLED, State.EXPIRED, State.PURGED)[
            number % 5
        ]
        monthly = state == State.EXPIRED or number % 10 == 0
        left = timedelta(minutes=number - ROWS // 2)
        row = Instance(
            id=UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128),
            account=ours if number % 50 < 10 else other,
            zone=zone,
            instance_type=shape,
            name=f"{'needle' if number % 1000 < 5 else 'web'}-{number:05}",
            state=state,
            billing_mode=BillingMode.MONTHLY if monthly else BillingMode.DAILY,
            private_ip=f"10.9.{number // 250}.{number % 250}",
            subnet_id=SUBNET,
            created_at=now - timedelta(minutes=number),
            changed_at=now,
            expires_at=now + left if monthly else None,
        )
        if state == State.ACTIVE and not monthly:
            row.delete_at = now + left
        if state in (State.RECYCLED, State.EXPIRED):
            row.purge_at = now + left
        if state == State.RECYCLED:
            row.recycled_at = now + left - timedelta(days=5)
            row.retention_kind = RetentionKind.STANDARD
        if state == State.RECYCLED and number % 4 == 0:
            row.quarantined_at = now - timedelta(minutes=number)
        if state == State.PURGED:
            row.purged_at = now - timedelta(minutes=number)
        rows.append(row)
    Instance.objects.bulk_create(rows, batch_size=400)
    return ours


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def crowd(filled, db) -> Account:
    if connection.vendor == "sqlite":
        # What a test has analysed is taken back with it, but not what SQLite knows by it.
        _execute("ANALYZE sqlite_schema")
    return Account.objects.get(pk=filled)


def found_in_order(rows, index: str) -> None:
    plan = rows.values_list("pk")[:50].explain()
    assert index in plan, plan
    assert not SCANS.search(plan), plan
    assert not any(sort in plan for sort in SORTS), plan


PASSES = {
    "instance_due": lambda now: Instance.objects.due_for_purge(now - timedelta(days=1)),
    "instance_expiring": lambda now: Instance.objects.due_to_expire(now - timedelta(days=1)),
    "instance_scheduled": lambda now: Instance.objects.due_to_delete(now - timedelta(days=1)),
    "instance_purged": lambda now: Instance.objects.purged_before(now - timedelta(days=3), now),
}


LISTS = [
    (BinFilter, "purge_at", "instance_bin_soonest"),
    (BinFilter, "recycled_at", "instance_bin_newest"),
    (ExpiredFilter, "purge_at", "instance_bin_soonest"),
    (QuarantineFilter, "quarantined_at", "instance_quarantined"),
    (InstanceFilter, "created_at", "instance_living_newest"),
    (InstanceFilter, "name", "instance_living_name"),
]
ROWS_OF = {
    BinFilter: Instance.objects.all().in_bin,
    ExpiredFilter: Instance.objects.all().expired,
    QuarantineFilter: Instance.objects.all().in_quarantine,
    InstanceFilter: Instance.objects.all().living,
}


def test_everything_that_is_asked_often_is_found_by_an_index_and_in_order(crowd, now):
    for index, due in PASSES.items():
        found_in_order(due(now), index)
    for form, column, index in LISTS:
        for sign in ("", "-"):
            rows = ROWS_OF[form]().filter(account=crowd)
            found_in_order(rows.order_by(f"{sign}{column}", f"{sign}pk"), index)
    ours = Instance.objects.filter(account=crowd)
    for rows in (ours.in_bin(), ours.expired(), ours.living(), ours.ending(), ours.in_quarantine()):
        counted = rows.order_by().values_list("pk").explain()
        assert "instance_" in counted, counted
        assert not SCANS.search(counted), counted


QUERIES = [
    {},
    {"q": "needle"},
    {"q": "web"},
    {"q": "nothing-like-it"},
    {"q": "10.9.7"},
    {"q": "9e37"},
    {"many": "needle-00000 10.9.7.1 9e3779b9-7f4a-7c15-f39c-c0605cedc835"},
    {"zone": ZONE, "billing": "Monthly"},
]


def test_no_list_reads_the_whole_table_whatever_its_order_and_filter(crowd, now):
    scope = Scope(by=make_user("alice", crowd, Role.VIEWER), account=crowd, now=now)
    for form, column, _index in LISTS:
        for sign, query in product(("", "-"), QUERIES):
            address = QueryDict(urlencode({"sort": f"{sign}{column}", **query}))
            asked = form(address, scope=scope)
            with CaptureQueriesContext(connection) as queries:
                page = asked.page(scope.instances())
            assert asked.is_valid()
            assert page.rows or query.keys() & {"q", "many", "billing"}
            for each in queries:
                if "recycle_instance" in each["sql"]:
                    plan = plan_of(each["sql"])
                    assert not SCANS.search(plan), (query, plan)


@pytest.mark.parametrize("name", ["instances", "bin", "expired", "quarantine"])
def test_the_statements_of_a_page_itself_read_no_more_than_they_show_and_count_by_an_index_alone(
    client, crowd, name
):
    client.force_login(make_user("alice", crowd, Role.VIEWER))
    for sort in {"bin": BinFilter, "instances": InstanceFilter}.get(name, ExpiredFilter).sorts:
        address = f"{reverse(f'recycle:{name}')}?sort={sort if name != 'quarantine' else ''}"
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        asked = [each["sql"] for each in queries if 'FROM "recycle_instance"' in each["sql"]]
        counts = [sql for sql in asked if "COUNT(*)" in sql]
        [rows] = [sql for sql in asked if sql not in counts]
        assert counts
        # Few enough to be put in order without an index, which a database may then prefer.
        assert not SCANS.search(plan_of(rows)), plan_of(rows)
        assert 'JOIN "recycle_instancetype"' not in rows
        for sql in counts:
            assert not SCANS.search(plan_of(sql)), plan_of(sql)
            # Nothing of a row is counted but that it is there.
            assert "detail" not in sql
            if connection.vendor == "sqlite":
                assert "SEARCH recycle_instance USING INDEX" not in plan_of(sql), plan_of(sql)


def test_the_overview_reads_by_the_index_of_the_account(client, crowd):
    client.force_login(make_user("alice", crowd, Role.VIEWER))
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse("recycle:overview")).status_code == 200

    plans = [plan_of(each["sql"]) for each in queries if "recycle_instance" in each["sql"]]
    assert plans
    for plan in plans:
        assert "instance_due" not in plan, plan
        assert not SCANS.search(plan), plan
    # Of what the chart counts, 24 times, no row is read.
    [chart] = [plan for plan in plans if plan.count("instance_bin_soonest") >= 24]
    assert "Bitmap Heap Scan on recycle_instance" not in chart, chart
    assert "SEARCH recycle_instance USING INDEX" not in chart, chart


def test_a_text_is_found_by_an_index_of_its_own(crowd):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite looks through what the account has in the list.")
    for rows in (Instance.objects.living(), Instance.objects.in_bin(), Instance.objects.expired()):
        assert "instance_name_trigrams" in rows.filter(has("needle", "name")).explain()
        by_address = rows.filter(address_begins("private_ip", "10.9.7"))
        assert "instance_private_ip_text" in by_address.explain()
        plan = rows.filter(has("needle", "name") | id_begins("9e3779")).explain()
        assert "BitmapOr" in plan, plan


def test_the_log_is_read_in_order_and_between_two_days_by_one_index(crowd, now):
    batch = UUID(int=1)
    Event.objects.bulk_create(
        Event(account=crowd, at=now - timedelta(minutes=number), batch=batch, action="start")
        for number in range(5_000)
    )
    _execute("ANALYZE")
    ours = Event.objects.filter(account=crowd)
    day = ours.filter(at__gte=now - timedelta(days=2), at__lt=now - timedelta(days=1))

    for rows in (ours, day):
        found_in_order(rows.order_by("-at", "-pk"), "event_newest")
        found_in_order(rows.order_by("at", "pk"), "event_newest")


def test_the_tags_are_read_in_order(crowd):
    Tag.objects.bulk_create(
        Tag(account=crowd, key=f"key-{number // 3}", value=str(number)) for number in range(3_000)
    )
    _execute("ANALYZE")
    tags = Tag.objects.filter(account=crowd)

    found_in_order(tags.order_by("key", "pk"), "tag_key")
    found_in_order(tags.order_by("-key", "-pk"), "tag_key")


def plan_of(statement: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {statement}")
        return "\n".join(str(row) for row in cursor.fetchall())


def test_what_the_metrics_ask_is_found_by_an_index(crowd, now):
    with CaptureQueriesContext(connection) as asked:
        look(now - timedelta(days=1))

    *of_instances, of_jobs, of_passes = [query["sql"] for query in asked.captured_queries]
    assert "recycle_batchjob" in of_jobs
    assert "recycle_sweep" in of_passes
    assert len(of_instances) == 3
    for statement in of_instances:
        plan = plan_of(statement)
        # The whole of an index of nothing but these, without their rows, is what is wanted.
        plan = plan.replace("SCAN recycle_instance USING COVERING INDEX", "")
        assert "instance_" in plan, plan
        assert not SCANS.search(plan), plan


def test_every_order_of_these_lists_is_tried_here():
    assert {(form, f"{sign}{column}") for form, column, _ in LISTS for sign in ("", "-")} == {
        (form, sort) for form in ROWS_OF for sort in form.sorts
    }


def test_no_word_of_anybody_else_is_written_into_a_statement(make_instance):
    with pytest.raises(ValueError, match="is no plain word"):
        Instance.objects.filter(state__one_of=["x' OR 'a' = 'a"]).exists()
