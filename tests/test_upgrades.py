"""Migrations that the release before cannot live with are refused by `lint`."""

from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.functions import Lower

from console.upgrades import complaints


def _complaints(*operations):
    """What is said of a migration of a table with two columns."""
    before = ProjectState()
    fields: list[tuple[str, Any]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=9)),
        ("note", models.CharField(max_length=9, null=True)),
    ]
    before.add_model(ModelState("recycle", "Thing", fields))
    migration = migrations.Migration("0099_change", "recycle")
    migration.operations = list(operations)  # type: ignore[misc]
    return list(complaints(migration, before))


TEXT = models.CharField(max_length=9)
LOWER = models.GeneratedField(expression=Lower("name"), output_field=TEXT, db_persist=True)
REMOVED = migrations.RemoveField("thing", "name")
NEW = migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))])


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (REMOVED, "takes a column away"),
        (migrations.RenameField("thing", "name", "title"), "gives a column another name"),
        (migrations.DeleteModel("Thing"), "takes a table away"),
        (migrations.RenameModel("Thing", "Object"), "gives a table another name"),
        (migrations.AlterModelTable("Thing", "other"), "gives a table another name"),
        (migrations.AddField("thing", "size", TEXT), "writes rows without this column"),
        (
            migrations.AddField("thing", "size", models.CharField(max_length=9, default="")),
            "writes rows without this column",
        ),
        (migrations.AlterField("thing", "note", TEXT), "writes rows without a value"),
    ],
)
def test_what_the_release_before_cannot_live_with_is_refused(operation, words):
    (complaint,) = _complaints(operation)

    assert complaint.startswith("recycle.0099_change: ")
    assert words in complaint


@pytest.mark.parametrize(
    "operations",
    [
        [migrations.AddField("thing", "size", models.CharField(max_length=9, null=True))],
        [migrations.AddField("thing", "size", models.CharField(max_length=9, db_default=""))],
        [migrations.AddField("thing", "name_lower", LOWER)],
        [migrations.AlterField("thing", "name", models.CharField(max_length=20))],
        [migrations.SeparateDatabaseAndState(state_operations=[REMOVED])],
        [migrations.SeparateDatabaseAndState(database_operations=[REMOVED])],
        [NEW, migrations.AddField("new", "size", TEXT), migrations.DeleteModel("New")],
    ],
)
def test_what_both_releases_can_live_with_is_fine(operations):
    assert _complaints(*operations) == []
