"""Nothing that was shown is shown again as if it were the present: not by Back, and not from a
cache.
"""

import pytest
from playwright.sync_api import Page, expect

from recycle.lifecycle import State
from recycle.models import Instance
from tests.conftest import HTMX

FRESH = "private, no-cache, no-store"


def test_no_page_and_no_export_is_kept_by_the_browser(client, alice, recycled):
    alice.is_superuser = alice.is_staff = True
    alice.save()
    client.force_login(alice)
    pages = [
        "/",
        "/recycle-bin/",
        "/recycle-bin/?sort=x",
        f"/instances/{recycled.pk}/",
        "/nowhere/",
    ]
    pages.append("/recycle-bin/undo/")  # which takes no GET

    for page in pages:
        for headers in ({}, HTMX):
            assert client.get(page, headers=headers)["Cache-Control"] == FRESH, page
    assert client.get("/recycle-bin/export.csv")["Cache-Control"] == FRESH
    assert {"private", "no-store"} <= set(client.get("/admin/")["Cache-Control"].split(", "))


def test_nor_is_an_error_page(client, alice, monkeypatch):
    client.force_login(alice)
    client.raise_request_exception = False
    monkeypatch.setattr("recycle.views.overview._stats", lambda rows: 1 / 0)

    answer = client.get("/")

    assert (answer.status_code, answer["Cache-Control"]) == (500, FRESH)


@pytest.fixture
def long_list(alice, make_instance):
    alice.is_superuser = alice.is_staff = True
    alice.save()
    return [make_instance(State.RECYCLED, name=f"web-{number:02}") for number in range(60)]


def scrolled(page: Page) -> int:
    page.mouse.move(600, 500)
    page.evaluate("scrollTo(0, 900)")
    page.wait_for_function("() => scrollY === 900")
    return 900


@pytest.mark.browser
@pytest.mark.parametrize("away", ["the admin", "a page", "an instance"])
def test_back_shows_the_present_where_one_was(page, long_list, complaints, away):
    page.goto("/recycle-bin/")
    page.locator("#q").press_sequentially("web\n")
    page.wait_for_url("**q=web**")
    page.locator("#size").select_option("50")
    page.wait_for_url("**size=50**")
    page.locator("#next").click()
    page.wait_for_url("**cursor=**")
    expect(page.locator("#bin tbody tr")).to_have_count(10)
    page.go_back()
    expect(page.locator("#bin tbody tr")).to_have_count(50)
    place, here = scrolled(page), page.url
    gone = page.locator("#bin tbody tr").nth(20)
    name = gone.locator("td:nth-child(2) small").inner_text()

    if away == "the admin":
        page.goto("/admin/recycle/instance/")
    elif away == "a page":
        page.get_by_role("link", name="Operation Log").click()
        expect(page.get_by_role("heading", name="Operation Log")).to_be_visible()
    else:
        gone.get_by_role("link").first.click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    Instance.objects.filter(name=name).update(
        name="renamed-meanwhile", name_folded="renamed-meanwhile"
    )
    page.go_back()

    expect(page.locator("#bin tbody")).not_to_contain_text(name)
    assert page.url == here
    expect(page.locator("#bin tbody tr")).to_have_count(50)
    expect(page.locator("#q")).to_have_value("web")
    page.wait_for_function("place => Math.abs(scrollY - place) < 60", arg=place)


@pytest.mark.browser
def test_a_page_out_of_the_browsers_memory_asks_for_its_list_again(page, make_instance):
    instance = make_instance(State.RECYCLED, name="web-before")
    page.goto("/recycle-bin/")
    expect(page.locator("#bin tbody")).to_contain_text("web-before")

    Instance.objects.filter(pk=instance.pk).update(name="web-after", name_folded="web-after")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")

    expect(page.locator("#bin tbody")).to_contain_text("web-after")
