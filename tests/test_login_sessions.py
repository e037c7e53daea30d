"""How long a login lasts, and ending it: idle, absolute, by the person, by a deactivation, by the
schedule.
"""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session as DjangoSession
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recycle import actions
from recycle.lifecycle import State
from recycle.models import AuditEvent, Session, Sweep, User
from recycle.tasks import clear_sessions
from recycle.views.me import browser_of
from tests.client import Client
from tests.conftest import acting
from tests.entrance import AWAY, FIREFOX, HOME, RIGHT, entered, is_in, log_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("entrance")]

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)
START = "2026-11-26 08:00:00+00:00"
IDLE, END = timedelta(hours=12), timedelta(days=14)


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as clock:
        yield clock


def rows(**fields):
    return Session.objects.filter(**fields).count()


# --- Idle and absolute ----------------------------------------------------------------------------


def test_a_session_that_is_not_used_ends(alice, clock):
    client = entered()

    clock.shift(IDLE - timedelta(seconds=1))
    assert is_in(client)
    clock.shift(IDLE)
    assert not is_in(client)


def test_a_session_that_is_used_goes_on_until_its_end(alice, clock):
    client = entered()

    for _ in range(int(END / timedelta(hours=10))):
        clock.shift(timedelta(hours=10))
        assert is_in(client)
    clock.shift(timedelta(hours=10))

    assert not is_in(client)


def test_the_cookie_ends_with_the_session(alice, clock):
    assert log_in(Client(), password=RIGHT).cookies["sessionid"]["max-age"] == END.total_seconds()


def test_a_page_writes_the_session_every_few_minutes_at_most(alice, clock):
    client = entered()

    def writes():
        with CaptureQueriesContext(connection) as queries:
            assert is_in(client)
        return [
            query["sql"]
            for query in queries
            if query["sql"].startswith(("UPDATE", "INSERT", "DELETE"))
        ]

    assert writes() == []
    clock.shift(299)
    assert writes() == []
    clock.shift(1)
    assert len(writes()) == 1
    assert writes() == []
    assert Session.objects.get().expire_date == timezone.now() + IDLE


def test_keeping_a_session_overwrites_nothing_in_it(alice, clock):
    client = entered()
    clock.shift(600)
    other = Client()
    other.cookies = client.cookies
    session = other.session
    session["account"] = 7
    session.save()
    Session.objects.update(expire_date=timezone.now() + IDLE - timedelta(minutes=6))

    is_in(client)

    assert client.session["account"] == 7


def test_what_a_page_does_by_itself_keeps_nobody_logged_in(alice, clock):
    client = entered()
    for _ in range(4):
        clock.shift(timedelta(hours=3, minutes=1))
        client.get(reverse("recycle:bin"), headers={"HX-Request": "true", "X-Unattended": "1"})

    assert not is_in(client)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_list_that_refreshes_itself_says_so_and_a_person_does_not(page, make_instance):
    gone = timezone.now() - timedelta(seconds=1)
    make_instance(State.RECYCLED, purge_at=gone, recycled_at=gone - timedelta(hours=2))

    with page.expect_request(lambda request: "x-unattended" in request.headers) as refreshed:
        page.goto("/recycle-bin/")
    with page.expect_request(lambda request: "q=web" in request.url) as searched:
        page.locator("#filters [name=q]").fill("web")
        page.locator("#filters [name=q]").press("Enter")

    assert "/recycle-bin/" in refreshed.value.url
    assert "x-unattended" not in searched.value.headers


def test_a_page_does_not_fail_because_its_session_cannot_be_kept(alice, clock, monkeypatch):
    client = entered()
    clock.shift(600)

    def locked(self, **fields):
        raise OperationalError("database is locked")

    monkeypatch.setattr("recycle.models.session.SessionQuerySet.update", locked)

    assert is_in(client)


def test_the_hours_are_a_setting(alice, clock, settings):
    settings.SESSION_IDLE = timedelta(hours=1)
    client = entered()
    clock.shift(timedelta(minutes=61))

    assert not is_in(client)


# --- The list -------------------------------------------------------------------------------------


def test_the_page_lists_each_session_with_where_and_when(client, alice, clock):
    entered(AWAY, CHROME)
    clock.shift(3600)
    here = entered(HOME, FIREFOX)

    page = here.get(reverse("recycle:sessions"))

    shown = [
        (each.current, each.browser, each.address, each.began.hour)
        for each in page.context["sessions"]
    ]
    assert shown == [(True, "Firefox · Windows", HOME, 9), (False, "Chrome · Linux", AWAY, 8)]
    assert page.text.count("this session") == 1
    keys = Session.objects.values_list("session_key", flat=True)
    assert not [key for key in keys if key in page.text]


def test_the_page_costs_the_same_whatever_the_sessions(client, alice, django_assert_num_queries):
    here = entered()
    here.get(reverse("recycle:sessions"))
    with CaptureQueriesContext(connection) as few:
        here.get(reverse("recycle:sessions"))
    number = len(few)
    for _ in range(10):
        entered()

    with django_assert_num_queries(number):
        assert len(here.get(reverse("recycle:sessions")).context["sessions"]) == 11
    assert number <= 6


