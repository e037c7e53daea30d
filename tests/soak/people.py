"""People at work: they log in, look, act, bind, undo, load files down; each by chance, and each the
same with the same seed. They use pages as a browser does that knows no script.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

# Seconds that somebody waits for a page, and thinks between two.
PATIENCE = 60
THINKS = 0.3
PASSWORD = "seven soaked socks"
PAGES = ("/", "/instances/", "/recycle-bin/", "/recycle-bin/expired/", "/operation-log/")
FILES = ("/instances/export.csv", "/recycle-bin/export.csv", "/operation-log/export.csv")


@dataclass(frozen=True)
class Answer:
    """What somebody was answered; the status is 0 where the connection broke."""

    began: float
    ended: float
    method: str
    path: str
    status: int
    # What is wrong with it beside its status.
    wrong: str = ""


@dataclass
class Filled:
    """A form in a page, with what its fields hold."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.fields if each == name]

    def without(self, *names: str) -> list[tuple[str, str]]:
        return [(each, value) for each, value in self.fields if each not in names]


class Forms(HTMLParser):
    """The forms of a page that are sent with POST."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Filled] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = given.get("method") == "post"
            if self.inside:
                self.found.append(Filled(given.get("action", "")))
        # One that names a form belongs to another one.
        elif tag == "input" and self.inside and "name" in given and "form" not in given:
            # What has to be retyped is typed.
            value = given.get("data-must-equal") or given.get("value", "")
            self.found[-1].fields.append((given["name"], value))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False

    def to(self, path: str) -> Filled | None:
        return next((form for form in self.found if form.action == path), None)


class Browser:
    """Cookies, redirects, and another node when one does not answer."""

    def __init__(self, ports: Sequence[int], chance: random.Random) -> None:
        self.ports, self.chance = ports, chance
        self.cookies: dict[str, str] = {}
        self.answers: list[Answer] = []

    def get(self, path: str) -> str | None:
        """The page; None where there is none."""
        return self._follow("GET", path, None)

    def post(self, path: str, fields: Sequence[tuple[str, str]]) -> str | None:
        return self._follow("POST", path, urlencode(fields))

    def _follow(self, method: str, path: str, body: str | None) -> str | None:
        for _hop in range(4):
            answer, location, text = self._ask(method, path, body)
            self.answers.append(answer)
            if location.startswith("/login/"):
                self.cookies.pop("sessionid", None)
            if not location:
                return text if 0 < answer.status < 500 else None
            method, path, body = "GET", location, None
        return None

    def _ask(self, method: str, path: str, body: str | None) -> tuple[Answer, str, str]:
        began = time.monotonic()
        port = self.chance.choice(self.ports)
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        headers = {"Cookie": "; ".join(f"{name}={said}" for name, said in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        status, location, text, wrong = 0, "", "", ""
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
            status = response.status
            for said in response.headers.get_all("Set-Cookie") or ():
                for name, morsel in SimpleCookie(said).items():
                    # An empty one ends it.
                    self.cookies |= {name: morsel.value}
                    if not morsel.value:
                        del self.cookies[name]
            if status in (301, 302, 303):
                parts = urlsplit(response.headers["Location"])
                location = parts.path + (f"?{parts.query}" if parts.query else "")
            if status == 503 and not response.headers["Retry-After"]:
                wrong = "a 503 does not say when to come again"
            if status == 200 and path.partition("?")[0].endswith(".csv"):
                wrong = what_is_wrong_with(text)
        except (OSError, HTTPException):
            # A node was killed or is not up yet; what became of the request, nobody knows.
            status = 0
        finally:
            connection.close()
        return Answer(began, time.monotonic(), method, path, status, wrong), location, text


def what_is_wrong_with(text: str) -> str:
    """A file that came to its end says so in its last line, with the number of its rows."""
    lines = text.splitlines()
    rows = lines[-1].partition("Rows: ")[2].partition('"')[0] if lines else ""
    if rows != str(len(lines) - 2):
        return f"a file of {len(lines)} lines says at its end that its rows are {rows or 'none'}"
    return ""


# One at a time: the console hashes one password at a time, and who waits too long is sent away.
_at_the_door = threading.Lock()


class Person(threading.Thread):
    """Somebody who works until told to stop."""

    def __init__(self, name: str, ports: Sequence[int], seed: int, halt: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.chance = random.Random(f"{seed} {name}")
        self.browser = Browser(ports, self.chance)
        self.halt = halt
        self.did: dict[str, int] = {}
        self.fault: Exception | None = None

    def run(self) -> None:
        deeds, weights = list(DEEDS), list(DEEDS.values())
        try:
            while not self.halt.wait(self.chance.expovariate(1 / THINKS)):
                if not self.is_in:
                    self.log_in()
                    continue
                deed = self.chance.choices(deeds, weights)[0]
                deed(self)
                self.did[deed.__name__] = self.did.get(deed.__name__, 0) + 1
        except Exception as error:
            # Of a thread nobody would hear it.
            self.fault = error

    # --- What they do -----------------------------------------------------------------------------

    def log_in(self) -> bool:
        """Whether it worked."""
        page = self.browser.get("/login/")
        if page and (form := Forms(page).to("/login/")):
            who = [("login", self.name), ("password", PASSWORD)]
            with _at_the_door:
                self.browser.post("/login/", form.without("login", "password") + who)
        return self.is_in

    @property
    def is_in(self) -> bool:
        return "sessionid" in self.browser.cookies

    def log_out(self) -> None:
        if (page := self.browser.get("/")) and (form := Forms(page).to("/logout/")):
            self.browser.post("/logout/", form.fields)
        self.browser.cookies.pop("sessionid", None)

    def look(self) -> None:
        self.browser.get(self.chance.choice(PAGES))

    def load_down(self) -> None:
        self.browser.get(self.chance.choice(FILES))

    def use(self) -> None:
        verb = self.chance.choice(["start", "stop", "restart", "protect", "unprotect", "renew"])
        self._act(f"/instances/{verb}/", "/instances/")

    def delete(self) -> str | None:
        return self._act("/instances/delete/", "/instances/")

    def delete_and_undo(self) -> None:
        if (page := self.delete()) and (form := Forms(page).to("/recycle-bin/undo/")):
            self.browser.post(form.action, form.fields)

    def restore(self) -> None:
        self._act("/recycle-bin/restore/", "/recycle-bin/")

    def purge_now(self) -> None:
        self._act("/recycle-bin/purge/", "/recycle-bin/")

    def extend(self) -> None:
        self._act("/recycle-bin/extend/", "/recycle-bin/")

    def hold(self) -> None:
        verb = self.chance.choice(["hold", "unhold"])
        self._act(f"/instances/{verb}/", "/recycle-bin/", {"reason": "case 7"})

    def bind(self) -> None:
        """A volume, an address or a tag; what is free is free no more for who comes later."""
        address, page = self.chance.choice(
            [
                ("/instances/attach-volume/", "/volumes/"),
                ("/instances/associate-eip/", "/addresses/"),
                ("/instances/add-tag/", ""),
            ]
        )
        other = "env=soak"
        if page:
            ids = self._ids(page)
            if not ids:
                return
            other = self.chance.choice(ids)
        self._act(address, "/instances/", {"other": other}, most=1)

    def unbind(self) -> None:
        verb, page = self.chance.choice(
            [("/volumes/detach/", "/volumes/"), ("/addresses/disassociate/", "/addresses/")]
        )
        self._act(verb, page)

    def act_on_a_filter(self) -> None:
        """All that a filter finds, however many: what the console makes a batch job of."""
        verb, page = self.chance.choice(
            [
                ("/instances/delete/", "/instances/"),
                ("/recycle-bin/restore/", "/recycle-bin/"),
                ("/recycle-bin/restore/", "/recycle-bin/"),
                ("/instances/start/", "/instances/"),
            ]
        )
        back = f"{page}?q=web-{self.chance.randrange(10)}"
        html = self.browser.get(back)
        listed = html and next((form for form in Forms(html).found if form.values("as_of")), None)
        if listed:
            asked = listed.without("ids", "all", "csrfmiddlewaretoken")
            self._answer(verb, [*asked, ("all", "1")])

    # --- How --------------------------------------------------------------------------------------

    def _act(
        self, verb: str, page: str, fields: dict[str, str] | None = None, most: int = 5
    ) -> str | None:
        """Choose a few rows of a page, open the dialog about them and say OK."""
        ids = self._ids(page)
        if not ids:
            return None
        chosen = self.chance.sample(ids, min(len(ids), self.chance.randint(1, most)))
        return self._answer(verb, [*(("ids", pk) for pk in chosen), ("back", page)], fields)

    def _ids(self, page: str) -> list[str]:
        html = self.browser.get(page) or ""
        return [pk for form in Forms(html).found for pk in form.values("ids")]

    def _answer(
        self, verb: str, asked: list[tuple[str, str]], fields: dict[str, str] | None = None
    ) -> str | None:
        dialog = self.browser.get(f"{verb}?{urlencode(asked)}")
        form = dialog and Forms(dialog).to(verb)
        if not form:
            return None
        filled = fields or {}
        return self.browser.post(verb, form.without(*filled) + list(filled.items()))


# How often of all that is done.
DEEDS: dict[Callable[[Person], object], int] = {
    Person.look: 20,
    Person.use: 15,
    Person.delete: 12,
    Person.delete_and_undo: 8,
    Person.restore: 12,
    Person.purge_now: 4,
    Person.extend: 4,
    Person.hold: 4,
    Person.bind: 12,
    Person.unbind: 4,
    Person.load_down: 4,
    Person.act_on_a_filter: 4,
    Person.log_out: 1,
}


def join(people: Sequence[Person]) -> None:
    for person in people:
        with suppress(RuntimeError):
            person.join(PATIENCE)
