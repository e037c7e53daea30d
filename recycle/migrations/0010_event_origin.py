"""Events say which request asked for them, and from where it came."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recycle", "0009_fill_recycled_by_name")]

    operations = [
        migrations.AddField(
            "event",
            "address",
            models.GenericIPAddressField(blank=True, null=True, verbose_name="address"),
        ),
        migrations.AddField(
            "event",
            "request_id",
            models.UUIDField(blank=True, null=True, verbose_name="request ID"),
        ),
    ]
