"""What people do with the console, in a real Chromium: from the login to the instance that is back,
or gone.
"""

import re
import subprocess
import sys

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Browser, Locator, Page, expect

from recycle import actions
from recycle.lifecycle import Action, State
from recycle.management.commands.screenshots import PASSWORD, console
from recycle.models import Event, Instance
from recycle.policy import BillingMode
from tests.browser import DESKTOP, PHONE, forgive, from_menu
from tests.conftest import acting

pytestmark = pytest.mark.browser

# The seconds that are left, the sweep's rhythm, and the page's own patience in asking again.
COUNTDOWN = 90_000


def row(page: Page, instance: Instance | str) -> Locator:
    return (
        page.locator("main tbody tr")
        .filter(has=page.get_by_role("link"))
        .filter(has_text=re.compile(rf"{instance}\b"))
    )


def rows(page: Page) -> Locator:
    return page.locator("main form[data-list] tbody tr")


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def confirm(page: Page) -> None:
    dialog(page).get_by_role("button", name="OK").click()


def message(page: Page) -> Locator:
    return page.locator("#messages")


def state_of(instance: Instance) -> str:
    return Instance.objects.get(pk=instance.pk).state


# --- The bin --------------------------------------------------------------------------------------


def test_a_person_logs_in_and_finds_the_bin_in_the_navigation(open_page, alice, recycled):
    alice.set_password("correct horse")
    alice.save()
    page = open_page()

    page.goto("/recycle-bin/")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("wrong horse")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("are not correct")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/recycle-bin/")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    page.get_by_role("navigation", name="Console").get_by_role(
        "link", name="KEC Instance Recycle Bin"
    ).click()

    expect(page.get_by_role("heading", name="KEC Instance Recycle Bin")).to_be_visible()
    expect(
        page.get_by_role("navigation", name="Console").locator("[aria-current=page]")
    ).to_have_text("KEC Instance Recycle Bin")
    expect(row(page, recycled)).to_contain_text("Recycled")


def test_restore_in_the_operation_column_brings_an_instance_back_stopped(page, make_instance):
    recycled, other = (
        make_instance(State.RECYCLED, name="web-alpha"),
        make_instance(State.RECYCLED, name="web-beta"),
    )
    page.goto("/recycle-bin/")

    row(page, recycled).get_by_role("link", name="Restore").click()
    expect(dialog(page)).to_contain_text("Will be restored")
    confirm(page)

    expect(row(page, recycled)).to_have_count(0)
    expect(row(page, other)).to_be_visible()
    expect(message(page)).to_contain_text("Restored 1 instance. It is stopped.")
    assert state_of(recycled) == State.STOPPED
    message(page).get_by_role("link").click()
    expect(rows(page)).to_have_count(1)
    expect(row(page, recycled)).to_contain_text("Stopped")


def test_cancel_changes_nothing(page, recycled):
    page.goto("/recycle-bin/")

    row(page, recycled).get_by_role("link", name="Restore").click()
    dialog(page).get_by_role("link", name="Cancel").click()

    expect(dialog(page)).to_have_count(0)
    expect(row(page, recycled)).to_be_visible()
    assert state_of(recycled) == State.RECYCLED


def test_batch_restore_takes_the_selected_rows_and_no_other(page, make_instance):
    first, second, third = (
        make_instance(State.RECYCLED, name=f"web-{name}") for name in ("one", "two", "three")
    )
    page.goto("/recycle-bin/")
    button = page.get_by_role("button", name="Batch Restore")
    expect(button).to_have_attribute("title", "Select at least one instance.")

    page.get_by_label("Select web-one").check()
    page.get_by_label("Select web-two").check()
    expect(page.locator("[data-count]")).to_have_text("2 selected")
    button.click()
    expect(dialog(page).get_by_role("listitem")).to_have_count(2)
    confirm(page)

    expect(message(page)).to_contain_text("Restored 2 instances. They are stopped.")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("[data-count]")).to_have_text("No instances selected.")
    assert [state_of(instance) for instance in (first, second, third)] == [
        "stopped",
        "stopped",
        "recycled",
    ]


