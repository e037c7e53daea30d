"""Events say through which edge they were asked for; null in the old ones."""

from django.db import migrations, models

EDGES = [
    ("page", "Page"),
    ("admin", "Admin"),
    ("api", "API"),
    ("schedule", "Schedule"),
    ("command", "Command line"),
]


def edge() -> models.CharField:  # type: ignore[type-arg]
    # Nullable and without a default: SQLite adds it in place instead of copying the table.
    return models.CharField(
        blank=True, choices=EDGES, max_length=16, null=True, verbose_name="through"
    )


class Migration(migrations.Migration):
    dependencies = [("recycle", "0017_log_indexes")]

    operations = [
        migrations.AddField("event", "edge", edge()),
        migrations.AddField("auditevent", "edge", edge()),
    ]
