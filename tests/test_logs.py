"""What stands in the log, for people and for programs, and what never does."""

import json
import logging
import os
import re
import subprocess
import sys
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.http import StreamingHttpResponse
from django.test import RequestFactory
from django.urls import reverse
from structlog.contextvars import bound_contextvars, get_contextvars

from console import access, bootstrap, celery, logs
from recycle.models import Event, Origin, User
from tests.client import Client
from tests.terminal import on_terminal

FROM = "203.0.113.7"
PASSWORD = "a-Long-Secret-7"


@pytest.fixture(params=["json", "plain"])
def form(request, monkeypatch):
    monkeypatch.setenv("CONSOLE_LOG_FORMAT", request.param)
    return request.param


class Kept(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.setFormatter(logs.make_formatter())
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


@pytest.fixture
def kept(form):
    """What is written to the log meanwhile, line by line, however little it matters."""
    handler, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def parsed(monkeypatch):
    monkeypatch.setenv("CONSOLE_LOG_FORMAT", "json")
    handler, logger = Kept(), logging.getLogger("console.access")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)

    def read():
        return [json.loads(line) for line in handler.lines]

    yield read
    logger.removeHandler(handler)
    logger.setLevel(level)


# --- A line for each request ----------------------------------------------------------------------


@pytest.mark.django_db
def test_every_request_has_a_line_with_who_asked_what_and_what_came_of_it(client, alice, parsed):
    client.force_login(alice)

    answer = client.get(reverse("recycle:bin"), {"name": "payroll"}, REMOTE_ADDR=FROM)

    [line] = parsed()
    assert {name: line[name] for name in ("method", "path", "view", "status", "user")} == {
        "method": "GET",
        "path": "/recycle-bin/",
        "view": "recycle:bin",
        "status": 200,
        "user": alice.pk,
    }
    assert (line["address"], line["level"]) == (FROM, "info")
    assert line["ms"] > 0
    assert line["request_id"] == answer["X-Request-Id"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "status", "view"),
    [
        ("/nowhere/", 404, "nowhere"),
        ("/recycle-bin", 301, "nowhere"),
        ("/log%0Ain/", 404, "nowhere"),
    ],
)
def test_what_is_nowhere_has_one_name_and_its_own_address(client, parsed, path, status, view):
    client.get(path)

    [line] = parsed()
    assert (line["path"], line["status"], line["view"]) == (path, status, view)


@pytest.mark.django_db
def test_a_line_says_who_it_was_that_logged_in(client, parsed):
    user = User.objects.create_user("alice", password=PASSWORD)

    client.post(reverse("login"), {"login": "alice", "password": PASSWORD})

    assert parsed()[0]["user"] == user.pk


@pytest.mark.django_db
def test_probes_and_files_are_no_news_and_look_nobody_up(
    client, alice, parsed, django_assert_num_queries
):
    client.force_login(alice)

    with django_assert_num_queries(0):
        client.get(reverse("healthz"))

    [line] = parsed()
    assert (line["level"], line.get("user")) == ("debug", None)


def ended(content):
    """The lines of a request whose answer is streamed and ends like this."""
    request: Any = RequestFactory().get("/export.csv")
    request.id, request.origin = uuid4(), Origin(FROM)
    return access.AccessMiddleware(lambda request: StreamingHttpResponse(content))(request)


def test_what_is_streamed_has_its_line_when_it_is_over(parsed):
    answer = ended(iter([b"a", b"b"]))

    before = parsed()
    assert b"".join(answer) == b"ab"

    assert before == []
    [line] = parsed()
    assert (line["path"], line["status"], "broken_off" in line) == ("/export.csv", 200, False)


def test_a_stream_that_breaks_off_is_said_to(parsed):
    def broken():
        yield b"a"
        raise ConnectionError

    answer = ended(broken())

    with pytest.raises(ConnectionError):
        b"".join(answer)

    assert parsed()[0]["broken_off"] is True


# --- What never stands there ----------------------------------------------------------------------

SECRETS = ("correct horse", "battery-staple", "of-somebody")


@pytest.mark.django_db
def test_no_password_no_cookie_and_nothing_that_was_asked_with_is_written(client, alice, kept):
    client.raise_request_exception = False
    client.cookies["sessionid"] = "of-somebody"
    headers = {"Authorization": "Bearer battery-staple", "X-Secret": "battery-staple"}
    addresses = ["/login/?token=battery-staple", "/nowhere/?token=battery-staple", "/readyz"]

    for address in addresses:
        client.get(address, headers=headers)
        client.post(address, {"login": "alice", "password": "correct horse"}, headers=headers)
        Client(enforce_csrf_checks=True).post(address, {"password": "correct horse"})
    client.get("/login/", headers={"Host": "battery-staple.example"})

    text = "\n".join(line for line in kept if "DisallowedHost" not in line)
    assert "/login/" in text
    assert [
        secret for secret in SECRETS if secret in text.replace("battery-staple.example", "")
    ] == []


