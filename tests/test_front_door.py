"""What every request meets first, whoever sends it: what is refused unread, HEAD, and links on
error pages.
"""

import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from urllib.parse import urljoin, urlsplit

import pytest
from django.db.models.query import QuerySet
from django.test.client import MULTIPART_CONTENT
from django.urls import reverse

from console.bootstrap import PROJECT
from console.limits import BODY_LIMIT
from recycle.lifecycle import State
from recycle.models import User
from tests.client import URLENCODED
from tests.test_security import ADDRESSES

pytestmark = pytest.mark.django_db


# --- Bodies ---------------------------------------------------------------------------------------


class Unread(BytesIO):
    def read(self, *size: int | None) -> bytes:
        raise AssertionError("The body was read.")


def send(client, method, path, **environ):
    """A request whose body nobody may read."""
    # Only what has a body gets the server's own idea of its length; ours goes over it.
    return client.generic(method, path, **{"wsgi.input": Unread(), **environ})


@pytest.fixture
def no_files(monkeypatch):
    """Whoever writes a temporary file fails the test."""

    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("A file was written.")

    for name in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, fail)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "content_type",
    [
        MULTIPART_CONTENT,
        "Multipart/Form-Data",
        "multipart/mixed; boundary=x",
        " multipart/form-data",
    ],
)
def test_an_upload_is_refused_unread_at_every_address(client, alice, no_files, known, content_type):
    if known:
        client.force_login(alice)
    for _name, path in ADDRESSES:
        answer = send(client, "POST", path, CONTENT_TYPE=content_type, CONTENT_LENGTH="90000000")

        assert (answer.status_code, answer["Content-Type"]) == (415, "text/plain; charset=utf-8"), (
            path
        )
        assert "takes no files" in answer.text


def test_an_upload_is_refused_before_the_token_is_looked_for_in_it(client, alice, no_files):
    client.force_login(alice)
    client.handler.enforce_csrf_checks = True
    client.cookies["csrftoken"] = "a" * 32

    answer = client.post(reverse("recycle:theme"), {"theme": "dark"}, MULTIPART_CONTENT)

    assert answer.status_code == 415


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
def test_a_body_over_the_limit_is_refused_unread(client, method):
    answer = send(
        client,
        method,
        reverse("login"),
        CONTENT_TYPE=URLENCODED,
        CONTENT_LENGTH=str(BODY_LIMIT + 1),
    )

    assert answer.status_code == 413
    assert "at most 2.5 MB" in answer.text


def test_a_body_without_a_length_is_refused(client):
    answer = send(
        client, "POST", reverse("login"), CONTENT_TYPE=URLENCODED, HTTP_TRANSFER_ENCODING="chunked"
    )

    assert answer.status_code == 411


def test_a_form_up_to_the_limit_is_read(client):
    data = "username=" + "x" * (BODY_LIMIT - len("username="))

    assert client.post(reverse("login"), data, URLENCODED).status_code == 200


def test_what_is_refused_is_said_in_the_clients_language(client):
    answer = client.post(
        reverse("login"), {}, MULTIPART_CONTENT, headers={"Accept-Language": "zh-hans"}
    )

    assert "控制台" in answer.text


def test_more_fields_than_any_form_has_are_refused_with_a_page(client, alice):
    client.force_login(alice)
    client.handler.enforce_csrf_checks = True
    client.cookies["csrftoken"] = "a" * 32

    form = client.post(reverse("recycle:restore"), "&".join(["ids=1"] * 30_000), URLENCODED)
    address = client.get(reverse("recycle:instances") + "?" + "&".join(["ids=1"] * 30_000))

    assert form.status_code == 400
    assert "This request could not be understood" in form.text
    assert (address.status_code, address.text) == (414, "This address has too many fields.\n")


@pytest.mark.parametrize(
    "name", ["recycle_account", "recycle_user", "recycle_instance", "recycle_membership"]
)
def test_no_form_of_the_admin_sends_files(client, name, recycled):
    client.force_login(User.objects.create_superuser("root"))

    for address in (f"admin:{name}_add", f"admin:{name}_changelist"):
        assert "multipart" not in client.get(reverse(address)).text


# --- HEAD -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
def test_head_says_at_every_address_what_get_says(client, alice, recycled, known):
    if known:
        alice.is_staff = alice.is_superuser = True
        alice.save()
    for name, path in ADDRESSES:
        if known:
            client.force_login(alice)
        get, head = client.get(path), client.head(path)

        assert (head.status_code, head.get("Content-Type")) == (
            get.status_code,
            get.get("Content-Type"),
        ), name
        assert b"".join(head) == b"", name


