"""Keeps the name of who deleted an instance with its row, and the people whom history names."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.deletion import PROTECT


class Migration(migrations.Migration):
    dependencies = [("recycle", "0007_visible_text_and_tags")]

    operations = [
        # Nullable and without a default: SQLite adds it in place instead of copying the table.
        migrations.AddField(
            "instance",
            "recycled_by_name",
            models.CharField(blank=True, max_length=150, null=True, verbose_name="deleted by"),
        ),
        migrations.AlterField(
            "instance",
            "recycled_by",
            models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="deleted by",
            ),
        ),
        migrations.AlterField(
            "event",
            "by",
            models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="by",
            ),
        ),
    ]
