"""What people do after a delete they regret: restore and configure again, or undo. In a real
Chromium.
"""

import re
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from recycle import actions
from recycle.actions import resources
from recycle.lifecycle import State
from recycle.models import ElasticIP, Event, Instance, InstanceTag, RealServer, Volume
from tests.browser import PHONE, forgive, from_menu
from tests.conftest import acting
from tests.test_accessibility import complaints_of_axe, look  # noqa: F401

pytestmark = pytest.mark.browser


@pytest.fixture
def bound(make_instance, bind):
    instance = make_instance(name="bound")
    bind(instance)
    return instance


def relationships():
    return {
        "eips": list(ElasticIP.objects.values_list("pk", "instance")),
        "volumes": sorted(
            Volume.objects.values_list("pk", "instance", "mount_point", "delete_with_instance")
        ),
        "servers": list(
            RealServer.objects.values_list("listener", "instance", "address", "port", "weight")
        ),
        "tags": list(InstanceTag.objects.values_list("tag", "instance")),
    }


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


def message(page: Page) -> Locator:
    return page.locator("#messages")


def row(page: Page, name: str) -> Locator:
    return (
        page.locator("main tbody tr")
        .filter(has=page.get_by_role("link"))
        .filter(has_text=re.compile(rf"{name}\b"))
    )


def confirm(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="OK").click()


def delete(page: Page, name: str) -> None:
    page.goto("/instances/")
    from_menu(row(page, name), "Delete")
    confirm(page)
    expect(message(page)).to_contain_text("Moved 1 instance to the recycle bin.")


def restore_and_plan(page: Page, name: str) -> None:
    page.goto("/recycle-bin/")
    row(page, name).get_by_role("link", name="Restore", exact=True).click()
    box = page.get_by_role("dialog").get_by_role(
        "checkbox", name=re.compile("then configure again")
    )
    expect(box).not_to_be_checked()
    box.check()
    confirm(page)
    expect(page.get_by_role("heading", name="Configure again", level=1)).to_be_visible()
    expect(message(page)).to_contain_text("Restored 1 instance.")


def test_deleted_restored_and_configured_again_every_relationship_is_back(page, bound):
    before = relationships()
    delete(page, "bound")
    restore_and_plan(page, "bound")
    assert not RealServer.objects.exists()

    plan = page.locator("#plan")
    expect(plan.get_by_text("Can be bound")).to_have_count(5)
    plan.get_by_role("button", name="Configure again").click()

    expect(plan.get_by_text("Bound again")).to_have_count(5)
    expect(message(page)).to_contain_text("Bound 5 relationships again.")
    assert relationships() == before
    assert only(bound).get().state == State.STOPPED


def test_what_another_has_taken_meanwhile_stays_with_them_and_the_other_three_are_back(
    page, alice, make_instance, bind, now
):
    instance, taker = make_instance(name="bound"), make_instance(name="taker")
    bind(instance)
    Volume.objects.filter(name="scratch").delete()
    before = relationships()
    delete(page, "bound")
    restore_and_plan(page, "bound")
    plan = page.locator("#plan")
    expect(plan.get_by_text("Can be bound")).to_have_count(4)
    # The plan is on the screen when somebody takes the address.
    context = acting(alice, now)
    resources.addresses.associate(ElasticIP.objects.all(), taker, context=context)

    plan.get_by_role("button", name="Configure again").click()

    expect(plan.get_by_text("Bound again")).to_have_count(3)
    line = plan.get_by_role("row").filter(has_text=str(ElasticIP.objects.get().address))
    expect(line).to_contain_text("Left alone")
    expect(line).to_contain_text("It is taken by another one.")
    expect(message(page)).to_contain_text("1 relationship was left alone:")
    assert ElasticIP.objects.get().instance == taker
    assert {**relationships(), "eips": before["eips"]} == before
    line.get_by_role("link", name="taker").click()
    expect(page.get_by_role("heading", name="taker", level=1)).to_be_visible()


def test_undo_brings_back_a_running_bound_instance(page, bound):
    before = relationships()
    delete(page, "bound")
    expect(row(page, "bound")).to_have_count(0)
    assert only(bound).get().state == State.RECYCLED

    message(page).get_by_role("button", name="Undo").click()

    expect(message(page)).to_contain_text("1 instance is back.")
    expect(message(page)).to_contain_text("1 instance runs again.")
    expect(message(page).get_by_role("button", name="Undo")).to_have_count(0)
    # The list hears of it by itself.
    expect(row(page, "bound")).to_contain_text("Running")
    assert only(bound).get().state == State.ACTIVE
    assert relationships() == before


def test_the_offer_to_undo_goes_when_its_time_is_over_and_not_before(page, bound):
    page.clock.install()
    delete(page, "bound")
    button = message(page).get_by_role("button", name="Undo")

    page.clock.run_for(20_000)
    expect(button).to_be_visible()
    page.clock.run_for(15_000)

    expect(button).to_have_count(0)


