"""Several windows of one browser: each shows one account and region, and says which with every
request.
"""

import re
from uuid import uuid4

import pytest
from django.urls import URLPattern, reverse
from playwright.sync_api import Page, expect

from recycle.lifecycle import State
from recycle.models import Account, Event, Instance, Membership, Region, Zone
from recycle.policy import Role
from recycle.urls import urlpatterns
from tests.browser import forgive, from_menu
from tests.conftest import HTMX


@pytest.fixture
def second(alice):
    """Another account of Alice's."""
    account = Account.objects.create(name="Zeta")
    Membership.objects.create(user=alice, account=account, role=Role.ADMINISTRATOR)
    return account


def switch(client, account):
    client.post(reverse("recycle:account"), {"account": account.pk})


# --- A piece for something else than the window shows ---------------------------------------------


def address_of(pattern: URLPattern) -> str:
    converters = pattern.pattern.converters
    values = {
        name: uuid4() if "UUID" in type(converter).__name__ else 7
        for name, converter in converters.items()
    }
    return reverse(f"recycle:{pattern.name}", kwargs=values)


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_no_piece_of_any_address_goes_into_a_window_of_another_account(
    client, alice, account, second, pattern
):
    client.force_login(alice)
    client.get(reverse("recycle:overview"))
    switch(client, second)

    answer = client.get(address_of(pattern), headers={**HTMX, "X-Scope": f"{account.pk}:"})

    assert (answer.status_code, answer.content, answer["HX-Refresh"]) == (409, b"", "true")


def test_a_window_of_the_chosen_account_and_region_gets_its_pieces(client, alice, account, zone):
    client.force_login(alice)
    scope = {**HTMX, "X-Scope": f"{account.pk}:{zone.region_id}"}

    said = client.get(reverse("recycle:instances"), {"region": zone.region_id}, headers=scope)
    unsaid = client.get(reverse("recycle:instances"), headers=scope)

    assert said.status_code == 200
    assert "HX-Refresh" not in said.headers
    assert (unsaid.status_code, unsaid["HX-Refresh"]) == (409, "true")
    assert "switched the region" in client.get(reverse("recycle:instances")).text


def test_a_piece_does_not_choose_where_the_next_page_begins(client, alice, account, zone):
    client.force_login(alice)
    query, scope = {"region": zone.region_id}, {"X-Scope": f"{account.pk}:{zone.region_id}"}

    client.get(reverse("recycle:instances"), query, headers={**HTMX, **scope})
    client.get(reverse("recycle:export_instances"), query)
    assert client.session.get("region") is None
    client.get(reverse("recycle:instances"), query, headers={**HTMX, **scope, "HX-Boosted": "true"})

    assert client.session["region"] == zone.region_id


@pytest.mark.parametrize("left", [False, True], ids=["switched", "no member any more"])
def test_a_page_that_a_window_of_another_account_goes_to_says_so(
    client, alice, account, second, make_instance, left
):
    make_instance(name="ours")
    make_instance(name="theirs", account=second)
    client.force_login(alice)
    switch(client, second)
    if left:
        Membership.objects.filter(account=account).delete()
    headers = {**HTMX, "HX-Boosted": "true", "X-Scope": f"{account.pk}:"}

    page = client.get(reverse("recycle:instances"), headers=headers)

    assert page.status_code == 200
    assert ("do not belong to the account" if left else "switched the account") in page.text
    assert [row.name for row in page.context["page"].rows] == ["theirs"]
    assert f'data-scope="{second.pk}:"' in page.text


# --- A link to something in another account -------------------------------------------------------


@pytest.fixture
def links(alice, second, make_instance, make_volume, make_address, make_balancer, make_tag):
    """Links into Alice's other account, and the same ones to what is nowhere."""
    batch = uuid4()
    instance = make_instance(account=second)
    Event.objects.create(
        account=second, at=instance.created_at, batch=batch, action="start", instance_id=instance.pk
    )
    rows = {
        "instance": instance,
        "volume": make_volume(account=second),
        "address": make_address(account=second),
        "balancer": make_balancer(account=second),
        "tag": make_tag(account=second),
    }
    found = {name: reverse(f"recycle:{name}", args=[row.pk]) for name, row in rows.items()}
    missing = {
        name: reverse(f"recycle:{name}", args=[4711 if name == "tag" else uuid4()]) for name in rows
    }
    for name in ("instances", "log", "configure_again"):
        found[name] = f"{reverse(f'recycle:{name}')}?batch={batch}"
        missing[name] = f"{reverse(f'recycle:{name}')}?batch={uuid4()}"
    found["bin"] = f"{reverse('recycle:bin')}?account={second.pk}&q=web&size=50"
    missing["bin"] = f"{reverse('recycle:bin')}?account=4711&q=web&size=50"
    found["export"] = f"{reverse('recycle:export_bin')}?account={second.pk}&q=web"
    missing["export"] = f"{reverse('recycle:export_bin')}?account=4711&q=web"
    return found, missing


