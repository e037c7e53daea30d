"""import_inventory: what the answers of the API become, and what is told when they cannot."""

import io
import json
import weakref
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db.models.signals import post_init

from recycle import actions
from recycle.actions.inventory import rows
from recycle.lifecycle import State
from recycle.models import (
    Account,
    ElasticIP,
    Instance,
    InstanceTag,
    LoadBalancer,
    RealServer,
    Tag,
    Volume,
    Zone,
)
from recycle.policy import BillingMode
from tests.conftest import acting
from tests.inventory import (
    a_balanced_web,
    a_listener,
    a_load_balancer,
    a_real_server,
    a_tag,
    a_volume,
    an_eip,
    an_instance,
    bound_to,
    pk,
    snapshot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both]

DATA = Path(__file__).parent / "data"
FILES = sorted(str(path) for path in DATA.glob("*.json"))
EVERYTHING = (
    "11 instances, 2 load balancers, 3 listeners, 8 real servers, 5 EIPs, 5 EBS volumes, "
    "8 tags on instances"
)


def test_an_account_as_the_api_tells_it(capsys):
    call_command("import_inventory", *FILES)

    assert capsys.readouterr().out.splitlines() == [
        f"Created {EVERYTHING}, 1 region, 2 zones, 6 instance types in the account Imported.",
        "Left out:",
        (
            "  subscriptions whose time was over before they were imported; --accept-ended takes "
            "them in (1)"
        ),
        (
            f"    2670e098-4f0c-4267-b299-11da9fbd8735, {DATA}/instances.json: answer 1, "
            "InstancesSet[5]"
        ),
        "  bindings of EIPs to Havip (1)",
        (
            f"    99c3f7d8-b554-4873-812d-919db9a2d74d, {DATA}/addresses.json: answer 1, "
            "AddressesSet[4]"
        ),
        "  system disks (1)",
        f"    a7bbffdb-05ca-4145-a813-ed029c8c775d, {DATA}/volumes.json: answer 1, Volumes[5]",
        "  tags of what is not an instance (1)",
        f"    17264c2b-b9bb-449a-83b5-22037081ffea, {DATA}/tags.json: answer 1, Tags[8]",
        "Noted:",
        '  InstanceState.Name: "stopping" counts as stopped (1)',
        (
            f"    91b23a19-2b8f-4916-961e-17ed57813f85, {DATA}/instances.json: answer 2, "
            "InstancesSet[3]"
        ),
        '  InstanceState.Name: "rebuilding" counts as active (1)',
        (
            f"    96a881fe-1484-45df-aaff-8737683b4eb1, {DATA}/instances.json: answer 2, "
            "InstancesSet[4]"
        ),
    ]
    assert {zone.code: zone.region_id for zone in Zone.objects.all()} == {
        "cn-beijing-6a": "cn-beijing-6",
        "cn-beijing-6b": "cn-beijing-6",
    }
    modes = list(Instance.objects.values_list("billing_mode", flat=True))
    assert {mode: modes.count(mode) for mode in modes} == {
        "Daily": 5,
        "Monthly": 2,
        "HourlyInstantSettlement": 4,
    }
    assert {
        i.name: i.get_status_display() for i in Instance.objects.exclude(state=State.ACTIVE)
    } == {
        "订单数据库-备": "Stopped",
        "build-runner-1": "Stopped (No Fees)",
        "build-runner-2": "Stopped (No Fees)",
        "build-runner-3": "Stopped",
        "search-node": "Stopped",
    }
    database = Instance.objects.get(name="订单数据库")
    assert (database.family, database.instance_type.vcpu, database.instance_type.memory_gb) == (
        "S4",
        4,
        16,
    )
    # Without an offset it is Beijing time.
    assert database.created_at == datetime(2025, 11, 20, 6, 5, 31, tzinfo=UTC)
    assert database.expires_at == datetime(2031, 11, 20, 15, 59, 59, tzinfo=UTC)
    assert {v.name: (v.mount_point, v.delete_with_instance) for v in database.volumes.all()} == {
        "订单-数据": ("/dev/vdb", False),
        "订单-临时": ("/dev/vdc", True),
    }
    assert set(database.instance_tags.values_list("tag__key", "tag__value")) == {
        ("env", "prod"),
        ("team", "orders"),
    }
    assert database.real_servers.get().listener.load_balancer.name == "orders-internal"


