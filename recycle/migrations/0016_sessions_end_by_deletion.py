from django.db import migrations


def delete_ended(apps, schema_editor):
    """What had been ended by a time must not be good again when nobody compares that time."""
    apps.get_model("recycle", "Session").objects.filter(
        user__sessions_ended_at__isnull=False
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("recycle", "0015_sessions")]

    operations = [migrations.RunPython(delete_ended, migrations.RunPython.noop)]
