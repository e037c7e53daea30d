"""Volumes, EIPs, load balancers and tags in a real Chromium: bind what a restore left unbound, from
either side.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from recycle.models import ElasticIP, Instance, InstanceTag, LoadBalancer, RealServer, Tag, Volume
from tests.browser import AT_REST, DESKTOP, PHONE, forgive
from tests.test_accessibility import complaints_of_axe
from tests.test_late_answers import DROPPED

pytestmark = pytest.mark.browser


@pytest.fixture
def rows(make_instance, make_volume, make_address, make_listener, make_tag):
    """Two instances, and one of everything that can be bound to them."""
    make_instance(name="web-01")
    make_instance(name="web-02")
    make_volume(name="data")
    make_address()
    make_listener(protocol="HTTP", port=80)
    make_tag("env", "prod")


@pytest.fixture
def ok() -> Callable[[Page], None]:
    return lambda page: page.get_by_role("dialog").get_by_role("button", name="OK").click()


def suggested(page: Page, typed: str) -> str:
    """What is suggested first for what somebody types."""
    field = page.locator("[name=other]")
    # Whoever types sees the field first; keys alone would go into what is not open yet.
    field.click()
    with page.expect_response(re.compile("/suggestions/")):
        # As fingers do: what a script fills in at once is there before htmx listens.
        field.press_sequentially(typed, delay=50)
    option = page.locator("#choices option").first
    expect(option).to_be_attached()
    return option.get_attribute("value") or ""


def test_a_person_binds_everything_from_the_page_of_an_instance(
    open_page, oscar, rows, ok, complaints
):
    instance = Instance.objects.get(name="web-01")
    page = open_page(oscar)
    page.goto(f"/instances/{instance.pk}/")

    for label, typed in (
        ("Attach EBS volume", "dat"),
        ("Bind EIP", "120"),
        ("Register with listener", "balancer"),
        ("Bind tag", "env"),
    ):
        page.get_by_role("button", name="Bind").click()
        page.get_by_role("link", name=label).click()
        page.locator("[name=other]").fill(suggested(page, typed))
        if label.startswith("Register"):
            page.get_by_label("Port of the instance").fill("8080")
        # The page comes anew after the answer, with another menu.
        with page.expect_response(re.compile(f"/instances/{instance.pk}/$")):
            ok(page)
        page.wait_for_function(AT_REST)
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator("#messages")).to_contain_text("1")
        page.locator("[data-close-toast]").first.click()

    relationships = page.locator(".bound")
    for text in ("data", "120.93", "HTTP:80", "env=prod"):
        expect(relationships).to_contain_text(text)
    for model in (Volume, ElasticIP, RealServer, InstanceTag):
        assert model.objects.get().instance == instance

    for left in (3, 2, 1, 0):
        page.get_by_role("link", name="Unbind").first.click()
        ok(page)
        expect(page.get_by_role("link", name="Unbind")).to_have_count(left)
    expect(page.get_by_text("Nothing is bound to this instance.")).to_be_visible()
    # On a slow machine a key comes after what was suggested for the one before has been asked for.
    forgive(complaints, *DROPPED)


def test_an_ambiguous_name_is_said_in_the_dialog(
    open_page, alice, rows, make_instance, complaints, ok
):
    make_instance(name="web-01")
    page = open_page(alice)
    page.goto("/volumes/")

    page.get_by_role("link", name="Attach").click()
    page.locator("[name=other]").fill("web-01")
    ok(page)

    expect(page.get_by_role("dialog")).to_contain_text("Several are called “web-01”.")
    page.locator("[name=other]").fill("web-02")
    ok(page)
    expect(page.locator("#messages")).to_contain_text("Attached 1 EBS volume.")
    expect(page.get_by_role("link", name="Detach")).to_be_visible()
    forgive(complaints, "422")


def test_a_selection_is_deleted_and_what_is_bound_stays_selected(
    open_page, alice, rows, make_volume, ok
):
    bound = make_volume(
        name="bound", instance=Instance.objects.get(name="web-01"), mount_point="/dev/vdb"
    )
    page = open_page(alice)
    page.goto("/volumes/")

    page.get_by_label("Select this page").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_label("This cannot be undone.").fill("2")
    ok(page)

    expect(page.locator("#messages")).to_contain_text("web-01")
    expect(page.get_by_label("Select bound")).to_be_checked()
    assert list(Volume.objects.all()) == [bound]


def test_deleting_it_from_its_own_page_leads_to_the_list(open_page, alice, rows, ok):
    page = open_page(alice)
    page.goto(f"/balancers/{LoadBalancer.objects.get().pk}/")

    page.get_by_role("link", name=re.compile("^Delete balancer")).click()
    ok(page)

    expect(page).to_have_url(re.compile("/balancers/$"))
    expect(page.locator("#messages")).to_contain_text("Deleted 1 load balancer.")


def test_it_works_without_javascript(open_page, alice, rows):
    page = open_page(alice, java_script_enabled=False)
    page.goto("/tags/")

    page.get_by_role("link", name="Bind to instance").click()
    page.get_by_label("Instance: ID, name or private IP").fill("web-01")
    page.get_by_role("button", name="OK").click()

    expect(page.get_by_text("Bound 1 tag.")).to_be_visible()
    assert InstanceTag.objects.get().tag == Tag.objects.get()


@pytest.mark.parametrize(
    "looks",
    [{"viewport": DESKTOP}, {"viewport": DESKTOP, "color_scheme": "dark"}, {"viewport": PHONE}],
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing_and_nothing_sticks_out(
    open_page, alice, make_instance, bind, rows, looks
):
    bind(make_instance(name="bound"))
    page = open_page(alice, bypass_csp=True, reduced_motion="reduce", **looks)
    found = []

    def look(place: str) -> None:
        nonlocal found
        found += complaints_of_axe(page, place)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place

    pages = {"volumes": Volume, "addresses": ElasticIP, "balancers": LoadBalancer, "tags": Tag}
    for name, model in pages.items():
        page.goto(f"/{name}/")
        look(name)
        page.locator(".tools > .btn.main").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        look(f"create {name}")
        page.keyboard.press("Escape")
        page.get_by_label("Select this page").check()
        for button in page.locator(".tools [formaction]").all():
            button.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            look(f"{name} {button.text_content()}")
            page.keyboard.press("Escape")
        page.goto(f"/{name}/{model.objects.earliest('pk').pk}/")  # type: ignore[attr-defined]
        look(f"one of {name}")
    page.goto(f"/instances/{Instance.objects.get(name='bound').pk}/")
    page.get_by_role("button", name="Bind").click()
    look("bind")

    assert found == []