def test_a_button_that_needs_a_selection_says_so(page, recycled):
    page.goto("/recycle-bin/")

    # aria-disabled: nobody else would click it.
    page.get_by_role("button", name="Batch Restore").click(force=True)

    expect(message(page)).to_have_text("Select at least one instance.")
    expect(dialog(page)).to_have_count(0)


def test_a_selection_goes_over_two_pages(page, make_instance):
    instances = [make_instance(State.RECYCLED, name=f"web-{number:02}") for number in range(12)]
    page.goto("/recycle-bin/?size=10")

    page.locator("tbody [name=ids]").first.check()
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Select this page").check()
    expect(page.locator("[data-count]")).to_have_text("3 selected")
    page.get_by_role("button", name="Batch Restore").click()
    expect(dialog(page).get_by_role("listitem")).to_have_count(3)
    confirm(page)

    expect(message(page)).to_contain_text("Restored 3 instances.")
    assert sum(state_of(instance) == State.STOPPED for instance in instances) == 3


def test_all_that_match_are_taken_by_the_filter(page, make_instance):
    matching = [make_instance(State.RECYCLED, name=f"web-{number:02}") for number in range(12)]
    other = make_instance(State.RECYCLED, name="cache-01")
    page.goto("/recycle-bin/?size=10")

    page.get_by_role("searchbox", name="Instance ID, name or IP").fill("web-")
    page.keyboard.press("Enter")
    expect(page.get_by_text("12 items")).to_be_visible()
    page.get_by_label("Select this page").check()
    page.get_by_role("button", name="Select all 12 that match").click()
    expect(page.locator("[data-count]")).to_have_text("All 12 that match are selected")
    page.get_by_role("button", name="Batch Restore").click()
    expect(dialog(page).get_by_role("heading", level=2)).to_have_text("Restore 12 instances")
    confirm(page)

    # A batch job, whose page follows it by itself.
    expect(page.get_by_role("heading", level=1)).to_have_text("Restore 12 instances")
    expect(page.get_by_text("0 of 12 ·")).to_be_visible()
    expect(page.get_by_role("link", name="1 batch job · 0%")).to_be_visible()
    actions.carry_out_jobs(context=acting(None))
    expect(page.get_by_text("12 of 12 · 12 done ·")).to_be_visible()
    expect(page.get_by_text("Restored 12 instances.")).to_be_visible()
    expect(page.get_by_role("link", name="1 batch job")).to_have_count(0)
    assert page.locator("#job").get_attribute("hx-trigger") is None
    assert {state_of(instance) for instance in matching} == {"stopped"}
    assert state_of(other) == State.RECYCLED


def test_what_was_refused_says_why_and_stays_selected(page, make_instance, now):
    late, fine = (
        make_instance(State.RECYCLED, name="web-late"),
        make_instance(State.RECYCLED, name="web-fine"),
    )
    page.goto("/recycle-bin/")

    page.get_by_label("Select this page").check()
    page.get_by_role("button", name="Batch Restore").click()
    expect(dialog(page).get_by_role("listitem")).to_have_count(2)
    Instance.objects.filter(pk=late.pk).update(purge_at=now)
    confirm(page)

    expect(message(page)).to_contain_text("Restored 1 instance.")
    expect(message(page)).to_contain_text("web-late: Its time is over")
    expect(row(page, fine)).to_have_count(0)
    expect(page.get_by_label("Select web-late")).to_be_checked()
    assert [state_of(late), state_of(fine)] == ["recycled", "stopped"]


def test_deleting_permanently_asks_for_the_name(page, recycled):
    page.goto("/recycle-bin/")

    row(page, recycled).get_by_role("link", name="More").click()
    page.get_by_role("link", name="Delete permanently").click()
    ok = dialog(page).get_by_role("button", name="OK")
    expect(ok).to_be_disabled()
    page.get_by_label("This cannot be undone").fill(recycled.name)
    ok.click()

    expect(message(page)).to_contain_text("Deleted 1 instance for good.")
    expect(row(page, recycled)).to_have_count(0)
    assert state_of(recycled) == State.PURGED


# --- Instance -------------------------------------------------------------------------------------


