"""Moments as they come from PostgreSQL, which the console reads in its own way, for speed."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, connection
from django.db.backends.postgresql.psycopg_any import register_tzloader

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.postgres,
    pytest.mark.both,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's texts"),
]


def read(text: str, *, as_django: bool = False) -> datetime:
    with connection.cursor() as cursor:
        if as_django:
            register_tzloader(UTC, cursor.cursor)
        cursor.execute("SELECT %s::timestamptz", [text])
        moment: datetime = cursor.fetchone()[0]
    return moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-27 14:12:47.123456+00",
        "2026-11-27 14:12:47.12+00",
        "2026-11-27 14:12:47+00",
        "2026-11-27 14:12:47+05:30",
        "0001-01-01 00:00:00+00",
        "9999-12-31 23:59:59.999999+00",
    ],
)
def test_a_moment_is_the_one_that_django_reads_in_the_same_zone(text):
    ours, djangos = read(text), read(text, as_django=True)

    assert ours == djangos
    assert ours.tzinfo is djangos.tzinfo is UTC


@pytest.mark.parametrize("text", ["infinity", "0044-03-15 01:00:00+00 BC", "20000-01-01 00:00+00"])
def test_what_python_has_no_moment_for_is_refused_as_by_django(text):
    for as_django in (False, True):
        with pytest.raises(DataError):
            read(text, as_django=as_django)


@pytest.mark.parametrize("style", ["SQL, DMY", "German"])
def test_another_way_to_write_dates_is_left_to_django(style):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL DateStyle TO %s", [style])

    with pytest.raises(Exception, match=r"(?i)datestyle|can't parse"):
        read("2026-11-27 14:12:47.5+00")