def test_more_sessions_than_a_page_holds_are_said_and_all_ended(client, alice, monkeypatch):
    monkeypatch.setattr("recycle.views.me.SESSIONS_SHOWN", 3)
    here = entered()
    for _ in range(5):
        entered()

    page = here.get(reverse("recycle:sessions"))
    here.post(reverse("recycle:end_session"), {"session": ""})

    assert "There are more sessions than are shown here." in page.text
    assert rows(user=alice) == 1


def test_one_session_is_ended_and_the_others_go_on(client, alice):
    here, there, elsewhere = entered(), entered(AWAY), entered("203.0.113.5")
    handle = next(
        each.handle
        for each in here.get(reverse("recycle:sessions")).context["sessions"]
        if each.address == AWAY
    )

    answer = here.post(reverse("recycle:end_session"), {"session": handle}, follow=True)

    assert "1 session has ended." in answer.text
    assert (is_in(here), is_in(there), is_in(elsewhere)) == (True, False, True)


def test_all_others_are_ended(client, alice):
    here, there, elsewhere = entered(), entered(AWAY), entered("203.0.113.5")

    here.post(reverse("recycle:end_session"), {"session": ""})

    assert (is_in(here), is_in(there), is_in(elsewhere)) == (True, False, False)


def test_nobody_ends_the_session_of_somebody_else(client, alice, mallory):
    mallory.set_password(RIGHT)
    mallory.save()
    theirs = entered()
    hers = entered(name="mallory")
    handle = Session.objects.get(user=alice).handle

    hers.post(reverse("recycle:end_session"), {"session": handle})
    hers.post(reverse("recycle:end_session"), {"session": ""})

    assert is_in(theirs)


def test_the_key_of_a_session_does_not_name_it(client, alice):
    here, there = entered(), entered(AWAY)
    key = there.session.session_key

    here.post(reverse("recycle:end_session"), {"session": key})

    assert is_in(there)


@pytest.mark.parametrize(
    ("agent", "browser"),
    [
        (FIREFOX, "Firefox · Windows"),
        (CHROME, "Chrome · Linux"),
        (
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile "
                "Safari/604.1"
            ),
            "Safari · iPhone",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge · Windows"),
        (
            "Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537 MicroMessenger/8",
            "WeChat · Android",
        ),
        ("curl/8.0", "curl"),
        ("something of one's own", "something of one's own"),
        ("", ""),
    ],
)
def test_browsers_are_named(agent, browser):
    assert browser_of(agent) == browser


def test_a_browser_that_says_markup_or_very_much_does_no_harm(client, alice):
    here = entered(agent="<script>alert(1)</script>" + "x" * 5_000)

    page = here.get(reverse("recycle:sessions")).text

    assert "<script>alert" not in page
    assert "x" * 300 not in page


# --- Deactivated people, and what is over ---------------------------------------------------------


def test_who_is_deactivated_is_out_at_once_and_not_in_again_when_activated(client, alice):
    here = entered()
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert not is_in(here)

    clear_sessions()
    User.objects.filter(pk=alice.pk).update(is_active=True)

    assert not is_in(here)
    assert rows() == 0


def test_the_schedule_clears_what_is_over_and_nothing_else(client, alice, clock):
    entered()
    clock.shift(timedelta(hours=6))
    living = entered(AWAY)
    clock.shift(timedelta(hours=7))

    passes = [actions.clear_sessions(context=acting(None)) for _ in range(2)]

    assert [len(each.done) for each in passes] == [1, 0]
    assert is_in(living)
    assert Sweep.objects.filter(name="clear_sessions").exists()


def test_the_schedule_clears_in_bounded_passes(db):
    now = timezone.now()
    Session.objects.bulk_create(
        [
            Session(session_key=f"key-{number}", session_data="", expire_date=now)
            for number in range(25)
        ]
    )

    passes = [
        len(actions.clear_sessions(limit=10, context=acting(None, now)).done) for _ in range(4)
    ]

    assert passes == [10, 10, 5, 0]


@pytest.mark.both
def test_what_is_over_is_found_by_an_index(db):
    now = timezone.now()
    Session.objects.bulk_create(
        Session(
            session_key=f"key-{number}",
            session_data="x",
            expire_date=now + timedelta(minutes=number),
        )
        for number in range(3_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recycle_session")

    plan = (
        Session.objects.over(now - timedelta(days=1)).order_by().values_list("pk")[:1000].explain()
    )

    assert "expire_date" in plan
    assert "SCAN recycle_session" not in plan
    assert "Seq Scan" not in plan


def test_djangos_own_command_clears_ours(client, alice, clock):
    from django.core.management import call_command

    entered()
    clock.shift(timedelta(days=1))

    call_command("clearsessions")

    assert rows() == 0
    assert DjangoSession.objects.count() == 0


@pytest.mark.both
def test_the_sessions_of_a_person_go_with_the_person(client, alice):
    entered()
    # Whom a log names is not deleted at all.
    AuditEvent.objects.all().delete()

    alice.delete()

    assert rows() == 0
