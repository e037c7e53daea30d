"""axe looks at every page and every dialog, in both themes and on a phone."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Page, expect

from recycle.lifecycle import Action, State
from recycle.models import AuditEvent, ElasticIP, Event, Instance, LoadBalancer, Tag, User, Volume
from recycle.policy import BillingMode
from tests.browser import DESKTOP, PHONE, Open, forgive

pytestmark = pytest.mark.browser

LOOKS: dict[str, dict[str, Any]] = {"wide": {"viewport": DESKTOP}, "phone": {"viewport": PHONE}}
# The dark theme differs in nothing but colours: these are axe's rules that look at them.
OF_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


@pytest.fixture(params=LOOKS)
def look(open_page: Open, alice: User, request: pytest.FixtureRequest) -> Callable[..., Page]:
    """A function that opens a window in which axe can be put: our own policy keeps every foreign
    script out.
    """

    def look(*, logged_in: bool = True) -> Page:
        # Transitions would show axe a colour on its way to another.
        return open_page(
            alice if logged_in else None,
            bypass_csp=True,
            reduced_motion="reduce",
            color_scheme="light",
            **LOOKS[request.param],
        )

    return look


def complaints_of_axe(page: Page, place: str) -> list[str]:
    """What axe says of the page as it stands, and on a wide screen of its colours in the dark."""
    found = _complaints(page, place)
    if page.viewport_size == DESKTOP:
        page.emulate_media(color_scheme="dark")
        found += _complaints(page, f"{place} in the dark", options=OF_COLOURS)
        page.emulate_media(color_scheme="light")
    return found


def _complaints(page: Page, place: str, **options: Any) -> list[str]:
    results = Axe().run(page, **options)
    return [
        f"{place}: {violation['id']}: {violation['help']}: {node['html'][:200]}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


def test_axe_finds_nothing_on_any_page(look, make_instance, bind, alice, complaints, now):
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    AuditEvent.objects.create(at=now, action="login_failed", kind="user", count=2, last_at=now)
    running = make_instance(State.ACTIVE)
    bind(running)
    make_instance(State.STOPPED, BillingMode.HOURLY, no_fees=True)
    make_instance(State.ACTIVE, BillingMode.MONTHLY)
    make_instance(State.EXPIRED)
    for minutes in (2, 20, 100):
        recycled = make_instance(State.RECYCLED)
        Instance.objects.filter(pk=recycled.pk).update(
            purge_at=recycled.recycled_at
            + (recycled.purge_at - recycled.recycled_at) * minutes / 120,
            recycled_by=alice,
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
            by=alice,
            by_name="alice",
            reason="wrong stack",
            detail={"eips": [{"id": str(recycled.pk), "address": "120.92.0.1"}]},
        )
    alice.set_password("correct horse battery")
    alice.save()
    page = look()
    found = []

    for address in (
        "/",
        "/?span=7d",
        "/instances/",
        "/instances/?q=nothing-like-it",
        reverse("recycle:instance", args=[running.pk]),
        reverse("recycle:instance", args=[recycled.pk]),
        "/recycle-bin/",
        "/recycle-bin/?zone=nowhere",
        "/recycle-bin/expired/",
        "/operation-log/",
        "/audit-log/",
        "/instances/create/",
        "/volumes/",
        "/addresses/",
        "/balancers/",
        "/tags/",
        "/retention/",
        "/me/password/",
        "/me/sessions/",
        "/volumes/create/",
        reverse("recycle:volume", args=[Volume.objects.earliest("pk").pk]),
        reverse("recycle:address", args=[ElasticIP.objects.earliest("pk").pk]),
        reverse("recycle:balancer", args=[LoadBalancer.objects.earliest("pk").pk]),
        reverse("recycle:tag", args=[Tag.objects.earliest("pk").pk]),
        f"/instances/configure-again/?ids={recycled.pk}",
        f"/recycle-bin/restore/?ids={recycled.pk}",
        "/nothing-here/",
    ):
        page.goto(address)
        for more in reversed(page.locator("details:not([open]) > summary").all()):
            more.click()
        found += complaints_of_axe(page, address)
    forgive(complaints, "404", "400")

    assert found == []


def test_axe_finds_nothing_on_what_is_empty_or_before_the_login(look):
    found = []

    page = look(logged_in=False)
    page.goto("/login/")
    found += complaints_of_axe(page, "login")
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found += complaints_of_axe(page, "login refused")
    page = look()
    lists = (
        "/instances/",
        "/volumes/",
        "/addresses/",
        "/balancers/",
        "/tags/",
        "/recycle-bin/",
        "/recycle-bin/expired/",
    )
    for address in ("/", *lists, "/operation-log/"):
        page.goto(address)
        found += complaints_of_axe(page, f"empty {address}")

    assert found == []


def test_axe_finds_nothing_in_dialogs_menus_and_messages(look, make_instance, bind):
    daily, hourly = make_instance(State.ACTIVE), make_instance(State.ACTIVE, BillingMode.HOURLY)
    make_instance(State.ACTIVE, BillingMode.MONTHLY)
    make_instance(State.EXPIRED)
    bind(daily)
    bind(hourly)
    for _ in range(3):
        make_instance(State.RECYCLED)
    page = look()
    dialog = page.get_by_role("dialog")
    found = []

    def open_and_close(name: str, role: str = "button") -> None:
        nonlocal found
        page.get_by_role(role, name=name, exact=True).first.click()
        expect(dialog).to_be_visible()
        found += complaints_of_axe(page, f"dialog {name}")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)

    page.goto("/instances/")
    page.get_by_label("Select this page").check()
    found += complaints_of_axe(page, "selection")
    for name in ("Start", "Stop", "Delete", "Renew"):
        open_and_close(name)
    page.goto("/recycle-bin/")
    page.get_by_label("Select this page").check()
    for name in ("Batch Restore", "Batch Delete"):
        open_and_close(name)
    for role, name in (("link", "More"), ("button", "Columns")):
        page.get_by_role(role, name=name).first.click()
        expect(page.locator(".menu:popover-open")).to_be_visible()
        found += complaints_of_axe(page, f"menu {name}")
        page.keyboard.press("Escape")
    page.get_by_role("link", name="Restore").first.click()
    dialog.get_by_role("button", name="OK").click()
    expect(page.locator("#messages")).to_contain_text("Restored 1 instance.")
    found += complaints_of_axe(page, "message")

    assert found == []