def test_eips_are_bound_by_instance_by_network_interface_and_to_load_balancers():
    call_command("import_inventory", *FILES, stdout=io.StringIO())

    assert {
        eip.address: (
            eip.instance and eip.instance.name,
            eip.load_balancer and eip.load_balancer.name,
            eip.billing_mode,
        )
        for eip in ElasticIP.objects.select_related("instance", "load_balancer")
    } == {
        "120.92.10.11": ("web-1", None, "Daily"),
        "120.92.10.12": ("web-2", None, "Daily"),
        "120.92.10.80": (None, "官网入口", "Daily"),
        "120.92.10.90": (None, None, "Monthly"),
        # Bound to something that has no noun here.
        "120.92.10.91": (None, None, "HourlyInstantSettlement"),
    }


def test_a_volume_whose_answer_does_not_say_goes_with_its_instance_if_the_instance_says_so():
    call_command("import_inventory", *FILES, stdout=io.StringIO())

    assert Volume.objects.get(name="scratch").delete_with_instance


def test_a_second_time_changes_nothing(capsys):
    call_command("import_inventory", *FILES, stdout=io.StringIO())
    before = snapshot()

    call_command("import_inventory", *reversed(FILES))

    assert snapshot() == before
    assert capsys.readouterr().out.splitlines()[:2] == [
        "Created nothing in the account Imported.",
        f"Already there: {EVERYTHING}.",
    ]


def test_files_may_come_one_call_at_a_time():
    for name in ("instances", "load_balancers", "volumes"):
        call_command("import_inventory", str(DATA / f"{name}.json"), stdout=io.StringIO())
    # An EIP may be bound by its network interface, which only the answer about the instance knows.
    together = [str(DATA / f"{name}.json") for name in ("tags", "addresses", "instances")]
    call_command("import_inventory", *together, stdout=io.StringIO())

    assert (RealServer.objects.count(), InstanceTag.objects.count()) == (8, 8)
    assert Volume.objects.exclude(instance=None).count() == 4


def test_what_the_schedule_and_the_owners_did_is_left_alone(alice, account, now, load):
    """Also after a restore: what was cancelled here is not bound again, not even from a file that
    still has it.
    """
    files = [*FILES]
    call_command("import_inventory", *files, account=account.name, stdout=io.StringIO())
    names = ["web-1", "web-2", "批处理-夜间"]
    actions.delete(
        Instance.objects.filter(name__in=names), may_release=True, context=acting(alice, now)
    )
    actions.restore(Instance.objects.filter(name="web-1"), context=acting(alice, now))
    before = snapshot()

    call_command("import_inventory", *files, account=account.name, stdout=io.StringIO())

    assert snapshot() == before
    assert set(Instance.objects.filter(name__in=names).values_list("name", "state")) == {
        ("web-1", "stopped"),
        ("web-2", "recycled"),
        ("批处理-夜间", "purged"),
    }


def test_a_forgotten_instance_does_not_come_back(alice, account, now, load):
    content = {
        "InstancesSet": [an_instance(ChargeType="HourlyInstantSettlement")],
        "Tags": [a_tag()],
    }
    load(content, account=account.name)
    actions.delete(Instance.objects.all(), may_release=True, context=acting(alice, now))
    actions.forget_tombstones(context=acting(None, now + timedelta(days=1000)))

    said = load(content, account=account.name)

    assert not Instance.objects.exists()
    assert "Already there: 1 instance, 1 tag on an instance." in said


