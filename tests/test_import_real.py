"""import_inventory with what real accounts have: things without rules here, half a listing, old
dumps, odd files.
"""

import gzip
import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db import IntegrityError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recycle import actions
from recycle.actions.inventory import Options, import_inventory
from recycle.inventory import Notes, Place, Progress, ProgressBar, Source
from recycle.inventory.fields import BEIJING
from recycle.inventory.kinds import BY_KEY, built
from recycle.inventory.pages import FULL, Told, gaps
from recycle.inventory.words import CHARGES, CONTAINERS, NESTED_SERVERS, STATES
from recycle.lifecycle import State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    Listener,
    LoadBalancer,
    RealServer,
    Volume,
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

CASES = Path(__file__).parent / "data" / "cases"
DAY = timedelta(days=1)
PROJECT = Path(__file__).resolve().parent.parent


def ends(moment):
    """A Subscription that ends then."""
    return {
        "ChargeType": "Monthly",
        "ServiceEndTime": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def left_out(said, what):
    """How many of these were left out."""
    (line,) = [line for line in said.splitlines() if line.startswith(f"  {what} (")]
    return int(line.rpartition("(")[2].rstrip(")"))


# What is left out

DELETED = {"Name": "deleted"}


@pytest.mark.parametrize(
    "name", sorted(path.name for path in CASES.glob("*.json") if "F3" not in path.name)
)
def test_what_failed_once_is_taken(load, name):
    said = load((CASES / name).read_bytes(), region="cn-beijing-6")

    assert "Created nothing" not in said


def nodes(value, path=()):
    """The paths to everything in a value."""
    for name, inner in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield (*path, name)
        yield from nodes(inner, (*path, name))


ODD: list[object] = [
    None,
    "",
    0,
    -1,
    10**30,
    1.5,
    True,
    "x",
    "a\0",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"a": [{}]},
    "2026-02-30",
]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_whatever_is_odd_about_an_answer_it_is_taken_or_refused_with_a_sentence(load, data):
    """Never a traceback, never the database's own words, and nothing written when it is refused."""
    name = data.draw(st.sampled_from(sorted(path.name for path in CASES.glob("*.json"))))
    text = (CASES / name).read_text()
    answer, _ = json.JSONDecoder().raw_decode(text)
    path = data.draw(st.sampled_from(list(nodes(answer))))
    within = answer
    for step in path[:-1]:
        within = within[step]
    if data.draw(st.booleans()):
        within[path[-1]] = data.draw(st.sampled_from(ODD))
    else:
        del within[path[-1]]

    try:
        said = load(answer, region="cn-beijing-6", dry_run=True)
    except CommandError as refused:
        said = str(refused)
        assert "Nothing was written." in said

    assert "database" not in said
    assert not Instance.objects.exists()


@pytest.mark.parametrize("state", ["deleting", "terminated"])
def test_what_is_leaving_is_left_out_with_what_refers_to_it_and_the_others_are_imported(
    load, state
):
    spot = an_instance("spot", InstanceState={"Name": state}, InstanceConfigure={})
    content = a_balanced_web()
    content["InstancesSet"] += [spot]
    content["RealServerSet"] += [
        a_real_server(RegisterId=pk("rs 2"), InstanceId=pk("spot"), RealServerIp="10.0.0.10")
    ]
    content |= {"AddressesSet": [bound_to("spot")], "Volumes": [a_volume(InstanceId=pk("spot"))]}

    said = load(content, {"Tags": [a_tag("spot"), a_tag("web")]})

    assert list(Instance.objects.values_list("name", flat=True)) == ["web"]
    assert ElasticIP.objects.get().instance is None
    assert Volume.objects.get().instance is None
    assert (RealServer.objects.count(), InstanceTag.objects.count()) == (1, 1)
    for what in (
        "instances that are being deleted",
        "bindings of EIPs to instances that are not here",
        "attachments of EBS volumes to instances that are not here",
        "real servers on instances that are not here",
        "tags of instances that are not here",
    ):
        assert left_out(said, what) == 1


@pytest.mark.parametrize(
    ("key", "item", "what", "made"),
    [
        (
            "AddressesSet",
            bound_to("nobody"),
            "bindings of EIPs to instances that are not here",
            ElasticIP,
        ),
        (
            "AddressesSet",
            an_eip(State="associate", InstanceType="Slb", InstanceId=pk("nobody")),
            "bindings of EIPs to load balancers that are not here",
            ElasticIP,
        ),
        (
            "AddressesSet",
            an_eip(State="associate", InstanceType="Ipfwd", NetworkInterfaceId=pk("nic")),
            "bindings of EIPs to instances that are not here",
            ElasticIP,
        ),
        (
            "AddressesSet",
            bound_to("web", HostType="epc"),
            "bindings of EIPs to bare metal",
            ElasticIP,
        ),
        (
            "AddressesSet",
            an_eip(State="associate", InstanceType="Natpool", InstanceId=pk("web")),
            "bindings of EIPs to Natpool",
            ElasticIP,
        ),
        (
            "Volumes",
            a_volume(InstanceId=pk("nobody")),
            "attachments of EBS volumes to instances that are not here",
            Volume,
        ),
        (
            "Volumes",
            a_volume(InstanceId=pk("web"), AvailabilityZone="cn-beijing-6b"),
            "attachments of EBS volumes to instances in another zone",
            Volume,
        ),
        ("ListenerSet", a_listener(), "listeners of load balancers that are not here", None),
        ("RealServerSet", a_real_server(), "real servers of listeners that are not here", None),
        (
            "RealServerSet",
            a_real_server(RealServerType="DirectConnectGateway"),
            "real servers that are not instances",
            None,
        ),
        ("Tags", a_tag("nobody"), "tags of instances that are not here", None),
        ("Tags", {"Id": 1, "Key": "env", "Value": "prod"}, "tags without what they are on", None),
    ],
)
def test_what_refers_to_something_that_is_not_here_comes_unbound_or_is_left_out(
    load, key, item, what, made
):
    said = load({"InstancesSet": [an_instance()]}, {key: [item]})

    assert left_out(said, what) == 1
    assert Instance.objects.count() == 1
    if made:
        assert made.objects.get().instance is None


