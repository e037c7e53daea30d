"""Whoever writes a text that searches look for writes what it is found by: watched in every test of
the suite.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from recycle.models.folded import FoldedField

# By table: the columns of the texts, each with the folded one beside it.
BESIDE = {
    model._meta.db_table: found
    for model in apps.get_app_config("recycle").get_models()
    if (
        found := {
            field.of: field.name
            for field in model._meta.get_fields()
            if isinstance(field, FoldedField)
        }
    )
}
WRITES = re.compile(
    r'INSERT (?:OR IGNORE )?INTO "(?P<into>\w+)" \((?P<columns>[^)]*)\)'
    r'|UPDATE "(?P<table>\w+)" SET (?P<set>.*)',
    re.DOTALL,
)


def bypasses(sql: str) -> list[str]:
    """The texts that this statement writes without what they are found by."""
    written = WRITES.match(sql.strip())
    if not written:
        return []
    beside = BESIDE.get(written["into"] or written["table"], {})
    if written["into"]:
        columns = set(re.findall(r'"(\w+)"', written["columns"]))
    else:
        columns = set(
            re.findall(r'"(\w+)" = ', written["set"].rpartition(" WHERE ")[0] or written["set"])
        )
    return [text for text, folded in beside.items() if text in columns and folded not in columns]


def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    assert not bypasses(sql), f"what a search finds is not written along: {bypasses(sql)} in {sql}"
    return execute(sql, params, many, context)


@pytest.fixture(autouse=True)
def folded_along() -> Iterator[None]:
    with connection.execute_wrapper(watch):
        yield


@contextmanager
def unwatched() -> Iterator[None]:
    """Without what looks at the statements of every test: the ones of before knew no rule
    of today.
    """
    watching = connection.execute_wrappers[:]
    connection.execute_wrappers.clear()
    try:
        yield
    finally:
        connection.execute_wrappers[:] = watching
