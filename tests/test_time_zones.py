"""Days and hours are the viewer's; the database is told moments, never the name of a zone, which it
may not know.
"""

import shutil
import zoneinfo
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recycle.days import begins, next_days, next_hours, within
from recycle.lifecycle import State
from recycle.models import ElasticIP, Event, Instance, Volume
from recycle.urls import urlpatterns

pytestmark = pytest.mark.both

# Names that browsers report and that not every database knows, and one that only Python knows.
LEGACY = ["Asia/Calcutta", "Asia/Saigon", "Europe/Kiev", "America/Argentina/Buenos_Aires"]
UNKNOWN = "Mars/Olympus_Mons"


@pytest.fixture
def only_python_knows(tmp_path):
    """A zone that is in nobody's database, as those of the browser can be."""
    (tmp_path / "Mars").mkdir()
    known = (Path(path, "Asia/Kolkata") for path in zoneinfo.TZPATH)
    shutil.copy(next(path for path in known if path.exists()), tmp_path / UNKNOWN)
    zoneinfo.reset_tzpath([str(tmp_path), *zoneinfo.TZPATH])
    yield UNKNOWN
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache(only_keys=[UNKNOWN])


@pytest.fixture
def everything(alice, make_instance, bind, make_tag):
    """Something on every page; returns the pages' addresses, with filters by day where there are
    any.
    """
    for state in State:
        instance = make_instance(state)
        if state in (State.ACTIVE, State.EXPIRED):
            bind(instance)
    ids = {
        "instance": [row.pk for row in Instance.objects.all()],
        "volume": [row.pk for row in Volume.objects.all()],
        "address": [row.pk for row in ElasticIP.objects.all()],
        "tag": [make_tag("k").pk],
    }
    days = {
        "deleted_from": "2026-03-01",
        "deleted_to": "2099-03-01",
        "since": "2026-03-01",
        "until": "2099-03-01",
    }
    pages = []
    for pattern in urlpatterns:
        if "<" not in str(pattern.pattern):
            pages += [
                (reverse(f"recycle:{pattern.name}"), query) for query in ({}, days, {"span": "7d"})
            ]
        elif pattern.name in ids:
            pages += [
                (reverse(f"recycle:{pattern.name}", args=[pk]), {}) for pk in ids[pattern.name]
            ]
    return pages


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("tz", [*LEGACY, UNKNOWN])
def test_no_statement_names_the_zone_of_the_browser(
    client, alice, everything, only_python_knows, tz
):
    client.force_login(alice)
    client.cookies["tz"] = tz

    with CaptureQueriesContext(connection) as queries:
        answers = Counter(_status(client.get(address, query)) for address, query in everything)

    assert len(queries) > 100
    assert answers[200] > 30
    assert not {status for status in answers if status >= 500}
    told = "\n".join(query["sql"] for query in queries)
    assert tz not in told
    assert tz.partition("/")[0] not in told


def _status(response):
    if response.streaming:
        list(response.streaming_content)
    return response.status_code


@pytest.mark.django_db
@pytest.mark.parametrize("tz", ["Asia/Shanghai", UNKNOWN, "America/New_York"])
def test_a_day_of_the_filter_is_a_day_of_the_viewer(
    client, alice, account, make_instance, only_python_knows, tz
):
    day = date(2026, 3, 8)
    start = datetime.combine(day, datetime.min.time(), ZoneInfo(tz)).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(tz)).astimezone(
        UTC
    )
    second = timedelta(seconds=1)
    for name, moment in {
        "before": start - second,
        "first": start,
        "last": end - second,
        "after": end,
    }.items():
        times = {"recycled_at": moment, "purge_at": moment + timedelta(hours=2)}
        make_instance(State.RECYCLED, name=name, **times)
        Event.objects.create(
            account=account, at=moment, batch="0" * 32, action="start", instance_name=name
        )
    client.force_login(alice)
    client.cookies["tz"] = tz

    binned = (
        client.get(reverse("recycle:bin"), {"deleted_from": day, "deleted_to": day})
        .context["page"]
        .rows
    )
    events = client.get(reverse("recycle:log"), {"since": day, "until": day}).context["page"].rows

    assert (
        {row.name for row in binned}
        == {event.instance_name for event in events}
        == {"first", "last"}
    )
    assert end - start == timedelta(hours=23 if tz == "America/New_York" else 24)


