"""The login: the only one there is, whom it throttles, what it costs, what it logs and where it
leads.
"""

import logging
import re

import pytest
import time_machine
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import passwords
from recycle.models import Session, User
from recycle.policy import Role
from tests.client import Client
from tests.conftest import HASHES, make_user
from tests.entrance import AWAY, HOME, RIGHT, WRONG, count_hashes, is_in, log_in
from tests.test_security import ADDRESSES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("entrance")]

# As ACCOUNT_RATE_LIMITS says.
WITH_A_NAME, FROM_AN_ADDRESS = 5, 30


# --- One login ------------------------------------------------------------------------------------

PASSWORD_FIELD = re.compile(r"<input[^>]*type=.?password", re.IGNORECASE)


def people(account):
    yield "nobody", None
    yield "viewer", make_user("victor", account, Role.VIEWER)
    yield "administrator", make_user("anna", account, Role.ADMINISTRATOR)
    yield "staff", User.objects.create_user("staff", is_staff=True)
    yield "superuser", User.objects.create_superuser("root")


@pytest.mark.slow
def test_no_page_but_the_login_takes_the_password_of_somebody_who_is_not_logged_in(
    static_files, account
):
    taken = {}
    for who, user in people(account):
        client = Client()
        if user:
            client.force_login(user)
        pages = {
            name: client.get(path, follow=True)
            for name, path in ADDRESSES
            if not name.endswith("logout")
        }
        if user is not None:
            # Another look without a session: some pages above end it.
            client.force_login(user)
        asking = {
            answer.request["PATH_INFO"]
            for answer in pages.values()
            if PASSWORD_FIELD.search(_text(answer))
        }
        taken[who] = asking

    assert taken["nobody"] == {"/login/"}
    # Nobody who is logged in is asked to log in once more; these pages set a password.
    assert taken["viewer"] == taken["administrator"] == taken["staff"] == set()
    assert {path.startswith("/admin/recycle/user/") for path in taken["superuser"]} == {True}


def _text(answer):
    return "" if answer.streaming else answer.text


@pytest.mark.parametrize("next_", ["", "?next=/admin/recycle/user/"])
def test_the_admin_sends_to_the_login_of_the_console(client, db, next_):
    answer = client.get("/admin/login/" + next_)

    assert answer["Location"].startswith("/login/?next=/admin/")


def test_the_admin_shows_no_login_to_who_is_logged_in_but_may_not(client, alice):
    for user in (alice, User.objects.create_user("staff", is_staff=True)):
        client.force_login(user)

        assert client.get("/admin/login/").status_code == 403


def test_the_admin_takes_no_password_itself(client, db):
    User.objects.create_superuser("root", password=RIGHT)

    answer = client.post("/admin/login/", {"username": "root", "password": RIGHT})

    assert answer.status_code == 302
    assert not is_in(client)


def test_a_superuser_comes_through_the_login_to_the_admin(client, db):
    User.objects.create_superuser("root", password=RIGHT)
    door = client.get("/admin/", follow=True)

    inside = log_in(client, "root", RIGHT, next="/admin/")

    assert door.redirect_chain[-1][0].startswith("/login/?next=/admin/")
    assert inside["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/login/")["Location"] == "/admin/"
    assert client.get("/admin/password_change/")["Location"] == reverse("recycle:password")


def test_there_is_no_sign_up_and_no_mail(client, db):
    for path in (
        "signup",
        "email",
        "password/reset",
        "confirm-email",
        "login/code",
        "reauthenticate",
        "3rdparty",
    ):
        for prefix in ("", "accounts/", "login/"):
            assert client.get(f"/{prefix}{path}/").status_code in (302, 404)
    names = {name for name, _ in ADDRESSES}
    assert not [name for name in names if name.startswith("account_") and name != "account_login"]


# --- In and out -----------------------------------------------------------------------------------


def test_the_right_password_leads_to_the_page_that_was_asked_for(client, alice):
    asked = client.get(reverse("recycle:bin") + "?q=web")

    answer = client.post(
        asked["Location"], {"login": "alice", "password": RIGHT, "next": "/recycle-bin/?q=web"}
    )

    assert (answer.status_code, answer["Location"]) == (302, "/recycle-bin/?q=web")
    assert is_in(client)


