"""The addresses on a page: made of the filter as it was understood, whatever the request said
beside it.
"""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import expect

from recycle.forms import own_address
from recycle.forms.places import FILTERED
from recycle.lifecycle import State
from recycle.models import Event, Tag
from tests.browser import AT_REST
from tests.conftest import HTMX

INSTANCE_LISTS = ("instances", "bin", "expired")
LISTS = (*INSTANCE_LISTS, "log", "volumes", "addresses", "balancers", "tags")


# --- The kind: links made from the raw request ----------------------------------------------------

RAW = re.compile(
    r"get_full_path|build_absolute_uri|request\.(?:GET|path|META)|current_url|querystring|REFERER"
)
# A form reads its own fields from the request; and what else may look at it, where.
FORM = re.compile(r"(?:Form|Filter|\])\(request\.GET\b|\belse request\.GET\b")
MAY_LOOK = {
    # The region, the project, the page after the login, the path of a page that was found, and who
    # asks from where.
    "recycle/http.py": re.compile(
        r"request\.GET\.get\(\"(?:region|project|next)\"|request\.path\b|request\.META\.get\("
    ),
    # The account; and the address that is understood anew for another one.
    "recycle/views/scope.py": re.compile(
        r"request\.GET\.get\(\"account\"|own_address\(request\.get_full_path\(\)"
    ),
    # What is written so that it leads nowhere; and the page to go on with after the login, which
    # then understands its filter anew.
    "console/middleware.py": re.compile(
        r"request\.(?:path|path_info|META)\b|request\.POST or request\.GET|get_full_path\(\)"
    ),
    # What the access log tells of a request.
    "console/access.py": re.compile(r"escape_uri_path\(request\.path\)|request\.META\.get\("),
    # What a probe asks about.
    "recycle/views/health.py": re.compile(r"\"pages\" in request\.GET\b"),
    # On to the page of the admin that was asked for; the login leads to paths of its own host
    # alone.
    "recycle/admin/site.py": re.compile(
        r"redirect_to_login\(request\.GET\.get\(\"next\"\) or request\.path\)"
    ),
    # Where a menu is opened, as far as that is understood.
    "recycle/views/unfolding.py": re.compile(
        r"own_address\(request\.htmx\.current_url_abs_path or \"\", request\.shell\.scope\)"
    ),
    # The address of the change that is previewed, and of the dialog that is shown.
    "recycle/views/retention.py": re.compile(r"\"url\": request\.path,"),
    "recycle/views/resources/dialog.py": re.compile(
        r"\"url\": request\.path,|stay_here\(request, request\.path,"
    ),
}


def test_no_page_makes_a_link_from_the_raw_request():
    base = Path(settings.BASE_DIR)
    sources = [
        *base.glob("templates/**/*.*"),
        *base.glob("recycle/**/*.py"),
        *base.glob("console/*.py"),
    ]

    found = []
    for path in sources:
        name = str(path.relative_to(base))
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for allowed in (FORM, MAY_LOOK.get(name)):
                line = allowed.sub("", line) if allowed else line
            if RAW.search(line):
                found.append(f"{name}:{number}: {line.strip()}")

    assert found == []


@pytest.fixture
def pages(db, make_instance, make_volume, make_address, make_listener, make_tag, bind):
    """The address of every page and of some dialogs, with something to see on each."""
    bind(instance := make_instance())
    make_instance(State.EXPIRED)
    recycled = make_instance(State.RECYCLED)
    volume, address, tag = make_volume(), make_address(), make_tag("stage", "test")
    balancer = make_listener().load_balancer
    rows = {
        "instance": instance,
        "volume": volume,
        "address": address,
        "balancer": balancer,
        "tag": tag,
    }
    return [
        *(reverse(f"recycle:{name}") for name in ("overview", "retention", "create", *LISTS)),
        *(reverse(f"recycle:{name}", args=[row.pk]) for name, row in rows.items()),
        f"{reverse('recycle:stop')}?ids={instance.pk}",
        f"{reverse('recycle:restore')}?ids={recycled.pk}",
        f"{reverse('recycle:detach')}?ids={volume.pk}",
        f"{reverse('recycle:create_volume')}?",
        f"{reverse('recycle:configure_again')}?ids={recycled.pk}",
    ]