@pytest.mark.parametrize("name", ["InstanceId", "NetworkInterfaceId"])
def test_what_an_eip_is_bound_to_without_rules_here_may_have_any_name(load, name):
    nat = an_eip(State="associate", InstanceType="Natpool", **{name: "nat-12"})

    said = load(
        {"AddressesSet": [nat, an_eip("b", PublicIp="1.2.3.4", InstanceId="gone-1")]},
        region="cn-beijing-6",
    )

    assert left_out(said, "bindings of EIPs to Natpool") == 1
    assert set(ElasticIP.objects.values_list("instance", flat=True)) == {None}


@pytest.mark.parametrize("by", ["InstanceId", "NetworkInterfaceId"])
def test_an_eip_stands_where_the_instance_that_was_left_out_stands(load, by):
    far = an_instance("far", InstanceState=DELETED, AvailabilityZone="cn-shanghai-2a")
    named = pk("far") if by == "InstanceId" else pk("far nic")

    load(
        {
            "InstancesSet": [an_instance(), far],
            "AddressesSet": [an_eip(State="associate", InstanceType="Ipfwd", **{by: named})],
        }
    )

    assert ElasticIP.objects.get().region_id == "cn-shanghai-2"


@pytest.mark.parametrize("said", ["", None, pk("another listener")])
def test_a_nested_real_server_is_behind_the_listener_that_it_is_nested_in(load, said):
    content = a_balanced_web()
    content["ListenerSet"][0]["RealServer"] = content.pop("RealServerSet")
    content["ListenerSet"][0]["RealServer"][0]["ListenerId"] = said

    load(content)

    assert RealServer.objects.get().listener_id == Listener.objects.get().pk


def test_an_attachment_without_an_instance_is_to_that_of_the_volume(load):
    attachment = {"DeleteWithInstance": True, "MountPoint": "/dev/vdd"}
    volume = a_volume(InstanceId=pk("web"), Attachment=[attachment])

    load({"InstancesSet": [an_instance()], "Volumes": [volume]})

    assert Volume.objects.values_list(
        "instance__name", "mount_point", "delete_with_instance"
    ).get() == ("web", "/dev/vdd", True)


@pytest.mark.parametrize("address", ["::ffff:1.2.3.4", "::FFFF:0102:0304", "2001:DB8::0:1"])
def test_an_address_has_the_form_of_its_column_so_that_it_is_known_again(load, address):
    load({"AddressesSet": [an_eip(PublicIp=address)]}, region="cn-beijing-6")
    (known,) = ElasticIP.objects.values_list("address", flat=True)

    with pytest.raises(CommandError, match=f"{known} is already known as {pk('eip')}"):
        load({"AddressesSet": [an_eip("other", PublicIp=address)]}, region="cn-beijing-6")


def test_a_volume_on_several_instances_comes_detached(load):
    attached = [{"InstanceId": pk("web")}, {"InstanceId": pk("other")}]

    said = load(
        {"InstancesSet": [an_instance(), an_instance("other")]},
        {"Volumes": [a_volume(Attachment=attached)]},
    )

    assert left_out(said, "attachments of one EBS volume to several instances") == 2
    assert Volume.objects.get().instance is None


def test_a_real_server_in_another_region_than_its_load_balancer_is_left_out(load):
    far = an_instance(
        "far",
        AvailabilityZone="cn-shanghai-2a",
        NetworkInterfaceSet=[{"NetworkInterfaceId": pk("far nic")}],
    )
    content = a_balanced_web() | {"RealServerSet": [a_real_server(InstanceId=pk("far"))]}
    content["InstancesSet"] = [*content["InstancesSet"], far]

    said = load(content)

    assert left_out(said, "real servers in another region than their load balancer") == 1


def test_a_few_of_what_is_left_out_are_named_and_all_of_them_when_asked(load):
    content = {
        "InstancesSet": [an_instance(f"n{number}", InstanceState=DELETED) for number in range(12)]
    }

    few, every = load(content), load(content, verbosity=2)

    assert (
        few.count("1.json: answer 1, InstancesSet["),
        every.count("1.json: answer 1, InstancesSet["),
    ) == (3, 12)
    assert "    and 9 more; --verbosity 2 names every one\n" in few