def test_a_daily_instance_moves_to_the_bin_with_what_it_was_bound_to(page, make_instance, bind):
    instance = make_instance(State.ACTIVE, BillingMode.DAILY, name="web-daily")
    bind(instance)
    page.goto("/instances/")

    from_menu(row(page, instance), "Delete")
    expect(dialog(page)).to_contain_text("Will move to the recycle bin")
    expect(dialog(page)).to_contain_text("EIP")
    page.get_by_label("Reason").fill("wrong stack")
    confirm(page)
    expect(message(page)).to_contain_text("Moved 1 instance to the recycle bin.")
    expect(row(page, instance)).to_have_count(0)
    message(page).get_by_role("link", name="Recycle bin").click()

    expect(row(page, instance)).to_contain_text("wrong stack")
    row(page, instance).get_by_role("link", name="1 SLB").click()
    expect(page.locator(".menu:popover-open")).to_contain_text("120.92.")
    assert state_of(instance) == State.RECYCLED


def test_an_hourly_instance_is_released_only_after_its_name_was_typed(page, make_instance):
    instance = make_instance(State.ACTIVE, BillingMode.HOURLY, name="web-hourly")
    page.goto("/instances/")

    from_menu(row(page, instance), "Delete")
    expect(dialog(page)).to_contain_text("Will be released at once, for good")
    ok = dialog(page).get_by_role("button", name="OK")
    expect(ok).to_be_disabled()
    page.get_by_label("This cannot be undone").fill("web-hourl")
    expect(ok).to_be_disabled()
    page.get_by_label("This cannot be undone").fill("web-hourly")
    ok.click()

    expect(message(page)).to_contain_text("Released 1 instance for good.")
    assert state_of(instance) == State.PURGED


def test_a_subscription_cannot_be_deleted_and_says_why(page, make_instance):
    instance = make_instance(State.ACTIVE, BillingMode.MONTHLY, name="web-monthly")
    page.goto("/instances/")

    row(page, instance).get_by_role("link", name="More").click()
    menu = page.locator(".menu:popover-open")
    expect(menu.locator(".off", has_text=re.compile(r"^\s*Delete"))).to_have_attribute(
        "title", re.compile("ubscription")
    )
    expect(menu.get_by_role("link", name="Delete")).to_have_count(0)


def test_a_stop_can_be_one_without_fees(page, make_instance):
    instance = make_instance(State.ACTIVE, BillingMode.HOURLY, name="web-hourly")
    page.goto(reverse("recycle:instance", args=[instance.pk]))

    page.get_by_role("link", name="Stop").click()
    page.get_by_label("No Fees Upon Shutdown").check()
    confirm(page)

    expect(message(page)).to_contain_text("Stopped 1 instance.")
    expect(page.locator(".heading")).to_contain_text("Stopped (No Fees)")
    assert Instance.objects.get(pk=instance.pk).no_fees


def test_an_expired_subscription_is_renewed_and_runs_again(page, make_instance):
    instance = make_instance(State.EXPIRED, name="web-expired")
    page.goto("/recycle-bin/")

    page.get_by_role("link", name="Expired subscriptions").click()
    row(page, instance).get_by_role("link", name="Renew").click()
    page.get_by_label("Renew for").select_option("3")
    confirm(page)

    expect(message(page)).to_contain_text("Renewed 1 instance.")
    expect(row(page, instance)).to_have_count(0)
    assert state_of(instance) == State.ACTIVE


# --- Lists ----------------------------------------------------------------------------------------


def test_filter_order_and_page_live_in_the_address(page, make_instance, now):
    for number in range(25):
        make_instance(State.RECYCLED, name=f"web-{number:02}", now=now.replace(microsecond=number))
    make_instance(State.RECYCLED, name="cache-01")
    page.goto("/recycle-bin/")

    page.get_by_role("searchbox", name="Instance ID, name or IP").fill("web-")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=web-**")
    page.get_by_label("Rows per page").select_option("10")
    page.wait_for_url("**size=10**")
    page.get_by_role("link", name="Deleted", exact=True).click()
    page.wait_for_url("**sort=recycled_at**")
    expect(rows(page).first).to_contain_text("web-00")
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**cursor=**")
    expect(rows(page).first).to_contain_text("web-10")
    page.reload()
    expect(rows(page).first).to_contain_text("web-10")
    expect(page.get_by_role("searchbox", name="Instance ID, name or IP")).to_have_value("web-")
    page.go_back()

    expect(rows(page).first).to_contain_text("web-00")
    expect(rows(page)).to_have_count(10)
    expect(page.get_by_role("columnheader", name="Deleted")).to_have_attribute(
        "aria-sort", "ascending"
    )