LINK = re.compile(r'(?:href|action|hx-\w+|value)="(/[^"]*)"')
JUNK = (
    "zzz=zzz&csrfmiddlewaretoken=zzz&as_of=zzz&scope=&announced=zzz&sort=zzz&cursor=zzz&status=zzz"
)


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "piece"])
@pytest.mark.parametrize(
    "back", ["", "/recycle-bin/?zzz=zzz&back=/recycle-bin/%3Fzzz", "//zzz.example/", "/zzz/" * 2000]
)
def test_what_is_not_of_the_filter_is_in_no_link_of_the_page(client, alice, pages, headers, back):
    client.force_login(alice)

    for page in pages:
        answer = client.get(f"{page}{'&' if '?' in page else '?'}{JUNK}", {}, headers=headers)
        assert answer.status_code in (200, 400), page
        query = {"back": back} if back else {}
        also = client.get(
            page, {**parse_qs(urlsplit(page).query), "zzz": "zzz", **query}, headers=headers
        )
        assert also.status_code == 200, page

        for text in (answer.text, also.text):
            links = LINK.findall(text)
            assert [
                link for link in links if "zzz" in link or "csrfmiddlewaretoken" in link
            ] == [], page
            # The way back is never part of another way back.
            assert [link for link in links if "back%3D" in link] == [], page


@pytest.mark.django_db
@pytest.mark.parametrize("name", LISTS)
def test_an_address_says_the_filter_and_nothing_that_goes_without_saying(client, alice, zone, name):
    client.force_login(alice)

    def address(query):
        return client.get(f"{reverse(f'recycle:{name}')}{query}", headers=HTMX).context["here"]

    plain = address("")
    assert address("?q=&sort=&size=&zzz=1&cursor=") == address("?size=20") == plain
    assert address("?size=7") == plain  # what is not valid is left out
    full = address("?size=50&q=%20web%20")
    assert full == address("?q=web&size=50")  # in one order
    assert parse_qs(urlsplit(full).query)["size"] == ["50"]
    path = full.partition("?")[0]
    assert address(full.removeprefix(path)) == full


@pytest.mark.django_db
def test_the_region_is_part_of_the_address_of_what_it_narrows(client, alice, zone):
    client.force_login(alice)
    client.get(reverse("recycle:overview"), {"region": zone.region_id})

    assert (
        client.get(reverse("recycle:bin")).context["here"]
        == f"/recycle-bin/?region={zone.region_id}"
    )
    assert (
        client.get(reverse("recycle:bin"), {"region": ""}).context["here"]
        == "/recycle-bin/?region="
    )
    assert client.get(reverse("recycle:log")).context["here"] == "/operation-log/"


AWAY = {
    "nothing": "",
    "another host": "https://evil.example/recycle-bin/",
    "no scheme": "//evil.example/recycle-bin/",
    "backslashes": "/\\evil.example/",
    "broken": "//[",
    "a script": "javascript:alert(1)",
    "nowhere": "/nowhere/",
    "the admin": "/admin/",
    "what only takes a POST": "/recycle-bin/undo/",
    "a dialog": "/instances/stop/?ids=1",
    "too long": "/recycle-bin/?q=" + "x" * 9000,
    "NUL": "/recycle-bin/\0",
}


@pytest.mark.parametrize("back", AWAY.values(), ids=AWAY)
def test_a_way_back_that_is_none_leads_home_and_refuses_nothing(client, alice, make_instance, back):
    instance = make_instance()
    client.force_login(alice)

    answer = client.post(
        reverse("recycle:stop"), {"ids": [instance.pk], "confirmed": "1", "back": back}
    )

    assert answer.status_code == (400 if "\0" in back else 302)
    assert "\0" in back or answer["Location"] == reverse("recycle:instances")
    instance.refresh_from_db()
    assert (instance.state == State.STOPPED) is ("\0" not in back)


@pytest.mark.django_db
def test_the_longest_filter_fits_on_the_way_back(client, alice, make_tag):
    client.force_login(alice)
    make_tag("𠮷" * 100)
    request = client.get(reverse("recycle:tags"), {"q": "𠮷" * 64, "size": "100"}).wsgi_request
    here = request.shell.address

    assert own_address(here, request.shell.scope) == here


def test_a_link_to_a_dialog_stays_short_whatever_the_filter(client, alice, make_instance):
    make_instance(name="𠮷" * 64)
    client.force_login(alice)

    answer = client.get(reverse("recycle:instances"), {"q": "𠮷" * 64})

    links = re.findall(r'href="(/instances/rename/[^"]+)"', answer.text)
    assert links
    assert max(map(len, links)) <= 2_000


# --- In Chromium ----------------------------------------------------------------------------------

ADDRESSES = """() => {
  const found = [["location", location.pathname + location.search]];
  // A message links to what it speaks of, each to something else.
  for (const element of document.querySelectorAll("*:not(#messages *)")) {
    for (const { name, value } of element.attributes) {
      const hidden = name === "value" && ["back", "next"].includes(element.name);
      if (/^(href|action|formaction|hx-(get|post|push-url))$/.test(name) || hidden) {
        found.push([`${element.localName}#${element.id}[${element.name ?? ""} ${name}]`, value]);
      }
    }
  }
  return found.filter(([, value]) => value.startsWith("/"));
}"""
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def lengths(page):
    """How long the addresses on the page are, by what has them and where they lead."""
    found: dict[tuple[str, str], set[int]] = {}
    for what, address in page.evaluate(ADDRESSES):
        assert "csrfmiddlewaretoken" not in address, (what, address)
        path = re.sub(r"\d+", "N", UUID.sub("ID", address.partition("?")[0]))
        found.setdefault((UUID.sub("ID", re.sub(r"\d+", "N", what)), path), set()).add(len(address))
    return found


