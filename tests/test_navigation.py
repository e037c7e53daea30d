"""The navigation: the vendor's order and groups, and only what there is for who asks."""

import re

import pytest
from django.urls import reverse
from django.utils.translation import override

from recycle.models import User
from recycle.navigation import NAVIGATION
from recycle.policy import Role
from tests.conftest import make_user

# Each group, then what it leads to; what lies in a branch follows its name.
SEED = ["Overview", "Instance", "EBS Volume", "Recycle Bin", "KEC Instance Recycle Bin"]


def labels(text: str) -> list[str]:
    """What the navigation of a page says, from its top to its foot."""
    nav = text.partition('<nav class="nav"')[2].partition('<button type="button" class="fold"')[0]
    return [label.strip() for label in re.findall(r"<(?:p [^>]*|span)>([^<]+)", nav)]


def test_the_order_is_the_vendors(client, alice):
    client.force_login(alice)

    shown = labels(client.get(reverse("recycle:overview")).text)

    assert shown == [
        *("KEC", *SEED, "Retention"),
        *("Network", "EIP", "Load Balancer"),
        *("Tags", "Tag"),
        *("Monitor and Management", "Operation Log", "Batch Jobs", "Project"),
    ]


def test_only_what_somebody_may_see_is_there(client, account, alice):
    viewer = make_user("viewer", account, Role.VIEWER)
    User.objects.filter(pk=alice.pk).update(is_superuser=True)

    client.force_login(viewer)
    seen = labels(client.get(reverse("recycle:overview")).text)
    client.force_login(alice)
    everything = labels(client.get(reverse("recycle:overview")).text)

    assert not {"Retention", "Audit Log"} & set(seen)
    assert {"Retention", "Audit Log"} <= set(everything)


@pytest.mark.parametrize("name", ["bin", "expired", "log", "jobs", "retention", "overview"])
def test_one_page_at_most_is_the_present_one(client, alice, name):
    client.force_login(alice)

    text = client.get(reverse(f"recycle:{name}")).text

    assert text.count('aria-current="page"><svg') == 1


def test_nothing_is_filed_under_the_vendors_word_for_people_and_keys():
    with override("zh-hans"):
        groups = [str(group.label) for group in NAVIGATION]

    assert groups[0] == "云服务器"
    assert "访问控制" not in groups
