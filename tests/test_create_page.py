"""Create Instance: the page, the summary beside it, and the action behind both."""

import re
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions
from recycle.actions.create import Disk, Order
from recycle.actions.outcome import Blocker
from recycle.lifecycle import State
from recycle.models import ElasticIP, Event, Instance, InstanceTag, Tag, Volume
from recycle.offer import IMAGES
from recycle.policy import BillingMode, Refusal
from tests.conftest import HTMX, SUBNET, acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

URL = "/instances/create/"
VPC = UUID("5f0c0f55-2f0b-4ad4-9a55-1f7ab6a0c9b2")
GROUP = UUID("31a5484d-8077-4aca-8f79-e093f9d4bbc1")


@pytest.fixture
def neighbour(make_instance):
    """An instance that says which subnet, VPC and security group the account has."""
    return make_instance(
        private_ip="10.0.7.2", vpc_id=VPC, security_group_ids=[str(GROUP)], name="neighbour"
    )


@pytest.fixture
def order(account, zone, instance_type):
    def order(**changes):
        fields = {
            "account": account,
            "zone": zone,
            "instance_type": instance_type,
            "billing_mode": BillingMode.DAILY,
        }
        return Order(**{**fields, "name": "web", **changes})

    return order


@pytest.fixture
def fields(account, zone, instance_type):
    def fields(**changes):
        entered = {
            "billing_mode": "Daily",
            "months": "1",
            "zone": zone.pk,
            "shown_zone": zone.pk,
            "instance_type": instance_type.pk,
            "image": next(iter(IMAGES)),
            "system_disk_type": "SSD3.0",
            "system_disk_gb": "40",
            "subnet": "new",
            "security_group": "new",
            "eip": "",
            "bandwidth": "5",
            "name": "web",
            "number": "1",
            "count": "1",
            "token": str(uuid4()),
            "scope": f"{account.pk}:",
            **changes,
        }
        return {name: value for name, value in entered.items() if value is not None}

    return fields


@pytest.fixture
def oscars(client, oscar):
    client.force_login(oscar)
    return client


def made():
    return Instance.objects.exclude(name="neighbour").order_by("name")


def shorts(outcome):
    return [(each.refusal, each.wanted, each.left) for each in outcome.refused]


# --- The action -----------------------------------------------------------------------------------


def test_an_order_is_made_with_all_that_belongs_to_it(alice, order, now, account, neighbour):
    tag = Tag.objects.create(account=account, key="team", value="search")
    disks = [Disk("SSD3.0", 100), Disk("EHDD", 500, delete_with_instance=True)]
    wanted = order(
        count=2, disks=disks, bandwidth_mbps=10, tags=[tag], new_tags=[("env", "prod")],
        protected=True,
        subnet_id=SUBNET, vpc_id=VPC, security_group_id=GROUP, image_id="IMG-1",
        image_name="Debian 12",
    )  # fmt: skip

    outcome = actions.create(wanted, context=acting(alice, now))

    first, second = made()
    assert [done.name for done in outcome.done] == ["web-01", "web-02"]
    assert {first.state, second.state} == {State.ACTIVE}
    assert [first.private_ip, second.private_ip] == ["10.0.7.3", "10.0.7.4"]
    assert (first.subnet_id, first.vpc_id, first.security_group_ids) == (SUBNET, VPC, [str(GROUP)])
    assert (first.created_at, first.changed_at, first.expires_at, first.protected) == (
        now,
        now,
        None,
        True,
    )
    assert sorted(
        first.volumes.values_list("type", "size_gb", "delete_with_instance", "mount_point")
    ) == [
        ("EHDD", 500, True, "/dev/vdc"),
        ("SSD3.0", 100, False, "/dev/vdb"),
    ]
    assert [eip.bandwidth_mbps for eip in first.elastic_ips.all()] == [10]
    assert {str(each.tag) for each in second.instance_tags.all()} == {"team=search", "env=prod"}


def test_its_events_tell_who_made_what_and_bound_what(alice, order, now, account):
    outcome = actions.create(
        order(disks=[Disk("SSD3.0", 40)], new_tags=[("env", "prod")]), context=acting(alice, now)
    )

    events = Event.objects.order_by("id")
    assert [(event.action, event.kind, bool(event.instance_id)) for event in events] == [
        ("create", "", True),
        ("create", "volume", False),
        ("bind", "volume", True),
        ("create", "tag", False),
        ("bind", "tag", True),
    ]
    assert {(event.batch, event.by_name, event.at, event.account_id) for event in events} == {
        (outcome.batch, "alice", now, account.pk)
    }
    assert (events[0].from_state, events[0].to_state, events[0].instance_name) == (
        "",
        "active",
        "web",
    )


