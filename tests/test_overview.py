"""The Overview: what there is, and what ends next."""

from datetime import datetime, timedelta

import pytest
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Region, Sweep, Zone
from recycle.policy import BillingMode
from tests.conftest import acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, alice):
    client.force_login(alice)
    return lambda **query: client.get(reverse("recycle:overview"), query)


def test_instances_are_counted_by_status(page, make_instance):
    make_instance()
    make_instance(State.STOPPED)
    make_instance(State.STOPPED, BillingMode.HOURLY, no_fees=True)
    make_instance(State.EXPIRED)
    for _ in range(2):
        make_instance(State.RECYCLED)
    make_instance(State.PURGED)

    context = page().context

    assert {str(stat["status"]): str(stat["count"]) for stat in context["stats"]} == {
        "active": "1",
        "stopped": "1",
        "no_fees": "1",
        "expired": "1",
    }
    assert str(context["in_bin"]) == "2"


def test_the_next_ten_to_go_are_listed_soonest_first(page, make_instance, now):
    for minutes in range(12, 0, -1):
        make_instance(
            State.RECYCLED, name=f"in-{minutes}", purge_at=now + timedelta(minutes=minutes)
        )
    make_instance(State.EXPIRED, name="expired", purge_at=now + timedelta(seconds=5))

    response = page()

    assert [row.name for row in response.context["next"]] == [
        "expired",
        *(f"in-{n}" for n in range(1, 10)),
    ]
    assert "in-10<" not in response.text


@pytest.mark.parametrize(("span", "bars"), [("", 24), ("7d", 7)])
@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Shanghai", "Asia/Kolkata", "America/St_Johns"])
def test_the_chart_counts_everything_that_ends_in_its_time_in_any_time_zone(
    client, page, make_instance, now, span, bars, time_zone
):
    client.cookies["tz"] = time_zone
    for left in (
        timedelta(minutes=-9),
        timedelta(minutes=3),
        timedelta(hours=2),
        timedelta(hours=22),
    ):
        make_instance(State.RECYCLED, recycled_at=now - timedelta(minutes=30), purge_at=now + left)
    make_instance(State.EXPIRED, purge_at=now + timedelta(days=8))

    response = page(span=span)

    assert len(response.context["bars"]) == bars
    assert response.context["total"].number == 4
    assert response.context["bars"][0].count.number >= 1


@pytest.mark.parametrize(
    ("time_zone", "moment"),
    [
        ("America/New_York", "2026-11-01T03:30:00+00:00"),
        ("America/New_York", "2026-03-08T04:30:00+00:00"),
        ("Australia/Lord_Howe", "2026-04-04T10:30:00+00:00"),
    ],
)
@pytest.mark.parametrize("span", ["", "7d"])
def test_the_chart_loses_nothing_when_the_clocks_change(
    client, page, make_instance, time_machine, time_zone, moment, span
):
    now = datetime.fromisoformat(moment)
    time_machine.move_to(now, tick=False)
    client.cookies["tz"] = time_zone
    for hour in range(1, 22):
        make_instance(State.RECYCLED, now=now, purge_at=now + timedelta(hours=hour))

    assert page(span=span).context["total"].number == 21


def test_the_sweep_says_when_it_ran_and_whether_it_is_late(page, now):
    assert "The sweep has not run yet." in page().text

    actions.purge_due(context=acting(None))
    assert "The sweep last ran just now." in page().text

    Sweep.objects.update(ran_at=now - timedelta(minutes=5))
    assert "The sweep is late: it last ran 5 min ago." in page().text


def test_the_overview_is_that_of_the_chosen_region(page, make_instance):
    region = Region.objects.create(code="cn-shanghai-2", name="Shanghai")
    make_instance(zone=Zone.objects.create(code="cn-shanghai-2a", region=region))
    make_instance(State.RECYCLED)

    assert str(page(region="cn-shanghai-2").context["in_bin"]) == "0"
    assert str(page(region="").context["in_bin"]) == "1"


def test_an_empty_account_has_an_overview(page, client, django_user_model):
    assert "Nothing is waiting to be deleted." in page().text

    client.force_login(django_user_model.objects.create_user("nobody"))
    assert page().status_code == 200


def test_a_stranger_sees_nothing_of_it(client, mallory, make_instance):
    make_instance(State.RECYCLED, name="secret-name")
    client.force_login(mallory)

    response = client.get(reverse("recycle:overview"))

    assert "secret-name" not in response.text
    assert str(response.context["in_bin"]) == "0"
    assert response.context["total"].number == 0
