"""End bindings across accounts, regions or zones, and fill the columns in which the others repeat
what they bind.

The admin could once move one side of a binding to another account or region. Such a binding
cannot stay, and it must not keep a database from being upgraded: it ends here, as when somebody
unbinds it. The Operation Log tells each of two accounts of its own side only, and the log of
the migration how many there were.
"""

import logging
from uuid import uuid4

from django.db import migrations
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

logger = logging.getLogger("recycle")

REASON = "It was bound across accounts, regions or zones."


class Ended:
    """The events of what is ended, written together."""

    def __init__(self, apps):
        self.event = apps.get_model("recycle", "Event")
        self.at, self.batch, self.events, self.count = timezone.now(), uuid4(), [], 0

    def tell(self, account_id, *, kind, resource=None, name="", instance=None):
        self.events.append(
            self.event(
                account_id=account_id,
                at=self.at,
                batch=self.batch,
                action="unbind",
                kind=kind,
                resource_id=str(resource.pk) if resource else "",
                resource_name=name,
                instance_id=instance.pk if instance else None,
                instance_name=instance.name if instance else "",
                reason=REASON,
            )
        )

    def from_instance(self, kind, resource, name, account_id, instance):
        if account_id == instance.account_id:
            self.tell(account_id, kind=kind, resource=resource, name=name, instance=instance)
        else:
            self.tell(account_id, kind=kind, resource=resource, name=name)
            self.tell(instance.account_id, kind=kind, instance=instance)
        self.count += 1


def end_wrong_bindings(apps, schema_editor):
    ended = Ended(apps)
    for end in (
        end_volumes,
        end_addresses_of_instances,
        end_addresses_of_balancers,
        end_real_servers,
        end_tags,
    ):
        end(apps, ended)
    ended.event.objects.bulk_create(ended.events, batch_size=500)
    if ended.count:
        logger.warning("%d bindings across accounts, regions or zones were ended", ended.count)


def end_volumes(apps, ended):
    elsewhere = ~Q(instance__account=F("account")) | ~Q(instance__zone=F("zone"))
    wrong = apps.get_model("recycle", "Volume").objects.filter(elsewhere, instance__isnull=False)
    for volume in wrong.select_related("instance"):
        ended.from_instance(
            "volume", volume, volume.name or str(volume.pk), volume.account_id, volume.instance
        )
    wrong.update(instance=None, mount_point="", delete_with_instance=False)


def end_addresses_of_instances(apps, ended):
    elsewhere = ~Q(instance__account=F("account")) | ~Q(instance__zone__region=F("region"))
    wrong = apps.get_model("recycle", "ElasticIP").objects.filter(elsewhere, instance__isnull=False)
    for address in wrong.select_related("instance"):
        ended.from_instance("eip", address, address.address, address.account_id, address.instance)
    wrong.update(instance=None)


def end_addresses_of_balancers(apps, ended):
    elsewhere = ~Q(load_balancer__account=F("account")) | ~Q(load_balancer__region=F("region"))
    wrong = apps.get_model("recycle", "ElasticIP").objects.filter(
        elsewhere, load_balancer__isnull=False
    )
    for address in wrong.select_related("load_balancer"):
        balancer = address.load_balancer
        ended.tell(address.account_id, kind="eip", resource=address, name=address.address)
        ended.tell(balancer.account_id, kind="load_balancer", resource=balancer, name=balancer.name)
        ended.count += 1
    wrong.update(load_balancer=None)


def end_real_servers(apps, ended):
    elsewhere = ~Q(instance__account=F("listener__load_balancer__account")) | ~Q(
        instance__zone__region=F("listener__load_balancer__region")
    )
    wrong = apps.get_model("recycle", "RealServer").objects.filter(elsewhere)
    for server in wrong.select_related("instance", "listener__load_balancer"):
        instance, listener = server.instance, server.listener
        account_id, name = listener.load_balancer.account_id, f"{server.address}:{server.port}"
        ended.tell(
            instance.account_id, kind="real_server", resource=server, name=name, instance=instance
        )
        if account_id != instance.account_id:
            # The address is the instance's; here only the listener is told of.
            name = f"{listener.protocol}:{listener.port}"
            ended.tell(account_id, kind="listener", resource=listener, name=name)
        ended.count += 1
    wrong.delete()


def end_tags(apps, ended):
    wrong = apps.get_model("recycle", "InstanceTag").objects.filter(
        ~Q(tag__account=F("instance__account"))
    )
    for row in wrong.select_related("instance", "tag"):
        name = f"{row.tag.key}={row.tag.value}" if row.tag.value else row.tag.key
        ended.from_instance("tag", row.tag, name, row.tag.account_id, row.instance)
    wrong.delete()


def fill(apps, schema_editor):
    def of(model, relation, column):
        rows = apps.get_model("recycle", model).objects.filter(pk=OuterRef(relation))
        return Subquery(rows.values(column)[:1])

    def rows(model):
        return apps.get_model("recycle", model).objects

    rows("Listener").update(
        account=of("LoadBalancer", "load_balancer", "account"),
        region=of("LoadBalancer", "load_balancer", "region"),
    )
    rows("RealServer").update(
        account=of("Instance", "instance", "account"),
        zone=of("Instance", "instance", "zone"),
        region=of("Listener", "listener", "region"),
    )
    rows("ElasticIP").filter(instance__isnull=False).update(zone=of("Instance", "instance", "zone"))
    rows("InstanceTag").update(
        account=of("Instance", "instance", "account"), zone=of("Instance", "instance", "zone")
    )


class Migration(migrations.Migration):
    dependencies = [("recycle", "0003_repeated_columns")]

    operations = [
        migrations.RunPython(end_wrong_bindings, migrations.RunPython.noop),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