def test_the_page_keeps_where_it_leads_to(client, db):
    answer = client.get(reverse("login"), {"next": "/tags/?q=a&b"})

    assert '<input type="hidden" name="next" value="/tags/?q=a&amp;b">' in answer.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://testserver/tags/",
        "tags/",
        "\t//evil.example/",
        "/%0d%0aSet-Cookie:x=y\r\nX: y",
    ],
)
def test_next_leads_to_a_path_of_the_console_or_to_the_overview(client, alice, target):
    answer = log_in(client, password=RIGHT, next=target)

    assert answer["Location"] in (reverse("recycle:overview"), "/%0d%0aSet-Cookie:x=y%0D%0AX:%20y")
    assert client.get(reverse("login"), {"next": target})["Location"] == answer["Location"]


def test_names_are_found_however_they_are_typed_in_unicode(client, db):
    User.objects.create_user("ｚｏë", password=RIGHT)  # stored as "zoë"

    assert log_in(client, " zoe\u0308 ", RIGHT).status_code == 302


@pytest.mark.parametrize(
    "how", ["wrong", "unknown", "inactive", "without a password", "other case"]
)
def test_whatever_is_wrong_the_answer_is_the_same(client, alice, how):
    if how == "inactive":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    User.objects.create_user("oidc")
    name = {"unknown": "nobody", "without a password": "oidc", "other case": "ALICE"}.get(
        how, "alice"
    )

    answer = log_in(client, name, RIGHT if how in ("inactive", "other case") else WRONG)

    assert answer.status_code == 200
    assert [str(error) for error in answer.context["form"].non_field_errors()] == [
        "The username and/or password you specified are not correct."
    ]
    assert not is_in(client)


def test_the_session_gets_another_key_at_the_login(client, alice):
    before = client.session
    before["account"] = 1
    before.save()
    client.cookies["sessionid"] = before.session_key

    log_in(client, password=RIGHT)

    assert client.session.session_key != before.session_key
    assert not Session.objects.filter(pk=before.session_key).exists()


def test_a_made_up_session_key_is_not_taken(client, alice):
    client.cookies["sessionid"] = "x" * 32

    log_in(client, password=RIGHT)

    assert client.session.session_key != "x" * 32


def test_the_login_needs_its_token(static_files, alice):
    client = Client(enforce_csrf_checks=True)

    assert log_in(client, password=RIGHT).status_code == 403
    token = client.get(reverse("login")).cookies["csrftoken"].value
    assert log_in(client, password=RIGHT, csrfmiddlewaretoken=token).status_code == 302


def test_head_and_get_of_the_login_are_the_same_and_count_for_nothing(client, alice):
    for _ in range(2 * FROM_AN_ADDRESS):
        assert (
            client.head(reverse("login")).status_code
            == client.get(reverse("login")).status_code
            == 200
        )

    assert log_in(client, password=RIGHT).status_code == 302


def test_two_people_in_two_browsers_do_not_mix(alice, mallory, static_files):
    mallory.set_password(RIGHT)
    mallory.save()
    one, other = Client(), Client()

    log_in(one, "alice", RIGHT)
    log_in(other, "mallory", RIGHT)

    assert (one.session["_auth_user_id"], other.session["_auth_user_id"]) == (
        str(alice.pk),
        str(mallory.pk),
    )
    # Another person in the same browser gets nothing of the first one's session.
    session = one.session
    session["account"] = 12345
    session.save()
    one.logout()
    log_in(one, "mallory", RIGHT)
    assert "account" not in one.session


def test_language_and_theme_are_chosen_on_the_page_itself(client, db):
    client.post(reverse("set_language"), {"language": "zh-hans", "next": "/login/?next=/tags/"})
    client.post(reverse("recycle:theme"), {"theme": "dark", "next": "/login/?next=/tags/"})

    page = client.get(reverse("login"), {"next": "/tags/"}).text

    assert 'lang="zh-hans"' in page
    assert 'data-theme="dark"' in page
    assert "登录" in page


# --- Throttling -----------------------------------------------------------------------------------


def test_after_five_failures_a_name_is_closed_to_this_address_for_a_while(client, alice):
    with time_machine.travel("2026-11-26 12:00:00+00:00", tick=False) as clock:
        answers = [log_in(client).status_code for _ in range(WITH_A_NAME)]
        clock.shift(60)
        refused = log_in(client, password=RIGHT)

        assert answers == [200] * WITH_A_NAME
        assert (refused.status_code, refused["Retry-After"]) == (429, "240")
        assert "Too many failed attempts. Try again in 4 minutes." in refused.text
        assert not is_in(client)

        clock.shift(241)
        assert log_in(client, password=RIGHT).status_code == 302


def test_the_wait_that_is_told_is_long_enough(client, alice):
    with time_machine.travel("2026-11-26 12:00:00+00:00", tick=False) as clock:
        for _ in range(WITH_A_NAME):
            log_in(client)
            clock.shift(1.3)
        refused = log_in(client, password=RIGHT)

        clock.shift(int(refused["Retry-After"]))

        assert log_in(client, password=RIGHT).status_code == 302


