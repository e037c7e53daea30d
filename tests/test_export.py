"""CSV: all that matches the filter, streamed, and safe to open in a spreadsheet."""

import csv
import io
from datetime import timedelta

import pytest
from django.http import StreamingHttpResponse
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Instance

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
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def one_of_each(alice, make_instance, now):
    for state in (State.ACTIVE, State.EXPIRED):
        make_instance(state, name=state.value)
    recycled = make_instance(name="recycled")
    actions.delete(
        Instance.objects.filter(pk=recycled.pk), by=alice, may_release=False, reason="wrong, “stack”", now=now
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


def test_it_is_streamed_in_batches(client, alice, make_instance, django_assert_max_num_queries):
    for _ in range(60):
        make_instance()
    client.force_login(alice)

    with django_assert_max_num_queries(6):
        response = client.get(reverse("recycle:export_instances"))
        lines = list(response.streaming_content)

    assert isinstance(response, StreamingHttpResponse)
    assert len(lines) > 60


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


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("query", [{"region": "mars"}, {"sort": "x"}, {"cursor": "x"}, {"q": "\0"}, {"size": "7"}])
def test_a_filter_that_makes_no_sense_exports_nothing(client, alice, one_of_each, name, query):
    client.force_login(alice)

    response = client.get(reverse(f"recycle:{name}"), query)

    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/plain")
    assert b"active" not in response.content
