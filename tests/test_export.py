"""CSV: all that matches the filter, streamed, and safe to open in a spreadsheet."""

import csv
import io
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone, translation

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Event, Instance, User
from recycle.policy import BillingMode
from recycle.urls import urlpatterns
from recycle.views import lists
from tests.conftest import acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

EXPORTS = ("export_instances", "export_bin", "export_expired", "export_log")


@pytest.fixture
def export(client, alice):
    """The rows of a CSV as dicts, as Alice gets it."""
    client.force_login(alice)

    def export(name, **query):
        return rows_of(client.get(reverse(f"recycle:{name}"), query))

    return export


def rows_of(response):
    assert response.status_code == 200
    text = response.getvalue().decode("utf-8-sig")
    *rows, last = csv.DictReader(io.StringIO(text, newline=""))
    # The file says that it is complete, and is as wide there as everywhere.
    assert list(last.values()) == [f"End of the file. Rows: {len(rows)}", *[""] * (len(last) - 1)]
    return rows


@pytest.fixture
def one_of_each(alice, make_instance, now):
    for state in (State.ACTIVE, State.EXPIRED):
        make_instance(state, name=state.value)
    recycled = make_instance(name="recycled")
    actions.delete(
        Instance.objects.filter(pk=recycled.pk),
        may_release=False,
        context=acting(alice, now, reason="wrong, “stack”"),
    )


def test_every_list_exports_what_it_shows(export, one_of_each):
    assert sorted(row["Name"] for row in export("export_instances")) == ["active", "expired"]
    assert [row["Name"] for row in export("export_bin")] == ["recycled"]
    assert [row["Name"] for row in export("export_expired")] == ["expired"]
    assert [row["Name"] for row in export("export_log")] == ["recycled"]


def test_a_row_has_what_is_worth_knowing(export, one_of_each, now):
    instance = Instance.objects.get(name="recycled")

    (row,) = export("export_bin")
    (event,) = export("export_log")

    assert (row["Instance ID"], row["Private IP"]) == (str(instance.pk), instance.private_ip)
    assert (row["Deleted by"], row["Billing mode"]) == ("alice", "Pay-By-Daily-Config")
    assert row["Ends"] == (now + timedelta(hours=2)).isoformat(sep=" ", timespec="seconds")
    assert (event["Reason"], event["By"], event["From"], event["To"]) == (
        "wrong, “stack”",
        "alice",
        "Running",
        "Recycled",
    )


def test_the_filter_and_the_order_are_honoured(export, make_instance):
    for name in ("web-2", "db", "web-1"):
        make_instance(State.STOPPED, name=name)
    make_instance(name="web-3")

    rows = export("export_instances", q="web", status="stopped", sort="name")

    assert [row["Name"] for row in rows] == ["web-1", "web-2"]


def test_it_is_the_whole_list_whatever_page_is_shown(export, client, make_instance):
    for _ in range(12):
        make_instance(State.RECYCLED)
    cursor = str(client.get(reverse("recycle:bin"), {"size": "10"}).context["page"].next)

    assert len(export("export_bin", size="10", cursor=cursor)) == 12


