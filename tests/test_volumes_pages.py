"""EBS volumes as people meet them."""

from uuid import uuid4

import pytest
from django.urls import reverse

from recycle.lifecycle import ResourceAction, State
from recycle.models import Event, Instance, Volume
from tests.conftest import HTMX, SUBNET, send

pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture
def instance(make_instance):
    return make_instance(name="web")


def bound_to(volume):
    return Volume.objects.get(pk=volume.pk).instance


def new(**answer):
    return {
        "confirmed": "1",
        "token": uuid4(),
        "zone": "cn-beijing-6a",
        "type": "SSD3.0",
        "size_gb": "40",
        "billing_mode": "Daily",
        "name": "data",
        **answer,
    }


# --- List ----------------------------------------------------------------------------------------


def test_the_filters_narrow_the_list(
    client, alice, make_volume, make_instance, other_zone, far_zone
):
    web = make_instance(name="web")
    free = make_volume(name="free", type="EHDD", billing_mode="Monthly")
    used = make_volume(name="used", instance=web, mount_point="/dev/vdb")
    other, far = make_volume(name="other", zone=other_zone), make_volume(name="far", zone=far_zone)
    client.force_login(alice)

    def names(**query):
        page = client.get(reverse("recycle:volumes"), query).context["page"]
        return {row.name for row in page.rows}

    assert names(status="available") == {free.name, other.name, far.name}
    assert names(status="in-use") == {used.name}
    assert names(type="EHDD") == names(billing="Monthly") == {free.name}
    assert names(zone="cn-beijing-6b") == {other.name}
    assert names(q="WEB") == names(q=str(used.pk)) == names(q=str(used.pk)[:23]) == {used.name}
    assert names(region="cn-shanghai-2") == {far.name}


def test_a_row_shows_what_it_is_bound_to_with_a_link(client, alice, make_volume, instance):
    volume = make_volume(instance=instance, mount_point="/dev/vdb", delete_with_instance=True)
    client.force_login(alice)

    page = client.get(reverse("recycle:volumes")).text

    assert reverse("recycle:volume", args=[volume.pk]) in page
    assert reverse("recycle:instance", args=[instance.pk]) in page
    assert "/dev/vdb · deleted with the instance" in page
    assert "In use" in page


# --- Create --------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_volume_is_created(client, oscar, zone, headers):
    client.force_login(oscar)

    response = client.post(reverse("recycle:create_volume"), new(back="/volumes/"), headers=headers)

    [volume] = Volume.objects.all()
    assert (volume.name, volume.size_gb, volume.zone_id, volume.instance) == (
        "data",
        40,
        zone.pk,
        None,
    )
    assert Event.objects.get().action == ResourceAction.CREATE
    assert (
        response.url == "/volumes/?region="
        if not headers
        else '"changed"' in response.headers["HX-Trigger"]
    )
    assert (
        "Created the EBS volume" in client.get("/volumes/").text if not headers else response.text
    )


def test_the_same_dialog_sent_twice_makes_one(client, alice, zone):
    client.force_login(alice)
    answer = new()

    for _ in range(2):
        response = client.post(reverse("recycle:create_volume"), answer, headers=HTMX)

    assert Volume.objects.count() == 1
    assert "already" in response.text


@pytest.mark.parametrize(
    ("kind", "size", "fits"),
    [
        ("SSD3.0", 9, False), ("SSD3.0", 10, True), ("SSD3.0", 32000, True),
        ("SSD3.0", 32001, False),
        ("EHDD", 10, True), ("ESSD_PL0", 39, False), ("ESSD_PL1", 40, True),
        ("ESSD_PL1", 32768, True),
        ("ESSD_PL2", 460, False), ("ESSD_PL2", 461, True), ("ESSD_PL3", 1760, False),
        ("ESSD_PL3", 32769, False),
    ],
)  # fmt: skip
def test_each_type_has_its_sizes(client, alice, zone, kind, size, fits):
    client.force_login(alice)

    response = client.post(
        reverse("recycle:create_volume"), new(type=kind, size_gb=size), headers=HTMX
    )

    assert (response.status_code == 200) is fits
    assert Volume.objects.exists() is fits


@pytest.mark.alike
@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x"}, {"name": "x" * 51}, {"zone": "cn-nowhere-1a"}, {"type": "FLOPPY"},
        {"size_gb": "many"},
        {"size_gb": "-1"}, {"billing_mode": "Free"}, {"token": "abc"}, {"size_gb": ""},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_said_beside_the_field(client, alice, zone, wrong):
    client.force_login(alice)

    response = client.post(reverse("recycle:create_volume"), new(**wrong))

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert "<html" in response.text
    assert not Volume.objects.exists()


