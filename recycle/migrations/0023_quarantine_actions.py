"""Two more actions, in the log and in jobs: into quarantine, and out of it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recycle", "0022_batch_jobs"),
    ]

    operations = [
        migrations.AlterField(
            model_name="batchjob",
            name="action",
            field=models.CharField(
                choices=[
                    ("start", "Start"),
                    ("stop", "Stop"),
                    ("restart", "Restart"),
                    ("delete", "Delete"),
                    ("recycle", "Move to the recycle bin"),
                    ("release", "Release at once"),
                    ("expire", "Expire"),
                    ("renew", "Renew"),
                    ("restore", "Restore"),
                    ("purge", "Delete permanently"),
                    ("extend", "Extend"),
                    ("protect", "Protect"),
                    ("unprotect", "Switch protection off"),
                    ("hold", "Place legal hold"),
                    ("unhold", "End legal hold"),
                    ("quarantine", "Put in quarantine"),
                    ("retry", "Try again"),
                ],
                max_length=16,
                verbose_name="action",
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="action",
            field=models.CharField(
                choices=[
                    ("start", "Start"),
                    ("stop", "Stop"),
                    ("restart", "Restart"),
                    ("delete", "Delete"),
                    ("recycle", "Move to the recycle bin"),
                    ("release", "Release at once"),
                    ("expire", "Expire"),
                    ("renew", "Renew"),
                    ("restore", "Restore"),
                    ("purge", "Delete permanently"),
                    ("extend", "Extend"),
                    ("protect", "Protect"),
                    ("unprotect", "Switch protection off"),
                    ("hold", "Place legal hold"),
                    ("unhold", "End legal hold"),
                    ("quarantine", "Put in quarantine"),
                    ("retry", "Try again"),
                    ("create", "Create"),
                    ("update", "Change"),
                    ("bind", "Bind"),
                    ("unbind", "Unbind"),
                    ("remove", "Delete"),
                    ("cancel", "Cancel"),
                ],
                max_length=16,
                verbose_name="action",
            ),
        ),
    ]
