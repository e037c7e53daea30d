"""Where the time in the bin comes from, as kind and subject; filled by the next migration."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recycle", "0018_event_edge")]

    operations = [
        # Nullable and without a default: SQLite adds them in place instead of copying the table.
        migrations.AddField(
            "instance",
            "retention_kind",
            models.CharField(
                blank=True,
                choices=[
                    ("standard", "standard"),
                    ("account", "set for the account"),
                    ("rule", "rule"),
                    ("extended", "extended"),
                ],
                max_length=16,
                null=True,
                verbose_name="retention",
            ),
        ),
        migrations.AddField(
            "instance",
            "retention_subject",
            models.CharField(
                blank=True, max_length=400, null=True, verbose_name="subject of the retention"
            ),
        ),
        migrations.AlterField(
            "instance",
            "retention",
            models.CharField(blank=True, editable=False, max_length=420, verbose_name="retention"),
        ),
    ]