LINKS = (
    "instance",
    "volume",
    "address",
    "balancer",
    "tag",
    "instances",
    "log",
    "configure_again",
    "bin",
    "export",
)


@pytest.mark.parametrize("name", LINKS)
def test_a_link_into_another_account_of_ones_own_offers_to_switch_and_goes_there(
    client, alice, second, links, name
):
    client.force_login(alice)
    link = links[0][name]

    offer = client.get(link)
    button = {"account": second.pk, "next": offer.context["onward"]}
    there = client.post(reverse("recycle:account"), button, follow=True)

    assert offer.status_code == 409
    assert "Switch to Zeta" in offer.text
    assert offer.context["shell"].account != second
    assert there.status_code == 200
    assert there.context["shell"].account == second
    assert there.wsgi_request.path == link.partition("?")[0].replace("export.csv", "")
    if name == "bin":
        assert there.context["form"].cleaned_data["q"] == "web"
        assert there.context["form"].cleaned_data["size"] == 50


@pytest.mark.parametrize("name", LINKS)
def test_to_a_stranger_it_looks_like_what_never_was(client, mallory, links, name):
    client.force_login(mallory)

    answers = [client.get(link[name]) for link in links]

    # But for numbers, tokens and moments.
    foreign, missing = (re.sub(r"[\w:.+-]{20,}|\d+", "", answer.text) for answer in answers)
    assert {answer.status_code for answer in answers} == {
        200 if name in ("instances", "log") else 404
    }
    assert "Zeta" not in answers[0].text
    assert foreign == missing


@pytest.mark.parametrize(
    "name", ["instances", "bin", "expired", "log", "volumes", "addresses", "balancers", "tags"]
)
def test_every_link_of_a_list_with_its_filter_names_the_account(
    client, alice, account, second, name
):
    client.force_login(alice)

    page = client.get(reverse(f"recycle:{name}"), {"q": "web", "size": "10"})

    links = re.findall(r'(?:href|hx-get|value)="(/[^"]*[?;]q=web[^"]*)"', page.text)
    assert len(links) >= 6
    assert [link for link in links if f"?account={account.pk}&" not in link] == []
    assert f'<input type="hidden" name="account" value="{account.pk}" form="filters">' in page.text


def test_who_has_one_account_is_spared_its_number(client, alice, recycled):
    client.force_login(alice)

    assert "account=" not in client.get(reverse("recycle:bin")).text


# --- In Chromium ----------------------------------------------------------------------------------


def names(page: Page) -> set[str]:
    return {
        text.strip().partition("-")[0]
        for text in page.locator("#instances tbody .called > a:first-child").all_inner_texts()
    }


def header(page: Page) -> str:
    return page.locator("[popovertarget=accounts]").inner_text().splitlines()[-1].strip()


def choose(page: Page, menu: str, name: str) -> None:
    page.locator(f"[popovertarget={menu}]").click()
    page.locator(f"#{menu}").get_by_text(name).click()


@pytest.fixture
def windows(open_page, alice, second, make_instance):
    """Two windows of Alice's browser, both on the first account."""
    for number in range(12):
        make_instance(name=f"ours-{number:02}")
        make_instance(name=f"theirs-{number:02}", account=second)
    first = open_page(alice)
    first.goto("/instances/?size=10")
    other = first.context.new_page()
    other.goto("/instances/")
    return first, other


DOINGS = {
    "refresh": lambda page: page.get_by_role("link", name="Refresh").click(),
    "self-refresh": lambda page: page.evaluate("htmx.trigger(document.body, 'changed')"),
    "search": lambda page: page.locator("#q").press_sequentially("0\n"),
    "sort": lambda page: page.locator("#sort-name").click(),
    "page": lambda page: page.locator("#next").click(),
    "size": lambda page: page.locator("#size").select_option("50"),
    "dialog": lambda page: page.locator("tbody .pencil").first.click(),
}


