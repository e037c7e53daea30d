"""Links into lists: each finds what it promises, whatever the things it is about are called."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from django.conf import settings
from django.urls import Resolver404, resolve, reverse

from recycle import actions
from recycle.actions import JobOrder
from recycle.actions.create import Order
from recycle.forms.lists import LONGEST_TAG
from recycle.lifecycle import LIVING, Action, State
from recycle.models import Event, Instance, InstanceTag, Tag
from recycle.policy import BillingMode
from recycle.text import fold
from tests.conftest import HTMX, acting, send

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# Keys and values as people, scripts and other consoles make them, up to the longest.
TAGS = [
    ("env", "prod"),
    ("env", ""),
    ("a=b", "c"),
    ("a", "b=c"),
    ("a=", "=b"),
    ("=", "="),
    (" spaced  key ", " value "),
    ("a&b", "c&tag=d#e?f+g"),
    ("100%", "%3D%26%00"),
    ("\"'<b>", "{{ x }}\\"),
    ("键" * 128, "值" * 255),
    ("𠮷" * 128, "🎉" * 255),
    ("re\u0301sume\u0301", "\u202ex"),
]
LISTS = {"instances", "bin", "expired", "volumes", "addresses", "balancers", "tags", "log"}
# Said by every list's own tools, about order and page.
TOOLS = {"sort", "size", "cursor"}
LONGEST_ADDRESS = 2_000


def rows_of(response):
    return {row.pk for row in response.context["page"].rows}


# What a link with these parameters says it leads to.
PROMISES: dict[tuple[str, str], Any] = {
    ("instances", "status"): lambda asked: Instance.objects.filter(
        state=State.STOPPED if asked["status"] == "no_fees" else asked["status"],
        no_fees=asked["status"] == "no_fees",
    ),
    ("instances", "tagged"): lambda asked: Instance.objects.filter(
        pk__in=InstanceTag.objects.filter(tag=asked["tagged"]).values("instance"), state__in=LIVING
    ),
    ("instances", "batch"): lambda asked: Instance.objects.filter(
        pk__in=Event.objects.filter(batch=asked["batch"]).values("instance_id")
    ),
    ("bin", "batch"): lambda asked: Instance.objects.filter(
        state=State.RECYCLED,
        pk__in=Event.objects.filter(batch=asked["batch"]).values("instance_id"),
    ),
    ("log", "batch"): lambda asked: Event.objects.filter(batch=asked["batch"]),
    ("bin", "q"): lambda asked: Instance.objects.filter(
        state=State.RECYCLED, name_folded=fold(asked["q"])
    ),
}


def links_in(text):
    """The links into lists, with what they ask for; those to a list as it is, or to a region of it,
    ask for nothing.
    """
    for href in map(unescape, re.findall(r'href="([^"]*\?[^"]*)"', text)):
        where = urlsplit(href)
        asked = dict(parse_qsl(where.query, keep_blank_values=True, strict_parsing=True))
        try:
            name = resolve(where.path).url_name
        except Resolver404:
            continue
        about = asked.keys() - {"region"}
        if name in LISTS and about and not about & TOOLS:
            yield href, (name, " ".join(sorted(about))), asked


@pytest.fixture
def tagged(make_instance, make_tag):
    """An instance for each tag, and one that has all."""
    tags = [make_tag(key, value) for key, value in TAGS]
    everything = make_instance(name="everything")
    for tag in tags:
        for instance in (make_instance(name=f"of {tag.pk}"), everything):
            InstanceTag.objects.create(instance=instance, tag=tag)
    return tags


@pytest.fixture
def alice_in(client, alice):
    client.force_login(alice)
    return client


@pytest.mark.slow
def test_every_link_into_a_list_finds_what_it_promises(
    alice_in, alice, account, zone, instance_type, far_zone, tagged, bind, make_instance, now
):
    bind(make_instance(name="bound"))
    for state in (State.STOPPED, State.EXPIRED):
        make_instance(state)
    make_instance(State.STOPPED, BillingMode.HOURLY, no_fees=True)
    name = "a&b=c%20 \"'<i> 北京#?+"
    make_instance(State.RECYCLED, name=name)
    elsewhere = make_instance(State.RECYCLED, zone=far_zone)
    details = [reverse("recycle:tag", args=[tag.pk]) for tag in tagged]
    lists = [reverse(f"recycle:{name}") for name in LISTS]
    alice_in.get(reverse("recycle:instances"), {"region": zone.region_id})
    # Restored from a window that shows another region, and created.
    said = [send(alice_in, "restore", elsewhere).text]
    alice_in.get(reverse("recycle:instances"), {"region": ""})
    actions.create(_order(account, zone, instance_type), context=acting(alice, now))

    goner = Instance.objects.filter(pk=make_instance(name="goner").pk)
    order = JobOrder(account=account, action=Action.DELETE, parameters={"may_release": False})
    job = actions.request_job(goner, order, context=acting(alice, now)).batch
    actions.carry_out_jobs(context=acting(None, now))
    details.append(reverse("recycle:job", args=[job]))

    pages = [
        alice_in.get(address).text for address in (reverse("recycle:overview"), *lists, *details)
    ]
    searched = alice_in.get(reverse("recycle:instances"), {"q": name}).text
    # But for its link to itself: Refresh.
    pages.append(re.sub(r'href="/instances/[^"]*"', "", searched))
    found = {
        href: (kind, asked) for text in (*said, *pages) for href, kind, asked in links_in(text)
    }

    unknown = {href: kind for href, (kind, _asked) in found.items() if kind not in PROMISES}
    assert not unknown
    assert {kind for kind, _asked in found.values()} == PROMISES.keys()
    for href, (kind, asked) in found.items():
        assert len(href) < LONGEST_ADDRESS
        response = alice_in.get(f"{href}&size=100")
        assert response.status_code == 200, href
        promised = set(PROMISES[kind](asked).values_list("pk", flat=True))
        assert rows_of(response) == promised != set(), href


def _order(account, zone, instance_type):
    return Order(
        account=account,
        zone=zone,
        instance_type=instance_type,
        billing_mode=BillingMode.DAILY,
        name="created",
    )


def test_links_made_in_the_code_are_among_them():
    """What a page's answer says is made in Python: a new address with a question mark belongs into
    the table above.
    """
    made = set()
    for path in (settings.BASE_DIR / "recycle").rglob("*.py"):
        made |= set(re.findall(r"""reverse\(["']recycle:(\w+)["']\)\}\?(\w+)=""", path.read_text()))

    assert {name for name, _query in made if name in LISTS} <= {name for name, _query in PROMISES}
    assert {query for name, query in made if name in LISTS} <= {"batch"}


@pytest.mark.parametrize("number", range(len(TAGS)))
def test_the_list_says_the_tag_in_words_and_can_be_asked_without_it(alice_in, tagged, number):
    tag = tagged[number]
    address = reverse("recycle:instances")

    page = alice_in.get(address, {"tagged": tag.pk}).content.decode()

    (ticked,) = re.findall(r'<label class="check named"[^>]*>.*?</label>', page, re.DOTALL)
    assert f'name="tagged" value="{tag.pk}" checked' in ticked
    assert str(tag) in unescape(ticked)
    # Inside the form of the filters: what is sent without it shows everything again.
    (form,) = re.findall(r'<form class="filters".*?</form>', page, re.DOTALL)
    assert ticked in form
    assert len(rows_of(alice_in.get(address, {"size": "100"}))) == len(TAGS) + 1


def test_so_says_the_log_of_a_batch(alice_in, account, now):
    batch = uuid4()
    Event.objects.create(account=account, at=now, batch=batch, action="start", instance_name="web")

    page = alice_in.get(reverse("recycle:log"), {"batch": str(batch)}).text

    assert re.search(rf'<input type="checkbox" name="batch" value="{batch}" checked>', page)


@pytest.mark.parametrize("number", range(len(TAGS)))
def test_a_person_can_type_every_tag(alice_in, tagged, number):
    """KEY=VALUE finds it, among others perhaps: "a=b=c" is the key "a" as well as the key "a=b"."""
    tag = tagged[number]

    for typed in {f"{tag.key}={tag.value}", str(tag), tag.key}:
        response = alice_in.get(reverse("recycle:instances"), {"tag": typed, "size": "100"})

        assert response.status_code == 200
        assert {"everything", f"of {tag.pk}"} <= {row.name for row in response.context["page"].rows}


def test_typed_is_found_no_more_than_what_is_meant(alice_in, tagged):
    def found(typed):
        rows = alice_in.get(reverse("recycle:instances"), {"tag": typed}).context["page"].rows
        names = {row.name for row in rows} - {"everything"}
        return {(tag.key, tag.value) for tag in tagged if f"of {tag.pk}" in names}

    assert found("env") == {("env", "prod"), ("env", "")}
    assert found("env=") == {("env", "")}
    assert found("a=b=c") == {("a=b", "c"), ("a", "b=c")}
    assert found(" ENV = Prod ") == {("env", "prod")}
    assert found("en") == found("env=pro") == set()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_tag_that_has_gone_or_is_a_strangers_is_refused_with_a_sentence(
    alice_in, mallory, make_tag, make_instance, headers
):
    instance = make_instance()
    foreign = Tag.objects.create(account=mallory.memberships.get().account, key="secret", value="x")

    for number in (foreign.pk, foreign.pk + 1, 0, -1, 2**63, 10**30):
        response = alice_in.get(reverse("recycle:instances"), {"tagged": number}, headers=headers)

        assert response.status_code == 400
        assert "There is no such tag any more." in response.text
        assert "secret" not in response.text
        assert str(instance.pk) not in response.text


def test_all_that_match_a_tag_are_those_of_the_list(alice_in, alice, tagged):
    tag = tagged[10]
    page = alice_in.get(reverse("recycle:instances"), {"tagged": tag.pk, "region": ""})
    fields = dict(
        re.findall(r'<input type="hidden" name="(as_of|scope|back)" value="([^"]*)"', page.text)
    )
    selection = {name: unescape(value) for name, value in fields.items()}

    dialog = alice_in.post(reverse("recycle:stop"), {**selection, "all": "1"})

    assert {line[0].name for group in dialog.context["groups"] for line in group.lines} == {
        "everything",
        f"of {tag.pk}",
    }


def test_the_longest_tag_there_is_can_be_typed():
    assert max(len(key) + 1 + len(value) for key, value in TAGS) == LONGEST_TAG
