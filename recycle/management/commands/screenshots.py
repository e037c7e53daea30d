"""Pictures of the pages, for the README and for whoever judges the look: a demo account, served to
a real Chromium.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.bootstrap.saying import progress

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# No sandbox, or root cannot start it; the others keep it from asking the network for anything.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
DESKTOP, PHONE = (1280, 800), (390, 844)
PASSWORD = "screenshots"  # noqa: S105 - of an account that is gone with the command


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "directory", nargs="?", type=Path, default=settings.BASE_DIR / "tests" / "screenshots"
        )

    def handle(self, *args: Any, directory: Path, **options: Any) -> None:
        try:
            # Only the test lock has it.
            from playwright.sync_api import Error, sync_playwright
        except ImportError:
            raise CommandError(
                "Playwright is missing: start this as `python3 manage.py screenshots`."
            ) from None
        directory.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="console-screenshots-") as place,
            console(Path(place)) as (address, _environment),
            ExitStack() as started,
        ):
            try:
                playwright = started.enter_context(sync_playwright())
            except (
                Exception
            ) as error:  # a program that ends at once is a bare Exception to Playwright
                raise CommandError(f"Playwright's driver does not start: {error}.") from None
            try:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            except Error:
                raise CommandError(
                    f"{CHROMIUM} does not start: install Chromium (Debian: apt install chromium)."
                ) from None
            Camera(browser, address, directory).take_all()
            browser.close()
        self.stdout.write(f"Took {len(list(directory.glob('*.png')))} pictures in {directory}.")


@contextmanager
def console(place: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The whole console on a data directory, with a demo account: its address and its
    environment.
    """
    theirs = ("DATABASE_URL", "REDIS_URL", "CACHE_URL")
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    environment |= {
        "CONSOLE_DATA_DIR": str(place),
        "CONSOLE_DEMO_PASSWORD": PASSWORD,
        "NO_COLOR": "1",
    }
    port = _free_port()
    command = [sys.executable, "manage.py", "up", "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            said: list[str] = []
            for line in process.stdout:
                said.append(line)
                if "The console is ready" in line:
                    break
            else:
                raise CommandError(f"The console did not start:\n{''.join(said)}")
            # Its log has to go somewhere, or it stops when the pipe is full.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield f"http://127.0.0.1:{port}", environment
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Camera:
    def __init__(self, browser: "Browser", address: str, directory: Path) -> None:
        self.browser, self.address, self.directory = browser, address, directory
        self.session = self._log_in()

    def take_all(self) -> None:
        page = self._window()
        self._take(page, "overview", "/")
        self._take(page, "instances", "/instances/")
        self._take(page, "bin", "/recycle-bin/")
        self._open(page, page.locator("tbody a.id").first.get_attribute("href") or "/")
        self._shoot(page, "instance")
        self._take(page, "expired", "/recycle-bin/expired/")
        self._take(page, "operation-log", "/operation-log/")
        self._take(page, "create", "/instances/create/")
        self._take(page, "volumes", "/volumes/")
        self._take(page, "retention", "/retention/")
        self._open(page, "/recycle-bin/")
        instance = page.locator("tbody tr").nth(1).get_attribute("id") or ""
        self._take(
            page,
            "configure-again",
            f"/instances/configure-again/?ids={instance.removeprefix('instance-')}",
        )
        self._open(page, "/instances/")
        for number in range(6):
            page.locator("tbody [name=ids]").nth(number).check()
        page.locator(".tools > .btn.danger").click()
        self._shoot_dialog(page, "delete")
        self._open(page, "/recycle-bin/")
        self._select_and_restore(page)
        self._shoot_dialog(page, "restore")
        self._take(self._window(theme="dark"), "bin-dark", "/recycle-bin/")
        self._take(self._window(language="zh-hans"), "bin-chinese", "/recycle-bin/")
        phone = self._window(PHONE)
        self._take(phone, "bin-phone", "/recycle-bin/")
        self._select_and_restore(phone)
        self._shoot_dialog(phone, "restore-phone")

    def _log_in(self) -> Any:
        with self.browser.new_context(base_url=self.address) as context:
            page = context.new_page()
            page.goto("/login/")
            page.locator("[name=login]").fill("demo")
            page.locator("[name=password]").fill(PASSWORD)
            page.locator("main .btn.main").click()
            page.wait_for_url(f"{self.address}/")
            return context.storage_state()

    def _window(
        self, size: tuple[int, int] = DESKTOP, *, theme: str = "light", language: str = "en"
    ) -> "Page":
        context = self.browser.new_context(
            base_url=self.address,
            storage_state=self.session,
            viewport={"width": size[0], "height": size[1]},
            reduced_motion="reduce",
        )
        choices = {"theme": theme, settings.LANGUAGE_COOKIE_NAME: language}
        context.add_cookies(
            [{"name": name, "value": value, "url": self.address} for name, value in choices.items()]
        )
        return context.new_page()

    def _open(self, page: "Page", address: str) -> None:
        page.goto(address)
        page.wait_for_function("document.fonts.ready")

    def _take(self, page: "Page", name: str, address: str) -> None:
        self._open(page, address)
        self._shoot(page, name)

    def _select_and_restore(self, page: "Page") -> None:
        for number in (0, 1):
            page.locator("tbody [name=ids]").nth(number).check()
        page.locator(".tools > .btn.main").click()

    def _shoot_dialog(self, page: "Page", name: str) -> None:
        page.locator("dialog:modal").wait_for()
        self._shoot(page, name)

    def _shoot(self, page: "Page", name: str) -> None:
        progress(f"{name}.png")
        page.screenshot(path=self.directory / f"{name}.png")
        progress("")
