"""What a person is in the middle of stays at hand: Undo, the focus, what was typed, the buttons."""

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from recycle.lifecycle import State
from recycle.models import InstanceTag, Session, Tag
from tests.browser import PHONE, forgive, from_menu
from tests.test_journeys import confirm, dialog, message, row

pytestmark = pytest.mark.browser

LONG = "W" * 64


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.textContent"))


def delete(page: Page, name: str) -> Locator:
    from_menu(row(page, name), "Delete")
    confirm(page)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    return undo


# --- Undo -----------------------------------------------------------------------------------------


def test_undo_stays_whatever_else_is_said_and_wherever_one_goes(page, make_instance):
    make_instance(State.ACTIVE, name="web-01")
    stopped = make_instance(State.STOPPED, name="web-02")
    page.goto("/instances/")
    undo = delete(page, "web-01")

    page.get_by_role("button", name="Restart").first.click(force=True)
    expect(message(page)).to_contain_text("Select at least one instance.")
    expect(undo).to_be_visible()

    from_menu(row(page, stopped), "Start")
    confirm(page)
    expect(message(page)).to_contain_text("Started 1 instance.")
    expect(undo).to_be_visible()

    page.get_by_role("link", name="EBS Volume").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("EBS Volume")
    undo.click()

    expect(message(page)).to_contain_text("1 instance is back.")
    expect(undo).to_have_count(0)


# --- Focus ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["Escape", "OK"])
def test_after_a_dialog_of_a_menu_the_focus_is_at_the_menu(page, make_instance, leave):
    make_instance(State.RECYCLED, name="web-01")
    page.goto("/recycle-bin/")
    row(page, "web-01").get_by_role("link", name="More").press("Enter")
    page.get_by_role("link", name="Extend", exact=True).press("Enter")
    expect(dialog(page)).to_be_visible()

    if leave == "Escape":
        page.keyboard.press("Escape")
    else:
        confirm(page)
    expect(dialog(page)).to_have_count(0)

    page.wait_for_function("() => document.activeElement !== document.body")
    if leave == "Escape":
        assert focused(page).strip().startswith("More")


# What somebody very quick does: uses a link of the menu, and a button of the dialog, as they open.
QUICK = """
addEventListener("beforetoggle", ({ target, newState }) => {
  if (newState === "open") target.querySelector("a[href*='/extend/']")?.click();
}, true);
addEventListener("focusin", ({ target }) => {
  const dialog = target.closest("dialog:modal");
  if (dialog && !window.sent) { window.sent = true; dialog.querySelector("footer .main").click(); }
}, true);
"""


def test_menus_and_dialogs_open_when_they_work(page, make_instance):
    make_instance(State.RECYCLED, name="web-01")
    page.goto("/recycle-bin/")
    page.evaluate(QUICK)

    row(page, "web-01").get_by_role("link", name="More").press("Enter")

    expect(message(page)).to_contain_text("1 instance is kept longer.")
    # The page has been the same all the time.
    assert page.evaluate("window.sent")


def test_on_the_page_of_an_instance_the_focus_stays_in_the_page(page, make_instance):
    page.goto(f"/instances/{make_instance(State.ACTIVE).pk}/")
    page.get_by_role("link", name="Protect", exact=True).press("Enter")
    confirm(page)

    expect(message(page)).to_contain_text("Protected 1 instance.")
    page.wait_for_function("() => document.activeElement !== document.body")


def test_what_is_wrong_in_a_dialog_has_the_focus(page, complaints, make_volume):
    make_volume(name="data")
    page.goto("/volumes/")
    row(page, "data").get_by_role("link", name="Attach").click()
    dialog(page).get_by_role("combobox").fill("nothing-like-that")
    confirm(page)

    expect(dialog(page)).to_contain_text("There is nothing called")
    expect(dialog(page).get_by_role("combobox")).to_be_focused()
    forgive(complaints, "422")


