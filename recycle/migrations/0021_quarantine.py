"""What fails waits aside: queues in the order of the next try, and a quarantine."""

import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recycle", "0020_fill_retention_kind"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="instance",
            name="instance_due",
        ),
        migrations.RemoveIndex(
            model_name="instance",
            name="instance_expiring",
        ),
        migrations.RemoveIndex(
            model_name="instance",
            name="instance_purged",
        ),
        migrations.AddField(
            model_name="instance",
            name="quarantined_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="in quarantine since"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                django.db.models.functions.comparison.Coalesce("retry_at", "purge_at"),
                models.F("id"),
                condition=models.Q(
                    ("held_at", None),
                    ("protected", False),
                    ("quarantined_at", None),
                    ("state__in", ("expired", "recycled")),
                ),
                name="instance_due",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                django.db.models.functions.comparison.Coalesce("retry_at", "expires_at"),
                models.F("id"),
                condition=models.Q(
                    ("expires_at__isnull", False),
                    ("quarantined_at", None),
                    ("state__in", ("active", "stopped")),
                ),
                name="instance_expiring",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                django.db.models.functions.comparison.Coalesce("retry_at", "purged_at"),
                models.F("id"),
                condition=models.Q(("state", "purged")),
                name="instance_purged",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("quarantined_at__isnull", False)),
                fields=["account", "quarantined_at", "id"],
                name="instance_quarantined",
            ),
        ),
    ]