def test_a_filter_asks_the_server_once_and_the_export_follows_it(page, make_instance):
    make_instance(State.RECYCLED, name="web-01")
    make_instance(State.RECYCLED, name="cache-01")
    page.goto("/recycle-bin/")
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(f"{len(asked)} {request.url}"))

    page.get_by_role("searchbox", name="Instance ID, name or IP").fill("web")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    export = page.get_by_role("link", name="Export CSV")
    expect(export).to_have_attribute("href", re.compile("q=web"))
    with page.expect_download() as download:
        export.click()

    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines) == 3
    assert "web-01" in lines[1]
    assert len([url for url in asked if "/recycle-bin/?q=web" in url]) == 1


def test_columns_that_were_hidden_stay_hidden(page, recycled):
    page.goto("/recycle-bin/")
    expect(page.get_by_role("columnheader", name="Configuration")).to_be_visible()

    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Configuration").uncheck()
    page.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("columnheader", name="Configuration")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("columnheader", name="Remaining")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Configuration")).to_have_count(0)


def test_a_dismissed_tip_does_not_come_back(page, recycled):
    page.goto("/recycle-bin/")

    with page.expect_response("**/dismiss-tip/"):
        page.get_by_role("button", name="Dismiss").click()

    expect(page.get_by_role("complementary", name="Note")).to_have_count(0)
    page.reload()
    expect(row(page, recycled)).to_be_visible()
    expect(page.get_by_role("complementary", name="Note")).to_have_count(0)


# --- Language and theme ---------------------------------------------------------------------------


@pytest.fixture
def everything(make_instance, bind) -> Instance:
    """Something on every page, long names and all; the instance in the bin."""
    for state in (State.ACTIVE, State.STOPPED, State.EXPIRED):
        make_instance(state, name=f"a-rather-long-name-for-an-instance-that-is-{state}")
    hourly = make_instance(State.ACTIVE, BillingMode.HOURLY)
    bind(hourly)
    recycled: Instance = make_instance(
        State.RECYCLED, name="batch-worker-for-the-nightly-reconciliation-0001"
    )
    Event.objects.create(
        account=recycled.account,
        at=recycled.changed_at,
        batch=recycled.pk,
        action=Action.RECYCLE,
        instance_id=recycled.pk,
        instance_name=recycled.name,
        from_state=State.ACTIVE,
        to_state=State.RECYCLED,
        by_name="alice",
        reason="replaced by a larger one after the load test of last week",
        detail={"eips": [{"id": str(recycled.pk), "address": "120.92.100.100"}]},
    )
    return recycled


def addresses(recycled: Instance) -> list[str]:
    """Every page there is."""
    return [
        "/",
        "/instances/",
        f"/instances/{recycled.pk}/",
        "/recycle-bin/",
        "/recycle-bin/?q=nothing-like-it",
        "/recycle-bin/expired/",
        "/operation-log/",
        "/instances/create/",
        "/volumes/",
        "/addresses/",
        "/balancers/",
        "/tags/",
        "/retention/",
        "/me/password/",
        "/me/sessions/",
        f"/instances/configure-again/?ids={recycled.pk}",
        f"/recycle-bin/restore/?ids={recycled.pk}",
    ]


def test_every_page_speaks_chinese_once_chosen(page, everything):
    page.goto("/")
    page.get_by_role("button", name="Language").click()
    page.get_by_role("button", name="简体中文").click()

    for address in addresses(everything):
        page.goto(address)
        expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
        expect(page.locator("nav.nav")).to_contain_text("回收站")