def test_new_things_are_bound_to_an_instance_that_is_there_but_not_to_one_in_the_bin(
    account, make_instance, load
):
    there, binned = make_instance(), make_instance(State.RECYCLED)
    eips = [
        an_eip(
            "a",
            PublicIp="120.92.1.1",
            State="associate",
            InstanceType="Ipfwd",
            InstanceId=str(there.pk),
        ),
        an_eip(
            "b",
            PublicIp="120.92.1.2",
            State="associate",
            InstanceType="Ipfwd",
            InstanceId=str(binned.pk),
        ),
    ]

    load({"AddressesSet": eips}, account=account.name)

    assert set(ElasticIP.objects.values_list("address", "instance")) == {
        ("120.92.1.1", there.pk),
        ("120.92.1.2", None),
    }


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("active", State.ACTIVE),
        ("stopped", State.STOPPED),
        ("stopping", State.STOPPED),
        ("error", State.STOPPED),
        ("rebuilding", State.ACTIVE),
        ("resize_success_local", State.STOPPED),
        ("cross_finish", State.STOPPED),
        ("migrating_success", State.ACTIVE),
        ("migrating_success_off_line", State.STOPPED),
        ("a word of next year", State.ACTIVE),
    ],
)
def test_every_word_for_a_state_has_a_meaning(load, word, state):
    load({"InstancesSet": [an_instance(InstanceState={"Name": word})]})

    assert Instance.objects.get().state == state


def test_no_fees_needs_a_stopped_pay_as_you_go_instance(load):
    stopped = {"InstanceState": {"Name": "stopped"}, "ShutdownNoCharge": True}
    items = [
        an_instance("hourly", ChargeType="HourlyInstantSettlement", **stopped),
        an_instance("daily-", **stopped),
        an_instance("running", ChargeType="HourlyInstantSettlement", ShutdownNoCharge=True),
    ]

    load({"InstancesSet": items})

    assert list(Instance.objects.filter(no_fees=True).values_list("name", flat=True)) == ["hourly"]


@pytest.mark.parametrize(
    "name", ["Peak", "PostPaidByDay", "TrafficMonthly", "DailyPaidByTransfer", ""]
)
def test_charges_of_eips_go_by_names_of_two_generations(load, name):
    load({"InstancesSet": [an_instance()], "AddressesSet": [an_eip(ChargeType=name)]})

    assert ElasticIP.objects.get().billing_mode == BillingMode.DAILY


def test_an_instance_that_is_being_deleted_is_left_out_with_what_binds_it(load):
    leaving = an_instance(InstanceState={"Name": "deleting"})

    said = load(
        {"InstancesSet": [leaving], "AddressesSet": [bound_to("web")], "Tags": [a_tag()]},
        region="cn-beijing-6",
    )

    assert "  instances that are being deleted (1)\n" in said
    assert "  tags of instances that are not here (1)\n" in said
    assert not Instance.objects.exists()
    assert ElasticIP.objects.get().instance is None


def test_the_standard_input_is_read_like_a_file(monkeypatch, capsys):
    everything = b"".join(Path(name).read_bytes() for name in FILES)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(everything)))

    call_command("import_inventory", "-")

    assert "Created 11 instances" in capsys.readouterr().out


def test_one_answer_several_and_an_array_of_them_are_the_same(load):
    page, other = {"InstancesSet": [an_instance("a")]}, {"InstancesSet": [an_instance("bb")]}
    array = json.dumps([{"InstancesSet": [an_instance("ccc")]}, {"InstancesSet": None}])

    load(f"\ufeff{json.dumps(page)}\n{json.dumps(other)}\n{array}\n")

    assert Instance.objects.count() == 3


def test_overlapping_pages_are_fine(load):
    page = {"InstancesSet": [an_instance()], "Tags": [a_tag(), a_tag()]}

    said = load(page, {"InstancesSet": [an_instance(Monitoring={"State": "disabled"})]})

    assert "Created 1 instance, 1 tag on an instance, " in said