def test_what_is_leaving_may_lack_what_only_rules_need(load, problems):
    load({"InstancesSet": [{"InstanceId": pk("spot"), "InstanceState": DELETED}]})

    assert problems({"InstancesSet": [{"InstanceId": "spot", "InstanceState": DELETED}]})


# Nothing is lost in silence

NAMES = sorted(CONTAINERS | {"Unheard", "NextYearSet"})
ITEMS = {
    "InstancesSet": an_instance(),
    "LoadBalancerDescriptions": a_load_balancer(),
    "ListenerSet": a_listener(),
    "RealServerSet": a_real_server(),
    "AddressesSet": an_eip(),
    "Volumes": a_volume(),
    "Tags": a_tag(),
}
READ = {
    "InstancesSet": {"DataDisks"},
    "LoadBalancerDescriptions": {"TagSet"},
    "ListenerSet": set(NESTED_SERVERS),
    "AddressesSet": {"TagSet"},
    "Volumes": {"TagSet", "Attachment"},
}
THING = {"SomeId": pk("thing"), "Name": "thing"}


def unread(key, item):
    (_, entry), *_ = built(BY_KEY[key], Place("1.json", 1, key, 0), item)
    return entry.unread


@pytest.mark.parametrize("key", sorted(ITEMS))
def test_every_list_in_an_item_that_nobody_reads_is_counted(key):
    names = [name for name in NAMES if name not in READ.get(key, ())]
    extra = {name: [THING, THING] for name in names}
    item = ITEMS[key]

    assert unread(key, {**extra, **item}).items() >= {
        (f"{key}.{name}", 2) for name in names if name not in item
    }
    assert unread(key, {**item, "Detail": extra}).items() >= {
        (f"{key}.Detail.{name}", 2) for name in names
    }


def test_real_servers_and_tags_where_they_may_be_are_read_or_counted(load):
    content = a_balanced_web()
    (server,) = content.pop("RealServerSet")
    del server["ListenerId"]
    content["ListenerSet"][0]["RealServer"] = [server]
    content["LoadBalancerDescriptions"][0]["TagSet"] = [{"TagKey": "env", "TagValue": "prod"}]

    said = load(content)

    assert RealServer.objects.get().listener_id == Listener.objects.get().pk
    assert left_out(said, "tags of what is not an instance") == 1


def test_a_real_server_told_twice_is_one(load):
    content = a_balanced_web()
    content["ListenerSet"][0]["RealServerSet"] = content["RealServerSet"]

    said = load(content)

    assert "1 real server," in said
    assert "Noted" not in said


def test_a_nested_real_server_that_cannot_be_read_is_told_by_its_place(problems):
    content = a_balanced_web()
    content["ListenerSet"][0]["RealServer"] = [a_real_server(RealServerPort=0)]

    assert problems(content) == [
        "1.json: answer 1, ListenerSet[0].RealServer[0].RealServerPort: 0 is less than 1"
    ]


def test_every_list_beside_the_ones_that_are_read_is_counted(load):
    others = [name for name in NAMES if name not in ITEMS]

    said = load({"InstancesSet": [an_instance()], **{name: [THING, THING] for name in others}})
    within = load({"InstancesSet": [an_instance()], "Result": {name: [THING] for name in NAMES}})

    assert {name: left_out(said, name) for name in others} == dict.fromkeys(others, 2)
    assert {name: left_out(within, f"Result.{name}") for name in NAMES} == dict.fromkeys(NAMES, 1)


@given(
    path=st.lists(st.text("abcXYZ", min_size=1, max_size=4), min_size=1, max_size=8),
    things=st.integers(1, 5),
    key=st.sampled_from(sorted(ITEMS)),
)
def test_however_deep_it_lies_it_is_counted(path, things, key):
    value: object = [THING] * things
    for name in reversed(path):
        value = {name: value}

    assert unread(key, {**ITEMS[key], "Odd": value}) == {f"{key}.Odd.{'.'.join(path)}": things}


def test_an_answer_that_only_has_what_nobody_reads_is_left_out_not_refused(load):
    said = load({"Snapshots": [THING, THING], "RequestId": "x"}, {"InstancesSet": [an_instance()]})

    assert left_out(said, "Snapshots") == 2


def test_data_disks_and_interfaces_that_become_nothing_are_counted(load):
    interfaces = [
        {"NetworkInterfaceId": pk("a"), "NetworkInterfaceType": "primary"},
        {"NetworkInterfaceId": pk("b")},
    ]
    disks = [{"DiskId": pk("data")}, {"DiskId": pk("elsewhere")}, {"DiskType": "Local_SSD"}]
    instance = an_instance(NetworkInterfaceSet=interfaces, DataDisks=disks)

    said = load({"InstancesSet": [instance], "Volumes": [a_volume()]})

    assert left_out(said, "network interfaces beside the primary one") == 1
    assert left_out(said, "data disks without an EBS volume of their own") == 2