def test_the_choice_of_columns_closes_when_it_is_taken(page, make_instance):
    make_instance(State.ACTIVE, name="web-01")
    page.goto("/instances/")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="Network").uncheck()

    page.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("columnheader", name="Network")).to_have_count(0)
    expect(page.get_by_role("button", name="Apply")).not_to_be_visible()


# --- Room -----------------------------------------------------------------------------------------

# Every button and link in sight over which something else lies.
COVERED = """() => [...document.querySelectorAll("header a, header button, main a, main button")]
  .filter((element) => !element.closest(".messages") && element.checkVisibility())
  .filter((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    const there = document.elementFromPoint(x + width / 2, y + height / 2);
    return there?.closest(".messages");
  })
  .map((element) => element.textContent.trim())"""


@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, PHONE])
def test_a_message_covers_no_button_of_a_head(page, make_instance, size):
    page.set_viewport_size(size)
    page.goto(f"/instances/{make_instance(State.ACTIVE).pk}/")
    page.get_by_role("link", name="Protect", exact=True).click()
    confirm(page)
    expect(message(page)).to_contain_text("Protected 1 instance.")
    page.evaluate("scrollTo(0, 0)")

    assert not {"Start", "Stop", "Restart", "Switch protection off"} & set(page.evaluate(COVERED))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.evaluate(COVERED) == []


@pytest.mark.parametrize("width", [390, 1440])
def test_no_name_is_too_long_for_a_page(page, account, make_instance, make_volume, width):
    living = make_instance(State.ACTIVE, name=LONG)
    binned = make_instance(State.RECYCLED, name="binned-" + LONG[:50])
    tag = Tag.objects.create(account=account, key="K" * 64, value="V" * 64)
    InstanceTag.objects.create(instance=living, tag=tag)
    make_volume(name="data-" + LONG[:40])
    page.set_viewport_size({"width": width, "height": 844})

    for path in (
        "/",
        "/instances/",
        f"/instances/{living.pk}/",
        f"/instances/delete/?ids={living.pk}",
        "/recycle-bin/",
        f"/recycle-bin/extend/?ids={binned.pk}",
        "/tags/",
        f"/tags/{tag.pk}/",
        "/volumes/",
        "/operation-log/",
    ):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (path, wide)
        cut = page.evaluate(
            "[...document.querySelectorAll('.modal .body')]"
            ".map((body) => body.scrollWidth - body.clientWidth)"
        )
        assert all(each <= 0 for each in cut), (path, cut)


def test_a_long_name_leaves_the_other_columns_in_sight(page, make_instance):
    page.set_viewport_size({"width": 1440, "height": 900})
    make_instance(State.ACTIVE, name=LONG)
    page.goto("/instances/")

    head = page.get_by_role("columnheader", name="Name / ID")
    assert head.bounding_box()["width"] < 320


# --- What was typed -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["goes on typing", "sends it"])
def test_what_was_typed_survives_the_end_of_the_session(
    open_page, alice, complaints, make_instance, way
):
    make_instance(State.ACTIVE)
    alice.set_password("a-Long-Secret-7")
    alice.save()
    page = open_page(alice)
    page.goto(reverse("recycle:create"))
    # What the page asks for by itself is answered, so that only one of the two ways is gone.
    with page.expect_response("**/instances/create/?**name=precious**"):
        page.locator("[name=name]").fill("precious")
    Session.objects.all().delete()

    if way == "sends it":
        page.get_by_role("button", name="Create").last.click()
        page.wait_for_url("**/login/**")
        expect(page.get_by_text("The session had ended, so nothing was changed.")).to_be_visible()
    else:
        page.locator("[name=name]").fill("precious-01")
        page.wait_for_url("**/login/**")
    page.locator("[name=login]").fill("alice")
    page.locator("[name=password]").fill("a-Long-Secret-7")
    page.locator("[name=password]").press("Enter")

    page.wait_for_url("**/instances/create/**")
    expect(page.locator("[name=name]")).to_have_value(
        "precious" if way == "sends it" else "precious-01"
    )
    # Of what was given up for it.
    forgive(complaints, "htmx:sendAbort", "htmx:afterRequest", "htmx:abort")