def test_load_balancers_and_eips_take_their_region_from_what_they_belong_to(load):
    shanghai, vpc = {"AvailabilityZone": "cn-shanghai-2b"}, str(UUID(int=3))
    items = [
        an_instance("web"),
        an_instance(
            "other",
            NetworkInterfaceSet=[{"NetworkInterfaceId": pk("nic"), "VpcId": vpc}],
            **shanghai,
        ),
    ]
    slb = {"State": "associate", "InstanceType": "Slb", "InstanceId": pk("front")}
    eips = [an_eip("a", **slb), bound_to("web", AllocationId=pk("b"), PublicIp="120.92.1.2")]

    load(
        {
            "AddressesSet": eips,
            "LoadBalancerDescriptions": [a_load_balancer(VpcId=vpc)],
            "InstancesSet": items,
        }
    )

    assert LoadBalancer.objects.get().region_id == "cn-shanghai-2"
    assert set(ElasticIP.objects.values_list("address", "region")) == {
        ("120.92.1.1", "cn-shanghai-2"),
        ("120.92.1.2", "cn-beijing-6"),
    }


def test_a_region_that_nothing_tells_is_asked_for(load, problems):
    content = {"AddressesSet": [an_eip()]}

    assert problems(content) == [
        "1.json: answer 1, AddressesSet[0]: nothing tells its region; say it with --region"
    ]
    load(content, region="eu-east-1")

    assert ElasticIP.objects.get().region_id == "eu-east-1"


@pytest.mark.alike
@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "1.json: answer 1: this is not JSON (parse error: premature EOF)"),
        ("<xml/>", "1.json: answer 1: this is not JSON (lexical error: invalid char in json text)"),
        (
            b'{"InstancesSet": ["\xff"]}',
            "1.json: answer 1, InstancesSet: this is not JSON (lexical error: ",
        ),
        (
            '{"InstancesSet": [], "Volumes": [{"a"',
            "1.json: answer 1, Volumes[0]: this is not JSON (parse error: premature EOF)",
        ),
        ("[]", "1.json: there is no answer in it"),
        ('{"Volumes": []} 7', "1.json: answer 2: an answer is an object, this is not"),
        ('{"Regions": []}', "1.json: answer 1: none of AddressesSet, InstancesSet, ListenerSet, "),
        ('{"Volumes": {"a": [1]}}', "1.json: answer 1, Volumes: is not a list"),
        (
            (
                '{"Volumes": []} {"RequestId": "x", "Error": {"Code": "Denied", "Message": "Not '
                'yours."}}'
            ),
            "1.json: answer 2, Error: the API refused the request (Denied: Not yours.)",
        ),
        ('{"Tags": [3]}', "1.json: answer 1, Tags[0]: 3 is not an object"),
        (
            '{"Tags": [' + "[" * 5000 + "]" * 5000 + "]}",
            "1.json: answer 1, Tags[0]: is nested deeper than any answer",
        ),
        # Numbers that Python makes no number of.
        (
            '{"Volumes": [], "TotalCount": ' + "9" * 5000 + "}",
            "1.json: answer 1: a number from here on is longer than any",
        ),
        (
            '{"Volumes": [], "TotalCount": 1e99999999999999999999}',
            "1.json: answer 1, Volumes: a number from here on is longer than any",
        ),
        (
            '{"Volumes": [{"Size": -' + "9" * 5000 + "}]}",
            "1.json: answer 1: a number from here on is longer than any",
        ),
        ('{"Volumes": [], "TotalCount": 1e99999}', "1.json: answer 1: TotalCount: "),
        (
            '{"AddressesSet": [], "TotalCount": 0, "Error": 1e99999}',
            "1.json: answer 1, Error: the API refused the request",
        ),
        (
            '{"Error": {"Code": "\\u001b[2J", "Message": "a\\nb"}}',
            "1.json: answer 1, Error: the API refused the request (\\u001b[2J: a\\nb)",
        ),
    ],
)
def test_a_file_that_is_no_answer_is_told_by_its_place(problems, content, line):
    (said,) = problems(content)

    assert said.startswith(line)