def test_names_that_no_terminal_should_see_are_escaped_and_kinds_beyond_fifty_counted(load):
    odd = {f"n{number}": [THING] for number in range(60)} | {"\x1b[2J": [THING]}

    said, every = (load({"InstancesSet": [], **odd}, verbosity=verbosity) for verbosity in (1, 2))

    assert "  and 11 more kinds of things\n" in said
    assert "\x1b" not in every
    assert left_out(every, "\\u001b[2J") == 1


# Answers that say they are not all


@pytest.mark.alike
@pytest.mark.parametrize(
    ("pages", "items", "missing"),
    [
        ([(1, "")], 1, False),
        ([(250, "")], 1, True),
        ([(250, "200"), (250, "")], 250, False),
        ([(250, ""), (250, "200")], 250, False),
        ([(0, "")], 0, False),
        ([(None, "")], 3, False),
        # Two listings of one length, then halves of such, with a position and with none.
        ([(10, ""), (10, "")], 20, False),
        ([(12, "10"), (12, "10"), (12, ""), (12, "")], 24, False),
        ([(12, "10"), (12, "10"), (12, "")], 22, True),
        ([(20, "10"), (20, "10")], 20, True),
        ([(12, "10"), (12, "10")], 20, True),
        ([(12, ""), (12, "")], 20, True),
        ([(12, ""), (12, "10")], 22, True),
        ([(12, FULL), (12, FULL)], 20, True),
        # Somebody made one while somebody paged, another was deleted.
        ([(20, "10"), (20, "")], 21, False),
        # It says less than it has.
        ([(3, "")], 5, False),
        ([(None, "201")], 200, True),
        ([(None, "201"), (None, "")], 300, False),
        ([(None, "201"), (None, "401"), (None, "")], 500, False),
        # Of two listings the other one ends.
        ([(None, ""), (None, "201")], 300, True),
        ([(None, "201"), (None, ""), (None, "201")], 500, True),
        ([(None, "201"), (None, "201"), (None, "")], 500, True),
        ([(None, "201"), (None, "201"), (None, ""), (None, "")], 500, False),
        ([(None, FULL)], 10, True),
        ([(None, FULL), (None, FULL), (None, "")], 25, False),
        ([(3, "201")], 3, False),
    ],
)
def test_a_listing_is_whole_or_not(pages, items, missing):
    told = [Told("1.json", "Volumes", total, token) for total, token in pages]

    assert bool(list(gaps(told, {("Volumes", pages[0][0]): items}))) == missing


@pytest.mark.parametrize(
    ("counted", "missing"),
    [
        # Somebody made an instance while the pages were asked for.
        ({(250, "200"): 200, (251, ""): 51}, []),
        ({(250, "200"): 200, (251, ""): 20}, [250, 251]),
        # Two regions: nobody gets the first page of one listing twice.
        ({(20, "10"): 10, (22, "10"): 10}, [20, 22]),
        ({(20, "10"): 12, (22, "10"): 10}, [20, 22]),
        # Two regions, one of which lacks a page.
        ({(250, ""): 250, (40, "10"): 10}, [40]),
        ({(250, "240"): 240, (40, "39"): 39}, [40, 250]),
        ({(250, "240"): 240, (245, "239"): 239}, [245, 250]),
    ],
)
def test_a_total_that_moved_while_somebody_paged_is_no_gap(counted, missing):
    told = [Told(str(total), "InstancesSet", total, token) for total, token in counted]
    items = {("InstancesSet", total): have for (total, _), have in counted.items()}

    assert [int(gap.place) for gap in gaps(told, items)] == missing


def test_half_a_listing_is_refused_unless_that_is_accepted(load, problems):
    half = (CASES / "F3-page1-of-25.json").read_bytes()

    (said,) = problems(half)
    taken = load(half, partial=True)

    assert said.startswith(
        "1.json: answer 1, InstancesSet: it says there are 250 in all, and these files have 1;"
    )
    assert "incomplete, taken all the same: InstancesSet it says there are 250 in all" in taken
    assert Instance.objects.count() == 1


@pytest.mark.parametrize(
    "said",
    [
        {"InstanceCount": 2, "Marker": 1},
        {"TotalCount": 2, "NextToken": "2"},
        {"TotalCount": "2", "Marker": 1},
        {"NextToken": "2"},
        {"Marker": 1},
        {"MaxResults": 1},
    ],
)
def test_every_way_to_say_that_there_is_more_is_heard(load, problems, said):
    first, second = (
        {"InstancesSet": [an_instance("a")], **said},
        {"InstancesSet": [an_instance("bb")]},
    )
    second |= {name: value for name, value in said.items() if "Count" in name}

    assert len(problems(first)) == 1
    load(first, second)

    assert Instance.objects.count() == 2


def test_with_a_total_pages_come_in_whatever_order_and_without_one_in_their_own(load, problems):
    first, last = {"InstancesSet": [an_instance("a")]}, {"InstancesSet": [an_instance("bb")]}
    total = {"InstanceCount": 2}

    load(last | total, first | total | {"Marker": 1}, dry_run=True)
    (said,) = problems(last, first | {"NextToken": "2"})
    load(last, first | {"NextToken": "2"}, partial=True)

    assert "another page follows, and none after it ends the list" in said
    assert "in their order, or --partial" in said
    assert Instance.objects.count() == 2


