from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recycle", "0025_list_indexes")]

    operations = [
        migrations.RemoveIndex(model_name="instance", name="instance_bin_soonest"),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                fields=[
                    "account",
                    "state",
                    "purge_at",
                    "id",
                    "held_at",
                    "protected",
                    "quarantined_at",
                ],
                name="instance_bin_soonest",
                condition=models.Q(("state__in", ("expired", "recycled"))),
            ),
        ),
    ]