def test_a_file_that_cannot_be_read_is_told_with_the_others(tmp_path):
    missing, long = str(tmp_path / "missing.json"), "n" * 300

    with pytest.raises(CommandError) as refused:
        call_command("import_inventory", missing, long, str(tmp_path))

    assert str(refused.value).splitlines() == [
        f"{missing}: No such file or directory",
        f"{long}: File name too long",
        f"{tmp_path}: Is a directory",
        "Nothing was written.",
    ]


UNSEEN = "Control characters, and those that turn the direction of writing, are not taken"
WRONG = [
    ({"CreationDate": "yesterday"}, 'CreationDate: "yesterday" is not a date'),
    ({"CreationDate": "2026-02-30 10:00:00"}, 'CreationDate: "2026-02-30 10:00:00" is not a date'),
    (
        {"CreationDate": "0001-01-01T00:00:00+08:00"},
        'CreationDate: "0001-01-01T00:00:00+08:00" is not a date',
    ),
    ({"CreationDate": 1767600000}, "CreationDate: 1767600000 is not a date"),
    ({"InstanceId": "i-123"}, 'InstanceId: "i-123" is not a UUID'),
    ({"InstanceId": None}, "InstanceId: is missing"),
    ({"InstanceName": ""}, "InstanceName: is missing"),
    ({"InstanceName": ["web"]}, "InstanceName: a list is not a text"),
    ({"InstanceName": "网" * 65}, f'InstanceName: "{"网" * 55}... is longer than 64 characters'),
    ({"InstanceName": "a\0b"}, f'InstanceName: "a\\u0000b": {UNSEEN}'),
    ({"InstanceName": "a\u202eb"}, f'InstanceName: "a\\u202eb": {UNSEEN}'),
    ({"InstanceName": "\u200b"}, 'InstanceName: "\\u200b": There is nothing to see in it'),
    (
        {"ChargeType": "Barter"},
        (
            'ChargeType: "Barter" is not one of Monthly, Daily, HourlyInstantSettlement, Spot, '
            "PostPaidByHour, HourlySettlement, FreeTrial"
        ),
    ),
    ({"ChargeType": None}, "ChargeType: is missing"),
    ({"ChargeType": "Monthly"}, "ServiceEndTime: is missing"),
    ({"SystemDisk": {"DiskSize": -20}}, "SystemDisk.DiskSize: -20 is less than 1"),
    ({"SystemDisk": {"DiskSize": "40"}}, 'SystemDisk.DiskSize: "40" is not a whole number'),
    ({"SystemDisk": {"DiskSize": True}}, "SystemDisk.DiskSize: true is not a whole number"),
    (
        {"SystemDisk": {"DiskSize": 10**30}},
        f"SystemDisk.DiskSize: {10**30} is more than 2147483647",
    ),
    ({"SystemDisk": "big"}, 'SystemDisk: "big" is not an object'),
    ({"InstanceState": {}}, "InstanceState.Name: is missing"),
    ({"AvailabilityZone": "moon"}, 'AvailabilityZone: "moon" is not a zone: a region and a letter'),
    (
        {"AvailabilityZone": "cn-beijing-6"},
        'AvailabilityZone: "cn-beijing-6" is not a zone: a region and a letter',
    ),
    ({"PrivateIpAddress": "10.0.0.300"}, 'PrivateIpAddress: "10.0.0.300" is not an IP address'),
    ({"SubnetId": None}, "SubnetId: is missing"),
    (
        {"InstanceConfigure": {}, "InstanceType": "X9.1A"},
        "InstanceConfigure.VCPU: is missing, and the type X9.1A is not known yet",
    ),
    ({"NetworkInterfaceSet": [{"VpcId": "x"}]}, 'NetworkInterfaceSet[0].VpcId: "x" is not a UUID'),
    ({"ShutdownNoCharge": "no"}, 'ShutdownNoCharge: "no" is not true or false'),
]


@pytest.mark.alike
@pytest.mark.parametrize(("changed", "line"), WRONG)
def test_a_wrong_field_is_told_by_its_place(problems, changed, line):
    content = [{"Volumes": None}, {"InstancesSet": [an_instance("fine"), an_instance(**changed)]}]

    assert problems(content) == [f"1.json: answer 2, InstancesSet[1].{line}"]