def test_the_same_page_twice_is_not_two_pages(load, problems):
    page = {"InstancesSet": [an_instance()], "InstanceCount": 2, "Marker": 1}
    last = {"InstancesSet": [an_instance("bb")], "InstanceCount": 2}

    assert len(problems(page, page)) == 1
    load(page, page, last, last)

    assert Instance.objects.count() == 2


def test_an_empty_page_after_the_last_is_of_no_other_listing(load, problems):
    first, last, after = (
        {"InstancesSet": items, "InstanceCount": 2}
        for items in ([an_instance("a")], [an_instance("bb")], [])
    )

    assert len(problems(after)) == 1
    load(first | {"Marker": 1}, last, after)

    assert Instance.objects.count() == 2


def test_half_of_each_of_two_listings_is_not_a_whole(problems):
    """The first pages of two regions, of one length and of nearly one."""

    def page(first, total):
        items = [an_instance(f"{first}{number}") for number in range(10)]
        return {"InstancesSet": items, "InstanceCount": total, "Marker": 10}

    nearly = problems(page("a", 20), page("b", 22))
    (alike,) = problems(page("a", 12), page("b", 12))

    assert [line.split(":")[0] for line in nearly] == ["1.json", "2.json"]
    assert "2 listings say there are 12 in all, and these files have 20 of 24;" in alike


def test_the_end_of_another_listing_ends_none(problems):
    """Two regions, of which the first is whole."""
    whole = {"AddressesSet": [an_eip("a")]}
    half = {"AddressesSet": [an_eip("b", PublicIp="120.92.1.2")], "NextToken": "2"}

    assert len(problems(whole, half, region="cn-beijing-6")) == 1


def test_a_total_counts_the_items_of_its_own_list(problems):
    mixed = {"InstancesSet": [an_instance()], "AddressesSet": [an_eip()], "InstanceCount": 2}

    (said,) = problems(mixed)

    assert "InstancesSet: it says there are 2 in all, and these files have 1;" in said


def test_tags_with_one_key_are_as_many_as_they_have_values(load):
    """In the answer of ListTags, where they are on nothing."""
    tags = [{"Id": number, "Key": "env", "Value": f"v{number}"} for number in range(3)]

    said = load({"Tags": tags, "Total": 3})

    assert left_out(said, "tags without what they are on") == 3


def test_an_answer_without_a_list_may_say_that_there_is_nothing(load, problems):
    load({"TotalCount": 0, "RequestId": "x"}, {"InstancesSet": [an_instance()]})

    assert problems({"TotalCount": "many", "Volumes": []}) == [
        '1.json: answer 1: TotalCount: "many" is not a whole number'
    ]


# Words


@pytest.mark.alike
@pytest.mark.parametrize("word", sorted(CHARGES))
def test_every_word_for_a_charge_is_known_of_eips_and_volumes(load, word):
    said = load(
        {"AddressesSet": [an_eip(ChargeType=word)], "Volumes": [a_volume(ChargeType=word)]},
        region="cn-beijing-6",
    )

    assert (ElasticIP.objects.get().billing_mode, Volume.objects.get().billing_mode) == (
        CHARGES[word],
        CHARGES[word],
    )
    assert "Noted" not in said


@pytest.mark.parametrize(
    ("word", "mode", "kept"),
    [
        ("Spot", BillingMode.SPOT, None),
        ("PostPaidByHour", BillingMode.HOURLY, "PostPaidByHour"),
        ("HourlySettlement", BillingMode.HOURLY, "HourlySettlement"),
        ("FreeTrial", BillingMode.DAILY, "FreeTrial"),
    ],
)
def test_a_way_to_pay_that_shares_the_rules_of_another_keeps_its_word(load, word, mode, kept):
    load({"InstancesSet": [an_instance(ChargeType=word)]})

    instance = Instance.objects.get()
    assert (instance.billing_mode, instance.charge_type) == (mode, kept)
    assert ("settled" in instance.billing_label) == (mode == BillingMode.HOURLY)


def test_every_billing_mode_and_every_state_in_use_has_a_word():
    assert set(CHARGES.values()) == set(BillingMode)
    assert set(STATES.values()) == {State.ACTIVE, State.STOPPED}


@pytest.mark.alike
@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("AddressesSet", "ChargeType"),
        ("AddressesSet", "State"),
        ("AddressesSet", "InstanceType"),
        ("AddressesSet", "HostType"),
        ("Volumes", "ChargeType"),
        ("Volumes", "VolumeStatus"),
        ("Volumes", "VolumeCategory"),
        ("LoadBalancerDescriptions", "Type"),
        ("LoadBalancerDescriptions", "LbStatus"),
        ("ListenerSet", "Method"),
        ("ListenerSet", "ListenerProtocol"),
        ("RealServerSet", "RealServerType"),
        ("RealServerSet", "RealServerState"),
    ],
)
def test_an_unknown_word_refuses_nothing_but_an_instance(load, key, field):
    content = a_balanced_web() | {"AddressesSet": [an_eip()], "Volumes": [a_volume()]}
    content[key][0][field] = "next-year"

    load(content)

    assert Instance.objects.count() == 1


