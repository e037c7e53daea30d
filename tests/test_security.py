"""What must hold for every address there is: who gets in, what the browser is told, what leaks."""

import logging
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from recycle.lifecycle import State
from recycle.models import Instance, User
from tests.client import Client
from tests.conftest import HTMX

pytestmark = pytest.mark.django_db

# What answers somebody who is not logged in; the metrics ask for a token of their own.
PUBLIC = {
    "healthz",
    "readyz",
    "metrics",
    "login",
    "logout",
    "set_language",
    "recycle:theme",
    "account_login",
}


def every_address():
    """The name and the path of every pattern in the urlconf, with made-up arguments."""

    def walk(patterns, prefix, namespace):
        for entry in patterns:
            path = prefix + str(entry.pattern).removeprefix("^").removesuffix("$")
            if isinstance(entry, URLResolver):
                inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
                yield from walk(entry.url_patterns, path, inner)
            elif isinstance(entry, URLPattern) and entry.name:
                yield f"{namespace}{entry.name}", "/" + path

    made_up = {
        "<uuid:pk>": str(uuid4()),
        "<path:object_id>": "1",
        "<id>": "1",
        "<int:content_type_id>": "1",
    }
    made_up |= {"<path:content_type_id>": "1"}
    for name, path in walk(get_resolver().url_patterns, "", ""):
        for placeholder, value in made_up.items():
            path = path.replace(placeholder, value)
        if "<" not in path and "(" not in path:
            yield name, path


ADDRESSES = sorted(set(every_address()))


def test_the_addresses_are_all_there():
    names = {name for name, _ in ADDRESSES}

    assert names >= PUBLIC
    assert {
        "recycle:overview",
        "recycle:instance",
        "recycle:purge",
        "recycle:export_log",
        "admin:index",
    } <= names
    assert len([name for name in names if name.startswith("recycle:")]) >= 21


def test_without_a_login_every_address_but_the_public_ones_leads_to_it(client, db):
    answers = {}
    for name, path in ADDRESSES:
        for method in ("get", "post"):
            answers[name, method] = getattr(client, method)(path)

    let_in = {
        name
        for (name, _), answer in answers.items()
        if not (answer.status_code == 302 and "/login/?next=" in answer["Location"])
    }
    assert let_in == PUBLIC


@pytest.mark.slow
def test_a_stranger_finds_no_instance_at_any_address(client, mallory, make_instance):
    instances = [make_instance(state, name=f"secret-{state}") for state in State]
    client.force_login(mallory)
    ids = [instance.pk for instance in instances]

    for name, path in ADDRESSES:
        if not name.startswith("recycle:"):
            continue
        for instance in instances:
            path_ = (
                reverse("recycle:instance", args=[instance.pk])
                if name == "recycle:instance"
                else path
            )
            answer = client.get(
                path_, {"ids": ids, "q": "secret"} if name == "recycle:restore" else {"ids": ids}
            )
            assert answer.status_code < 500
            assert b"secret-" not in b"".join(answer)


# --- What the browser is told ---------------------------------------------------------------------


def answers(client, alice, recycled):
    """One answer of every kind there is."""
    yield client.get(reverse("login"))
    yield client.get(reverse("healthz"))
    yield client.get(reverse("recycle:bin"))  # redirect
    client.force_login(alice)
    for name in ("overview", "instances", "bin", "expired", "log"):
        yield client.get(reverse(f"recycle:{name}"))
        yield client.get(reverse(f"recycle:{name}"), headers=HTMX)
    yield client.get(reverse("recycle:instance", args=[recycled.pk]))
    yield client.get(reverse("recycle:restore"), {"ids": recycled.pk})
    yield client.get(reverse("recycle:export_bin"))
    yield client.get("/nowhere/")  # 404
    yield client.get(reverse("recycle:bin"), {"size": "x"})  # 400
    yield client.get(reverse("recycle:theme"))  # 405
    client.force_login(User.objects.create_superuser("root"))
    yield client.get(reverse("admin:index"))
    yield client.get(reverse("admin:recycle_instance_changelist"))
    yield client.get(reverse("admin:recycle_user_add"))


def test_every_answer_has_a_strict_policy_and_stays_out_of_frames(client, alice, recycled):
    for answer in answers(client, alice, recycled):
        policy = answer["Content-Security-Policy"]

        assert "unsafe" not in policy
        assert "*" not in policy
        assert "http:" not in policy
        for directive in (
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ):
            assert directive in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer["X-Frame-Options"] == "DENY"


def test_the_error_of_a_broken_view_is_a_page_without_details_but_with_the_policy(
    client, alice, monkeypatch
):
    client.force_login(alice)
    client.raise_request_exception = False
    monkeypatch.setattr("recycle.views.lists.render", lambda *arguments, **options: 1 / 0)

    answer = client.get(reverse("recycle:bin"))

    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "ZeroDivision" not in answer.text
    assert "default-src 'self'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("https", [False, True])
