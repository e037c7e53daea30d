"""What the lists are found by. Trigrams, and addresses as text, have no words in Django."""

from django.db import migrations, models

# Conditions that what is purged does not meet: the purge of an instance writes to none of these.
TEXTS = {
    # The search for a part of a name: InstanceListForm.
    "instance_name_trigrams": "USING gin (name_folded gin_trgm_ops)",
    # The search for the beginning of a private IP. (HOST() is how Django writes it.)
    "instance_private_ip_text": "(HOST(private_ip) text_pattern_ops)",
}


def add(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        trigrams = _has_trigrams(cursor)
        for name, how in TEXTS.items():
            if trigrams or "trgm" not in how:
                cursor.execute(
                    f"CREATE INDEX {name} ON recycle_instance {how} WHERE state <> 'purged'"
                )


def _has_trigrams(cursor) -> bool:
    """Make the extension where that is possible; without it a search reads all names."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm'),"
        " EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm')"
        " AND has_database_privilege(current_database(), 'CREATE')"
    )
    there, possible = cursor.fetchone()
    if possible and not there:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    return there or possible


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in TEXTS:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):
    dependencies = [("recycle", "0024_job_agreement")]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["account", "-at", "-id"], name="event_newest"),
        ),
        migrations.RemoveIndex(model_name="event", name="event_of_account"),
        migrations.AddIndex(
            model_name="tag", index=models.Index(fields=["account", "key", "id"], name="tag_key")
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                fields=["account", "state", "no_fees", "id"],
                name="instance_living_status",
                condition=models.Q(("state__in", ("active", "stopped", "expired"))),
            ),
        ),
        migrations.RunPython(add, remove),
    ]