LENGTHS = [
    ("America/New_York", date(2026, 3, 8), 23),
    ("America/New_York", date(2026, 11, 1), 25),
    ("Europe/Berlin", date(2026, 3, 29), 23),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    # Where the clock is put forward at midnight, and where a whole day was left out.
    ("America/Havana", date(2026, 3, 8), 23),
    ("Pacific/Apia", date(2011, 12, 30), 0),
    ("Asia/Shanghai", date(2026, 3, 8), 24),
]


@pytest.mark.parametrize(("name", "day", "hours"), LENGTHS)
def test_days_have_the_hours_that_the_clock_shows(name, day, hours):
    zone = ZoneInfo(name)

    start, end = begins(day, zone), begins(day + timedelta(days=1), zone)

    assert end - start == timedelta(hours=hours)
    assert timezone.localtime(end, zone).date() == day + timedelta(days=1)
    if hours:
        assert (
            timezone.localtime(start, zone).date()
            == timezone.localtime(end - timedelta(seconds=1), zone).date()
        )


@pytest.mark.parametrize("day", [date.min, date.max])
@pytest.mark.parametrize("tz", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_the_ends_of_the_calendar_are_days_like_any_other(day, tz):
    with timezone.override(ZoneInfo(tz)):
        assert begins(day, ZoneInfo(tz)).utcoffset() == timedelta(0)
        assert len(within("at", day, day)) == (1 if day == date.max else 2)


# Half past one in New York, an hour before its clock jumps; half past ten in Kolkata.
NIGHT = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)


def test_the_next_hours_are_hours_also_when_the_clock_jumps():
    with timezone.override(ZoneInfo("America/New_York")):
        hours = next_hours(NIGHT, 3)

        assert [f"{timezone.localtime(hour):%H:%M}" for hour in hours] == [
            "01:00",
            "03:00",
            "04:00",
            "05:00",
        ]
    with timezone.override(ZoneInfo("Asia/Calcutta")):
        hours = next_hours(NIGHT, 2)

        assert [f"{timezone.localtime(hour):%H:%M}" for hour in hours] == [
            "12:00",
            "13:00",
            "14:00",
        ]


def test_the_next_days_are_days_also_when_one_is_shorter():
    with timezone.override(ZoneInfo("America/New_York")):
        days = next_days(NIGHT, 2)

    assert days == [
        datetime(2026, 3, 8, 5, tzinfo=UTC),
        datetime(2026, 3, 9, 4, tzinfo=UTC),
        datetime(2026, 3, 10, 4, tzinfo=UTC),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "tz", ["America/New_York", "Asia/Calcutta", UNKNOWN, "Australia/Lord_Howe"]
)
@pytest.mark.parametrize("span", ["", "7d"])
def test_the_chart_counts_in_the_hours_and_days_of_the_viewer(
    client, alice, make_instance, only_python_knows, tz, span
):
    with time_machine.travel(NIGHT, tick=False):
        make_instance(
            State.RECYCLED,
            recycled_at=NIGHT - timedelta(hours=3),
            purge_at=NIGHT - timedelta(hours=1),
        )
        for half_hours in range(0, 400, 5):
            times = {
                "recycled_at": NIGHT - timedelta(hours=1),
                "purge_at": NIGHT + half_hours * timedelta(minutes=30),
            }
            make_instance(State.RECYCLED, **times)
        client.force_login(alice)
        client.cookies["tz"] = tz
        bars = client.get(reverse("recycle:overview"), {"span": span}).context["bars"]

    # Told once more, another way: by looking at every instance's own clock.
    def slot(moment):
        local = moment.astimezone(ZoneInfo(tz))
        return local.strftime("%Y-%m-%d" if span else "%Y-%m-%d %H:00")

    moments = [max(row.purge_at or NIGHT, NIGHT) for row in Instance.objects.all()]
    counted = Counter(map(slot, moments))
    assert [bar.count.number for bar in bars] == [counted[slot(bar.start)] for bar in bars]
    assert sum(bar.count.number for bar in bars) >= 10
    assert len({bar.start for bar in bars}) == len(bars) == (7 if span else 24)