def test_what_goes_wrong_is_written_without_the_values_of_variables(kept):
    password = "correct horse"  # noqa: F841
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("console").exception("It went wrong.")

    [line] = kept
    assert "Traceback" in line
    assert "correct horse" not in line


@pytest.mark.parametrize("said", ["two\nlines", "red \x1b[31m", "back\rwards", "\u202egnorw"])
def test_nobody_forges_a_line(kept, said):
    logging.getLogger("console").warning("login as %s", said)

    assert len(kept) == 1
    assert kept[0].isprintable()


# --- Known by its request -------------------------------------------------------------------------


@pytest.mark.django_db
def test_one_id_stands_in_the_answer_the_event_and_the_lines(client, alice, make_instance, parsed):
    instance = make_instance()
    client.force_login(alice)

    answer = client.post(
        reverse("recycle:delete"),
        {"ids": [instance.pk], "confirmed": "1", "scope": f"{instance.account_id}:"},
    )

    assert str(Event.objects.get().request_id) == answer["X-Request-Id"]
    assert parsed()[0]["request_id"] == answer["X-Request-Id"]


GIVEN = "9fd83a5e-33cf-4196-b8df-59fc57478488"


@pytest.mark.parametrize(
    ("proxies", "given", "taken"),
    [
        (0, GIVEN, False),
        (1, GIVEN, True),
        (1, GIVEN.replace("-", "").upper(), True),  # as nginx writes it
        (1, f"{{{GIVEN}}}", False),
        (1, f"urn:uuid:{GIVEN}", False),
        (1, f"{GIVEN}\n", False),
        (1, "of-somebody", False),
        (1, "", False),
    ],
)
def test_an_id_that_came_along_is_taken_from_a_proxy_of_ours_in_a_safe_form(
    client, settings, proxies, given, taken
):
    settings.TRUSTED_PROXIES = proxies

    answer = client.get(reverse("healthz"), headers={"X-Request-Id": given})

    assert (UUID(answer["X-Request-Id"]) == UUID(GIVEN)) == taken


def test_a_task_is_known_by_the_request_that_asked_for_it():
    headers: dict[str, str] = {}
    with bound_contextvars(request_id=GIVEN):
        celery.send_along(headers=headers)

    class Sent:
        name = "recycle.tasks.purge_due"
        request = type("Request", (), headers)

    celery.begin_task(task=Sent(), task_id="7")
    assert get_contextvars() == {"task": Sent.name, "task_id": "7", "request_id": GIVEN}

    celery.end_task()
    assert get_contextvars() == {}


def test_a_task_of_the_schedule_has_no_request():
    headers: dict[str, str] = {}
    celery.send_along(headers=headers)

    assert headers == {}


# --- For people and for programs ------------------------------------------------------------------


def said_by_a_process(*, terminal, **env):
    """What a process writes whose standard error is a terminal, or is not."""
    code = (
        "import django; django.setup(); import logging;"
        "logging.getLogger('console').info('started', extra={'status': 200})"
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "console.settings", **env}
    command, place = [sys.executable, "-c", code], bootstrap.PROJECT
    if terminal:
        return "".join(on_terminal(command, cwd=place, env=env))
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True).stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_lines_are_plain_on_a_terminal_and_json_elsewhere(tmp_path):
    env = {"CONSOLE_DATA_DIR": str(tmp_path / "data"), "CONSOLE_LOG_FORMAT": "auto"}

    people = said_by_a_process(terminal=True, **env)
    programs = json.loads(said_by_a_process(terminal=False, **env))

    assert re.fullmatch(r"[\d-]+ [\d:]+ \[info\] started \[console\]\r\n", people)
    assert {name: programs[name] for name in ("event", "level", "logger", "status")} == {
        "event": "started",
        "level": "info",
        "logger": "console",
        "status": 200,
    }


def test_a_line_of_a_part_says_whose_it_is_and_what_it_said():
    ours = json.loads(logs.with_part("web", '{"event": "started", "level": "info"}'))
    theirs = json.loads(logs.with_part("broker", "Ready to accept connections"))

    assert ours == {"part": "web", "event": "started", "level": "info"}
    assert (theirs["part"], theirs["event"]) == ("broker", "Ready to accept connections")
    assert logs.sentence_of('{"event": "no room"}') == logs.sentence_of("no room") == "no room"