def test_without_script_undo_is_a_button_on_the_next_page(open_page, alice, bound):
    page = open_page(alice, java_script_enabled=False)
    before = relationships()
    page.goto("/instances/")
    row(page, "bound").get_by_role("link", name="More").click()
    page.get_by_role("link", name="Delete", exact=True).click()
    page.get_by_role("button", name="OK").click()

    page.get_by_role("button", name="Undo").click()

    expect(message(page)).to_contain_text("1 instance is back.")
    assert urlsplit(page.url).path == reverse("recycle:instance", args=[bound.pk])
    assert relationships() == before
    assert only(bound).get().state == State.ACTIVE


def test_without_script_the_plan_works_as_well(open_page, alice, bound, now):
    before = relationships()
    actions.delete(only(bound), may_release=False, context=acting(alice, now))
    page = open_page(alice, java_script_enabled=False)
    page.goto("/recycle-bin/")
    row(page, "bound").get_by_role("link", name="Restore", exact=True).click()
    page.get_by_role("checkbox", name=re.compile("then configure again")).check()
    page.get_by_role("button", name="OK").click()

    page.get_by_role("button", name="Configure again").click()

    expect(page.get_by_text("Bound again")).to_have_count(5)
    assert relationships() == before


def test_one_box_ticks_all_or_none(page, alice, bound, now):
    actions.delete(only(bound), may_release=False, context=acting(alice, now))
    actions.restore(only(bound), context=acting(alice, now))
    page.goto(f"/instances/{bound.pk}/")
    page.get_by_role("link", name="Configure again").click()
    everything = page.get_by_role("checkbox", name="All that can be bound")
    boxes = page.locator("#plan input[name=lines]")
    expect(everything).to_be_checked()

    everything.uncheck()
    expect(page.locator("#plan input[name=lines]:checked")).to_have_count(0)
    boxes.first.check()
    assert everything.evaluate("box => box.indeterminate")
    page.get_by_role("button", name="Configure again").click()

    expect(message(page)).to_contain_text("Bound 1 relationship again.")
    expect(boxes).to_have_count(4)
    assert Event.objects.filter(action="bind").count() == 1


def test_a_plan_refreshes_itself_when_its_instance_is_restored_from_there(page, alice, bound, now):
    actions.delete(only(bound), may_release=False, context=acting(alice, now))
    page.goto(f"/instances/configure-again/?ids={bound.pk}")
    expect(page.get_by_text("It is in the recycle bin.")).to_have_count(5)

    page.locator("#plan").get_by_role("link", name="Restore").click()
    confirm(page)

    expect(page.get_by_text("Can be bound")).to_have_count(5)


def test_on_a_phone_the_plan_does_not_scroll_sideways(open_page, alice, bound, now, complaints):
    actions.delete(only(bound), may_release=False, context=acting(alice, now))
    actions.restore(only(bound), context=acting(alice, now))
    page = open_page(alice, viewport=PHONE)
    page.goto(f"/instances/configure-again/?ids={bound.pk}")

    expect(page.get_by_role("button", name="Configure again")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    forgive(complaints)


def test_too_late_the_server_says_so(page, alice, bound, complaints):
    delete(page, "bound")
    Event.objects.update(at=Event.objects.get().at.replace(year=2020))

    message(page).get_by_role("button", name="Undo").click()

    expect(message(page)).to_contain_text("The time to undo this is over.")
    assert only(bound).get().state == State.RECYCLED
    forgive(complaints, "409")


def test_axe_finds_nothing_in_the_plan_its_results_and_the_offer(
    look,  # noqa: F811
    alice,
    bound,
    make_instance,
    bind,
    now,
):
    binned, taker = make_instance(name="binned"), make_instance(name="taker")
    bind(binned)
    for instance in (bound, binned):
        actions.delete(only(instance), may_release=False, context=acting(alice, now))
    actions.restore(only(bound), context=acting(alice, now))
    context = acting(alice, now)
    resources.addresses.associate(ElasticIP.objects.order_by("pk")[:1], taker, context=context)
    resources.volumes.remove(Volume.objects.filter(name="scratch"), context=context)
    page = look()

    page.goto(f"/instances/configure-again/?ids={bound.pk}&ids={binned.pk}")
    found = complaints_of_axe(page, "plan")
    page.get_by_role("button", name="Configure again").click()
    expect(page.get_by_text("Bound again").first).to_be_visible()
    found += complaints_of_axe(page, "results")
    delete(page, "bound")
    expect(message(page).get_by_role("button", name="Undo")).to_be_visible()
    found += complaints_of_axe(page, "undo")

    assert not found, "\n".join(found)
