import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recycle", "0030_spot"),
    ]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="delete_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="scheduled deletion"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                django.db.models.functions.comparison.Coalesce("retry_at", "delete_at"),
                models.F("id"),
                condition=models.Q(
                    ("delete_at__isnull", False),
                    ("held_at", None),
                    ("protected", False),
                    ("quarantined_at", None),
                    ("state__in", ("active", "stopped")),
                ),
                name="instance_scheduled",
            ),
        ),
    ]