def test_all_that_is_wrong_with_an_item_is_told_at_once_and_only_once(problems):
    """What refers to a wrong instance is not wrong itself."""
    wrong = an_instance(CreationDate="yesterday", ChargeType="Barter")
    content = {"InstancesSet": [wrong], "AddressesSet": [bound_to("web")], "Tags": [a_tag()]}

    assert problems(content) == [
        (
            '1.json: answer 1, InstancesSet[0].ChargeType: "Barter" is not one of Monthly, Daily, '
            "HourlyInstantSettlement, Spot, PostPaidByHour, HourlySettlement, FreeTrial"
        ),
        '1.json: answer 1, InstancesSet[0].CreationDate: "yesterday" is not a date',
    ]


def test_the_first_hundred_problems_are_told_and_the_others_counted(problems):
    items = [an_instance(f"n{number}", CreationDate="yesterday") for number in range(130)]

    lines = problems({"InstancesSet": items})

    assert len(lines) == 101
    assert lines[-1] == "and 30 more"


@pytest.mark.parametrize(
    ("key", "item", "line"),
    [
        (
            "AddressesSet",
            an_eip(State="associate", InstanceType="Ipfwd"),
            "AddressesSet[0].InstanceId: is missing",
        ),
        ("AddressesSet", an_eip(BandWidth=-1), "AddressesSet[0].BandWidth: -1 is less than 0"),
        ("Volumes", a_volume(Size=0), "Volumes[0].Size: 0 is less than 1"),
        ("Volumes", a_volume(Size=None), "Volumes[0].Size: is missing"),
        (
            "ListenerSet",
            a_listener(ListenerPort=70000),
            "ListenerSet[0].ListenerPort: 70000 is more than 65535",
        ),
        ("Tags", {"TagKey": "env"}, "Tags[0].ResourceUuid: is missing"),
    ],
)
def test_a_wrong_reference_is_told_by_its_place(problems, key, item, line):
    lines = problems({"InstancesSet": [an_instance()]}, {key: [item]})

    assert lines[0] == f"2.json: answer 1, {line}"


@pytest.mark.parametrize(
    ("key", "items", "line"),
    [
        (
            "InstancesSet",
            [an_instance(), an_instance("b", PrivateIpAddress=an_instance()["PrivateIpAddress"])],
            (
                "InstancesSet[1].PrivateIpAddress: 10.0.62.3 is taken by 1.json: answer 1, "
                "InstancesSet[0]"
            ),
        ),
        (
            "AddressesSet",
            [an_eip("a"), an_eip("b")],
            "AddressesSet[1].PublicIp: 120.92.1.1 is taken by 1.json: answer 1, AddressesSet[0]",
        ),
        (
            "ListenerSet",
            [a_listener(), a_listener(ListenerId=pk("second"))],
            "ListenerSet[1].ListenerPort: 80 is taken by 1.json: answer 1, ListenerSet[0]",
        ),
        (
            "RealServerSet",
            [a_real_server(), a_real_server(RegisterId=pk("second"))],
            "RealServerSet[1].RealServerPort: 8080 is taken by 1.json: answer 1, RealServerSet[0]",
        ),
    ],
)
def test_two_items_that_cannot_both_be_are_told(problems, key, items, line):
    content = a_balanced_web() | {key: items}
    if key == "InstancesSet":
        content = {key: items}

    assert f"1.json: answer 1, {line}" in problems(content)


