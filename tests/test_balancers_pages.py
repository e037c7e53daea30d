"""Load balancers with their listeners and real servers, as people meet them."""

from uuid import uuid4

import pytest
from django.urls import reverse

from recycle.models import ElasticIP, Event, Listener, LoadBalancer, RealServer
from tests.conftest import HTMX, SUBNET, send

pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture
def vpc():
    return uuid4()


@pytest.fixture
def instance(make_instance, vpc):
    return make_instance(name="web", vpc_id=vpc)


@pytest.fixture
def listener(make_balancer, make_listener):
    return make_listener(
        load_balancer=make_balancer(name="front"), name="http", protocol="HTTP", port=80
    )


@pytest.fixture
def server(listener, instance):
    return RealServer.objects.create(
        listener=listener, instance=instance, address=instance.private_ip, port=8080
    )


def new(**answer):
    balancer = {"name": "front", "region": "cn-beijing-6", "type": "public", "vpc_id": ""}
    return {"confirmed": "1", "token": uuid4(), **balancer, **answer}


def new_listener(**answer):
    return {
        "confirmed": "1",
        "token": uuid4(),
        "protocol": "TCP",
        "port": "80",
        "method": "RoundRobin",
        **answer,
    }


# --- List and page -------------------------------------------------------------------------------


def test_the_filters_narrow_the_list(client, alice, make_balancer, make_address, far_zone, vpc):
    front, inner = (
        make_balancer(name="front"),
        make_balancer(name="inner", type="internal", vpc_id=vpc),
    )
    far = make_balancer(name="far", region=far_zone.region)
    address = make_address(load_balancer=front)
    client.force_login(alice)

    def found(**query):
        return set(client.get(reverse("recycle:balancers"), query).context["page"].rows)

    assert found(type="internal") == found(q="INN") == found(q=str(inner.pk)) == {inner}
    assert found(q=address.address) == {front}
    assert found(region="cn-shanghai-2") == {far}


def test_the_list_counts_listeners_and_real_servers(
    client, alice, server, listener, make_listener, make_address
):
    make_listener(load_balancer=listener.load_balancer, port=443)
    address = make_address(load_balancer=listener.load_balancer)
    client.force_login(alice)

    page = client.get(reverse("recycle:balancers"))
    [row] = page.context["page"].rows

    assert (row.listener_count, row.server_count, row.eip) == (2, 1, address.address)
    assert reverse("recycle:address", args=[address.pk]) in page.text


def test_the_page_shows_listeners_and_real_servers(client, alice, server, instance):
    client.force_login(alice)

    page = client.get(reverse("recycle:balancer", args=[server.listener.load_balancer_id])).text

    assert "HTTP:80" in page
    assert ">http</a>" in page
    assert str(server) in page
    assert reverse("recycle:instance", args=[instance.pk]) in page


# --- Create --------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_load_balancer_is_created(client, oscar, instance, vpc, headers):
    client.force_login(oscar)

    client.post(
        reverse("recycle:create_balancer"), new(type="internal", vpc_id=vpc), headers=headers
    )

    [balancer] = LoadBalancer.objects.all()
    assert (balancer.name, balancer.type, balancer.vpc_id) == ("front", "internal", vpc)


@pytest.mark.alike
@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x"},
        {"name": "x" * 65},
        {"region": "x"},
        {"type": "secret"},
        {"type": "internal"},
        {"vpc_id": str(SUBNET)},
        {"vpc_id": "abc"},
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_said(client, alice, instance, wrong):
    client.force_login(alice)

    response = client.post(reverse("recycle:create_balancer"), new(**wrong), headers=HTMX)

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert not LoadBalancer.objects.exists()


def test_a_vpc_belongs_to_one_region(client, alice, instance, vpc, far_zone):
    client.force_login(alice)

    response = client.post(
        reverse("recycle:create_balancer"), new(region="cn-shanghai-2", vpc_id=vpc), headers=HTMX
    )

    assert "This VPC is in another region." in response.text


def test_the_quota_holds(client, alice, account, make_balancer):
    make_balancer()
    account.max_load_balancers = 1
    account.save()
    client.force_login(alice)

    response = client.post(reverse("recycle:create_balancer"), new(), headers=HTMX)

    assert "quota is used up" in response.text
    assert LoadBalancer.objects.count() == 1


# --- Listeners -----------------------------------------------------------------------------------


def create_listener(client, balancer, **answer):
    url = reverse("recycle:create_listener", args=[balancer.pk])
    return client.post(url, new_listener(**answer), headers=HTMX)


