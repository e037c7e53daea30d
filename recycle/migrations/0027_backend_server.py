"""A word alone; nothing changes in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recycle", "0026_bin_index_covers"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="realserver",
            options={"verbose_name": "backend server", "verbose_name_plural": "backend servers"},
        ),
        migrations.AlterField(
            model_name="event",
            name="kind",
            field=models.CharField(
                blank=True,
                choices=[
                    ("volume", "EBS volume"),
                    ("eip", "EIP"),
                    ("load_balancer", "Load balancer"),
                    ("listener", "Listener"),
                    ("real_server", "Backend server"),
                    ("tag", "Tag"),
                    ("member", "Member"),
                    ("account", "Account"),
                    ("job", "Batch job"),
                ],
                db_default="",
                max_length=16,
                verbose_name="resource",
            ),
        ),
    ]