def test_cookies_are_closed_to_scripts_and_other_sites(client, alice, settings, https):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = https
    alice.set_password("correct horse battery")
    alice.save()
    client.get(reverse("login"))

    response = client.post(
        reverse("login"), {"login": "alice", "password": "correct horse battery"}
    )
    theme = client.post(reverse("recycle:theme"), {"theme": "dark"})

    session = response.cookies[settings.SESSION_COOKIE_NAME]
    assert (session["httponly"], session["samesite"], bool(session["secure"])) == (
        True,
        "Lax",
        https,
    )
    assert response.cookies[settings.CSRF_COOKIE_NAME]["samesite"] == "Lax"
    assert (theme.cookies["theme"]["samesite"], bool(theme.cookies["theme"]["secure"])) == (
        "Lax",
        https,
    )


# --- Forged requests ------------------------------------------------------------------------------


def test_a_post_without_its_token_changes_nothing_at_any_address(static_files, alice, recycled):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    posts = [(name, path) for name, path in ADDRESSES if not name.startswith("admin:")]
    data = {
        "ids": [recycled.pk],
        "confirmed": "1",
        "confirm": recycled.name,
        "theme": "dark",
        "language": "zh-hans",
    }

    for name, path in posts:
        answer = client.post(path, data)

        assert answer.status_code == 403, name
    assert Instance.objects.get(pk=recycled.pk).state == State.RECYCLED


def test_a_post_without_its_token_is_told_so_on_a_page_of_ours(static_files, alice, recycled):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    answer = client.post(reverse("recycle:restore"), {"ids": [recycled.pk], "confirmed": "1"})

    assert "You may not do this" in answer.text
    assert "<style" not in answer.text
    assert "default-src 'self'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_login_leads_nowhere_else(client, alice, target):
    alice.set_password("correct horse battery")
    alice.save()

    response = client.post(
        reverse("login"), {"login": "alice", "password": "correct horse battery", "next": target}
    )

    assert response["Location"] == reverse("recycle:overview")


def test_who_logs_out_is_out_also_when_the_session_has_ended_already(client, alice):
    client.force_login(alice)

    for _ in range(2):
        response = client.post(reverse("logout"))
        assert (response.status_code, response["Location"]) == (302, reverse("login"))

    assert client.get(reverse("recycle:overview")).status_code == 302
    assert client.get(reverse("logout")).status_code == 405


# --- What a proxy, or somebody who poses as one, says ---------------------------------------------


def test_forwarded_headers_are_not_believed_by_default(client, alice, recycled):
    client.force_login(alice)
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Port": "1",
        "Forwarded": "host=evil.example;proto=https",
        "X-Original-URL": "/admin/",
        "X-Rewrite-URL": "/admin/",
    }

    response = client.get(reverse("recycle:bin"), headers=headers)

    assert response.status_code == 200
    assert "evil.example" not in response.text
    assert not response.wsgi_request.is_secure()
    assert response.wsgi_request.get_host() == "testserver"


def test_another_host_name_is_refused_with_a_page(client, db):
    response = client.get("/", headers={"host": "evil.example"})

    assert response.status_code == 400
    assert "This request could not be understood" in response.text
    assert "evil" not in response.text


# --- What leaks -----------------------------------------------------------------------------------


def test_no_secret_is_written_to_the_log(client, alice, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    alice.set_password("correct horse battery")
    alice.save()

    client.post(reverse("login"), {"login": "alice", "password": "wrong password 1"})
    client.post(reverse("login"), {"login": "alice", "password": "correct horse battery"})
    client.get("/nowhere/")
    client.get(reverse("recycle:bin"), {"size": "x"})
    client.post(reverse("recycle:purge"), {"ids": "x"})
    client.raise_request_exception = False
    monkeypatch.setattr("recycle.views.lists.render", lambda *arguments, **options: 1 / 0)
    client.get(reverse("recycle:bin"))

    # The database's own log of statements is off outside of debugging.
    written = [
        record.getMessage() for record in caplog.records if not record.name.startswith("django.db")
    ]
    secrets = ["wrong password", "correct horse", configured.SECRET_KEY, client.session.session_key]
    assert written
    assert not [line for line in written for secret in secrets if secret in line]


def test_debug_is_off_unless_it_is_asked_for():
    assert not configured.DEBUG
    assert "debug" not in {name for name, _ in ADDRESSES}


def test_only_superusers_enter_the_admin(client, alice):
    for user in (alice, User.objects.create_user("staff", is_staff=True)):
        client.force_login(user)
        for model in admin.site._registry:
            url = reverse(f"admin:recycle_{model._meta.model_name}_changelist")
            assert "/admin/login/" in client.get(url)["Location"]
