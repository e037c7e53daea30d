"""What SQLite with one writer needs."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

pytestmark = pytest.mark.django_db


def test_a_new_connection_needs_no_lock_to_know_what_its_database_can_do():
    """While somebody writes for long the question would fail, and every page with JSON from then
    on.
    """
    fresh = connection.copy()
    try:
        with CaptureQueriesContext(fresh) as asked:
            assert fresh.features.supports_json_field
    finally:
        fresh.close()

    assert not [
        query
        for query in asked.captured_queries
        if "BEGIN" in query["sql"] or "JSON" in query["sql"]
    ]
