"""The database sees to it that both sides of every binding agree: composite foreign keys instead
of triggers.

They are constraints of the models, which Django writes again whenever SQLite makes a table
anew.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

from recycle.models.agreement import Agreement, Repeated

triggers = import_module("recycle.migrations.0002_volume_zone_trigger")


def filled(model, to, of):
    field = Repeated(
        db_constraint=False,
        db_index=False,
        editable=False,
        of=of,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to=f"recycle.{to}",
        verbose_name=to,
    )
    return migrations.AlterField(model, to, field)


def key(model, fields, name):
    return migrations.AddConstraint(model, models.UniqueConstraint(fields=fields, name=name))


def agreement(model, relation, on, name):
    return migrations.AddConstraint(model, Agreement(relation=relation, on=on, name=name))


def within_agreement(
    model, name, to, verbose_name, related_name, on_delete=models.PROTECT, **options
):
    """The relation without a foreign key of its own."""
    field = models.ForeignKey(
        db_constraint=False,
        on_delete=on_delete,
        related_name=related_name,
        to=f"recycle.{to}",
        verbose_name=verbose_name,
        **options,
    )
    return migrations.AlterField(model, name, field)


OPTIONAL = {"blank": True, "null": True}


class Migration(migrations.Migration):
    dependencies = [("recycle", "0004_end_wrong_bindings")]

    operations = [
        # Before anything makes their tables anew.
        migrations.RunPython(triggers.drop, triggers.create),
        key("zone", ("code", "region"), "zone_with_region"),
        key("instance", ("id", "account", "zone"), "instance_with_account_and_zone"),
        key("tag", ("id", "account"), "tag_with_account"),
        key("loadbalancer", ("id", "account", "region"), "load_balancer_with_account_and_region"),
        # Listeners
        filled("listener", "account", "load_balancer"),
        filled("listener", "region", "load_balancer"),
        within_agreement(
            "listener",
            "load_balancer",
            "loadbalancer",
            "load balancer",
            "listeners",
            django.db.models.deletion.CASCADE,
            db_index=False,
        ),
        key("listener", ("id", "account", "region"), "listener_with_account_and_region"),
        agreement(
            "listener",
            "load_balancer",
            ("account", "region"),
            "listener_agrees_with_its_load_balancer",
        ),
        # Real servers
        filled("realserver", "account", "instance"),
        filled("realserver", "zone", "instance"),
        filled("realserver", "region", "listener"),
        within_agreement("realserver", "instance", "instance", "instance", "real_servers"),
        within_agreement(
            "realserver",
            "listener",
            "listener",
            "listener",
            "real_servers",
            django.db.models.deletion.CASCADE,
            db_index=False,
        ),
        agreement(
            "realserver", "instance", ("account", "zone"), "real_server_agrees_with_its_instance"
        ),
        agreement(
            "realserver", "listener", ("account", "region"), "real_server_agrees_with_its_listener"
        ),
        agreement("realserver", "zone", ("region",), "real_server_in_a_zone_of_its_region"),
        # Elastic IPs
        within_agreement(
            "elasticip", "instance", "instance", "instance", "elastic_ips", **OPTIONAL
        ),
        within_agreement(
            "elasticip", "load_balancer", "loadbalancer", "load balancer", "elastic_ips", **OPTIONAL
        ),
        migrations.AddConstraint(
            "elasticip",
            models.CheckConstraint(
                condition=models.Q(instance=None, zone=None)
                | models.Q(instance__isnull=False, zone__isnull=False),
                name="elastic_ip_zone_follows_its_instance",
            ),
        ),
        agreement(
            "elasticip", "instance", ("account", "zone"), "elastic_ip_agrees_with_its_instance"
        ),
        agreement("elasticip", "zone", ("region",), "elastic_ip_in_region_of_its_instance"),
        agreement(
            "elasticip",
            "load_balancer",
            ("account", "region"),
            "elastic_ip_agrees_with_its_load_balancer",
        ),
        # Volumes
        within_agreement("volume", "instance", "instance", "instance", "volumes", **OPTIONAL),
        agreement("volume", "instance", ("account", "zone"), "volume_agrees_with_its_instance"),
        # Tags
        filled("instancetag", "account", "instance"),
        filled("instancetag", "zone", "instance"),
        within_agreement(
            "instancetag", "instance", "instance", "instance", "instance_tags", db_index=False
        ),
        within_agreement(
            "instancetag", "tag", "tag", "tag", "instance_tags", django.db.models.deletion.CASCADE
        ),
        agreement(
            "instancetag", "instance", ("account", "zone"), "instance_tag_agrees_with_its_instance"
        ),
        agreement("instancetag", "tag", ("account",), "instance_tag_agrees_with_its_tag"),
    ]
