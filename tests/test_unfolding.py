"""What a row unfolds when somebody asks for it: its menu, and what it was bound to."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Event, Instance
from tests.browser import forgive
from tests.conftest import HTMX, acting
from tests.test_journeys import row

LIST = "http://testserver/recycle-bin/?sort=purge_at&size=50"


@pytest.fixture
def rows(account, make_instance, make_volume, make_address, make_tag, bind, alice):
    """The addresses of everything that unfolds, with a word that each says."""
    binned = make_instance()
    bind(binned)
    actions.delete(Instance.objects.filter(pk=binned.pk), may_release=False, context=acting(alice))
    volume, address, tag = make_volume(), make_address(), make_tag()
    return {
        reverse("recycle:instance_menu", args=[make_instance().pk]): "Restart",
        reverse("recycle:instance_menu", args=[binned.pk]): "Delete permanently",
        reverse("recycle:former", args=[binned.pk]): "120.92.",
        reverse("recycle:event", args=[Event.objects.get(instance_id=binned.pk).pk]): "120.92.",
        reverse("recycle:volume_menu", args=[volume.pk]): "Delete",
        reverse("recycle:address_menu", args=[address.pk]): "Delete",
        reverse("recycle:tag_menu", args=[tag.pk]): "Delete",
    }


@pytest.mark.django_db
def test_what_unfolds_is_a_button_with_its_menu_and_nothing_keeps_it(client, alice, rows):
    client.force_login(alice)

    for address, word in rows.items():
        answer = client.get(address, headers=HTMX)

        (key,) = re.findall(r'<button [^>]*popovertarget="([^"]+)" data-open>', answer.text)
        assert f'<div class="menu" popover id="{key}">' in answer.text, address
        assert word in answer.text, address
        assert "no-store" in answer["Cache-Control"], address


@pytest.mark.django_db
def test_without_a_script_the_link_leads_to_a_page_that_says_the_same(client, alice, rows):
    client.force_login(alice)

    for address, word in rows.items():
        answer = client.get(address, follow=True)

        assert "<h1" in answer.text, address
        assert word in answer.text, address


@pytest.mark.django_db
def test_a_stranger_finds_none_of_it(client, mallory, rows):
    client.force_login(mallory)

    for headers in ({}, HTMX):
        for address in rows:
            assert client.get(address, headers=headers).status_code == 404, address


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("current", "back"),
    [
        (LIST, "/recycle-bin/?region=&sort=purge_at&size=50"),
        (f"{LIST}&made=up", "/recycle-bin/?region=&sort=purge_at&size=50"),
        ("https://elsewhere.example/recycle-bin/", None),
        ("http://testserver//elsewhere.example/", None),
        ("", None),
    ],
)
def test_its_dialogs_lead_back_to_where_the_menu_was_opened(client, alice, recycled, current, back):
    client.force_login(alice)
    menu = reverse("recycle:instance_menu", args=[recycled.pk])

    text = client.get(menu, headers={**HTMX, "HX-Current-URL": current}).text

    extend = re.search(r'href="(/recycle-bin/extend/[^"]+)"', text)
    assert extend
    dialog = client.get(extend[1].replace("&amp;", "&")).text
    (kept,) = re.findall(r'name="back" value="([^"]+)"', dialog)
    assert kept.replace("&amp;", "&") == (back or reverse("recycle:instance", args=[recycled.pk]))


@pytest.mark.django_db
def test_the_menu_offers_what_the_page_of_the_instance_offers(client, alice, make_instance):
    """But for the verbs that the row shows itself, and for what can be bound."""
    client.force_login(alice)
    shown = {State.RECYCLED: {"restore"}, State.EXPIRED: {"renew", "delete"}}

    for state in (State.ACTIVE, State.STOPPED, State.EXPIRED, State.RECYCLED):
        pk = make_instance(state).pk
        menu, page = (
            set(
                re.findall(
                    rf'href="/[a-z-]+/([a-z]+)/\?ids={pk}', client.get(address, headers=h).text
                )
            )
            for address, h in (
                (reverse("recycle:instance_menu", args=[pk]), HTMX),
                (reverse("recycle:instance", args=[pk]), {}),
            )
        )
        assert page - shown.get(state, {"start", "stop", "delete"}) - {"register"} <= menu, state


@pytest.mark.django_db
def test_what_is_not_there_is_not_found(client, alice):
    client.force_login(alice)

    for name in ("instance_menu", "former", "volume_menu", "address_menu"):
        assert (
            client.get(reverse(f"recycle:{name}", args=[uuid4()]), headers=HTMX).status_code == 404
        )


@pytest.mark.browser
def test_a_menu_opens_where_it_was_asked_for_and_again_without_asking(page, recycled):
    page.goto("/recycle-bin/")
    asked = []
    page.on(
        "request", lambda request: asked.append(request.url) if "/menu/" in request.url else None
    )

    row(page, recycled).get_by_role("link", name="More").press("Enter")

    menu = page.locator(".menu:popover-open")
    expect(menu).to_contain_text("Extend")
    assert page.evaluate("document.activeElement.textContent").strip().startswith("More")
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    page.keyboard.press("Enter")
    expect(menu).to_contain_text("Extend")
    assert len(asked) == 1


@pytest.mark.browser
def test_a_list_does_not_refresh_itself_under_a_menu_that_is_on_its_way(
    page, recycled, make_instance, now
):
    make_instance(State.RECYCLED, recycled_at=now - timedelta(hours=2), purge_at=now)
    refreshed, held = [], []
    page.on("request", lambda request: refreshed.append("x-unattended" in request.headers))

    def hold(route):
        held.append(route)

    page.route("**/menu/", hold)
    with page.expect_response(lambda response: "x-unattended" in response.request.headers):
        page.goto("/recycle-bin/")
    page.wait_for_function("() => !document.querySelector('.htmx-request')")
    before = sum(refreshed)

    row(page, recycled).get_by_role("link", name="More").click()
    # It would come by again five seconds after the first time.
    page.wait_for_timeout(6_000)

    assert sum(refreshed) == before
    held.pop().continue_()
    expect(page.locator(".menu:popover-open")).to_contain_text("Extend")


@pytest.mark.browser
def test_a_menu_of_what_has_gone_says_so(page, complaints, recycled):
    page.goto("/recycle-bin/")
    Instance.objects.filter(pk=recycled.pk).delete()

    row(page, recycled).get_by_role("link", name="More").click()

    expect(page.locator("#messages")).to_contain_text("404")
    forgive(complaints, "404")
