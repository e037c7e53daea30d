"""Every account has a Default Project, in which all is that was there before."""

from django.db import migrations
from django.utils import timezone


def add(apps, schema_editor):
    projects = apps.get_model("recycle", "Project").objects
    accounts = apps.get_model("recycle", "Account").objects.exclude(projects__number=0)
    projects.bulk_create(
        projects.model(account=account, number=0, created_at=timezone.now()) for account in accounts
    )


class Migration(migrations.Migration):
    dependencies = [("recycle", "0033_projects")]

    # Back again nobody asks for them.
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
