"""Columns in which bindings repeat the account, zone or region of what they bind; empty until the
next migration.
"""

import django.db.models.deletion
from django.db import migrations

from recycle.models.agreement import Repeated


def column(model, to, of):
    field = Repeated(
        db_constraint=False,
        db_index=False,
        editable=False,
        null=True,
        of=of,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to=f"recycle.{to}",
        verbose_name=to,
    )
    return migrations.AddField(model, to, field)


class Migration(migrations.Migration):
    dependencies = [("recycle", "0002_volume_zone_trigger")]

    operations = [
        column("listener", "account", "load_balancer"),
        column("listener", "region", "load_balancer"),
        column("realserver", "account", "instance"),
        column("realserver", "zone", "instance"),
        column("realserver", "region", "listener"),
        column("elasticip", "zone", "instance"),
        column("instancetag", "account", "instance"),
        column("instancetag", "zone", "instance"),
    ]