@pytest.mark.parametrize("protocol", Listener.Protocol.values)
@pytest.mark.parametrize("method", Listener.Method.values)
def test_a_listener_is_created(client, oscar, make_balancer, protocol, method):
    client.force_login(oscar)

    response = create_listener(
        client, make_balancer(), protocol=protocol, method=method, port="65535", name="a"
    )

    assert response.status_code == 200
    [listener] = Listener.objects.all()
    assert (listener.protocol, listener.method, listener.port, listener.name) == (
        protocol,
        method,
        65535,
        "a",
    )


@pytest.mark.parametrize(
    "wrong", [{"port": "0"}, {"port": "65536"}, {"protocol": "SCTP"}, {"method": "x"}], ids=str
)
def test_a_listener_that_makes_no_sense_is_said(client, alice, make_balancer, wrong):
    client.force_login(alice)

    response = create_listener(client, make_balancer(), **wrong)

    assert response.status_code == 422
    assert not Listener.objects.exists()


def test_a_port_is_used_once(client, alice, listener):
    client.force_login(alice)

    response = create_listener(client, listener.load_balancer, protocol="HTTP")

    assert response.status_code == 422
    assert "HTTP:80" in response.text
    assert Listener.objects.count() == 1


def test_no_listener_for_a_load_balancer_of_somebody_else(client, mallory, make_balancer):
    balancer = make_balancer()
    client.force_login(mallory)

    assert create_listener(client, balancer).status_code == 404
    assert not Listener.objects.exists()


def test_a_listener_with_real_servers_is_refused_with_who_or_goes_with_them(
    client, alice, server, listener, instance
):
    client.force_login(alice)

    refused = send(client, "delete_listeners", listener)
    assert f'<a href="{reverse("recycle:instance", args=[instance.pk])}">web</a>' in refused.text
    assert Listener.objects.exists()

    send(client, "delete_listeners", listener, unbind="1")
    assert not Listener.objects.exists()
    assert not RealServer.objects.exists()


# --- Real servers --------------------------------------------------------------------------------


def test_an_instance_is_registered_at_its_private_ip(client, oscar, listener, instance):
    client.force_login(oscar)

    response = send(client, "register", listener, other="web", port="8080", weight="5")

    [server] = RealServer.objects.all()
    assert (server.instance, server.address, server.port, server.weight) == (
        instance,
        instance.private_ip,
        8080,
        5,
    )
    assert "Registered 1 backend server." in response.text


@pytest.mark.parametrize(
    "wrong", [{"port": ""}, {"port": "0"}, {"port": "65536"}, {"weight": "0"}, {"weight": "256"}]
)
def test_ports_and_weights_have_their_limits(client, alice, listener, instance, wrong):
    client.force_login(alice)

    response = send(
        client, "register", listener, other="web", **{"port": "80", "weight": "1", **wrong}
    )

    assert response.status_code == 422
    assert not RealServer.objects.exists()


@pytest.mark.parametrize("named", ["front", "http", "id", "suggestion"])
def test_several_instances_are_registered_with_a_listener_by_its_name(
    client, alice, make_instance, listener, named
):
    instances = [make_instance(), make_instance()]
    other = {"id": str(listener.pk), "suggestion": f"front HTTP:80 · {listener.pk}"}.get(
        named, named
    )
    client.force_login(alice)

    response = send(client, "register_instances", *instances, other=other, port="80", weight="1")

    assert "Registered 2 backend servers." in response.text
    assert listener.real_servers.count() == 2


def test_of_two_who_register_one_wins_and_the_other_reads_who(
    client, alice, oscar, listener, make_instance
):
    # Two subnets may use the same addresses.
    theirs, mine = (
        make_instance(name=name, private_ip="10.9.9.9", subnet_id=uuid4())
        for name in ("theirs", "mine")
    )

    client.force_login(oscar)
    send(client, "register", listener, other=theirs.pk, port="80", weight="1")
    client.force_login(alice)
    response = send(client, "register", listener, other=mine.pk, port="80", weight="1")

    assert "This address and port are registered already." in response.text
    assert f'<a href="{reverse("recycle:instance", args=[theirs.pk])}">theirs</a>' in response.text
    assert RealServer.objects.count() == 1


def test_another_vpc_is_refused(client, alice, listener, instance):
    LoadBalancer.objects.update(vpc_id=uuid4())
    client.force_login(alice)

    response = send(client, "register", listener, other="web", port="80", weight="1")

    assert "It stands in another VPC." in response.text


def test_a_real_server_is_deregistered_without_javascript(client, alice, server):
    page = reverse("recycle:balancer", args=[server.listener.load_balancer_id])
    client.force_login(alice)

    response = send(client, "deregister", server, headers={}, back=page)

    assert response.url == page
    assert "Deregistered 1 backend server." in client.get(page).text
    assert not RealServer.objects.exists()


# --- Delete --------------------------------------------------------------------------------------