def test_the_theme_is_kept(page, recycled):
    page.goto("/recycle-bin/")

    page.get_by_role("button", name="Theme").click()
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="Dark").click()
    light = "rgb(243, 245, 249)"
    expect(page.locator("body")).not_to_have_css("background-color", light)
    page.get_by_role("link", name="Operation Log").click()
    expect(page.get_by_role("heading", name="Operation Log")).to_be_visible()
    expect(page.locator("body")).not_to_have_css("background-color", light)
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).not_to_have_css("background-color", light)


# --- Other ways of using it -----------------------------------------------------------------------


def test_without_javascript_everything_is_a_page(open_page, alice, make_instance, complaints):
    instance = make_instance(State.ACTIVE, BillingMode.DAILY, name="web-plain")
    other = make_instance(State.RECYCLED, name="web-other")
    page = open_page(alice, java_script_enabled=False)

    page.goto("/instances/")
    row(page, instance).get_by_role("link", name="More").click()
    page.get_by_role("link", name="Delete", exact=True).click()
    expect(page).to_have_url(re.compile("/instances/delete/"))
    expect(dialog(page)).to_contain_text("Will move to the recycle bin")
    confirm(page)
    expect(message(page)).to_contain_text("Moved 1 instance to the recycle bin.")
    page.get_by_role("link", name="KEC Instance Recycle Bin").first.click()
    page.get_by_label("Select web-plain").check()
    page.get_by_role("button", name="Batch Restore").click()
    expect(dialog(page)).to_contain_text("web-plain")
    confirm(page)
    expect(message(page)).to_contain_text("Restored 1 instance.")
    row(page, other).get_by_role("link", name="More").click()
    page.get_by_role("link", name="Delete permanently").click()
    page.get_by_label("This cannot be undone").fill("web-othe")
    confirm(page)
    expect(dialog(page)).to_contain_text("Type exactly what is asked for.")
    forgive(complaints, "422")
    page.get_by_label("This cannot be undone").fill("web-other")
    confirm(page)
    expect(message(page)).to_contain_text("Deleted 1 instance for good.")

    assert state_of(instance) == State.STOPPED
    assert state_of(other) == State.PURGED


def test_without_javascript_filter_columns_theme_and_language_work(open_page, alice, make_instance):
    make_instance(State.RECYCLED, name="web-01")
    make_instance(State.RECYCLED, name="cache-01")
    page = open_page(alice, java_script_enabled=False)
    page.goto("/recycle-bin/")

    page.get_by_role("searchbox", name="Instance ID, name or IP").fill("web")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Batch Restore").click()
    expect(message(page)).to_contain_text("Select at least one instance.")
    expect(page).to_have_url(re.compile("q=web"))
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Configuration").uncheck()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("columnheader", name="Configuration")).to_have_count(0)
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Language").click()
    page.get_by_role("button", name="简体中文").click()

    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page).to_have_url(re.compile("q=web"))
    expect(rows(page)).to_have_count(1)


def test_the_keyboard_alone_is_enough(page, recycled):
    page.goto("/recycle-bin/")

    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search instances")).to_be_focused()
    restore = row(page, recycled).get_by_role("link", name="Restore")
    for _ in range(60):
        if restore.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(restore).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog(page)).to_be_visible()
    for _ in range(8):
        page.keyboard.press("Tab")
        # The browser's own bar may have the focus in between, the page behind the dialog never.
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(restore).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog(page)).to_be_visible()
    dialog(page).get_by_role("button", name="OK").focus()
    page.keyboard.press("Enter")

    expect(message(page)).to_contain_text("Restored 1 instance.")
    assert state_of(recycled) == State.STOPPED


def test_on_a_phone_no_page_scrolls_sideways(open_page, alice, everything, complaints):
    page = open_page(alice, viewport=PHONE)

    for address in ("/login/", *addresses(everything), "/nothing-here/"):
        page.goto(address)
        for more in reversed(page.locator("details:not([open]) > summary").all()):
            more.click()
        width, room = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        assert width <= room, address
    forgive(complaints, "404")


