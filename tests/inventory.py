"""Answers of the API, item by item, and importing them. For the tests of import_inventory."""

import io
import json
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from django.core.management import CommandError, call_command

from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    InstanceType,
    Listener,
    LoadBalancer,
    RealServer,
    Region,
    Tag,
    Volume,
    Zone,
)

SUBNET, VPC = (str(UUID(int=number)) for number in (1, 2))
MODELS = (
    Account,
    Region,
    Zone,
    InstanceType,
    Instance,
    LoadBalancer,
    Listener,
    RealServer,
    ElasticIP,
    Volume,
    Tag,
)


def pk(name):
    return str(uuid5(UUID(int=0), name))


def an_instance(name="web", **changed):
    return {
        "InstanceId": pk(name),
        "InstanceName": name,
        "InstanceType": "N3.2B",
        "InstanceConfigure": {"VCPU": 2, "MemoryGb": 4},
        "InstanceState": {"Name": "active"},
        "SubnetId": SUBNET,
        "PrivateIpAddress": f"10.0.{sum(name.encode()) % 256}.{len(name)}",
        "NetworkInterfaceSet": [{"NetworkInterfaceId": pk(f"{name} nic"), "VpcId": VPC}],
        "AvailabilityZone": "cn-beijing-6a",
        "ChargeType": "Daily",
        "CreationDate": "2026-01-05T08:00:00Z",
        "SystemDisk": {"DiskType": "SSD3.0", "DiskSize": 40},
        **changed,
    }


def an_eip(name="eip", **changed):
    defaults = {
        "AllocationId": pk(name),
        "PublicIp": "120.92.1.1",
        "BandWidth": 5,
        "ChargeType": "Daily",
    }
    return {**defaults, "CreateTime": "2026-01-05 08:00:00", "State": "disassociate", **changed}


def bound_to(name, **changed):
    return an_eip(State="associate", InstanceType="Ipfwd", InstanceId=pk(name), **changed)


def a_volume(name="data", **changed):
    defaults = {
        "VolumeId": pk(name),
        "VolumeName": name,
        "Size": 40,
        "VolumeType": "SSD3.0",
        "VolumeCategory": "data",
    }
    return {
        **defaults,
        "AvailabilityZone": "cn-beijing-6a",
        "CreateTime": "2026-01-05 08:00:00",
        **changed,
    }


def a_load_balancer(**changed):
    defaults = {
        "LoadBalancerId": pk("front"),
        "LoadBalancerName": "front",
        "Type": "public",
        "VpcId": VPC,
    }
    return {**defaults, "CreateTime": "2026-01-05 08:00:00", **changed}


def a_listener(**changed):
    defaults = {
        "ListenerId": pk("http"),
        "LoadBalancerId": pk("front"),
        "ListenerProtocol": "HTTP",
        "ListenerPort": 80,
    }
    return {**defaults, "CreateTime": "2026-01-05 08:00:00", **changed}


def a_real_server(**changed):
    defaults = {"RegisterId": pk("rs"), "ListenerId": pk("http"), "InstanceId": pk("web")}
    return {**defaults, "RealServerIp": "10.0.0.9", "RealServerPort": 8080, **changed}


def a_tag(name="web", key="env", value="prod"):
    return {"ResourceUuid": pk(name), "TagId": 1, "TagKey": key, "TagValue": value}


def a_balanced_web():
    return {
        "InstancesSet": [an_instance()],
        "LoadBalancerDescriptions": [a_load_balancer()],
        "ListenerSet": [a_listener()],
        "RealServerSet": [a_real_server()],
    }


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Import these answers: each text, object, or list of objects is a file `1.json`, `2.json`,
    ..., a path itself.
    """
    monkeypatch.chdir(tmp_path)

    def load(*contents, account="Imported", **options):
        names = []
        for number, content in enumerate(contents, 1):
            names.append(str(content) if isinstance(content, Path) else f"{number}.json")
            if isinstance(content, Path):
                continue
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            Path(names[-1]).write_bytes(text if isinstance(text, bytes) else text.encode())
        out = io.StringIO()
        call_command("import_inventory", *names, account=account, stdout=out, **options)
        return out.getvalue()

    return load


@pytest.fixture
def problems(load):
    """The lines an import is refused with; it must have written nothing."""

    def problems(*contents, **options):
        before = snapshot()
        with pytest.raises(CommandError) as refused:
            load(*contents, **options)
        assert snapshot() == before
        *lines, last = str(refused.value).splitlines()
        assert last == "Nothing was written."
        return lines

    return problems


def snapshot():
    return {
        model: list(model.objects.order_by("pk").values())
        for model in (*MODELS, InstanceTag, Event)
    }