def test_the_quota_is_said_before_and_after(client, alice, account, zone, make_volume):
    make_volume(size_gb=90)
    account.max_volumes, account.max_volume_gb = 5, 100
    account.save()
    client.force_login(alice)

    dialog = client.get(reverse("recycle:create_volume")).text
    response = client.post(reverse("recycle:create_volume"), new(size_gb=11), headers=HTMX)

    assert "EBS volumes 1 / 5" in dialog
    assert "90 / 100" in dialog
    assert response.status_code == 422
    assert "The account&#x27;s quota is used up." in response.text
    assert Volume.objects.count() == 1


# --- Attach --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "name", "ip", "suggestion"])
def test_an_instance_is_named_by_id_name_or_ip(client, oscar, make_volume, instance, by):
    volume = make_volume()
    client.force_login(oscar)
    other = {
        "id": instance.pk,
        "name": "web",
        "ip": instance.private_ip,
        "suggestion": f"web · {instance.pk}",
    }[by]

    response = send(client, "attach", volume, other=other, delete_with_instance="1")

    assert response.status_code == 200
    assert "Attached 1 EBS volume." in response.text
    assert bound_to(volume) == instance
    assert Volume.objects.get().delete_with_instance


def test_several_instances_of_a_name_are_told_apart_by_id(
    client, alice, make_volume, make_instance
):
    volume = make_volume()
    namesakes = [make_instance(name="web") for _ in range(2)]
    client.force_login(alice)

    response = send(client, "attach", volume, other="web")

    assert response.status_code == 422
    assert all(str(each.pk) in response.text for each in namesakes)
    assert bound_to(volume) is None


def test_a_living_instance_is_meant_before_one_in_the_bin(
    client, alice, make_volume, make_instance, instance
):
    make_instance(State.RECYCLED, name="web")
    volume = make_volume()
    client.force_login(alice)

    send(client, "attach", volume, other="web")

    assert bound_to(volume) == instance


@pytest.mark.parametrize("other", ["", "nothing", str(SUBNET), "10.9.9.9", "' OR 1=1", "x" * 501])
def test_an_instance_that_is_not_there_is_said_beside_the_field(
    client, alice, make_volume, instance, other
):
    volume = make_volume()
    client.force_login(alice)

    response = send(client, "attach", volume, other=other, headers={})

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert bound_to(volume) is None


def test_an_instance_of_somebody_else_is_not_there(client, mallory, make_volume, instance):
    hers = make_volume(account=mallory.memberships.get().account)
    client.force_login(mallory)

    response = send(client, "attach", hers, other=instance.pk)

    assert response.status_code == 422
    assert bound_to(hers) is None


def test_an_instance_of_another_zone_is_refused_with_its_name(
    client, alice, make_volume, instance, other_zone
):
    volume = make_volume(zone=other_zone)
    client.force_login(alice)

    response = send(client, "attach", volume, other="web")

    assert "It stands in another zone." in response.text
    assert reverse("recycle:instance", args=[instance.pk]) in response.text
    assert str(volume.pk) in response.headers["HX-Trigger"]


def test_an_instance_in_the_bin_is_refused(client, alice, make_volume, recycled):
    client.force_login(alice)

    response = send(client, "attach", make_volume(), other=recycled.pk)

    assert "It is in the recycle bin." in response.text


def test_of_two_who_attach_one_wins_and_the_other_reads_who(
    client, alice, oscar, make_volume, make_instance
):
    volume, mine, theirs = make_volume(), make_instance(name="mine"), make_instance(name="theirs")
    client.force_login(alice)
    assert client.get(reverse("recycle:attach"), {"ids": volume.pk}).status_code == 200

    client.force_login(oscar)
    send(client, "attach", volume, other="theirs")
    client.force_login(alice)
    response = send(client, "attach", volume, other="mine")

    assert bound_to(volume) == theirs
    assert "It is taken by another one." in response.text
    assert f'<a href="{reverse("recycle:instance", args=[theirs.pk])}">theirs</a>' in response.text
    assert mine.volumes.count() == 0


def test_a_volume_is_attached_from_the_side_of_the_instance(client, alice, make_volume, instance):
    volume = make_volume(name="data")
    client.force_login(alice)

    response = send(client, "attach_volume", instance, other="data")

    assert "Attached 1 EBS volume." in response.text
    assert bound_to(volume) == instance


def test_the_ninth_volume_finds_no_room(client, alice, make_volume, instance):
    volumes = [make_volume() for _ in range(9)]
    client.force_login(alice)

    response = send(client, "attach", *volumes, other="web")

    assert "Attached 8 EBS volumes." in response.text
    assert "There is no room for another one." in response.text


# --- Detach --------------------------------------------------------------------------------------


def test_a_volume_is_detached_without_javascript(client, alice, make_volume, instance):
    volume = make_volume(instance=instance, mount_point="/dev/vdb")
    client.force_login(alice)

    response = send(client, "detach", volume, headers={}, back=f"/instances/{instance.pk}/")
    page = client.get(response.url)

    assert bound_to(volume) is None
    assert "Detached 1 EBS volume." in page.text
    assert "Nothing is bound to this instance." in page.text