def test_on_a_phone_an_instance_can_be_restored(open_page, alice, recycled):
    page = open_page(alice, viewport=PHONE)
    page.goto("/")

    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("link", name="KEC Instance Recycle Bin").click()
    restore = row(page, recycled).get_by_role("link", name="Restore")
    expect(page.get_by_role("heading", name="KEC Instance Recycle Bin")).to_be_visible()
    expect(restore).to_be_visible()
    box = restore.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    restore.click()
    confirm(page)

    expect(message(page)).to_contain_text("Restored 1 instance.")


def test_a_viewer_sees_what_is_not_for_viewers_and_why(open_page, victor, recycled, make_instance):
    running = make_instance(State.ACTIVE, name="web-running")
    page = open_page(victor)

    page.goto("/recycle-bin/")
    expect(row(page, recycled).get_by_role("link", name="Restore")).to_have_count(0)
    expect(row(page, recycled).locator(".off").first).to_have_attribute("title", re.compile("role"))
    page.goto("/instances/")

    row(page, running).get_by_role("link", name="More").click()
    for name in ("Stop", "Delete"):
        expect(row(page, running).locator(".off", has_text=name)).to_have_attribute(
            "title", re.compile("role")
        )


# --- When something goes wrong --------------------------------------------------------------------


def test_a_session_that_ended_leads_to_the_login(page, recycled):
    page.goto("/recycle-bin/")
    page.context.clear_cookies()

    row(page, recycled).get_by_role("link", name="Restore").click()

    page.wait_for_url("**/login/**")
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_lost_connection_is_said_and_changes_nothing(page, recycled, complaints):
    page.goto("/recycle-bin/")
    row(page, recycled).get_by_role("link", name="Restore").click()
    expect(dialog(page)).to_be_visible()

    page.context.set_offline(True)
    confirm(page)
    expect(page.get_by_role("alert")).to_contain_text("The server could not be reached.")
    page.context.set_offline(False)
    # Chromium reports the lost request, which is what this is about.
    forgive(complaints, "ERR_INTERNET_DISCONNECTED", "htmx:")
    confirm(page)

    expect(message(page)).to_contain_text("Restored 1 instance.")


# --- The whole of it ------------------------------------------------------------------------------


# Deleted so long ago that its two hours end in a few seconds.
DELETE = """
from datetime import timedelta
from django.utils import timezone
from recycle import actions
from recycle.models import Edge, Instance, User
ends = timezone.now() + timedelta(seconds=8)
living = Instance.objects.living().filter(billing_mode="Daily").order_by("name")
first, second = living[:2]
outcome = actions.delete(
    Instance.objects.filter(pk=second.pk),
    may_release=False,
    context=actions.Context(
        by=User.objects.get(username="demo"), now=ends - timedelta(hours=2), edge=Edge.PAGE
    ),
)
assert outcome.done, outcome
print(first.name, second.name)
"""


def test_the_first_hour_with_the_console(tmp_path, chromium: Browser):
    """What a new user sees: delete, the bin, restore; and what is due leaves by the sweep of worker
    and beat.
    """
    with console(tmp_path) as (address, environment):
        shell = [sys.executable, "manage.py", "shell", "-c", DELETE]
        made = subprocess.run(
            shell, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        mine, due = made.stdout.split()[-2:]
        page = chromium.new_page(base_url=address, viewport=DESKTOP, locale="en")

        page.goto("/")
        page.get_by_label("User name").fill("demo")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="KEC Instance Recycle Bin").click()
        expect(page.get_by_role("heading", name="KEC Instance Recycle Bin")).to_be_visible()
        expect(row(page, due)).to_be_visible()
        expect(row(page, due)).to_have_count(0, timeout=COUNTDOWN)
        page.get_by_role("link", name="Operation Log").click()
        expect(row(page, due).first).to_contain_text("Schedule")
        page.get_by_role("searchbox", name="Search instances").fill(mine)
        page.keyboard.press("Enter")
        from_menu(row(page, mine), "Delete")
        confirm(page)
        message(page).get_by_role("link", name="Recycle bin").click()
        row(page, mine).get_by_role("link", name="Restore").click()
        confirm(page)

        expect(message(page)).to_contain_text("Restored 1 instance. It is stopped.")
        page.context.close()
