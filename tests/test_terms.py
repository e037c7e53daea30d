"""Months of subscriptions: calendar months, in the zone that bills them, from a day that
is kept.
"""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from recycle import actions
from recycle.actions.create import Order
from recycle.lifecycle import State
from recycle.models import Account, Instance
from recycle.policy import RENEWAL_MONTHS, BillingMode, Refusal
from recycle.terms import term
from tests.conftest import HTMX, acting

pytestmark = pytest.mark.django_db

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text, zone=SHANGHAI):
    return datetime.fromisoformat(f"{text}:00").replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("begins", "months", "anchor", "ends", "kept"),
    [
        # The day before it is still February in London.
        ("2027-03-01 00:30", 1, None, "2027-04-01 00:30", 1),
        ("2027-01-31 12:00", 1, None, "2027-02-28 12:00", 31),
        ("2027-02-28 12:00", 1, 31, "2027-03-31 12:00", 31),
        ("2027-01-31 12:00", 2, None, "2027-03-31 12:00", 31),
        ("2028-01-31 12:00", 1, None, "2028-02-29 12:00", 31),
        ("2027-02-28 12:00", 12, 30, "2028-02-29 12:00", 30),
        ("2027-04-30 12:00", 1, 31, "2027-05-31 12:00", 31),
        # What does not explain the day is not its anchor: an import moved the end, or the zone was
        # changed.
        ("2027-02-10 12:00", 1, 31, "2027-03-10 12:00", 10),
        ("2027-03-31 12:00", 1, 30, "2027-04-30 12:00", 31),
        ("2027-02-28 12:00", 1, 27, "2027-03-28 12:00", 28),
    ],
)
def test_a_term_ends_on_its_anchor_day(begins, months, anchor, ends, kept):
    found = term(at(begins), months, SHANGHAI, anchor)

    assert (found.expires_at, found.anchor_day) == (at(ends), kept)
    assert found.expires_at.tzinfo is UTC


def test_the_clock_on_the_wall_stays_over_a_change_to_summer_time():
    berlin = ZoneInfo("Europe/Berlin")

    assert term(at("2027-03-15 09:00", berlin), 1, berlin).expires_at == at(
        "2027-04-15 09:00", berlin
    )


@pytest.mark.parametrize(
    "zone", ["Asia/Shanghai", "UTC", "America/St_Johns", "Europe/Berlin", "Pacific/Apia"]
)
@given(
    first=st.dates(date(2020, 1, 1), date(2040, 1, 1)),
    steps=st.lists(st.sampled_from(RENEWAL_MONTHS), min_size=1, max_size=6),
)
def test_however_the_months_are_paid_for_the_end_is_the_same(zone, first, steps):
    zone = ZoneInfo(zone)
    # At noon: no zone changes its clocks there, and none skips that day.
    begins = datetime.combine(first, time(12), zone)
    at_once = term(begins, sum(steps), zone)

    end, anchor = begins, None
    for months in steps:
        found = term(end, months, zone, anchor)
        end, anchor = found.expires_at, found.anchor_day

    local = end.astimezone(zone)
    assert (end, anchor) == (at_once.expires_at, at_once.anchor_day)
    assert local.day == min(begins.day, calendar.monthrange(local.year, local.month)[1])
    assert (local.year - begins.year) * 12 + local.month - begins.month == sum(steps)
    assert local.date() - first >= timedelta(days=28 * len(steps))


# --- Renewals and orders --------------------------------------------------------------------------


def only(instance):
    return Instance.objects.filter(pk=instance.pk)


@pytest.mark.parametrize(
    ("billed_in", "begins", "ends"),
    [
        ("", "2027-01-31 00:30", "2027-03-31 00:30"),
        ("", "2027-03-01 00:30", "2027-05-01 00:30"),
        # There it is 28 February still.
        ("UTC", "2027-03-01 00:30", "2027-04-29 00:30"),
    ],
)
def test_a_renewal_counts_in_the_accounts_zone_and_keeps_its_day(
    alice, account, make_instance, billed_in, begins, ends
):
    Account.objects.filter(pk=account.pk).update(billing_time_zone=billed_in)
    instance = make_instance(billing_mode=BillingMode.MONTHLY, expires_at=at(begins))

    for _month in range(2):
        actions.renew(only(instance), months=1, context=acting(alice, at("2027-01-20 08:00")))

    assert only(instance).get().expires_at == at(ends)


