from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recycle", "0016_sessions_end_by_deletion")]

    operations = [
        migrations.RemoveField(model_name="user", name="sessions_ended_at"),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                fields=["request_id"],
                name="audit_of_request",
                condition=models.Q(("request_id__isnull", False)),
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                fields=["request_id"],
                name="event_of_request",
                condition=models.Q(("request_id__isnull", False)),
            ),
        ),
        migrations.AddIndex(
            model_name="event", index=models.Index(fields=["batch"], name="event_of_batch")
        ),
    ]