def test_head_of_an_export_asks_for_no_row(client, alice, recycled, monkeypatch):
    alice.is_superuser = True
    alice.save()
    client.force_login(alice)
    exports = [path for name, path in ADDRESSES if name.startswith("recycle:export")]
    assert len(exports) >= 8

    def rows(*arguments: object, **options: object) -> Iterator[object]:
        yield from map(pytest.fail, ["Rows were read for an export."])

    monkeypatch.setattr(QuerySet, "iterator", rows)
    for path in exports:
        answer = client.head(path)

        assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert answer.getvalue() == b""


# --- Links on error pages -------------------------------------------------------------------------

NASTY = (
    "//evil.example/",
    "//evil.example/%2e%2e",
    "/%2Fevil.example/",
    "/%5Cevil.example/",
    "/\\evil.example/",
    "/\\/evil.example/",
    "///evil.example",
    "/%09/evil.example/",
    "//evil.example/admin/",
)


class Addresses(HTMLParser):
    """Every value of an attribute that leads somewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        leads = ("href", "src", "action", "formaction", "hx-get", "hx-post", "hx-push-url")
        self.found += [value for name, value in attributes if value and name in leads]
        if (
            tag == "input"
            and values.get("type") == "hidden"
            and values.get("name") in ("next", "back")
        ):
            self.found.append(values.get("value") or "")


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("path", NASTY)
def test_a_page_about_a_made_up_address_leads_nowhere_else(client, alice, path, known):
    if known:
        client.force_login(alice)

    # As it comes out of the web server: decoded.
    answer = client.generic(
        "GET", "/", PATH_INFO=path.replace("%2F", "/").replace("%5C", "\\").replace("%09", "\t")
    )

    assert answer.status_code == 404
    found = Addresses(answer.text).found
    assert found
    for address in found:
        # Browsers leave out tabs, and take a backslash for a slash.
        plain = address.replace("\t", "").replace("\\", "/")
        assert urlsplit(urljoin("http://testserver/", plain)).hostname == "testserver"


# --- HSTS -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "header"),
    [
        ({}, None),
        ({"CONSOLE_HSTS_SUBDOMAINS": "1", "CONSOLE_HSTS_PRELOAD": "1"}, None),
        ({"CONSOLE_HTTPS": "1"}, "max-age=31536000"),
        (
            {"CONSOLE_HTTPS": "1", "CONSOLE_HSTS_SUBDOMAINS": "1"},
            "max-age=31536000; includeSubDomains",
        ),
        (
            {"CONSOLE_HTTPS": "1", "CONSOLE_HSTS_SUBDOMAINS": "1", "CONSOLE_HSTS_PRELOAD": "1"},
            "max-age=31536000; includeSubDomains; preload",
        ),
    ],
)
def test_other_hosts_are_bound_to_https_only_when_asked_for(env, header, tmp_path):
    ask = (
        "from django.test import Client\n"
        "print(repr(Client().get('/healthz', secure=True, headers={'host': 'localhost'})"
        ".get('Strict-Transport-Security')))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONSOLE_")}
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", ask]
    env = {**clean, "CONSOLE_DATA_DIR": str(tmp_path), **env}

    said = subprocess.run(
        command, cwd=PROJECT, env=env, text=True, capture_output=True, check=True
    ).stdout

    assert said.splitlines()[-1] == repr(header)


# --- Small on the way -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bin", "export_bin"])
def test_pages_and_files_are_compressed_for_who_takes_it(client, alice, make_instance, name):
    for number in range(40):
        make_instance(State.RECYCLED, name=f"web-{number:02}")
    client.force_login(alice)
    address = reverse(f"recycle:{name}")

    plain = client.get(address)
    packed = client.get(address, headers={"Accept-Encoding": "gzip"})

    body, sent = plain.getvalue(), packed.getvalue()
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    assert "Content-Encoding" not in plain
    assert len(sent) < len(body) / 4
    unpacked = gzip.decompress(sent)
    assert unpacked == body if name != "bin" else b"web-39" in unpacked


def test_the_same_page_has_another_length_each_time(client, alice):
    """Or the length would tell what the page has in common with what somebody else put into it."""
    client.force_login(alice)
    lengths = {
        len(client.get(reverse("recycle:overview"), headers={"Accept-Encoding": "gzip"}).content)
        for _ in range(20)
    }

    assert len(lengths) > 5