def test_a_subscription_expires_months_later_by_the_calendar(alice, order, now):
    actions.create(order(billing_mode=BillingMode.MONTHLY, months=12), context=acting(alice, now))

    expires = made().get().expires_at
    assert (expires.year, expires.month) == (now.year + 1, now.month)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"count": 1}, ["web"]),
        ({"count": 3}, ["web-01", "web-02", "web-03"]),
        ({"count": 2, "number": 99}, ["web-099", "web-100"]),
    ],
)
def test_several_are_numbered(order, changes, names):
    assert order(**changes).names() == names


def test_without_a_name_one_is_made_up(order):
    names = order(name="", count=50).names()

    assert all(re.fullmatch(r"KSC-IN-[A-Z0-9]{10}", name) for name in names)
    assert len(set(names)) == 50


def test_a_dry_run_says_what_would_be_and_makes_nothing(alice, order):
    outcome = actions.create(order(count=3), dry_run=True, context=acting(alice))

    assert len(outcome.done) == 3
    assert not Instance.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize("limit", ["vcpu_capacity", "memory_gb_capacity"])
def test_several_need_room_for_all_of_them(alice, order, zone, instance_type, limit):
    """The zone has room for one and a half."""
    one = instance_type.vcpu if limit == "vcpu_capacity" else instance_type.memory_gb
    setattr(zone, limit, one + one // 2)
    zone.save()

    for dry_run in (True, False):
        outcome = actions.create(order(count=2), dry_run=dry_run, context=acting(alice))
        assert [refused.refusal for refused in outcome.refused] == [Refusal.SOLD_OUT]
    assert not Instance.objects.exists()


def test_exactly_what_was_asked_for_or_nothing_with_every_reason(alice, order, account, zone):
    account.max_instances, account.max_volumes, account.max_volume_gb, account.max_elastic_ips = (
        4,
        3,
        100,
        2,
    )
    account.save()
    zone.vcpu_capacity, zone.memory_gb_capacity = 8, 100
    zone.save()
    wanted = order(count=5, disks=[Disk("SSD3.0", 40)], bandwidth_mbps=1)

    for dry_run in (True, False):
        outcome = actions.create(wanted, dry_run=dry_run, context=acting(alice))

        assert not outcome.done
        assert shorts(outcome) == [
            (Refusal.SOLD_OUT, 10, None),
            (Refusal.QUOTA, 5, 4),
            (Refusal.QUOTA, 5, 2),
            (Refusal.QUOTA, 5, 3),
            (Refusal.QUOTA, 200, 100),
        ]
    assert not any(model.objects.exists() for model in (Instance, Volume, ElasticIP))


def test_a_free_address_is_bound_and_a_taken_one_names_the_taker(
    alice, order, account, zone, make_instance, now
):
    taker = make_instance(name="neighbour")
    free, taken = (
        ElasticIP.objects.create(
            account=account, region=zone.region, address=address, created_at=now, instance=bound
        )
        for address, bound in (("120.92.9.1", None), ("120.92.9.2", taker))
    )

    bound, refused = (
        actions.create(order(address=eip), context=acting(alice)) for eip in (free, taken)
    )

    assert len(bound.done) == 1
    assert made().get().elastic_ips.get() == free
    assert [(each.refusal, each.blocker) for each in refused.refused] == [
        (Refusal.TAKEN, Blocker.of(taker))
    ]


def test_what_has_gone_meanwhile_is_refused(alice, order, account, zone, now):
    eip = ElasticIP.objects.create(
        account=account, region=zone.region, address="120.92.9.1", created_at=now
    )
    tag = Tag.objects.create(account=account, key="env", value="prod")
    wanted = order(address=eip, tags=[tag])
    ElasticIP.objects.all().delete()
    Tag.objects.all().delete()

    outcome = actions.create(wanted, context=acting(alice))

    assert [each.refusal for each in outcome.refused] == [Refusal.GONE, Refusal.GONE]
    assert not Instance.objects.exists()


def test_the_same_order_sent_twice_is_made_once(alice, order):
    wanted = order(count=2, bandwidth_mbps=1)

    first, second = (actions.create(wanted, context=acting(alice)) for _ in range(2))

    assert (len(first.done), second.done) == (2, [])
    assert [each.refusal for each in second.refused] == [Refusal.ALREADY]
    assert Instance.objects.count() == ElasticIP.objects.count() == 2


def test_a_new_tag_that_is_there_by_now_is_not_made_again(alice, order, account):
    Tag.objects.create(account=account, key="env", value="prod")

    actions.create(order(new_tags=[("env", "prod"), ("env", "prod")]), context=acting(alice))

    assert Tag.objects.count() == InstanceTag.objects.count() == 1


def test_a_clash_of_addresses_is_tried_again(alice, order, neighbour, monkeypatch):
    original, tries = Instance.objects.bulk_create, []

    def late(_self, rows, *args, **kwargs):
        rows = list(rows)
        tries.append(rows[0].private_ip)
        if len(tries) == 1:
            raise IntegrityError("instance_private_ip_unique_in_subnet")
        return original(rows, *args, **kwargs)

    monkeypatch.setattr(type(Instance.objects), "bulk_create", late)

    outcome = actions.create(order(subnet_id=SUBNET, vpc_id=VPC), context=acting(alice))

    assert (len(tries), len(outcome.done), outcome.failed) == (2, 1, [])


def test_what_always_fails_says_so_and_leaves_nothing(alice, order, monkeypatch):
    def broken(*args, **kwargs):
        raise IntegrityError("impossible")

    monkeypatch.setattr(type(Instance.objects), "bulk_create", broken)

    outcome = actions.create(order(new_tags=[("env", "prod")]), context=acting(alice))

    assert ([failed.error for failed in outcome.failed], outcome.done) == (["impossible"], [])
    assert not Tag.objects.exists()


def test_a_full_subnet_is_refused(alice, order, make_instance):
    for last in range(2, 255):
        make_instance(private_ip=f"10.0.7.{last}", vpc_id=VPC)

    outcome = actions.create(order(subnet_id=SUBNET, vpc_id=VPC), context=acting(alice))

    assert [each.refusal for each in outcome.refused] == [Refusal.TOO_MANY]


def test_a_new_subnet_takes_a_network_its_vpc_does_not_use(alice, order, make_instance):
    make_instance(private_ip="10.0.0.5", vpc_id=VPC, name="neighbour")

    actions.create(order(vpc_id=VPC), context=acting(alice))

    instance = made().get()
    assert (instance.private_ip, instance.vpc_id) == ("10.0.1.2", VPC)
    assert instance.subnet_id != SUBNET


def test_the_cost_does_not_grow_with_the_number(alice, order):
    counts = []
    actions.create(order(), context=acting(alice))  # what is read once and kept
    # SQLite takes so many values in a statement, so more rows are more statements there.
    for count in (2, 40 if connection.vendor == "postgresql" else 4):
        with CaptureQueriesContext(connection) as queries:
            actions.create(
                order(count=count, disks=[Disk("SSD3.0", 40)] * 2, bandwidth_mbps=1),
                context=acting(alice),
            )
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_who_may_not_is_refused_by_the_action_itself(victor, mallory, order):
    for stranger in (victor, mallory):
        outcome = actions.create(order(), context=acting(stranger))
        assert [each.refusal for each in outcome.refused] == [Refusal.ROLE]
    assert not Instance.objects.exists()


# --- The page -------------------------------------------------------------------------------------


def test_the_page_offers_what_the_account_has(oscars, account, zone, instance_type, neighbour, now):
    eip = ElasticIP.objects.create(
        account=account, region=zone.region, address="120.92.9.1", created_at=now
    )
    Tag.objects.create(account=account, key="env", value="prod")

    text = oscars.get(URL).text

    for words in (
        "N3.2B · 2 vCPU · 4 GB",
        zone.pk,
        str(SUBNET),
        str(GROUP),
        "10.0.7.0/24",
        eip.address,
        "<b>env</b>",
    ):
        assert words in text
    assert "All of this can be made now." in text
    assert "Create 1 instance" in text


def test_a_link_may_choose_something_already(oscars, instance_type, neighbour):
    text = oscars.get(URL, {"count": "7", "name": "web"}).text

    assert "web-01 … web-07" in text
    assert "Create 7 instances" in text


def test_creating_leads_to_the_list_and_says_what_was_done(oscars, fields):
    response = oscars.post(URL, fields(count="2"), follow=True)

    assert response.redirect_chain == [(reverse("recycle:instances"), 302)]
    assert "Created 2 instances. They are running." in response.text
    assert list(made().values_list("name", flat=True)) == ["web-01", "web-02"]


def test_sent_twice_it_leads_to_what_was_made(oscars, fields):
    entered = fields()
    oscars.post(URL, entered)

    response = oscars.post(URL, entered, follow=True)

    assert "These instances have been created already." in response.text
    assert Instance.objects.count() == 1


def test_everything_that_was_entered_is_made(oscars, fields, account, neighbour):
    tag = Tag.objects.create(account=account, key="env", value="prod")
    entered = fields(
        subnet=str(SUBNET), security_group=str(GROUP), eip="new", bandwidth="20", tags=[tag.pk],
        protected="1",
        new_tags="team=search\n\nplain", disk_type=["SSD3.0", "EHDD"], disk_size=["40", "99"],
        disk_delete=["1"],
        billing_mode="Monthly", months="3",
    )  # fmt: skip

    oscars.post(URL, entered)

    instance = made().get()
    assert (instance.protected, instance.billing_mode, instance.subnet_id) == (
        True,
        "Monthly",
        SUBNET,
    )
    assert set(instance.volumes.values_list("type", "size_gb", "delete_with_instance")) == {
        ("SSD3.0", 40, False), ("EHDD", 99, True),
    }  # fmt: skip
    assert {str(each.tag) for each in instance.instance_tags.all()} == {
        "env=prod",
        "team=search",
        "plain",
    }
    assert instance.elastic_ips.get().bandwidth_mbps == 20


def test_a_change_brings_the_summary_alone(oscars, fields, zone):
    response = oscars.get(URL, fields(count="9"), headers=HTMX)

    assert response.status_code == 200
    assert response.text.lstrip().startswith('<aside class="card summary" id="summary"')
    assert "hx-swap-oob" not in response.text
    assert "<html" not in response.text
    assert "web-01 … web-09" in response.text


def test_what_cannot_be_had_is_said_before_the_button_is_pressed(oscars, fields, account, zone):
    account.max_instances = 1
    account.save()
    zone.vcpu_capacity = 3
    zone.save()

    text = oscars.get(URL, fields(count="2"), headers=HTMX).text

    assert "vCPU: Its zone does not have enough left." in text
    assert "2 wanted, 1 left." in text
    assert 'aria-disabled="true"' in text


def test_what_the_summary_refused_is_refused_by_the_button_too(oscars, fields, account):
    account.max_instances = 1
    account.save()

    response = oscars.post(URL, fields(count="2"))

    assert response.status_code == 422
    assert "Nothing was created:" in response.text
    assert 'value="web"' in response.text
    assert not Instance.objects.exists()


def test_another_zone_brings_its_own_network(oscars, fields, neighbour, zone):
    other = type(zone).objects.create(code="cn-beijing-6b", region=zone.region)

    response = oscars.get(URL, fields(zone=other.pk, subnet=str(SUBNET)), headers=HTMX)

    assert 'id="network" hx-swap-oob="true"' in response.text
    assert str(SUBNET) not in response.text
    assert f'name="shown_zone" value="{other.pk}"' in response.text


def test_without_script_another_zone_is_looked_at_before_anything_is_made(oscars, fields, zone):
    other = type(zone).objects.create(code="cn-beijing-6b", region=zone.region)

    response = oscars.post(URL, fields(zone=other.pk))

    assert response.status_code == 422
    assert "The zone has changed." in response.text
    assert not Instance.objects.exists()


@pytest.mark.parametrize("button", [{"check": "1"}, {"add_disk": "1"}])
def test_without_script_a_button_checks_and_adds_a_disk(oscars, fields, button):
    response = oscars.post(URL, fields(count="3", **button))

    assert response.status_code == 200
    assert "web-01 … web-03" in response.text
    assert response.text.count('name="disk_type"') == ("add_disk" in button)
    assert not Instance.objects.exists()


def test_a_disk_is_removed_with_its_own_settings(oscars, fields):
    entered = fields(
        disk_type=["SSD3.0", "EHDD"], disk_size=["40", "99"], disk_delete=["1"], remove_disk="0"
    )

    text = oscars.get(URL, entered, headers=HTMX).text

    assert 'id="disks" hx-swap-oob="true"' in text
    assert text.count('name="disk_type"') == 1
    assert 'value="99"' in text
    assert 'name="disk_delete" value="0" checked' in text


BAD = {
    "billing_mode": "Barter", "months": "7000", "zone": "cn-nowhere-1a", "instance_type": "N9.9Z",
    "image": "IMG-none",
    "system_disk_type": "Floppy", "system_disk_gb": "501", "subnet": str(uuid4()),
    "security_group": str(uuid4()),
    "eip": str(uuid4()), "tags": ["999999"], "new_tags": "kscx=1", "name": "x", "number": "-1",
    "count": "101",
    "token": "not-a-uuid", "scope": "999:", "disk_size": ["9"],
}  # fmt: skip


@pytest.mark.alike
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_makes_nothing(oscars, fields, name):
    entered = fields(**{name: BAD[name]})
    if name == "disk_size":
        entered["disk_type"] = ["SSD3.0"]

    response = oscars.post(URL, entered)

    assert response.status_code == 422
    assert "Something has to be put right first:" in response.text
    assert not Instance.objects.exists()


@pytest.mark.parametrize(
    "entered",
    [
        {"count": "0"},
        {"name": "x" * 65},
        {"name": "x" * 62, "count": "2"},
        {"name": "a\x00b"},
        {"new_tags": "=value"},
        {"new_tags": "k" * 129},
        {"eip": "new", "bandwidth": ""},
        {"eip": "new", "bandwidth": "15001"},
        {"disk_type": ["SSD3.0"] * 9, "disk_size": ["40"] * 9},
        {"disk_type": ["ESSD_PL2"], "disk_size": ["460"]},
        {"disk_type": ["SSD3.0"], "disk_size": ["0000000000000000040"]},
        {"disk_type": ["Tape"], "disk_size": ["40"]},
        {"zone": None},
        {"count": None},
    ],
    ids=str,
)
def test_the_edges_of_what_may_be_entered(oscars, fields, entered):
    response = oscars.post(URL, fields(**entered))

    assert response.status_code == 422
    assert not Instance.objects.exists()


def test_an_address_that_is_there_goes_to_one_instance_only(oscars, fields, account, zone, now):
    eip = ElasticIP.objects.create(
        account=account, region=zone.region, address="120.92.9.1", created_at=now
    )

    assert oscars.post(URL, fields(eip=str(eip.pk), count="2")).status_code == 422
    assert oscars.post(URL, fields(eip=str(eip.pk))).status_code == 302


def test_a_group_of_another_vpc_is_refused(oscars, fields, neighbour):
    response = oscars.post(URL, fields(security_group=str(GROUP)))

    assert response.status_code == 422
    assert "It belongs to another VPC." in response.text


def test_nothing_of_another_account_is_offered_or_taken(
    client, mallory, fields, neighbour, account, zone, now
):
    eip = ElasticIP.objects.create(
        account=account, region=zone.region, address="120.92.9.1", created_at=now
    )
    tag = Tag.objects.create(account=account, key="env", value="prod")
    own = mallory.memberships.get().account
    client.force_login(mallory)

    page = client.get(URL).text
    answers = [
        client.post(URL, fields(scope=f"{own.pk}:", **entered))
        for entered in (
            {"subnet": str(SUBNET)},
            {"eip": str(eip.pk)},
            {"tags": [tag.pk]},
            {"security_group": str(GROUP)},
        )
    ]

    assert not any(
        secret in page for secret in (str(SUBNET), eip.address, str(GROUP), "<b>env</b>")
    )
    assert {answer.status_code for answer in answers} == {422}
    assert not made().exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_viewer_may_not(client, victor, fields, method):
    client.force_login(victor)

    response = getattr(client, method)(URL, fields())

    assert response.status_code == 403
    assert "Your role does not allow this." in response.text
    assert "Create Instance" not in client.get(reverse("recycle:instances")).text
    assert not Instance.objects.exists()


def test_the_button_stands_over_the_list_and_where_it_is_empty(oscars, make_instance):
    empty = oscars.get(reverse("recycle:instances")).text
    make_instance()
    full = oscars.get(reverse("recycle:instances")).text

    assert (empty.count(f'href="{URL}"'), full.count(f'href="{URL}"')) == (2, 1)


def test_the_page_costs_the_same_whatever_the_account_has(oscars, make_instance, bind):
    costs = []
    for _ in range(2):
        for _ in range(5):
            bind(make_instance(vpc_id=VPC, security_group_ids=[str(uuid4())]))
        oscars.get(URL)
        with CaptureQueriesContext(connection) as queries:
            oscars.get(URL)
        costs.append(len(queries))

    assert costs[0] == costs[1]
    assert costs[0] <= 18
