"""An answer that comes when who asked for it has left the page, in a real Chromium."""

import pytest
from playwright.sync_api import Page, expect

from recycle.lifecycle import State
from tests.browser import forgive, from_menu
from tests.test_journeys import confirm, dialog, message, row, state_of

pytestmark = pytest.mark.browser

# What htmx calls an error when a visit is given up for another one.
DROPPED = ("htmx:sendAbort", "htmx:afterRequest")

# The next requests of the page are sent so many milliseconds late, each by its own.
SLOW = """(delays) => {
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...body) {
    const delay = delays.shift();
    return delay ? setTimeout(() => send.apply(this, body), delay) : send.apply(this, body);
  };
}"""


def throttle(page: Page) -> None:
    """Every answer of the server comes 700 ms late."""
    line = {"offline": False, "latency": 700, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)


def test_ok_counts_though_the_dialog_is_still_asked_for_anew(page, make_instance):
    instance = make_instance(State.EXPIRED, name="web-expired")
    page.goto("/recycle-bin/expired/")
    row(page, instance).get_by_role("link", name="Renew").click()
    expect(dialog(page)).to_be_visible()
    page.evaluate(SLOW, [300, 900])

    page.get_by_label("Renew for").select_option("3")
    confirm(page)

    expect(message(page)).to_contain_text("Renewed 1 instance.")
    expect(dialog(page)).to_have_count(0)
    expect(row(page, instance)).to_have_count(0)
    assert state_of(instance) == State.ACTIVE


def test_what_was_undone_is_said_though_its_button_has_gone(page, make_instance):
    instance = make_instance(State.ACTIVE, name="web-01")
    page.goto("/instances/")
    from_menu(row(page, instance), "Delete")
    confirm(page)
    expect(row(page, instance)).to_have_count(0)
    page.evaluate(SLOW, [600])

    page.get_by_role("button", name="Undo").click()
    page.locator("#messages").get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)

    expect(row(page, instance)).to_have_count(1)
    expect(message(page)).not_to_be_empty()
    assert state_of(instance) == State.ACTIVE


def test_a_list_that_was_left_names_no_other_page(page, make_instance):
    make_instance(State.ACTIVE, name="web-01")
    page.goto("/instances/")
    page.evaluate(SLOW, [700])

    with page.expect_response("**/instances/?**q=web**"):
        page.get_by_role("searchbox", name="Instance ID, name or IP").fill("web")
        page.keyboard.press("Enter")
        page.get_by_role("navigation", name="Console").get_by_role("link", name="EIP").click()
        expect(page.get_by_role("heading", name="EIP")).to_be_visible()

    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert page.url.split("?")[0].endswith("/addresses/")
    expect(page.get_by_role("heading", name="EIP")).to_be_visible()


def test_of_two_pages_the_later_is_shown_and_named(page, complaints):
    page.goto("/instances/")
    throttle(page)
    navigation = page.get_by_role("navigation", name="Console")

    with page.expect_response("**/balancers/"):
        navigation.get_by_role("link", name="EBS Volume").click()
        page.wait_for_timeout(150)
        navigation.get_by_role("link", name="Load Balancer").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Load Balancer")
    assert page.url.endswith("/balancers/")
    forgive(complaints, *DROPPED)


def test_who_goes_back_before_a_page_is_there_stays_there(page, complaints):
    page.goto("/volumes/")
    page.get_by_role("navigation", name="Console").get_by_role("link", name="EIP").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("EIP")
    throttle(page)

    page.get_by_role("navigation", name="Console").get_by_role("link", name="Tag").click()
    page.evaluate("history.back()")
    page.wait_for_timeout(2500)

    expect(page.get_by_role("heading", level=1)).to_have_text("EBS Volume")
    assert page.url.endswith("/volumes/")
    forgive(complaints, *DROPPED)


def test_what_nobody_waits_for_any_more_leaves_nothing_that_goes_on(
    page, make_instance, make_volume
):
    make_volume(name="data")
    page.goto("/volumes/")
    page.get_by_role("link", name="Attach").click()
    expect(dialog(page)).to_be_visible()
    page.evaluate(SLOW, [900])

    with page.expect_response("**/suggestions/**"):
        page.locator("[name=other]").fill("web")
        expect(page.locator("#progress.htmx-request")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(dialog(page)).to_have_count(0)

    expect(page.locator("#progress.htmx-request")).to_have_count(0)