def test_a_load_balancer_is_refused_with_what_binds_it_or_unbound_first(
    client, alice, server, make_address
):
    balancer = server.listener.load_balancer
    make_address(load_balancer=balancer)
    client.force_login(alice)

    refused = send(client, "delete_balancers", balancer)
    assert (
        f'<a href="{reverse("recycle:instance", args=[server.instance_id])}">web</a>'
        in refused.text
    )
    assert LoadBalancer.objects.exists()

    dialog = client.get(reverse("recycle:delete_balancers"), {"ids": balancer.pk})
    send(client, "delete_balancers", balancer, unbind="1", announced=dialog.context["announced"])
    assert not LoadBalancer.objects.exists()
    assert ElasticIP.objects.get().load_balancer is None


def test_it_is_not_unbound_from_what_the_dialog_did_not_show(client, alice, listener, instance):
    client.force_login(alice)
    balancer = listener.load_balancer
    announced = client.get(reverse("recycle:delete_balancers"), {"ids": balancer.pk}).context[
        "announced"
    ]
    RealServer.objects.create(
        listener=listener, instance=instance, address=instance.private_ip, port=80
    )

    response = send(client, "delete_balancers", balancer, unbind="1", announced=announced)

    # The dialog showed nothing bound, so it had no box to tick either.
    assert LoadBalancer.objects.exists()
    assert "It has changed in the meantime." in response.text


def test_of_a_real_server_it_is_said_behind_what_it_stands(client, alice, server):
    """The same address stands behind several listeners of one load balancer."""
    client.force_login(alice)
    asked = client.get(reverse("recycle:deregister"), {"ids": server.pk}).text
    assert server.listener.load_balancer.name in asked
    assert str(server.listener) in asked

    send(client, "deregister", server)

    about = f"{server} ({server.listener.load_balancer}, {server.listener})"
    assert about in client.get(reverse("recycle:log")).text


# --- Listeners ------------------------------------------------------------------------------------


def test_the_page_shows_what_stands_behind_one_listener_at_a_time(
    client, alice, server, make_listener, make_instance
):
    balancer = server.listener.load_balancer
    other = make_listener(load_balancer=balancer, name="mail", port=25)
    client.force_login(alice)

    def shown(*ids, **options):
        name = "recycle:listener" if len(ids) == 2 else "recycle:balancer"
        return client.get(reverse(name, args=ids), **options)

    first = shown(balancer.pk, server.listener_id).text
    second = shown(balancer.pk, other.pk).text
    assert "mail" in first
    assert str(server) in first
    assert "http" in second
    assert str(server) not in second
    # Of what has gone, the load balancer is left.
    gone = shown(balancer.pk, uuid4())
    assert gone.url == reverse("recycle:balancer", args=[balancer.pk])
    assert shown(uuid4(), other.pk).status_code == 404


def test_a_strangers_listener_is_not_there(client, mallory, listener):
    client.force_login(mallory)

    page = client.get(reverse("recycle:listener", args=[listener.load_balancer_id, listener.pk]))

    assert page.status_code == 404


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_listener_is_disabled_and_enabled(client, oscar, listener, headers):
    client.force_login(oscar)

    def switch(verb):
        address = reverse(f"recycle:{verb}_listeners")
        answer = {"ids": listener.pk, "confirmed": "1"}
        response = client.post(address, answer, headers=headers, follow=True)
        listener.refresh_from_db()
        return response.text

    assert "Disabled 1 listener." in switch("disable")
    assert not listener.enabled
    assert (
        "Disabled" in client.get(reverse("recycle:balancer", args=[listener.load_balancer_id])).text
    )
    assert "It is as you want it already." in switch("disable")
    assert "Enabled 1 listener." in switch("enable")
    assert listener.enabled
    assert list(Event.objects.order_by("id").values_list("action", "by_name", "resource_name")) == [
        ("disable", "oscar", "HTTP:80"),
        ("enable", "oscar", "HTTP:80"),
    ]


def test_a_backend_server_gets_another_weight(client, oscar, server, instance):
    client.force_login(oscar)
    address = reverse("recycle:weigh")
    asked = client.get(address, {"ids": server.pk})

    for wrong in ("0", "256", "x", ""):
        answer = {"ids": server.pk, "confirmed": "1", "weight": wrong}
        assert client.post(address, answer, headers=HTMX).status_code == 422
    client.post(address, {"ids": server.pk, "confirmed": "1", "weight": "20"}, headers=HTMX)

    assert 'value="1"' in asked.text
    server.refresh_from_db()
    assert server.weight == 20
    event = Event.objects.get()
    assert (event.action, event.instance_id) == ("weigh", instance.pk)
    assert (event.detail["weight_before"], event.detail["weight"]) == (1, 20)
