"""Databases of earlier releases become those of this one, with all that is in them."""

import pytest
from django.db import connection
from django.utils import timezone

from recycle.models import (
    ElasticIP,
    Event,
    InstanceTag,
    Listener,
    LoadBalancer,
    RealServer,
    Tag,
    Volume,
)
from tests.folding import unwatched
from tests.history import one_by_one

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.both]

BEFORE_AGREEMENTS = [("recycle", "0002_volume_zone_trigger")]


@pytest.fixture
def migrate():
    """Lead the database to a state; returns the models of that state. It is the newest again
    afterwards.
    """

    def migrate(targets):
        executor = one_by_one()
        executor.migrate(targets)
        return one_by_one().loader.project_state(targets).apps

    newest = one_by_one().loader.graph.leaf_nodes()
    with unwatched():
        yield migrate
        migrate(newest)


class Earlier:
    """Rows in the state before the agreements, where the database compared only the zones of
    volumes.
    """

    def __init__(self, apps):
        self.apps, self.now, self.number = apps, timezone.now(), 0
        for code in ("cn-beijing-6", "cn-shanghai-2"):
            region = self.make("Region", code=code, name=code)
            self.make("Zone", code=f"{code}a", region=region)
        self.make("InstanceType", name="N3.2B", family="N3", vcpu=2, memory_gb=4)
        self.ours, self.theirs = (self.make("Account", name=name) for name in ("Ours", "Theirs"))

    def make(self, model, **fields):
        return self.apps.get_model("recycle", model).objects.create(**fields)

    def instance(self, account, region="cn-beijing-6"):
        self.number += 1
        return self.make(
            "Instance",
            account=account,
            zone_id=f"{region}a",
            instance_type_id="N3.2B",
            name=f"web-{self.number}",
            state="active",
            billing_mode="Daily",
            private_ip=f"10.0.0.{self.number}",
            subnet_id="9fd83a5e-33cf-4196-b8df-59fc57478488",
            created_at=self.now,
            changed_at=self.now,
        )

    def eip(self, account, region="cn-beijing-6", **holder):
        self.number += 1
        address = f"120.92.0.{self.number}"
        return self.make(
            "ElasticIP",
            account=account,
            region_id=region,
            address=address,
            created_at=self.now,
            **holder,
        )

    def volume(self, account, instance):
        return self.make(
            "Volume",
            account=account,
            zone_id=instance.zone_id,
            name="data",
            type="SSD3.0",
            size_gb=40,
            instance=instance,
            mount_point="/dev/vdb",
            delete_with_instance=True,
            created_at=self.now,
        )

    def balancer(self, account, region="cn-beijing-6"):
        return self.make(
            "LoadBalancer", account=account, region_id=region, name="front", created_at=self.now
        )

    def listener(self, balancer):
        return self.make(
            "Listener", load_balancer=balancer, protocol="TCP", port=80, created_at=self.now
        )

    def real_server(self, listener, instance):
        return self.make(
            "RealServer",
            listener=listener,
            instance=instance,
            address=instance.private_ip,
            port=8080,
        )

    def tag(self, account, instance):
        tag, _ = self.apps.get_model("recycle", "Tag").objects.get_or_create(
            account=account, key="env", value="prod"
        )
        return self.make("InstanceTag", instance=instance, tag=tag)

    def bind_all(self, account, instance, region="cn-beijing-6"):
        """One thing of every kind that belongs to the account, bound to the instance."""
        listener = self.listener(self.balancer(account, region))
        return {
            "volume": self.volume(account, instance),
            "eip": self.eip(account, region, instance=instance),
            "real_server": self.real_server(listener, instance),
            "tag": self.tag(account, instance),
        }


MODELS = {"volume": Volume, "eip": ElasticIP, "real_server": RealServer, "tag": InstanceTag}


def left(made):
    """The kinds of these bindings that are still there."""
    return {
        kind
        for kind, row in made.items()
        if MODELS[kind]._default_manager.filter(pk=row.pk, instance__isnull=False).exists()
    }


