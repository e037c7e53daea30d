"""Names of regions and zones: the known ones, and those of an installation."""

import re

import pytest
from django.urls import reverse
from django.utils.translation import override

from recycle.forms.scope import Scope
from recycle.lifecycle import State
from recycle.models import Region
from recycle.places import REGIONS, region_name, zone_name

CODE = "cn-beijing-6"


@pytest.mark.parametrize(
    ("own", "english", "chinese"),
    [
        ({}, "CN North 1 (Beijing)", "华北1（北京）"),
        # A name that only repeats the code, as an import leaves it, is none.
        ({"english": CODE}, "CN North 1 (Beijing)", "华北1（北京）"),
        ({"english": "Lab"}, "Lab", "华北1（北京）"),
        ({"chinese": "实验室"}, "CN North 1 (Beijing)", "实验室"),
        ({"english": "Lab", "chinese": "实验室"}, "Lab", "实验室"),
    ],
)
def test_an_own_name_goes_before_the_known_one_and_that_before_the_code(own, english, chinese):
    for language, name in (("en", english), ("zh-hans", chinese)):
        with override(language):
            assert region_name(CODE, **own) == name


def test_a_region_that_nobody_knows_goes_by_what_there_is():
    with override("zh-hans"):
        assert region_name("lab-1") == "lab-1"
        assert region_name("lab-1", english="Lab") == "Lab"
    with override("en"):
        assert region_name("lab-1", chinese="实验室") == "实验室"


@pytest.mark.parametrize(
    ("code", "region", "english", "chinese"),
    [
        ("cn-beijing-6a", CODE, "Zone A", "可用区A"),
        ("cn-beijing-fin-b", "cn-beijing-fin", "Zone B", "可用区B"),
        ("cn-beijing-6", CODE, "cn-beijing-6", "cn-beijing-6"),
        ("room-42", "lab", "room-42", "room-42"),
        ("labä", "lab", "labä", "labä"),
    ],
)
def test_a_zone_is_called_by_its_letter_where_its_code_has_one(code, region, english, chinese):
    for language, name in (("en", english), ("zh-hans", chinese)):
        with override(language):
            assert zone_name(code, region) == name


def test_every_known_region_has_both_names():
    with override("en"):
        english = [str(name) for name in REGIONS.values()]
    with override("zh-hans"):
        chinese = [str(name) for name in REGIONS.values()]

    assert len({*english}) == len({*chinese}) == len(REGIONS)
    assert not {*english} & {*chinese}


def test_zones_of_several_regions_are_told_apart(alice, account, zone, far_zone, now):
    everywhere = Scope(alice, account, now).zone_names
    here = Scope(alice, account, now, CODE).zone_names

    assert everywhere[zone.pk] == "Zone A · Beijing"
    assert everywhere[far_zone.pk] == "Zone A · Shanghai"
    assert here[zone.pk] == "Zone A"


PAGES = ["instances", "bin", "expired", "volumes", "addresses", "balancers", "create"]


@pytest.fixture
def hostile(zone) -> str:
    """A region with a name as long as there can be, which is markup."""
    name = "<b>&\"'" + "N" * 58
    zone.name, zone.chinese_name = name, "区" * 64
    zone.region.name, zone.region.chinese_name = name, "华" * 64
    zone.save()
    zone.region.save()
    return name


@pytest.mark.parametrize("name", PAGES)
def test_pages_say_the_name_escaped_with_the_code_beside_it(
    client, alice, make_instance, make_volume, make_address, make_balancer, hostile, name
):
    for state in (State.ACTIVE, State.RECYCLED, State.EXPIRED):
        make_instance(state)
    made = [make_volume(), make_address(), make_balancer()]
    client.force_login(alice)

    english = client.get(reverse(f"recycle:{name}"), {"region": CODE}).text
    client.cookies["django_language"] = "zh-hans"
    chinese = client.get(reverse(f"recycle:{name}"), {"region": CODE}).text

    assert made
    assert "<b>&\"'" not in english
    assert "&lt;b&gt;&amp;" in english
    assert "华" * 64 in chinese
    if name != "create":
        place = "cn-beijing-6" if name in ("addresses", "balancers") else "cn-beijing-6a"
        assert re.search(rf'<span class="place" title="&lt;b&gt;[^"<>]*{place}">&lt;b', english)


def test_an_export_keeps_the_codes(client, alice, make_instance):
    make_instance()
    client.force_login(alice)

    exported = client.get(reverse("recycle:export_instances")).getvalue().decode()

    assert "cn-beijing-6a" in exported
    assert "Zone A" not in exported


def test_an_installation_names_its_own_in_the_admin(client, alice, zone):
    alice.is_superuser = alice.is_staff = True
    alice.save()
    client.force_login(alice)
    page = reverse("admin:recycle_zone_change", args=[zone.pk])

    refused = client.post(page, {"name": "left\u202eright"})
    client.post(page, {"name": "Hall 3", "chinese_name": "三号楼"})

    assert refused.status_code == 200
    assert "errorlist" in refused.text
    zone.refresh_from_db()
    assert (zone.name, zone.chinese_name) == ("Hall 3", "三号楼")
    shown = client.get(reverse("admin:recycle_zone_changelist"), {"q": "hall"}).text
    assert "cn-beijing-6a" in shown
    assert "Hall 3" in client.get(reverse("recycle:create"), {"region": CODE}).text


def test_a_region_without_a_name_of_its_own_is_saved(client, alice, zone):
    alice.is_superuser = alice.is_staff = True
    alice.save()
    client.force_login(alice)

    client.post(reverse("admin:recycle_region_change", args=[CODE]), {"name": ""})

    assert Region.objects.get(pk=CODE).label == "CN North 1 (Beijing)"