def test_the_guesses_of_a_stranger_do_not_lock_the_owner_out(client, alice):
    for _ in range(2 * FROM_AN_ADDRESS):
        log_in(client, address=AWAY)
    assert log_in(client, address=AWAY, password=RIGHT).status_code == 429

    assert log_in(client, password=RIGHT, address=HOME).status_code == 302


def test_an_address_is_closed_whatever_the_names(client, alice):
    answers = [
        log_in(client, f"name-{number}").status_code for number in range(FROM_AN_ADDRESS + 1)
    ]

    assert answers == [200] * FROM_AN_ADDRESS + [429]
    assert log_in(client, "alice", RIGHT).status_code == 429


def test_names_are_counted_however_they_are_written(client, alice):
    for name in ("alice", "ALICE", " alice", "ａｌｉｃｅ", "Alice"):
        log_in(client, name)

    assert log_in(client, "alice").status_code == 429


def test_what_was_right_is_not_counted(client, alice):
    for _ in range(2 * WITH_A_NAME):
        assert log_in(client, password=RIGHT).status_code == 302
        client.logout()


def test_what_could_not_be_looked_at_is_not_counted(client, alice):
    """Who tries on while the database is away is let in when it is back."""

    def lose(execute, sql, *args):
        if f'FROM "{User._meta.db_table}"' in sql:
            raise OperationalError("the database is away")
        return execute(sql, *args)

    client.raise_request_exception = False
    with connection.execute_wrapper(lose):
        answers = [log_in(client, password=RIGHT).status_code for _ in range(2 * WITH_A_NAME)]

    assert answers == [503] * 2 * WITH_A_NAME
    assert log_in(client, password=RIGHT).status_code == 302


def test_a_right_password_does_not_forgive_the_wrong_ones(client, alice):
    for _ in range(WITH_A_NAME - 1):
        log_in(client)
    log_in(client, password=RIGHT)
    client.logout()

    assert log_in(client).status_code == 200
    assert log_in(client).status_code == 429


def test_who_is_throttled_costs_no_hash(client, alice, monkeypatch):
    for _ in range(WITH_A_NAME):
        log_in(client)
    hashed = count_hashes(monkeypatch)

    log_in(client)

    assert hashed == []


@pytest.mark.parametrize("forged", ["203.0.113.{}", "10.0.0.{}, 203.0.113.{}"])
def test_without_proxies_a_forged_header_does_not_move_the_address(client, alice, forged):
    answers = []
    for number in range(WITH_A_NAME + 1):
        headers = {
            "X-Forwarded-For": forged.format(number, number),
            "X-Real-IP": f"203.0.113.{number}",
        }
        answer = {"login": "alice", "password": WRONG}
        answers.append(
            client.post(reverse("login"), answer, headers=headers, REMOTE_ADDR=AWAY).status_code
        )

    assert answers[-1] == 429


def test_behind_a_proxy_what_it_adds_is_the_address(client, alice, settings):
    settings.TRUSTED_PROXIES = 1
    answer = {"login": "alice", "password": WRONG}

    def ask(header, password=WRONG):
        headers = {"X-Forwarded-For": header} if header else {}
        return client.post(
            reverse("login"),
            answer | {"password": password},
            headers=headers,
            REMOTE_ADDR="10.0.0.1",
        )

    # What the client itself says stands before what the proxy adds.
    answers = [ask(f"1.2.3.{number}, {AWAY}").status_code for number in range(WITH_A_NAME + 1)]

    assert answers[-1] == 429
    assert ask("", RIGHT).status_code == 302  # came past the proxy: its own address, no error
    client.logout()
    assert ask(HOME, RIGHT).status_code == 302


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", "0.0.0.0"),
        ("unix:", "0.0.0.0"),
    ],
)
def test_every_address_that_a_server_can_report_is_counted(client, alice, raw, address):
    for _ in range(WITH_A_NAME):
        assert log_in(client, address=raw).status_code == 200
    assert log_in(client, address=raw).status_code == 429
    assert log_in(client, password=RIGHT, address="203.0.113.99").status_code == 302


def test_two_clients_of_a_server_that_listens_on_ipv6_are_two(client, alice):
    for _ in range(WITH_A_NAME):
        log_in(client, address="::ffff:198.51.100.7")

    assert log_in(client, password=RIGHT, address="::ffff:192.0.2.1").status_code == 302


# --- Constant work --------------------------------------------------------------------------------


