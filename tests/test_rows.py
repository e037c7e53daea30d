"""What a further row of a list costs, and that rows say only what is true of them."""

import gzip
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.template.base import Node
from django.urls import reverse
from django.urls.resolvers import URLResolver
from django.utils import translation

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Instance, LoadBalancer
from tests.conftest import HTMX, acting

# Of functions in Python, by a row of the bin; there were 700.
CALLS_A_ROW = 500


@pytest.fixture
def fill(account, zone, now, alice, make_instance, make_volume, make_address, make_tag, bind):
    """Adds rows like those that are there to every list."""

    def fill(number: int) -> None:
        for each in range(number):
            key = f"{Instance.objects.count()}-{each}"
            make_volume(name=f"data-{key}")
            make_address()
            make_tag(key=f"env-{key}", value="prod")
            LoadBalancer.objects.create(
                account=account, region=zone.region, name=f"front-{key}", created_at=now
            )
            for state in (State.ACTIVE, State.STOPPED, State.EXPIRED):
                bind(make_instance(state))
            deleted = make_instance()
            bind(deleted)
            rows = Instance.objects.filter(pk=deleted.pk)
            actions.delete(rows, may_release=False, context=acting(alice, reason="why & wherefore"))

    return fill


@pytest.fixture
def counted(monkeypatch):
    """How often what a page is made of was asked for."""
    calls: Counter[str] = Counter()

    def count(place, name):
        original = getattr(place, name)

        def counting(*args, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(place, name, counting)

    # What `django.utils.translation` hands every call on to.
    gettext_module: Any = vars(translation)["_trans"]
    translation.gettext("")
    translation.ngettext("", "", 1)
    for name in ("gettext", "ngettext"):
        count(gettext_module, name)
    count(URLResolver, "_reverse_with_prefix")
    count(Node, "render_annotated")
    return calls


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    ["bin", "expired", "instances", "volumes", "addresses", "balancers", "tags", "log"],
)
def test_a_further_row_translates_nothing_and_asks_for_no_address(
    client, alice, fill, counted, time_machine, now, name
):
    time_machine.move_to(now + timedelta(minutes=2), tick=False)
    client.force_login(alice)
    fill(2)
    address = f"{reverse(f'recycle:{name}')}?size=50"
    client.get(address, headers=HTMX)

    seen = []
    for more in (0, 2):
        fill(more)
        counted.clear()
        response = client.get(address, headers=HTMX)
        seen.append((dict(counted), len(response.context["page"].rows)))

    (few, rows), (many, more_rows) = seen
    assert more_rows > rows
    assert many == few


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["bin", "instances", "volumes", "addresses", "tags"])
def test_what_rows_have_in_common_is_copied_with_the_key_and_the_name_of_each(
    client, alice, fill, name
):
    client.force_login(alice)
    fill(3)

    response = client.get(reverse(f"recycle:{name}"), headers=HTMX)

    rows = response.text.split("<tr id=")[1:]
    found = response.context["page"].rows
    assert len(rows) == len(found)
    for row, text in zip(found, rows, strict=True):
        others = [each for each in found if each.pk != row.pk]
        assert f"ids={row.pk}&amp;" in text
        assert (
            f'hx-get="/{"instances" if isinstance(row, Instance) else name}/{row.pk}/menu/"' in text
        )
        assert not [each for each in others if f"ids={each.pk}&" in text]
        assert not [each for each in others if f"/{each.pk}/" in text]


@pytest.mark.django_db
def test_what_people_typed_stays_text(client, alice, make_instance, make_volume, make_tag):
    typed = "<b>&\"'{{ 7 }}%(name)s{n}"
    make_instance(name=typed)
    make_instance(State.RECYCLED, name=typed)
    make_volume(name=typed)
    make_tag(key=typed, value=typed)
    client.force_login(alice)

    for name in ("instances", "bin", "volumes", "tags"):
        text = client.get(reverse(f"recycle:{name}")).text

        assert '<b>&"' not in text, name
        assert "&lt;b&gt;&amp;&#" in text or "&lt;b&gt;&amp;&quot;&#" in text, name
        assert "{{ 7 }}%(name)s{n}" in text, name


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["bin", "instances"])
def test_a_list_of_fifty_rows_stays_light(client, alice, make_instance, bind, name):
    for _number in range(50):
        instance = make_instance()
        if name == "bin":
            bind(instance)
    if name == "bin":
        everything = Instance.objects.all()
        actions.delete(everything, may_release=False, context=acting(alice))
    client.force_login(alice)

    page = client.get(f"{reverse(f'recycle:{name}')}?size=50")

    assert len(page.context["page"].rows) == 50
    assert len(page.content) < 100_000
    assert len(gzip.compress(page.content)) < 13_000


@pytest.mark.django_db
def test_a_further_row_of_the_bin_takes_few_calls(client, alice, fill):
    """What takes time is counted, which is the same on any machine."""
    calls: Counter[str] = Counter()
    client.force_login(alice)
    fill(2)
    address = f"{reverse('recycle:bin')}?size=50"
    client.get(address, headers=HTMX)

    seen = []
    for more in (0, 8):
        fill(more)
        # Now and then a request has something else to do as well.
        least = sys.maxsize
        for _time in range(3):
            calls.clear()
            sys.setprofile(lambda _frame, event, _argument: calls.update([event]))
            response = client.get(address, headers=HTMX)
            sys.setprofile(None)
            least = min(least, calls["call"])
        seen.append((least, len(response.context["page"].rows)))

    (few, rows), (many, more_rows) = seen
    assert more_rows == rows + 8
    assert (many - few) / 8 < CALLS_A_ROW