@pytest.mark.browser
@pytest.mark.parametrize("doing", DOINGS)
def test_a_window_never_shows_another_accounts_rows_under_its_own_head(windows, complaints, doing):
    first, other = windows
    assert (header(first), names(first)) == ("Acme Research", {"ours"})

    choose(other, "accounts", "Zeta")
    expect(other.get_by_role("heading", name="Overview")).to_be_visible()
    DOINGS[doing](first)

    expect(first.locator("#messages")).to_contain_text(
        "You have switched the account in another window."
    )
    assert (header(first), names(first)) == ("Zeta", {"theirs"})
    forgive(complaints, "409")


@pytest.mark.browser
def test_a_window_whose_address_names_its_account_offers_to_go_back_to_it(windows, complaints):
    first, other = windows
    first.locator("#sort-name").click()
    first.wait_for_url("**account=**sort=name**")

    choose(other, "accounts", "Zeta")
    expect(other.get_by_role("heading", name="Overview")).to_be_visible()
    first.get_by_role("link", name="Refresh").click()

    expect(first.get_by_role("heading", name="In another account")).to_be_visible()
    expect(first.locator("#messages")).to_contain_text("You have switched the account")
    assert header(first) == "Zeta"
    first.get_by_role("button", name="Switch to Acme Research").click()
    first.wait_for_url("**/instances/?account=**sort=name**")
    assert (header(first), names(first)) == ("Acme Research", {"ours"})
    forgive(complaints, "409")


@pytest.mark.browser
def test_an_action_of_a_window_left_behind_is_refused(windows, complaints):
    first, other = windows
    from_menu(first.locator("tbody tr").first, "Stop")
    expect(first.get_by_role("dialog")).to_be_visible()

    choose(other, "accounts", "Zeta")
    expect(other.get_by_role("heading", name="Overview")).to_be_visible()
    first.get_by_role("dialog").get_by_role("button", name="OK").click()

    expect(first.locator(".toast.error").first).to_be_visible()
    assert set(Instance.objects.values_list("state", flat=True)) == {State.ACTIVE}
    forgive(complaints, "400", "404")


@pytest.mark.browser
def test_the_region_of_a_list_stays_its_own_and_other_pages_say_what_happened(
    windows, zone, complaints, account
):
    first, other = windows
    shanghai = Region.objects.create(code="cn-shanghai-2", name="Shanghai")
    Zone.objects.create(code="cn-shanghai-2a", region=shanghai)
    first.goto("/instances/?region=cn-beijing-6&size=10")
    detail = first.context.new_page()
    detail.goto(f"/instances/{Instance.objects.filter(account=account)[0].pk}/")

    other.goto("/instances/?region=cn-shanghai-2")
    expect(other.get_by_text("No instance matches this filter.")).to_be_visible()
    with first.expect_response("**/instances/**") as answer:
        first.get_by_role("link", name="Refresh").click()
    detail.evaluate("htmx.trigger(document.body, 'changed')")

    assert answer.value.status == 200
    expect(first.locator("[popovertarget=regions]")).to_contain_text("Beijing")
    assert names(first) == {"ours"}
    expect(detail.locator("#messages")).to_contain_text(
        "You have switched the region in another window."
    )
    expect(detail.locator("[popovertarget=regions]")).to_contain_text("Shanghai")
    forgive(complaints, "409")


@pytest.mark.browser
def test_a_window_of_an_account_that_one_was_taken_out_of_is_emptied(windows, account, complaints):
    first, _other = windows

    Membership.objects.filter(account=account).delete()
    first.evaluate("htmx.trigger(document.body, 'changed')")

    expect(first.locator("#messages")).to_contain_text("You do not belong to the account any more")
    assert names(first) == {"theirs"}
    forgive(complaints, "409")


@pytest.mark.browser
def test_going_back_to_a_page_of_another_account_offers_to_switch(windows, complaints):
    first, _other = windows
    first.locator("#sort-name").click()
    first.wait_for_url("**sort=name**")
    choose(first, "accounts", "Zeta")
    expect(first.get_by_role("heading", name="Overview")).to_be_visible()

    first.get_by_role("link", name="EIP", exact=True).click()
    expect(first.get_by_role("heading", name="EIP")).to_be_visible()
    first.go_back()
    expect(first.get_by_role("heading", name="Overview")).to_be_visible()
    first.go_back()

    expect(first.get_by_role("heading", name="In another account")).to_be_visible()
    assert names(first) == set()
    forgive(complaints, "409")
