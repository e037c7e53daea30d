"""How a person likes the console: account, region, language, theme, columns, tips."""

import pytest
from django.urls import reverse

from recycle.models import Account, Membership, User
from recycle.policy import Role
from tests.conftest import HTMX

pytestmark = pytest.mark.django_db

# Addresses that lead away, or nowhere.
ELSEWHERE = (
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "///evil.example",
    "javascript:alert(1)",
    "",
)


@pytest.fixture
def second(alice):
    """Another account of Alice's, in which she may only look."""
    account = Account.objects.create(name="Zeta")
    Membership.objects.create(user=alice, account=account, role=Role.VIEWER)
    return account


def test_the_chosen_account_decides_what_is_seen_and_what_may_be_done(
    client, alice, second, make_instance
):
    make_instance(name="ours")
    make_instance(name="theirs", account=second)
    client.force_login(alice)
    before = client.get(reverse("recycle:instances"))

    response = client.post(reverse("recycle:account"), {"account": second.pk})
    after = client.get(reverse("recycle:instances"))

    assert response["Location"] == reverse("recycle:overview")
    assert [row.name for row in before.context["page"].rows] == ["ours"]
    assert [row.name for row in after.context["page"].rows] == ["theirs"]
    assert "Viewer" in after.text


@pytest.mark.parametrize("chosen", ["", "x", "0", "-1", "\0", "9" * 40, "²"])
def test_an_account_that_is_none_cannot_be_chosen(client, alice, second, chosen):
    client.force_login(alice)

    assert client.post(reverse("recycle:account"), {"account": chosen}).status_code == 404


def test_a_foreign_account_cannot_be_chosen(client, alice, mallory, make_instance):
    foreign = mallory.memberships.get().account_id
    client.force_login(alice)

    response = client.post(reverse("recycle:account"), {"account": foreign})

    assert response.status_code == 404
    assert (
        client.get(reverse("recycle:instances")).context["shell"].account
        == alice.memberships.get().account
    )


def test_who_was_taken_out_of_the_chosen_account_sees_it_no_longer(
    client, alice, second, make_instance
):
    make_instance(name="theirs", account=second)
    client.force_login(alice)
    client.post(reverse("recycle:account"), {"account": second.pk})

    Membership.objects.filter(user=alice, account=second).delete()

    assert client.get(reverse("recycle:instances")).context["page"].rows == []


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_a_theme_is_kept_in_a_cookie_also_before_the_login(client, db, theme):
    response = client.post(reverse("recycle:theme"), {"theme": theme, "next": reverse("login")})

    assert response["Location"] == reverse("login")
    assert f'data-theme="{theme}"' in client.get(reverse("login")).text


def test_a_theme_that_is_none_is_refused_and_its_cookie_only_text(client, db):
    assert client.post(reverse("recycle:theme"), {"theme": '"><script>'}).status_code == 400

    client.cookies["theme"] = "<script>x"
    assert "<script>x" not in client.get(reverse("login")).text


def test_columns_are_kept_for_each_list_and_person(client, alice, recycled, make_instance):
    make_instance()
    client.force_login(alice)

    response = client.post(
        reverse("recycle:columns"),
        {"list": "bin", "columns": ["former", "ip"], "next": "/recycle-bin/?q="},
    )

    assert response["Location"] == "/recycle-bin/?q="
    assert User.objects.get(pk=alice.pk).preferences == {"columns": {"bin": ["ip", "former"]}}
    assert client.get(reverse("recycle:bin")).context["columns"] == {"ip", "former"}
    assert "tags" in client.get(reverse("recycle:instances")).context["columns"]


def test_every_column_can_be_hidden_and_the_list_still_stands(
    client, alice, recycled, make_instance
):
    make_instance()
    client.force_login(alice)

    for name in ("instances", "bin", "expired"):
        client.post(reverse("recycle:columns"), {"list": name})
        assert client.get(reverse(f"recycle:{name}")).context["columns"] == set()


def test_htmx_is_told_to_refresh_the_list(client, alice):
    client.force_login(alice)

    response = client.post(
        reverse("recycle:columns"), {"list": "bin", "columns": ["ip"]}, headers=HTMX
    )

    assert (response.status_code, response["HX-Trigger"]) == (204, "changed")


@pytest.mark.parametrize(
    "wrong",
    [{}, {"list": "x"}, {"list": "log"}, {"list": "bin", "columns": ["ip", "x"]}, {"list": "\0"}],
)
def test_a_list_or_column_that_is_none_is_refused(client, alice, wrong):
    client.force_login(alice)

    response = client.post(reverse("recycle:columns"), wrong)

    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/plain")
    assert User.objects.get(pk=alice.pk).preferences == {}


def test_a_tip_that_was_dismissed_does_not_come_back(client, alice, oscar):
    client.force_login(alice)
    assert 'class="tip"' in client.get(reverse("recycle:bin")).text

    client.post(reverse("recycle:dismiss_tip"), {"tip": "bin", "next": reverse("recycle:bin")})

    assert 'class="tip"' not in client.get(reverse("recycle:bin")).text
    assert 'class="tip"' in client.get(reverse("recycle:expired")).text
    client.force_login(oscar)
    assert 'class="tip"' in client.get(reverse("recycle:bin")).text


def test_a_tip_that_is_none_is_refused(client, alice):
    client.force_login(alice)

    assert client.post(reverse("recycle:dismiss_tip"), {"tip": "x"}).status_code == 400


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize(
    ("name", "data"),
    [("theme", {"theme": "dark"}), ("columns", {"list": "bin"}), ("dismiss_tip", {"tip": "bin"})],
)
def test_the_way_back_never_leads_to_another_host(client, alice, name, data, target):
    client.force_login(alice)

    response = client.post(reverse(f"recycle:{name}"), {**data, "next": target})

    assert response["Location"] == reverse("recycle:overview")


def test_the_language_is_kept_and_its_way_back_stays_here(client, alice):
    client.force_login(alice)

    response = client.post(
        reverse("set_language"), {"language": "zh-hans", "next": "//evil.example/"}
    )

    assert "evil" not in response["Location"]
    assert '<html lang="zh-hans"' in client.get(reverse("recycle:bin")).text


def test_a_region_is_remembered_only_when_there_is_one(client, alice, zone):
    client.force_login(alice)

    client.get(reverse("recycle:overview"), {"region": "cn-beijing-6"})
    client.get(reverse("recycle:overview"), {"region": "cn-mars-1"})

    assert client.session["region"] == "cn-beijing-6"


@pytest.mark.parametrize(
    "cookie", ["Mars/Olympus", "../../etc/passwd", "a" * 3000, "Europe", "%00", "UTC\\0", ""]
)
def test_a_time_zone_that_is_none_is_passed_over(client, alice, cookie):
    client.cookies["tz"] = cookie
    client.force_login(alice)

    assert client.get(reverse("recycle:overview")).status_code == 200