def test_what_moved_on_since_the_dialog_is_left_alone(
    client, alice, make_volume, make_instance, instance
):
    volume = make_volume(instance=instance, mount_point="/dev/vdb")
    client.force_login(alice)
    announced = client.get(reverse("recycle:detach"), {"ids": volume.pk}).context["announced"]
    meanwhile = make_instance(name="another")
    Volume.objects.update(instance=meanwhile)

    response = send(client, "detach", volume, announced=announced)

    assert bound_to(volume) == meanwhile
    assert "It has changed in the meantime." in response.text
    assert "another" in response.text


# --- Delete --------------------------------------------------------------------------------------


def test_a_volume_is_deleted_once_its_name_is_typed(client, alice, make_volume):
    volume = make_volume(name="data")
    client.force_login(alice)

    wrong = send(client, "delete_volumes", volume, confirm="date")
    assert wrong.status_code == 422
    assert Volume.objects.exists()

    right = send(client, "delete_volumes", volume, confirm="data")
    assert "Deleted 1 EBS volume." in right.text
    assert not Volume.objects.exists()


def test_an_attached_one_is_refused_with_what_binds_it(client, alice, make_volume, instance):
    volume = make_volume(instance=instance, mount_point="/dev/vdb")
    client.force_login(alice)

    response = send(client, "delete_volumes", volume, confirm=volume.name)

    assert Volume.objects.exists()
    assert f'<a href="{reverse("recycle:instance", args=[instance.pk])}">web</a>' in response.text


def test_or_it_is_detached_first(client, alice, make_volume, instance):
    volumes = [make_volume(instance=instance, mount_point="/dev/vdb"), make_volume()]
    client.force_login(alice)
    dialog = client.get(reverse("recycle:delete_volumes"), {"ids": [each.pk for each in volumes]})
    assert "Unbind first" in dialog.text

    send(
        client,
        "delete_volumes",
        *volumes,
        confirm="2",
        unbind="1",
        announced=dialog.context["announced"],
    )

    assert not Volume.objects.exists()
    assert Event.objects.filter(action=ResourceAction.UNBIND).count() == 1


def test_but_not_from_what_the_dialog_did_not_show(
    client, alice, make_volume, make_instance, instance
):
    volume = make_volume(name="data", instance=instance, mount_point="/dev/vdb")
    client.force_login(alice)
    announced = client.get(reverse("recycle:delete_volumes"), {"ids": volume.pk}).context[
        "announced"
    ]
    Volume.objects.update(instance=make_instance(name="another"))

    response = send(
        client, "delete_volumes", volume, confirm="data", unbind="1", announced=announced
    )

    assert Volume.objects.exists()
    assert "It has changed in the meantime." in response.text


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_deleted_from_its_own_page_it_leads_to_the_list(client, alice, make_volume, headers):
    volume = make_volume(name="data")
    client.force_login(alice)
    page = reverse("recycle:volume", args=[volume.pk])

    response = send(client, "delete_volumes", volume, confirm="data", back=page, headers=headers)

    assert (response.headers["HX-Redirect"] if headers else response.url) == reverse(
        "recycle:volumes"
    )
    assert "Deleted 1 EBS volume." in client.get(reverse("recycle:volumes")).text


# --- The page of the instance ---------------------------------------------------------------------


def test_the_page_of_an_instance_offers_to_bind_and_to_unbind(client, alice, make_instance, bind):
    instance = make_instance()
    bind(instance)
    client.force_login(alice)

    page = client.get(reverse("recycle:instance", args=[instance.pk])).text

    for verb in ("attach_volume", "associate_address", "register_instances", "add_tag"):
        assert f"{reverse(f'recycle:{verb}')}?" in page
    for verb in ("detach", "disassociate", "deregister", "take_off_tags"):
        assert f"{reverse(f'recycle:{verb}')}?" in page
    for volume in instance.volumes.all():
        assert reverse("recycle:volume", args=[volume.pk]) in page


@pytest.mark.parametrize("state", [State.RECYCLED, State.EXPIRED])
def test_nothing_is_bound_to_what_is_not_in_use(client, alice, make_instance, state):
    instance = make_instance(state)
    client.force_login(alice)

    page = client.get(reverse("recycle:instance", args=[instance.pk])).text

    assert reverse("recycle:attach_volume") not in page


def test_a_viewer_reads_why_nothing_can_be_bound(client, victor, make_instance, bind):
    instance = make_instance()
    bind(instance)
    client.force_login(victor)

    page = client.get(reverse("recycle:instance", args=[instance.pk])).text

    assert reverse("recycle:detach") not in page
    assert reverse("recycle:attach_volume") not in page
    assert Instance.objects.get().volumes.count() == 2
