"""`manage.py lint` runs this: it names what a migration would take from the release before, which
still runs on other nodes while one after the other is upgraded.

django-migration-linter reads the SQL instead, of which SQLite, where `lint` runs, shows little: it
makes tables anew.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

import django
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED, Field, GeneratedField

from console.schema import History

APP = "recycle"
# Written before nodes were upgraded one after the other; releases were stopped before an upgrade.
LAST_EXEMPT = "0020_fill_retention_kind"

TWO_RELEASES = (
    "first a release whose models do not have it (`SeparateDatabaseAndState` with it in "
    "`state_operations`, and a default in the database), then one that takes it out of the "
    "database (in `database_operations`)"
)
GONE = {
    operations.RemoveField: "takes a column away",
    operations.RenameField: "gives a column another name",
    operations.DeleteModel: "takes a table away",
    operations.RenameModel: "gives a table another name",
    operations.AlterModelTable: "gives a table another name",
}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    loader = History(None)
    found: list[str] = []
    for app, name in sorted(loader.disk_migrations):
        if app == APP and name > LAST_EXEMPT:
            before = loader.project_state((app, name), at_end=False)
            found += complaints(loader.disk_migrations[app, name], before)
    print("\n".join(found))
    return 1 if found else 0


def complaints(migration: Migration, before: ProjectState) -> Iterator[str]:
    """Say what of a migration the release before, with the models of `before`, cannot live with."""
    state = before.clone()
    known = set(state.models)
    for operation in migration.operations:
        for part in _of_the_database(operation):
            model = getattr(
                part, "model_name", getattr(part, "old_name", getattr(part, "name", ""))
            )
            # A table that this migration makes is nothing that anybody else knows.
            if (migration.app_label, model.lower()) in known and (why := _why_not(part, state)):
                yield f"{migration}: {part.describe()}: {why}."
        operation.state_forwards(migration.app_label, state)


def _of_the_database(operation: Operation) -> list[Operation]:
    if isinstance(operation, operations.SeparateDatabaseAndState):
        # What is done to the database alone, the release before does not have in its models.
        return []
    return [operation]


def _why_not(operation: Operation, state: ProjectState) -> str:
    for kind, what in GONE.items():
        if isinstance(operation, kind):
            return f"{what} that the release before uses; do it in two: {TWO_RELEASES}"
    if isinstance(operation, operations.AddField) and _has_to_be_given(operation.field):
        return (
            "the release before writes rows without this column; give it `null=True` or a "
            "`db_default`"
        )
    if isinstance(operation, operations.AlterField):
        model = state.models[APP, operation.model_name_lower]
        if model.fields[operation.name].null and _has_to_be_given(operation.field):
            return "the release before writes rows without a value; give it a `db_default`"
    return ""


def _has_to_be_given(field: "Field[Any, Any]") -> bool:
    """Whether a row cannot be written without naming this column."""
    if field.many_to_many or isinstance(field, GeneratedField):
        return False
    return not field.null and field.db_default is NOT_PROVIDED


if __name__ == "__main__":
    sys.exit(main())