def test_a_scheduled_deletion_and_a_protection_come_along(load, now):
    future = (now + 9 * DAY).astimezone(BEIJING)
    typed = future.strftime("%Y-%m-%d %H:%M")
    items = [
        an_instance("a", AutoDeleteTime=typed, IsProtect=True),
        an_instance("bb", AutoDeleteTime="2020-01-01 00:00", AutoDeleteEip=True),
        an_instance("ccc", AutoDeleteTime=typed, **ends(now + 99 * DAY)),
    ]

    said = load({"InstancesSet": items})

    found = dict(Instance.objects.values_list("name", "delete_at"))
    assert found["a"] == future.replace(second=0, microsecond=0)
    # A moment that had passed deletes nothing at once.
    assert found["bb"]
    assert abs(found["bb"] - now - DAY) < DAY / 2
    assert found["ccc"] is None
    assert Instance.objects.get(protected=True).name == "a"
    assert "whose moment had passed, imported with a day's time (1)" in said
    assert left_out(said, "EIPs that were to be deleted with their instance") == 1
    assert left_out(said, "scheduled deletions of subscriptions") == 1


def test_what_the_word_for_a_state_counts_as_is_told_with_how_many_there_are(load):
    states = ("error", "error", "migrating_success", "active", "stopped")
    items = [an_instance("x" * n, InstanceState={"Name": said}) for n, said in enumerate(states, 1)]

    said = load({"InstancesSet": items})

    assert 'InstanceState.Name: "error" counts as stopped (2)\n' in said
    assert 'InstanceState.Name: "migrating_success" counts as active (1)\n' in said
    assert said.count("counts as") == 2


def test_an_unknown_word_is_noted(load):
    said = load({"Volumes": [a_volume(ChargeType="Barter")]})

    assert 'ChargeType: "Barter" is not known, taken for the usual (1)\n' in said
    assert Volume.objects.get().billing_mode == BillingMode.DAILY


def test_a_zone_of_the_financial_regions_is_a_zone(load):
    load({"InstancesSet": [an_instance(AvailabilityZone="cn-beijing-fin-a")]})

    assert Instance.objects.get().zone.region_id == "cn-beijing-fin"


# Old dumps


@pytest.mark.parametrize("accept_ended", [False, True])
@pytest.mark.parametrize("days", [-400, -11, -7.01, -6.99, -1, -0.01, 1, 30])
def test_nothing_imported_is_purged_by_a_deadline_that_had_passed(load, now, days, accept_ended):
    load({"InstancesSet": [an_instance(**ends(now + days * DAY))]}, accept_ended=accept_ended)

    actions.expire_due(context=acting(None))
    actions.purge_due(context=acting(None))

    over = days < -7
    assert Instance.objects.count() == (0 if over and not accept_ended else 1)
    for instance in Instance.objects.all():
        assert instance.state == (State.EXPIRED if days < 0 else State.ACTIVE)
        assert instance.purge_at is None or instance.purge_at > now + 0.99 * DAY


def test_a_subscription_whose_time_was_over_is_left_out_and_counted(load, now):
    said = load(
        {"InstancesSet": [an_instance(**ends(now - 11 * DAY)), an_instance("b")], "Tags": [a_tag()]}
    )

    assert (
        left_out(
            said,
            "subscriptions whose time was over before they were imported; --accept-ended takes "
            "them in",
        )
        == 1
    )
    assert left_out(said, "tags of instances that are not here") == 1
    assert Instance.objects.get().name == "b"


def test_an_expired_subscription_keeps_its_end_and_is_told(load, now):
    expired = now.replace(microsecond=0) - 2 * DAY

    said = load({"InstancesSet": [an_instance(**ends(expired))], "Tags": [a_tag()]})

    instance = Instance.objects.get()
    assert (instance.state, instance.purge_at) == (State.EXPIRED, expired + 7 * DAY)
    assert instance.instance_tags.count() == 1
    assert "subscriptions that have expired, imported as such (1)" in said


def test_a_renewal_elsewhere_moves_the_end_forward_and_is_told(account, load, make_instance, now):
    kept = make_instance(billing_mode=BillingMode.MONTHLY)
    expired = make_instance(State.EXPIRED)
    until = now.replace(microsecond=0) + 300 * DAY
    items = [
        an_instance(InstanceId=str(each.pk), PrivateIpAddress=each.private_ip, **ends(until))
        for each in (kept, expired)
    ]

    said = load({"InstancesSet": items}, account=account.name)

    assert left_out(said, "subscriptions that run longer in these files") == 2
    assert set(Instance.objects.values_list("state", "expires_at", "purge_at")) == {
        (State.ACTIVE, until, None)
    }
    assert set(
        Event.objects.values_list("instance_id", "action", "from_state", "to_state", "reason")
    ) == {
        (kept.pk, "renew", "active", "active", "import_inventory"),
        (expired.pk, "renew", "expired", "active", "import_inventory"),
    }


def test_an_end_never_moves_back(account, load, make_instance, now):
    instance = make_instance(billing_mode=BillingMode.MONTHLY)
    older = an_instance(InstanceId=str(instance.pk), **ends(now + DAY))
    before = snapshot()

    said = load({"InstancesSet": [older]}, account=account.name)

    assert snapshot() == before
    assert "Renewed" not in said


