"""A real Chromium, and a server for it that runs in this process on the tests' own database."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from django.test.testcases import LiveServerThread
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Response,
    ViewportSize,
    expect,
    sync_playwright,
)

from recycle.management.commands.screenshots import CHROMIUM, FLAGS
from recycle.models import User
from tests.client import Client

# Playwright's synchronous interface runs an event loop in the thread that uses the database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

# Nothing is on its way into the page any more, and no dialog is open.
MOVING = "dialog, .htmx-request, .htmx-swapping, .htmx-settling, .htmx-added"
AT_REST = f"() => !document.querySelector('{MOVING}')"

DESKTOP, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
# A machine under load is slow, never wrong: how long to wait for what does happen.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests. Without one they are skipped, or fail where REQUIRE_BROWSER=1."""
    with ExitStack() as started:
        try:
            browser = _start(started)
        except Missing as reason:
            (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(str(reason))
        yield browser
        with suppress(Error):  # it was closed with us by a Ctrl-C
            browser.close()


def from_menu(row: Locator, name: str) -> None:
    """Choose from the menu of a row."""
    row.get_by_role("link", name="More").click()
    row.page.locator(".menu:popover-open").get_by_role("link", name=name, exact=True).click()


class Missing(Exception):
    """A browser cannot be driven here; the message says why."""


def _start(started: ExitStack) -> Browser:
    if not Path(CHROMIUM).exists():
        raise Missing(
            f"there is no Chromium at {CHROMIUM}: install it (Debian: apt install chromium)"
        )
    try:
        playwright = started.enter_context(sync_playwright())
    except Exception as error:  # a program that ends at once is a bare Exception to Playwright
        raise Missing(
            f"Playwright's driver does not start ({error}): `manage.py test` says what it lacks"
        ) from None
    try:
        return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    except Error as error:
        raise Missing(f"{CHROMIUM} does not start: {error.message.splitlines()[0]}") from None


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """SQLite in a file, as outside the tests: in memory, all threads of the server would share one
    transaction.
    """
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(
            tmp_path_factory.mktemp("database") / "test.sqlite3"
        )
        # Nobody pulls the plug on a test.
        database["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"


@pytest.fixture(scope="session")
def static_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The static files under their hashed names, as whitenoise serves them."""
    with override_settings(STATIC_ROOT=tmp_path_factory.mktemp("static")):
        call_command("collectstatic", interactive=False, verbosity=0)
        yield


def _without_static_files(application: Any) -> Any:
    """The application as it is: whitenoise serves the static files, as outside the tests."""
    return application


@pytest.fixture(scope="session")
def server(django_db_setup: None, static_files: None) -> Iterator[str]:
    """The address of the console, served by threads of this process."""
    thread = LiveServerThread("127.0.0.1", _without_static_files)  # type: ignore[arg-type]
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    if thread.error:
        raise thread.error
    yield f"http://{thread.host}:{thread.port}"
    thread.terminate()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser found wrong: errors of scripts, of the console, of the security policy,
    answers with 5xx.

    A test that provokes one forgives it; any that is left fails the test.
    """
    found: list[str] = []
    yield found
    assert not found, "\n".join(found)


def forgive(complaints: list[str], *words: str) -> None:
    complaints[:] = [
        complaint for complaint in complaints if not any(word in complaint for word in words)
    ]


Open = Callable[..., Page]


@pytest.fixture
def open_page(
    chromium: Browser, server: str, transactional_db: None, complaints: list[str]
) -> Iterator[Open]:
    """A function that opens a browser window, logged in as somebody when a user is given."""
    contexts: list[BrowserContext] = []

    def open_page(user: User | None = None, **options: Any) -> Page:
        context = chromium.new_context(
            **{"base_url": server, "viewport": DESKTOP, "locale": "en", **options}
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        if user:
            log_in(context, user, server)
        page = context.new_page()
        page.on("console", lambda message: _hear(message, complaints))
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("response", lambda response: _see(response, complaints))
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Open, alice: User) -> Page:
    """Alice's browser window."""
    return open_page(alice)


def log_in(context: BrowserContext, user: User, server: str) -> None:
    """Without the form: the journey that logs in goes through it once."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": server}])


def _hear(message: ConsoleMessage, complaints: list[str]) -> None:
    if message.type in ("error", "warning"):
        complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


def _see(response: Response, complaints: list[str]) -> None:
    if response.status >= 500:
        complaints.append(f"{response.status} {response.url}")
