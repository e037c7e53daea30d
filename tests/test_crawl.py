"""Every address that a page links to, followed as four kinds of people, with htmx and without."""

from collections import deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit

import pytest
from django.urls import Resolver404, resolve, reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Instance, Tag
from tests.conftest import HTMX, acting

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

LONGEST_ADDRESS = 2_000
# Addresses of one kind (view, names of parameters, order) that are followed.
OF_A_KIND = 2
# A bound for the test itself; nobody meets so many kinds.
PER_PERSON = 600


class Addresses(HTMLParser):
    """What a page asks for by GET, what it sends elsewhere, and what it brings back."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.asked: list[str] = []
        self.other: list[str] = []
        self._form: list[tuple[str, str]] | None = None
        self._action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in found:
            self.asked.append(found["href"])
        if "hx-get" in found:
            self.asked.append(found["hx-get"])
        self.other += [
            found[name] for name in ("hx-post", "action", "hx-push-url", "src") if name in found
        ]
        if tag == "form" and found.get("method", "get").lower() == "get":
            self._form, self._action = [], found.get("action", "")
        if tag == "input" and found.get("name") in ("back", "next"):
            self.other.append(found.get("value", ""))
        sent = found.get("type") not in ("checkbox", "radio", "submit") or "checked" in found
        if self._form is not None and found.get("name") and tag in ("input", "select") and sent:
            self._form.append((found["name"], found.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._form is not None:
            self.asked.append(f"{self._action or urlsplit(self.page).path}?{urlencode(self._form)}")
            self._form = None


@dataclass
class Crawl:
    """One person's way through the console: what is left to look at, and how much of each
    kind was.
    """

    left: deque[str] = field(default_factory=deque)
    seen: dict[object, int] = field(default_factory=dict)

    def add(self, address: str) -> None:
        kind = kind_of(address)
        if (
            kind is not None
            and self.seen.setdefault(kind, 0) < OF_A_KIND
            and address not in self.left
        ):
            self.seen[kind] += 1
            self.left.append(address)


def kind_of(address: str) -> object | None:
    """What makes two addresses alike; None for what is not a page of the console."""
    where = urlsplit(address)
    try:
        match = resolve(where.path)
    except Resolver404:
        return None
    query = dict(parse_qsl(where.query, keep_blank_values=True))
    names = frozenset(query) - {"region", "account"}
    return match.view_name, names, query.get("sort", query.get("o", "")) if len(names) == 1 else ""


@pytest.fixture
def everything(account, alice, make_instance, bind, now):
    """Something of every kind, with names as long and as odd as they may be, and lists of several
    pages.
    """
    hostile = Tag.objects.create(
        account=account, key="键 &=%?#/\"'<" * 10 + "钥" * 18, value="值&=%+" * 50 + "长" * 5
    )
    for state in State:
        instance = make_instance(state, name="云" * 64)
        if state in (State.ACTIVE, State.STOPPED, State.EXPIRED):
            bind(instance)
            instance.instance_tags.create(tag=hostile)
    for state in (State.ACTIVE, State.RECYCLED, State.EXPIRED):
        for _number in range(21):
            make_instance(state)
    deleted = make_instance(name="to be deleted")
    bind(deleted)
    actions.delete(
        Instance.objects.filter(pk=deleted.pk),
        may_release=False,
        context=acting(alice, reason="原因 & why?"),
    )
    actions.restore(Instance.objects.filter(pk=deleted.pk), context=acting(alice))


@pytest.fixture
def person(request, victor, oscar, alice, django_user_model):
    """Nobody's member, a viewer, an operator, and an administrator who also runs the console."""
    if request.param == "administrator":
        django_user_model.objects.filter(pk=alice.pk).update(is_superuser=True, is_staff=True)
    stranger = django_user_model.objects.create_user("nobody")
    return {"stranger": stranger, "viewer": victor, "operator": oscar, "administrator": alice}[
        request.param
    ]


def pages_of(client, headers):
    """Every address that the person of this client gets to, with its answer and the text of it."""
    crawl, visited = Crawl(), 0
    crawl.add(reverse("recycle:overview"))
    while crawl.left and visited < PER_PERSON:
        address = crawl.left.popleft()
        visited += 1
        response = client.get(address, headers=headers)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        if response.status_code in (301, 302):
            crawl.add(urljoin(address, response["Location"]))
        if response.get("Content-Type", "").startswith("text/html"):
            page = Addresses(address)
            page.feed(content.decode())
            for link in page.asked:
                whole = urldefrag(urljoin(address, link)).url
                if not urlsplit(whole).netloc:
                    crawl.add(whole)
        yield address, response, content.decode()


@pytest.mark.parametrize(
    ("person", "headers"),
    [
        pytest.param("stranger", {}, id="stranger-plain"),
        pytest.param("viewer", HTMX, id="viewer-htmx"),
        pytest.param("operator", {}, id="operator-plain"),
        # The most there is to see: both ways.
        pytest.param("administrator", {}, id="administrator-plain"),
        pytest.param("administrator", HTMX, id="administrator-htmx"),
    ],
    indirect=["person"],
)
def test_no_link_leads_to_an_error_or_grows(client, person, everything, headers):
    client.force_login(person)
    client.raise_request_exception = False
    crawl = Crawl()
    crawl.add(reverse("recycle:overview"))
    found, visited = [], 0

    while crawl.left and visited < PER_PERSON:
        address = crawl.left.popleft()
        visited += 1
        response = client.get(address, headers=headers)
        if response.status_code >= 500:
            found.append(f"{response.status_code} at {address}")
        if "Cache-Control" not in response:
            found.append(f"no Cache-Control at {address}")
        content = b"".join(response.streaming_content) if response.streaming else response.content
        if response.status_code in (301, 302):
            crawl.add(urljoin(address, response["Location"]))
        if not response.get("Content-Type", "").startswith("text/html"):
            continue
        page = Addresses(address)
        page.feed(content.decode())
        for link in (*page.asked, *page.other):
            if len(link) > LONGEST_ADDRESS:
                found.append(f"{len(link)} characters on {address}: {link[:200]}")
            if "csrfmiddlewaretoken" in link:
                found.append(f"a token on {address}: {link[:200]}")
        for link in page.asked:
            whole = urldefrag(urljoin(address, link)).url
            if not urlsplit(whole).netloc:
                crawl.add(whole)

    assert not found, "\n".join(dict.fromkeys(found))
    # Nobody's member sees the frame alone.
    assert visited > (5 if person.username == "nobody" else 40)