def test_a_renewal_in_an_old_dump_does_not_revive_what_is_over_here(
    account, load, make_instance, now
):
    over = make_instance(State.EXPIRED, expires_at=now - 8 * DAY, purge_at=now - DAY)

    said = load(
        {"InstancesSet": [an_instance(InstanceId=str(over.pk), **ends(now + DAY))]},
        account=account.name,
    )

    assert (
        left_out(said, "subscriptions that run longer in these files, but whose time is over here")
        == 1
    )
    assert Instance.objects.get().state == State.EXPIRED


def test_a_subscription_that_ran_out_again_after_a_renewal_elsewhere_has_its_own_seven_days(
    account, load, make_instance, now
):
    instance = make_instance(State.EXPIRED, expires_at=now - 6 * DAY, purge_at=now + DAY)
    again = now.replace(microsecond=0) - DAY

    load(
        {"InstancesSet": [an_instance(InstanceId=str(instance.pk), **ends(again))]},
        account=account.name,
    )
    actions.expire_due(context=acting(None))

    instance.refresh_from_db()
    assert (instance.state, instance.purge_at) == (State.EXPIRED, again + 7 * DAY)


def test_what_was_purged_here_but_lives_in_the_files_is_named(alice, account, load, now):
    content = {"InstancesSet": [an_instance(ChargeType="HourlyInstantSettlement")]}
    load(content, account=account.name)
    actions.delete(Instance.objects.all(), may_release=True, context=acting(alice, now))

    purged = load(content, account=account.name)
    actions.forget_tombstones(context=acting(None, now + 1000 * DAY))
    forgotten = load(content, account=account.name)

    for said in (purged, forgotten):
        assert left_out(said, "deleted for good here, but not in these files") == 1
        assert pk("web") in said
    assert not Instance.objects.exists()


# Files


def test_of_one_instance_on_two_pages_the_later_state_counts_and_is_noted(load):
    stopped = {"InstanceState": {"Name": "stopped"}}
    pages = [{"InstancesSet": [an_instance()]}, {"InstancesSet": [an_instance(**stopped)]}]

    said = load(*pages)

    assert "  instances told twice, and differently: the later one counts (1)\n" in said
    assert (
        "2.json: answer 1, InstancesSet[0]; before that 1.json: answer 1, InstancesSet[0]" in said
    )
    assert "Created 1 instance" in said
    assert Instance.objects.get().state == State.STOPPED


@pytest.mark.parametrize("key", sorted(ITEMS))
def test_of_two_that_differ_the_later_one_counts_whatever_it_is(load, key):
    field = {
        "Tags": "TagValue",
        "RealServerSet": "Weight",
        "AddressesSet": "BandWidth",
        "Volumes": "VolumeName",
    }.get(
        key,
        {"InstancesSet": "InstanceName", "ListenerSet": "ListenerName"}.get(
            key, "LoadBalancerName"
        ),
    )
    content = a_balanced_web() | {
        "AddressesSet": [an_eip()],
        "Volumes": [a_volume()],
        "Tags": [a_tag()],
    }
    later = {**content[key][0], field: 7 if key in ("RealServerSet", "AddressesSet") else "later"}

    said = load(content, {key: [later]})

    model, column = {
        "InstancesSet": (Instance, "name"),
        "LoadBalancerDescriptions": (LoadBalancer, "name"),
        "ListenerSet": (Listener, "name"),
        "RealServerSet": (RealServer, "weight"),
        "AddressesSet": (ElasticIP, "bandwidth_mbps"),
        "Volumes": (Volume, "name"),
        # They have no identity of their own: two values are two tags.
        "Tags": (InstanceTag, "tag__value"),
    }[key]
    values = list(model._default_manager.order_by(column).values_list(column, flat=True))
    assert values == (["later", "prod"] if key == "Tags" else [later[field]])
    assert ("told twice, and differently" in said) == (key != "Tags")


@pytest.mark.alike
@pytest.mark.parametrize(
    ("encoded", "sentence"),
    [
        (lambda text: text.encode("utf-16"), "this is UTF-16; save it as UTF-8"),
        (lambda text: text.encode("utf-16-le"), "this is UTF-16; save it as UTF-8"),
        (lambda text: text.encode("utf-16-be"), "this is UTF-16; save it as UTF-8"),
        (lambda text: b"\xfe\xff" + text.encode("utf-16-be"), "this is UTF-16; save it as UTF-8"),
        (lambda text: text.encode("utf-32"), "this is UTF-32; save it as UTF-8"),
        (lambda text: text.encode("utf-32-be"), "this is UTF-32; save it as UTF-8"),
        (lambda text: gzip.compress(text.encode()), "this is packed with gzip; unpack it first"),
        (lambda text: b"PK\x03\x04" + text.encode(), "this is packed with zip; unpack it first"),
    ],
)
def test_a_file_in_another_encoding_is_named_as_such(problems, encoded, sentence):
    assert problems(encoded(json.dumps({"InstancesSet": []}))) == [f"1.json: {sentence}"]