def test_outside_the_tests_a_password_is_hashed_as_often_as_django_asks_for():
    assert HASHES == PBKDF2PasswordHasher.iterations >= 1_000_000


def test_an_unknown_name_costs_as_much_as_a_known_one(client, alice, monkeypatch):
    User.objects.create_user("oidc")
    User.objects.create_user("gone", password=RIGHT, is_active=False)
    hashed = count_hashes(monkeypatch)

    costs = set()
    for _once_more in range(2):
        for name in ("alice", "nobody", "oidc", "gone"):
            hashed.clear()
            with CaptureQueriesContext(connection) as queries:
                log_in(client, name)
            assert hashed == [passwords.Hasher.iterations], name
            costs.add((_once_more, len(queries)))
    # The first failure of a name makes a row in the log, of which another says no more.
    assert len([count for once_more, count in costs if once_more]) == 1
    assert max(count for _once_more, count in costs) <= 10


def test_one_password_is_hashed_at_a_time_and_who_comes_then_is_asked_to_come_again(client, alice):
    with passwords._one_at_a_time():
        answer = log_in(client, password=RIGHT)

    assert (answer.status_code, answer["Retry-After"]) == (503, str(passwords.AGAIN_AFTER))
    assert "Another password is being checked right now." in answer.text
    # It was nobody's failure.
    assert [log_in(client).status_code for _ in range(WITH_A_NAME)] == [200] * WITH_A_NAME


def test_the_next_one_is_let_in_however_a_hash_ended(alice):
    for _ in range(3):
        with pytest.raises(ValueError, match="salt"):
            passwords.Hasher().encode("", "a$b")

    assert alice.check_password(RIGHT)


# --- What is logged -------------------------------------------------------------------------------


def test_logins_are_logged_without_what_was_typed_in_the_wrong_field(client, alice, caplog):
    caplog.set_level(logging.INFO, "recycle")

    log_in(client)
    log_in(client, "my-secret-in-the-wrong-field", WRONG, address=AWAY)
    log_in(client, password=RIGHT)
    client.logout()
    for _ in range(WITH_A_NAME):
        log_in(client)

    lines = [
        record.getMessage() for record in caplog.records if record.name.startswith("recycle.login")
    ]
    assert lines[:3] == [
        f"login as alice from {HOME} failed",
        f"login with an unknown name from {AWAY} failed",
        f"login as alice from {HOME}",
    ]
    assert lines[-1] == f"login from {HOME} refused: too many failed attempts"
    written = " ".join(record.getMessage() for record in caplog.records)
    assert "my-secret" not in written
    assert "horse" not in written


def test_djangos_signals_tell_of_every_login(client, alice):
    told = []

    def heard_in(request, user, **kwargs):
        told.append(("in", user.username, request.META["REMOTE_ADDR"]))

    def heard_failed(request, credentials, **kwargs):
        told.append(("failed", credentials["username"], request.META["REMOTE_ADDR"]))
        assert WRONG not in credentials.values()

    user_logged_in.connect(heard_in)
    user_login_failed.connect(heard_failed)
    try:
        log_in(client)
        log_in(client, password=RIGHT)
    finally:
        user_logged_in.disconnect(heard_in)
        user_login_failed.disconnect(heard_failed)

    assert told == [("failed", "alice", HOME), ("in", "alice", HOME)]


# --- The shared store -----------------------------------------------------------------------------


@pytest.fixture
def away(settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "unix:///nowhere/broker.sock?db=1",
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
    }


def test_without_the_store_nobody_is_let_in_but_told_so(client, alice, away, caplog):
    answer = log_in(client, password=RIGHT)

    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert "Passwords cannot be checked" in answer.text
    assert not is_in(client)
    assert "the shared store does not answer" in caplog.text


@pytest.mark.slow
def test_without_the_store_everything_else_goes_on(client, alice, away, recycled):
    client.force_login(alice)
    statuses = {}
    for name, path in ADDRESSES:
        if name not in ("readyz", "logout", "admin:logout"):
            statuses[name] = client.get(path).status_code

    assert {name: status for name, status in statuses.items() if status >= 500} == {}
    client.logout()
    assert client.get(reverse("login")).status_code == 200


def test_the_store_is_emptied_without_emptying_the_broker(valkey, settings):
    from redis import Redis

    from console import services

    settings.CACHES = {"default": services.cache("CACHE_URL", valkey)}
    with Redis.from_url(valkey) as broker:
        broker.set("celery", "a queue")
        cache.set("attempt", 1)

        cache.clear()

        assert broker.get("celery") == b"a queue"
