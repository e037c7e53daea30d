"""The KEC Instance Recycle Bin, both tabs."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from recycle import actions, listing
from recycle.lifecycle import State
from recycle.models import Instance
from tests.conftest import HTMX, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, alice):
    """What Alice sees."""
    client.force_login(alice)
    return lambda name="bin", **query: client.get(reverse(f"recycle:{name}"), query)


def names(response):
    return [row.name for row in response.context["page"].rows]


def test_a_row_says_what_was_deleted_by_whom_why_and_how_long_it_stays(
    page, alice, make_instance, bind, now
):
    instance = make_instance(name="web")
    bind(instance)
    actions.delete(
        Instance.objects.filter(pk=instance.pk),
        may_release=False,
        context=acting(alice, reason="wrong stack"),
    )

    text = page().text

    for words in (
        str(instance.pk),
        "web",
        "Recycled",
        "Pay-By-Daily-Config",
        "N3.2B",
        "2 vCPU",
        instance.private_ip,
    ):
        assert words in text
    for words in ("by alice", "“wrong stack”", "1 SLB", "1 EIP", "2 EBS", "1 tag", "just now"):
        assert words in text
    (ends,) = Instance.objects.values_list("purge_at", flat=True)
    assert ends
    assert f'datetime="{ends.isoformat()}" data-ends' in text
    assert "1 h 59 min" in text


@pytest.mark.parametrize(
    ("left", "shown", "tone"),
    [
        (timedelta(hours=1, minutes=50, seconds=30), "1 h 50 min", ""),
        (timedelta(minutes=20, seconds=30), "20 min", "soon"),
        (timedelta(minutes=4, seconds=30), "4 min 30 s", "now"),
        (timedelta(seconds=20), "20 s", "now"),
        (timedelta(seconds=-5), "ending", "now"),
    ],
)
def test_the_countdown_grows_urgent(page, make_instance, now, left, shown, tone, time_machine):
    time_machine.move_to(now, tick=False)
    make_instance(State.RECYCLED, recycled_at=now - timedelta(minutes=10), purge_at=now + left)

    text = page().text

    assert re.search(rf'<time class="left {tone}"[^>]*>{shown}</time>', text)


def test_restore_is_off_and_says_why_once_the_time_is_over(page, make_instance, now):
    over = make_instance(State.RECYCLED, recycled_at=now - timedelta(hours=2), purge_at=now)

    text = page().text

    assert f"{reverse('recycle:restore')}?ids={over.pk}" not in text
    assert 'title="Its time is over; it is being deleted for good."' in text


def test_each_tab_shows_its_own_and_counts_the_other(page, make_instance):
    make_instance(State.RECYCLED, name="recycled")
    for _ in range(2):
        make_instance(State.EXPIRED, name="expired")
    make_instance(name="running")

    recycled, expired = page(), page("expired")

    assert names(recycled) == ["recycled"]
    assert names(expired) == ["expired", "expired"]
    for response in (recycled, expired, page("quarantine")):
        assert re.findall(r'class="count"[^>]*>(\d+)<', response.text) == ["1", "2", "0"]


def test_the_tabs_say_where_counting_stopped(page, make_instance, monkeypatch):
    monkeypatch.setattr(listing, "COUNTED", 1)
    for state in (State.RECYCLED, State.EXPIRED):
        for _ in range(2):
            make_instance(state)

    for name in ("bin", "expired", "quarantine"):
        assert re.findall(r'class="count"[^>]*>([^<]+)<', page(name).text) == ["1+", "1+", "0"]


def test_expired_subscriptions_are_renewed_not_restored(page, make_instance):
    expired = make_instance(State.EXPIRED)

    text = page("expired").text

    assert f"{reverse('recycle:renew')}?ids={expired.pk}" in text
    assert "Batch Renew" in text
    assert "Batch Restore" not in text
    assert "Batch Delete" not in text


def test_the_newest_come_first_and_the_soonest_on_demand(page, make_instance, now):
    for number, name in enumerate("abc"):
        times = {
            "recycled_at": now - timedelta(minutes=number + 1),
            "purge_at": now + timedelta(minutes=9 - number),
        }
        make_instance(State.RECYCLED, name=name, **times)

    assert names(page()) == ["a", "b", "c"]
    assert names(page(sort="purge_at")) == ["c", "b", "a"]
    assert 'aria-sort="ascending"' in page(sort="purge_at").text


def test_the_piece_is_the_list_alone_with_its_count(page, client, alice, recycled):
    page()

    response = client.get(reverse("recycle:bin"), headers=HTMX)

    assert response.text.lstrip().startswith('<form id="bin"')
    assert "<html" not in response.text
    assert str(recycled.pk) in response.text


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
def test_boosted_links_and_restored_history_get_the_page(page, client, header, recycled):
    page()

    assert "<html" in client.get(reverse("recycle:bin"), headers={**HTMX, header: "true"}).text


def test_page_and_piece_are_never_mixed_up_by_a_cache(page, recycled):
    assert "HX-Request" in page()["Vary"]


def test_filter_order_and_size_stay_in_the_links(page, make_instance):
    for number in range(11):
        make_instance(State.RECYCLED, name=f"web-{number}")

    text = page(q="web", size="10", sort="purge_at", region="cn-beijing-6").text

    (link,) = re.findall(r'id="next" href="/recycle-bin/\?([^"]*)"', text)
    assert {"q=web", "size=10", "sort=purge_at", "region=cn-beijing-6"} < set(
        link.replace("&amp;", "&").split("&")
    )
    assert re.search(r'id="previous"[^>]*aria-disabled="true"', text)
    for name, value in (("sort", "purge_at"), ("region", "cn-beijing-6")):
        assert f'<input type="hidden" name="{name}" value="{value}" form="filters">' in text


def test_the_filter_keeps_what_was_entered(page, recycled):
    text = page(q='a"b', ends="60", deleted_by="ali", deleted_from="2026-11-01").text

    assert 'value="a&quot;b"' in text
    assert '<option value="60" selected>' in text
    assert 'value="ali"' in text
    assert 'value="2026-11-01"' in text


def test_an_empty_bin_and_an_empty_answer_say_different_things(page):
    assert "The recycle bin is empty." in page().text
    assert "Nothing in the recycle bin matches this filter." in page(q="x").text
    assert "No subscription has expired." in page("expired").text
    assert "No expired subscription matches this filter." in page("expired", q="x").text


def test_everything_is_selected_only_where_there_is_more_than_this_page(page, make_instance):
    for _ in range(11):
        make_instance(State.RECYCLED)

    assert 'data-select-all="11"' in page(size="10").text
    assert "data-select-all" not in page(size="20").text


def test_a_failed_sweep_is_shown_with_its_next_try(page, make_instance, now):
    late = {"recycled_at": now - timedelta(hours=3), "purge_at": now - timedelta(hours=1)}
    make_instance(
        State.RECYCLED,
        attempts=2,
        retry_at=now + timedelta(minutes=4),
        last_error="<locked>",
        **late,
    )

    text = page().text

    assert "could not be deleted yet; next try " in text
    assert "&lt;locked&gt;" in text


def test_the_bin_shows_only_the_chosen_account(client, mallory, recycled):
    client.force_login(mallory)

    response = client.get(reverse("recycle:bin"))

    assert names(response) == []
    assert recycled.name not in response.text
    assert str(recycled.pk) not in response.text


def test_a_viewer_sees_the_bin_and_why_they_may_not_act(client, victor, recycled):
    client.force_login(victor)

    text = client.get(reverse("recycle:bin")).text

    assert recycled.name in text
    assert f"ids={recycled.pk}" not in text
    assert 'title="Your role does not allow this."' in text