def test_a_mark_in_front_of_utf_8_is_passed_over(load):
    load(b"\xef\xbb\xbf" + json.dumps({"InstancesSet": [an_instance("网站")]}).encode())

    assert Instance.objects.get().name == "网站"


def test_a_pipe_is_read_like_a_file(load, tmp_path):
    """It cannot be wound back, and everything is read once only."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = json.dumps({"InstancesSet": [an_instance()], "Tags": [a_tag()]})
    writer = subprocess.Popen(["/bin/sh", "-c", f"cat > {pipe}"], stdin=subprocess.PIPE, text=True)
    assert writer.stdin
    writer.stdin.write(content)
    writer.stdin.close()

    said = load(pipe)
    writer.wait()

    assert "Created 1 instance, 1 tag" in said


# While it runs


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_shows_how_far_it_is_and_elsewhere_it_does_not(load, monkeypatch):
    content = {"InstancesSet": [an_instance()]}
    for terminal in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", terminal)
        load(content)
        shown = terminal.getvalue()

        assert (
            "Reading: 100%" in shown and "1 rows" in shown and "Writing: 100%" in shown
        ) == terminal.isatty()
        assert ("SQLite has one writer" in shown) == (connection.vendor == "sqlite")


def test_a_dry_run_says_what_an_import_would_do_and_does_nothing(account, load, make_instance, now):
    instance = make_instance(State.EXPIRED)
    renewed = an_instance(InstanceId=str(instance.pk), **ends(now + 300 * DAY))
    content = a_balanced_web()
    content["InstancesSet"] += [renewed, an_instance("spot", InstanceState=DELETED)]
    before = snapshot()

    dry = load(content, account=account.name, dry_run=True).splitlines()
    assert snapshot() == before
    wet = load(content, account=account.name).splitlines()

    words = {"Created": "Would create", "Renewed:": "Would renew:", "Left out:": "Would leave out:"}
    for said, would in words.items():
        wet = [line.replace(said, would, 1) if line.startswith(said) else line for line in wet]
    assert dry == [*wet, "This was a dry run: nothing was written."]
    assert snapshot() != before


class Meddling(Progress):
    """Somebody changes rows in the transaction of the import, as a bug of it would."""

    @contextmanager
    def begin(self, what, total, *, in_bytes=False):
        class Changing(ProgressBar):
            def advance(self, done, rows):
                if not in_bytes:
                    other, _ = Account.objects.get_or_create(name="Another")
                    ElasticIP.objects.update(account=other)

        yield Changing()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_dry_run_tells_what_would_fail_when_it_is_committed(tmp_path, now, dry_run):
    """That both sides of a binding belong to one account is asked at the end."""
    file = tmp_path / "1.json"
    file.write_text(
        json.dumps({"InstancesSet": [an_instance()], "AddressesSet": [bound_to("web")]})
    )
    options = Options(account_name="Imported")
    acts = {"context": acting(None, now), "dry_run": dry_run}

    with Notes() as notes, pytest.raises(IntegrityError):
        import_inventory([Source(str(file))], notes, options, Meddling(), **acts)

    assert not Instance.objects.exists()


READER = """
import sys, threading
from contextlib import contextmanager
import django
django.setup()
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from recycle.actions import Context
from recycle.actions.inventory import Options, import_inventory
from recycle.inventory import ProgressBar, Notes, Progress, Source
from recycle.models import Account, Edge, Membership, User

call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
account = Account.objects.create(name="Acme")
alice = User.objects.create_user("alice")
Membership.objects.create(user=alice, account=account, role=30)
client = Client(headers={"host": "localhost"})
client.force_login(alice)
answers = []

def look():
    paths = ("/instances/", "/recycle-bin/", "/healthz")
    answers.extend(client.get(path).status_code for path in paths)
    connections.close_all()

class Held(ProgressBar):
    def advance(self, done, rows):
        if progress.what == "Reading":
            assert not connection.in_atomic_block, "it holds the lock while it reads"
        else:
            assert connection.in_atomic_block
            person = threading.Thread(target=look)
            person.start()
            person.join()

class Looking(Progress):
    @contextmanager
    def begin(self, what, total, *, in_bytes=False):
        self.what = what
        yield Held()

progress = Looking()
with Notes() as notes:
    options = Options(account_name="Acme")
    context = Context(by=None, now=timezone.now(), edge=Edge.COMMAND)
    import_inventory([Source(sys.argv[1])], notes, options, progress, context=context)
print(sorted(set(answers)), account.instances.count())
"""


@pytest.mark.slow
@pytest.mark.skipif("os.environ.get('DATABASE_URL')", reason="SQLite has the one lock")
def test_pages_answer_while_an_import_holds_the_only_lock(tmp_path):
    file = tmp_path / "instances.json"
    file.write_text(json.dumps({"InstancesSet": [an_instance()], "Tags": [a_tag()]}))
    env = {
        **os.environ,
        "CONSOLE_DATA_DIR": str(tmp_path / "data"),
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }

    run = subprocess.run(
        [sys.executable, "-c", READER, str(file)],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
    )

    assert run.stdout.splitlines()[-1:] == ["[200] 1"], run.stderr
