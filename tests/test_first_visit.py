"""What a browser fetches that has never been here."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_first_visit_takes_five_requests(page, recycled):
    asked = set()
    page.on("request", lambda request: asked.add(request.url.partition("#")[0]))

    page.goto("/recycle-bin/", wait_until="networkidle")

    expect(page.get_by_text(recycled.name)).to_be_visible()
    icon = page.locator("link[rel=icon]").evaluate("link => link.href")
    assert icon in asked
    assert len(asked) <= 5, asked


def test_the_file_of_the_icons_shows_the_mark_of_the_console(page, recycled):
    page.goto("/recycle-bin/", wait_until="networkidle")

    assert page.locator(".brand img").evaluate("image => image.complete && image.naturalWidth") > 0