def test_what_ended_begins_a_term_of_its_own(alice, make_instance):
    now = at("2027-02-10 08:00")
    times = {"expires_at": at("2027-02-05 12:00"), "purge_at": at("2027-02-12 12:00")}
    instance = make_instance(State.EXPIRED, anchor_day=31, **times)

    actions.renew(only(instance), months=1, context=acting(alice, now))

    renewed = only(instance).get()
    assert (renewed.expires_at, renewed.anchor_day) == (at("2027-03-10 08:00"), 10)


def test_an_order_is_paid_for_until_the_same_day(alice, account, zone, instance_type):
    order = Order(
        account=account,
        zone=zone,
        instance_type=instance_type,
        billing_mode=BillingMode.MONTHLY,
        months=1,
    )

    actions.create(order, context=acting(alice, at("2027-01-31 00:30")))

    made = Instance.objects.get()
    assert (made.expires_at, made.anchor_day) == (at("2027-02-28 00:30"), 31)


def test_nobody_pays_more_than_ten_years_ahead(alice, make_instance, now):
    """Or somebody who goes on long enough reaches the end of the calendar."""
    instance = make_instance(
        billing_mode=BillingMode.MONTHLY, expires_at=now + timedelta(days=3_600)
    )

    for dry_run in (True, False):
        outcome = actions.renew(
            only(instance), months=2, dry_run=dry_run, context=acting(alice, now)
        )
        assert [refused.refusal for refused in outcome.refused] == [Refusal.TOO_FAR]

    assert actions.renew(only(instance), months=1, context=acting(alice, now)).done


@pytest.mark.parametrize(
    ("name", "accepted"),
    [("Europe/Berlin", True), ("", True), ("Mars/Base", False), ("../x", False)],
)
def test_the_admin_takes_a_time_zone_that_there_is(name, accepted, account):
    account.billing_time_zone = name

    if accepted:
        account.full_clean()
    else:
        with pytest.raises(ValidationError, match="no such time zone"):
            account.full_clean()


# --- The dialog -----------------------------------------------------------------------------------


def shown(client, url, **query):
    return client.get(url, query, headers=HTMX).text


def test_the_dialog_says_until_when_each_would_be_paid(client, alice, make_instance, time_machine):
    time_machine.move_to(at("2027-02-10 08:00"), tick=False)
    client.cookies["tz"] = "Asia/Shanghai"
    client.force_login(alice)
    running = make_instance(
        billing_mode=BillingMode.MONTHLY, expires_at=at("2027-02-28 12:00"), anchor_day=31
    )
    expired = make_instance(
        State.EXPIRED, expires_at=at("2027-02-09 12:00"), purge_at=at("2027-02-16 12:00")
    )
    url = reverse("recycle:renew")

    dialog = shown(client, url, ids=[running.pk, expired.pk])
    asked_again = client.post(
        url, {"ids": [running.pk], "months": "12", "confirmed": ""}, headers=HTMX
    ).text

    assert "expires 2027-02-28 12:00 → 2027-03-31 12:00" in dialog
    assert "expired 2027-02-09 12:00 → 2027-03-10 08:00" in dialog
    assert "expires 2027-02-28 12:00 → 2028-02-29 12:00" in asked_again
    assert '<option value="12" selected>' in asked_again
    assert only(running).get().expires_at == at("2027-02-28 12:00")


def test_an_extension_says_its_new_end_and_what_is_too_long_before_ok(
    client, alice, make_instance, time_machine
):
    time_machine.move_to(at("2027-02-10 08:00"), tick=False)
    client.cookies["tz"] = "Asia/Shanghai"
    client.force_login(alice)
    binned = make_instance(
        State.RECYCLED, recycled_at=at("2027-01-16 08:00"), purge_at=at("2027-02-10 09:00")
    )
    url = reverse("recycle:extend")

    assert "ends 2027-02-10 09:00 → 2027-02-10 15:00" in shown(client, url, ids=binned.pk, hours=6)
    assert str(Refusal.NO_LONGER.label) in shown(client, url, ids=binned.pk, hours=168)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_another_choice_of_months_shows_another_end(page, make_instance, now):
    instance = make_instance(
        billing_mode=BillingMode.MONTHLY, expires_at=at("2040-01-31 12:00"), anchor_day=31
    )
    Instance.objects.update(
        expires_at=now.replace(year=now.year + 1, month=1, day=31, hour=4, minute=0)
    )
    page.goto(reverse("recycle:instance", args=[instance.pk]))
    page.get_by_role("link", name="Renew").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"→ {now.year + 1}-02-2")

    page.get_by_label("Renew for").select_option("2")

    expect(dialog).to_contain_text(f"→ {now.year + 1}-03-31")
    expect(page.get_by_label("Renew for")).to_have_value("2")
    expect(page.get_by_label("Renew for")).to_be_focused()