def test_it_is_streamed_in_batches(
    client, alice, make_instance, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr(lists, "ROWS_AT_ONCE", 25)
    for _ in range(60):
        make_instance()
    client.force_login(alice)

    with django_assert_max_num_queries(6):
        response = client.get(reverse("recycle:export_instances"))
        pieces = list(response.streaming_content)

    assert isinstance(response, StreamingHttpResponse)
    assert [piece.count(b"\r\n") for piece in pieces] == [26, 25, 11]


@pytest.mark.parametrize("rows", [0, 3, 4, 6])
def test_no_row_is_lost_between_two_batches(export, make_instance, monkeypatch, rows):
    monkeypatch.setattr(lists, "ROWS_AT_ONCE", 3)
    made = {make_instance().name for _ in range(rows)}

    found = [row["Name"] for row in export("export_instances")]

    assert len(found) == rows
    assert set(found) == made


# --- What a stream needs is fixed before it begins ------------------------------------------------


def later(response):
    """The rows as a server reads them: when the request is over, and its thread speaks for somebody
    else.
    """
    with timezone.override("America/New_York"), translation.override("de"):
        text = response.getvalue().decode("utf-8-sig")
        assert timezone.get_current_timezone_name() == "America/New_York"
        assert translation.get_language() == "de"
    return list(csv.reader(io.StringIO(text, newline="")))


PAGES = [str(pattern.name) for pattern in urlpatterns if str(pattern.name).startswith("export_")]


@pytest.fixture
def three_days(account, make_instance, make_volume, now):
    """Every six hours of three days, all in the middle of the night somewhere."""
    start = now.replace(hour=0, minute=30, second=0, microsecond=0) - timedelta(days=3)
    for hours in range(0, 72, 6):
        moment = start + timedelta(hours=hours)
        make_instance(State.RECYCLED, recycled_at=moment, purge_at=now + timedelta(hours=1))
        Event.objects.create(
            account=account, at=moment, batch="0" * 32, action="start", instance_name="web"
        )
    return start


@pytest.mark.parametrize("tz", ["Asia/Shanghai", "America/Los_Angeles", "UTC"])
def test_a_day_has_the_same_rows_on_the_page_and_in_the_file(client, alice, three_days, tz):
    client.force_login(alice)
    client.cookies["tz"] = tz
    day = f"{three_days + timedelta(days=1):%Y-%m-%d}"

    for name, query in (
        ("bin", {"deleted_from": day, "deleted_to": day}),
        ("log", {"since": day, "until": day}),
    ):
        shown = (
            client.get(reverse(f"recycle:{name}"), {**query, "size": "100"}).context["page"].rows
        )
        head, *rows, _last = later(client.get(reverse(f"recycle:export_{name}"), query))

        assert len(rows) == len(shown) == 4
        times = {
            timezone.localtime(getattr(row, "recycled_at", None) or row.at, ZoneInfo(tz))
            for row in shown
        }
        told = {row[head.index("Deleted" if name == "bin" else "Time")] for row in rows}
        # In the zone of the viewer, and it says which that is.
        assert told == {moment.isoformat(sep=" ", timespec="seconds") for moment in times}
        assert all(moment.startswith(day) for moment in told)


@pytest.mark.alike
@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("name", PAGES)
def test_the_file_speaks_the_language_of_the_request(
    client, alice, make_instance, bind, oscar, now, name, language
):
    for state, mode in (
        (State.STOPPED, BillingMode.DAILY),
        (State.RECYCLED, BillingMode.DAILY),
        (State.EXPIRED, ""),
    ):
        instance = make_instance(state, mode) if mode else make_instance(state)
    bind(instance)
    actions.stop(Instance.objects.filter(state=State.STOPPED), context=acting(oscar, now))
    actions.start(Instance.objects.filter(state=State.STOPPED), context=acting(oscar, now))
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    client.force_login(alice)
    client.cookies["django_language"] = language
    address = reverse(f"recycle:{name}")

    at_once = client.get(address).getvalue().decode("utf-8-sig")
    rows = later(client.get(address))

    assert len(rows) > 1
    assert rows == list(csv.reader(io.StringIO(at_once, newline="")))
    # Whatever has Chinese letters is a label here: none in the English file, none left out of the
    # Chinese one.
    chinese = {cell for row in rows for cell in row if re.search("[一-鿿]", cell)}
    english = {cell for row in rows for cell in row if cell in LABELS}
    assert bool(chinese) is (language == "zh-hans")
    assert bool(english) is (language == "en")


LABELS = {
    "Name",
    "Pay-By-Daily-Config",
    "Subscription",
    "Stopped",
    "Running",
    "In use",
    "Key",
    "Created",
    "Yes",
    "No",
}


def test_rights_are_those_of_the_request(client, alice, account, make_instance):
    make_instance(name="web")
    client.force_login(alice)

    response = client.get(reverse("recycle:export_instances"))
    make_instance(name="later")
    alice.memberships.all().delete()

    assert [row[1] for row in later(response)] == ["Name", "web", ""]


def test_an_error_of_the_query_is_an_answer_and_no_file_that_breaks_off(
    client, alice, make_instance, monkeypatch
):
    make_instance()
    client.force_login(alice)
    client.raise_request_exception = False

    with connection.execute_wrapper(_broken):
        response = client.get(reverse("recycle:export_log"))

    assert response.status_code == 500


def _broken(execute, sql, params, many, context):
    if '"recycle_event"' in sql:
        raise DatabaseError("gone")
    return execute(sql, params, many, context)


def test_nothing_else_is_streamed():
    """Whoever adds a stream reads there what has to be fixed before it begins."""
    streaming = {
        str(path.relative_to(settings.BASE_DIR))
        for place in ("recycle", "console")
        for path in (settings.BASE_DIR / place).rglob("*.py")
        if re.search(r"StreamingHttpResponse\(|FileResponse\(", path.read_text())
    }

    assert streaming == {"recycle/views/lists.py"}


def test_every_cell_is_quoted(client, alice, make_instance):
    make_instance(name="a")
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    client.force_login(alice)

    for name in PAGES:
        for line in (
            client.get(reverse(f"recycle:{name}")).getvalue().decode("utf-8-sig").splitlines()
        ):
            assert re.fullmatch(r'"[^"]*"(,"[^"]*")*', line)


def test_it_is_a_download_with_a_name_that_excel_reads_as_utf_8(client, alice, make_instance):
    make_instance(name="北京")
    client.force_login(alice)

    response = client.get(reverse("recycle:export_instances"))

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="instances-')
    content = response.getvalue()
    assert content.startswith("\ufeff".encode())
    assert "北京" in content.decode()


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0")


@pytest.mark.alike
@pytest.mark.parametrize("name", FORMULAS)
def test_what_a_spreadsheet_would_calculate_is_only_text(export, make_instance, name):
    make_instance(name=name)

    (row,) = export("export_instances")

    assert row["Name"] == f"'{name}"


def test_commas_quotes_and_lines_stay_in_their_cell(export, make_instance):
    make_instance(name='a,"b"\nc')

    assert export("export_instances")[0]["Name"] == 'a,"b"\nc'


def test_only_the_rows_of_ones_own_account(client, mallory, one_of_each):
    client.force_login(mallory)

    for name in EXPORTS:
        assert rows_of(client.get(reverse(f"recycle:{name}"))) == []


@pytest.mark.alike
@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize(
    "query", [{"region": "mars"}, {"sort": "x"}, {"cursor": "x"}, {"q": "\0"}, {"size": "7"}]
)
def test_a_filter_that_makes_no_sense_exports_nothing(client, alice, one_of_each, name, query):
    client.force_login(alice)

    response = client.get(reverse(f"recycle:{name}"), query)

    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/plain")
    assert b"active" not in response.content