def grown(before, after):
    return {
        key: (before[key], sizes)
        for key, sizes in after.items()
        if key in before and sizes != before[key]
    }


# How an action on a row is asked for, and rows for all of them on a list of two pages.
ACTIONS = {"instances": "rename", "bin": "restore", "expired": "renew", "log": ""}
# Of the others, three times show as well that what came once does not come again.
OFTEN, ROWS = {"instances": 20, "log": 20}, 35


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", LISTS)
def test_refreshes_and_actions_make_no_address_longer(
    page,
    alice,
    account,
    now,
    name,
    make_instance,
    make_volume,
    make_address,
    make_balancer,
    make_tag,
):
    makers = {"volumes": make_volume, "addresses": make_address, "balancers": make_balancer}
    states = {"instances": State.ACTIVE, "bin": State.RECYCLED, "expired": State.EXPIRED}
    for number in range(ROWS):
        moment = now.replace(microsecond=100_000 + number)
        if name in states:
            make_instance(states[name], name=f"web-{number:02}", now=moment)
        elif name == "tags":
            Tag.objects.create(pk=1000 + number, account=account, key=f"env-{number:02}")
        elif name == "log":
            Event.objects.create(
                pk=1000 + number, account=account, at=moment, batch="0" * 32, action="start"
            )
        else:
            makers[name](created_at=moment)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    path = reverse(f"recycle:{name}")
    # What is stopped stays on the page; elsewhere the next row comes up.
    times = OFTEN.get(name, 3)
    size = times if name == "instances" else 10
    page.goto(f"{path}?q={'web' if name in states else ''}&size={size}")

    def refreshed(act):
        with page.expect_response(lambda answer: answer.url.partition("?")[0].endswith(path)):
            act()
        page.wait_for_function(AT_REST)

    def refresh():
        refreshed(page.get_by_role("link", name="Refresh").click)

    def act_on_the_first_row():
        verb = ACTIONS.get(name, f"{name}/delete")
        verbs = page.locator(f"tbody a[href*='/{verb}/']")
        if not verbs.count():
            # It stands in the menu of the row, which comes when somebody opens it.
            page.locator("tbody .pin [aria-haspopup]").first.click()
            expect(page.locator(".menu:popover-open")).to_be_visible()
            page.wait_for_function(AT_REST)
        verbs.first.evaluate("link => link.click()")
        dialog = page.get_by_role("dialog")
        ok = dialog.get_by_role("button", name="OK")
        expect(ok).to_be_visible()
        to_type = dialog.locator("[data-must-equal]")
        if to_type.count():
            to_type.fill(to_type.get_attribute("data-must-equal"))
        refreshed(ok.click)

    refresh()
    before = lengths(page)
    assert ("a#next[ href]", path) in before
    for _ in range(times):
        refresh()
        assert grown(before, lengths(page)) == {}
    if ACTIONS.get(name) != "":
        for _ in range(times):
            act_on_the_first_row()
            assert grown(before, lengths(page)) == {}
        expect(page.locator("#messages .toast.error")).to_have_count(0)

    said = {
        key for url in asked if urlsplit(url).path == path for key in parse_qs(urlsplit(url).query)
    }
    assert said <= set(FILTERED[f"recycle:{name}"].base_fields)
    assert not any("csrfmiddlewaretoken" in url for url in asked)
    assert max(map(len, asked)) < 2_000


@pytest.mark.browser
def test_what_leads_back_to_a_list_follows_the_filter_that_htmx_put_into_the_address(
    page, make_instance
):
    for number in range(25):
        make_instance(State.RECYCLED, name=f"web-{number:02}")
    make_instance(State.RECYCLED, name="cache-01")
    page.goto("/recycle-bin/")

    page.get_by_role("searchbox", name="Instance ID, name or IP").fill("web-")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=web-**")
    page.get_by_label("Rows per page").select_option("10")
    page.wait_for_url("**size=10**")
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**cursor=**")
    page.wait_for_function(AT_REST)

    here = page.locator("#bin").get_attribute("hx-get")
    assert page.url.endswith(here)
    fields = page.locator("input[name=back], input[name=next]")
    assert fields.count() == 5
    assert {fields.nth(index).get_attribute("value") for index in range(5)} == {here}
    page.get_by_role("button", name="Language").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    assert page.url.endswith(here)
    expect(page.locator("#bin tbody tr")).to_have_count(10)
    expect(page.locator("#q")).to_have_value("web-")
