"""EIPs as people meet them."""

from ipaddress import ip_address
from uuid import uuid4

import pytest
from django.urls import reverse

from recycle.actions.resources.addresses import PUBLIC
from recycle.models import ElasticIP
from tests.conftest import HTMX, SUBNET, send

pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture
def instance(make_instance):
    return make_instance(name="web")


def holder_of(address):
    row = ElasticIP.objects.get(pk=address.pk)
    return row.instance or row.load_balancer


def new(**answer):
    return {
        "confirmed": "1",
        "token": uuid4(),
        "region": "cn-beijing-6",
        "bandwidth_mbps": "5",
        "billing_mode": "Daily",
        **answer,
    }


# --- List ----------------------------------------------------------------------------------------


def test_the_filters_narrow_the_list(
    client, alice, make_address, make_balancer, instance, far_zone
):
    free = make_address(billing_mode="Monthly")
    used, fronting = (
        make_address(instance=instance),
        make_address(load_balancer=make_balancer(name="front")),
    )
    far = make_address(region=far_zone.region)
    client.force_login(alice)

    def found(**query):
        return set(client.get(reverse("recycle:addresses"), query).context["page"].rows)

    assert found(status="disassociate") == {free, far}
    assert found(status="associate") == {used, fronting}
    assert found(billing="Monthly") == found(q=free.address) == {free}
    assert found(q="web") == found(q=str(used.pk)) == {used}
    assert found(q="FRONT") == {fronting}
    assert found(region="cn-shanghai-2") == {far}


def test_a_row_and_a_page_show_what_it_is_bound_to(
    client, alice, make_address, make_balancer, instance
):
    addresses = [
        make_address(instance=instance),
        make_address(load_balancer=make_balancer(name="front")),
    ]
    client.force_login(alice)

    for address in addresses:
        link = reverse(
            f"recycle:{'instance' if address.instance else 'balancer'}",
            args=[holder_of(address).pk],
        )
        assert link in client.get(reverse("recycle:addresses")).text
        assert link in client.get(reverse("recycle:address", args=[address.pk])).text


# --- Create --------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_new_one_gets_an_address_that_nobody_has(client, oscar, zone, headers):
    client.force_login(oscar)

    for _ in range(3):
        client.post(reverse("recycle:create_address"), new(), headers=headers)

    found = set(ElasticIP.objects.values_list("address", flat=True))
    assert len(found) == 3
    assert all(ip_address(address) in PUBLIC for address in found)


def test_the_same_dialog_sent_twice_makes_one(client, alice, zone):
    client.force_login(alice)
    answer = new()

    for _ in range(2):
        client.post(reverse("recycle:create_address"), answer)

    assert ElasticIP.objects.count() == 1


@pytest.mark.parametrize(
    "wrong", [{"bandwidth_mbps": "0"}, {"bandwidth_mbps": "15001"}, {"region": "x"}], ids=str
)
def test_what_makes_no_sense_is_said(client, alice, zone, wrong):
    client.force_login(alice)

    response = client.post(reverse("recycle:create_address"), new(**wrong), headers=HTMX)

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert not ElasticIP.objects.exists()


def test_the_quota_holds(client, alice, account, zone, make_address):
    make_address()
    account.max_elastic_ips = 1
    account.save()
    client.force_login(alice)

    response = client.post(reverse("recycle:create_address"), new(), headers=HTMX)

    assert response.status_code == 422
    assert "quota is used up" in response.text


# --- Associate -----------------------------------------------------------------------------------


def test_it_goes_to_an_instance_or_to_a_load_balancer(
    client, oscar, make_address, make_balancer, instance
):
    balancer, addresses = make_balancer(name="front"), [make_address(), make_address()]
    client.force_login(oscar)

    for address, name in zip(addresses, ("web", "front"), strict=True):
        assert "Bound 1 EIP." in send(client, "associate", address, other=name).text

    assert [holder_of(address) for address in addresses] == [instance, balancer]