def test_what_is_taken_in_the_account_is_told(load, problems):
    load(a_balanced_web() | {"AddressesSet": [an_eip()]})
    taken = {
        "InstancesSet": [an_instance("new", PrivateIpAddress=an_instance()["PrivateIpAddress"])],
        "ListenerSet": [a_listener(ListenerId=pk("second"))],
        "RealServerSet": [a_real_server(RegisterId=pk("second"))],
        "AddressesSet": [an_eip("second")],
    }

    assert problems(taken) == [
        "1.json: answer 1, InstancesSet[0].PrivateIpAddress: 10.0.62.3 is taken in this subnet",
        "1.json: answer 1, ListenerSet[0].ListenerPort: HTTP:80 is taken on this load balancer",
        (
            "1.json: answer 1, RealServerSet[0].RealServerPort: 10.0.0.9:8080 is already "
            "behind this listener"
        ),
        f"1.json: answer 1, AddressesSet[0].PublicIp: 120.92.1.1 is already known as {pk('eip')}",
    ]


def test_what_belongs_to_somebody_else_is_in_use_and_nobody_is_named(load, problems):
    load(
        a_balanced_web() | {"AddressesSet": [an_eip()], "Volumes": [a_volume()]},
        account="Mallory's",
    )

    lines = problems(a_balanced_web() | {"AddressesSet": [an_eip("mine")], "Volumes": [a_volume()]})

    assert lines == [
        f"1.json: answer 1, InstancesSet[0].InstanceId: {pk('web')} is already in use",
        (
            f"1.json: answer 1, LoadBalancerDescriptions[0].LoadBalancerId: {pk('front')} is "
            "already in use"
        ),
        f"1.json: answer 1, ListenerSet[0].ListenerId: {pk('http')} is already in use",
        f"1.json: answer 1, RealServerSet[0].RegisterId: {pk('rs')} is already in use",
        "1.json: answer 1, AddressesSet[0].PublicIp: 120.92.1.1 is already in use",
        f"1.json: answer 1, Volumes[0].VolumeId: {pk('data')} is already in use",
    ]


def test_nothing_is_bound_to_an_instance_of_another_account(mallory, make_instance, load):
    theirs = make_instance()

    said = load({"Tags": [a_tag() | {"ResourceUuid": str(theirs.pk)}]})

    assert "  tags of instances that are not here (1)\n" in said
    assert not InstanceTag.objects.exists()


def test_tags_of_other_things_and_of_the_vendor_are_left_out(load):
    tags = [a_tag("eip"), a_tag(key="ksc:billing"), a_tag(key="KSCx"), a_tag(value="")]

    said = load({"InstancesSet": [an_instance()], "AddressesSet": [an_eip()], "Tags": tags})

    assert "tags of what is not an instance (1)" in said
    assert "tags that begin with ksc (2)" in said
    assert [str(tag) for tag in Tag.objects.all()] == ["env"]


@pytest.mark.parametrize(
    "options", [{"account": " "}, {"account": "a" * 65}, {"account": "a\0"}, {"region": "Moon!"}]
)
def test_wrong_options_are_refused(load, options):
    with pytest.raises(CommandError, match="must"):
        load({"InstancesSet": []}, **options)

    assert not Account.objects.exists()


def test_what_is_imported_has_changed_when_the_import_ended(load, now):
    """A selection in a list that was shown before must not reach it."""
    load({"InstancesSet": [an_instance()]})

    assert Instance.objects.get().changed_at > now


@pytest.mark.slow
def test_memory_does_not_grow_with_the_inventory(load, monkeypatch):
    monkeypatch.setattr(rows, "WRITTEN_AT_ONCE", 100)
    alive: weakref.WeakSet[Instance] = weakref.WeakSet()
    most = 0

    def count(instance, **kwargs):
        nonlocal most
        alive.add(instance)
        most = max(most, len(alive))

    item = an_instance()
    items = []
    for number in range(3_000):
        address = f"10.9.{number // 250}.{number % 250}"
        items.append(deepcopy(item) | {"InstanceId": pk(str(number)), "PrivateIpAddress": address})
    pages = "\n".join(
        json.dumps({"InstancesSet": items[start : start + 500]}) for start in range(0, 3_000, 500)
    )

    post_init.connect(count, sender=Instance)
    try:
        load(pages)
    finally:
        post_init.disconnect(count, sender=Instance)

    assert Instance.objects.count() == 3_000
    assert most <= 3 * rows.WRITTEN_AT_ONCE