def test_bindings_stay_and_repeat_what_they_bind(migrate):
    earlier = Earlier(migrate(BEFORE_AGREEMENTS))
    instance = earlier.instance(earlier.ours)
    made = earlier.bind_all(earlier.ours, instance)
    front = earlier.balancer(earlier.ours)
    fronting, free = earlier.eip(earlier.ours, load_balancer=front), earlier.eip(earlier.ours)

    migrate(one_by_one().loader.graph.leaf_nodes())

    ours, zone, region = earlier.ours.pk, "cn-beijing-6a", "cn-beijing-6"
    assert left(made) == set(MODELS)
    assert list(Listener.objects.values_list("account", "region")) == [(ours, region)]
    assert list(RealServer.objects.values_list("account", "zone", "region")) == [
        (ours, zone, region)
    ]
    assert list(InstanceTag.objects.values_list("account", "zone")) == [(ours, zone)]
    assert dict(ElasticIP.objects.values_list("pk", "zone")) == {
        made["eip"].pk: zone,
        fronting.pk: None,
        free.pk: None,
    }
    assert ElasticIP.objects.get(pk=fronting.pk).load_balancer_id == front.pk
    assert not Event.objects.exists()


def test_bindings_across_accounts_and_regions_end_and_each_account_reads_of_its_own_side_only(
    migrate, caplog
):
    earlier = Earlier(migrate(BEFORE_AGREEMENTS))
    instance = earlier.instance(earlier.theirs)
    wrong = earlier.bind_all(earlier.ours, instance)
    fronting = earlier.eip(earlier.ours, load_balancer=earlier.balancer(earlier.theirs))
    right = earlier.bind_all(earlier.theirs, earlier.instance(earlier.theirs))
    spread = earlier.make("Account", name="Spread")
    far = earlier.bind_all(spread, earlier.instance(spread, "cn-shanghai-2"), "cn-beijing-6")

    migrate(one_by_one().loader.graph.leaf_nodes())

    # A volume's zone was always compared, and a tag has no place.
    assert (left(wrong), left(right), left(far)) == (set(), set(MODELS), {"volume", "tag"})
    assert ElasticIP.objects.get(pk=fronting.pk).load_balancer is None
    assert (Volume.objects.count(), Tag.objects.count(), LoadBalancer.objects.count()) == (3, 3, 4)
    detached = Volume.objects.get(pk=wrong["volume"].pk)
    assert (detached.mount_point, detached.delete_with_instance) == ("", False)
    assert "7 bindings across accounts, regions or zones were ended" in caplog.text
    ours, theirs = (
        Event.objects.filter(account=each.pk) for each in (earlier.ours, earlier.theirs)
    )
    assert set(ours.values_list("kind", "resource_name", "instance_name")) == {
        ("volume", "data", ""),
        ("eip", wrong["eip"].address, ""),
        ("eip", fronting.address, ""),
        ("listener", "TCP:80", ""),
        ("tag", "env=prod", ""),
    }
    assert set(theirs.values_list("kind", "resource_name", "instance_name")) == {
        ("volume", "", instance.name),
        ("eip", "", instance.name),
        ("real_server", f"{instance.private_ip}:8080", instance.name),
        ("tag", "", instance.name),
        ("load_balancer", "front", ""),
    }
    # Within one account an event names both.
    assert set(
        Event.objects.filter(account=spread.pk).values_list(
            "action", "kind", "resource_id", "instance_id"
        )
    ) == {
        ("unbind", kind, str(far[kind].pk), far[kind].instance_id)
        for kind in ("eip", "real_server")
    }


def test_the_way_back_keeps_the_rows_and_the_rule_of_zones(migrate, make_instance, bind):
    instance = make_instance()
    bind(instance)

    apps = migrate(BEFORE_AGREEMENTS)

    assert apps.get_model("recycle", "Volume").objects.filter(instance=instance.pk).count() == 2
    assert apps.get_model("recycle", "RealServer").objects.filter(instance=instance.pk).count() == 1
    with connection.cursor() as cursor:
        triggers = {
            "postgresql": "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal",
            "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'",
        }
        cursor.execute(triggers[connection.vendor])
        assert cursor.fetchone()[0] >= 2