def test_a_name_of_both_is_told_apart_by_id(
    client, alice, make_address, make_balancer, make_instance
):
    address, balancer, instance = (
        make_address(),
        make_balancer(name="front"),
        make_instance(name="front"),
    )
    client.force_login(alice)

    response = send(client, "associate", address, other="front")

    assert response.status_code == 422
    assert str(balancer.pk) in response.text
    assert str(instance.pk) in response.text


def test_an_instance_takes_one(client, alice, make_address, instance):
    addresses = [make_address(), make_address()]
    client.force_login(alice)

    response = send(client, "associate", *addresses, other="web")

    assert "Bound 1 EIP." in response.text
    assert "There is no room for another one." in response.text
    assert instance.elastic_ips.count() == 1


def test_another_region_is_refused(client, alice, make_address, instance, far_zone):
    address = make_address(region=far_zone.region)
    client.force_login(alice)

    response = send(client, "associate", address, other="web")

    assert "It stands in another region." in response.text
    assert holder_of(address) is None


def test_of_two_who_associate_one_wins_and_the_other_reads_who(
    client, alice, oscar, make_address, make_instance
):
    address, mine, theirs = make_address(), make_instance(name="mine"), make_instance(name="theirs")

    client.force_login(oscar)
    send(client, "associate_address", theirs, other=address.address)
    client.force_login(alice)
    response = send(client, "associate_address", mine, other=address.address)

    assert holder_of(address) == theirs
    assert f'<a href="{reverse("recycle:instance", args=[theirs.pk])}">theirs</a>' in response.text


def test_it_is_associated_from_the_side_of_the_load_balancer(
    client, alice, make_address, make_balancer
):
    balancer, address = make_balancer(), make_address()
    client.force_login(alice)

    send(client, "associate_with_balancer", balancer, other=str(address.pk))

    assert holder_of(address) == balancer
    assert address.address in client.get(reverse("recycle:balancer", args=[balancer.pk])).text


@pytest.mark.parametrize("other", ["", "nothing", "120.93.255.255", "120.93", str(SUBNET)])
def test_an_address_that_is_not_there_is_said(client, alice, make_address, instance, other):
    make_address()
    client.force_login(alice)

    response = send(client, "associate_address", instance, other=other)

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert instance.elastic_ips.count() == 0


# --- Disassociate, delete ------------------------------------------------------------------------


def test_it_is_disassociated_without_javascript(client, alice, make_address, instance):
    address = make_address(instance=instance)
    client.force_login(alice)

    response = send(client, "disassociate", address, headers={}, back="/addresses/")

    assert "Unbound 1 EIP." in client.get(response.url).text
    assert holder_of(address) is None


def test_what_moved_on_since_the_dialog_is_left_alone(
    client, alice, make_address, make_instance, instance
):
    address = make_address(instance=instance)
    client.force_login(alice)
    announced = client.get(reverse("recycle:disassociate"), {"ids": address.pk}).context[
        "announced"
    ]
    another = make_instance(name="another")
    ElasticIP.objects.update(instance=another, zone=another.zone)

    response = send(client, "disassociate", address, announced=announced)

    assert holder_of(address).name == "another"
    assert "It has changed in the meantime." in response.text


def test_a_bound_one_is_refused_with_what_binds_it_or_unbound_first(
    client, alice, make_address, make_balancer
):
    balancer = make_balancer(name="front")
    address = make_address(load_balancer=balancer)
    client.force_login(alice)

    refused = send(client, "delete_addresses", address)
    assert f'<a href="{reverse("recycle:balancer", args=[balancer.pk])}">front</a>' in refused.text
    assert ElasticIP.objects.exists()

    assert "Deleted 1 EIP." in send(client, "delete_addresses", address, unbind="1").text
    assert not ElasticIP.objects.exists()
