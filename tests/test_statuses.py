"""Every state has its place: a label, a badge, a filter, a number on the Overview. A new one that
lacks any of these fails here.
"""

import re
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils.translation import override

from recycle.forms import InstanceFilter
from recycle.lifecycle import LIVING, State
from recycle.models import Instance
from recycle.models.instance import NO_FEES, statuses_of
from recycle.policy import WRONG_STATE, BillingMode

ALL = dict(statuses_of(State))
LISTED = dict(statuses_of(LIVING))


@pytest.fixture
def one_of_each(make_instance):
    """An instance of every status, by its status."""
    made = {state.value: make_instance(state, name=f"is-{state}") for state in State}
    made[NO_FEES] = make_instance(
        State.STOPPED, BillingMode.HOURLY, no_fees=True, name=f"is-{NO_FEES}"
    )
    return made


@pytest.fixture
def alices(client, alice):
    client.force_login(alice)
    return client


def test_every_state_is_in_use_or_in_the_bin_or_gone_and_says_why_it_is_the_wrong_one():
    assert {*LIVING, State.RECYCLED, State.PURGED} == set(State)
    assert set(WRONG_STATE) == set(State)


def test_every_status_but_the_usual_grey_one_has_its_own_badge():
    css = (settings.BASE_DIR / "static" / "css" / "console.css").read_text(encoding="utf-8")

    drawn = set(re.findall(r"\[data-state=(\w+)\]", css))

    assert drawn == set(ALL) - {State.STOPPED}


def test_every_status_has_a_label_in_both_languages():
    english = {status: str(label) for status, label in ALL.items()}
    with override("zh-hans"):
        chinese = {status: str(label) for status, label in ALL.items()}

    assert len(set(english.values())) == len(set(chinese.values())) == len(ALL)
    assert not [status for status in ALL if english[status] == chinese[status]]


@pytest.mark.django_db
@pytest.mark.parametrize("status", ALL)
def test_the_page_of_an_instance_shows_its_status(alices, one_of_each, status):
    instance = one_of_each[status]

    response = alices.get(reverse("recycle:instance", args=[instance.pk]))

    assert f'<span class="dot" data-state="{status}">{ALL[status]}</span>' in response.text


@pytest.mark.django_db
@pytest.mark.parametrize("status", LISTED)
def test_every_status_of_what_is_listed_is_a_filter(alices, one_of_each, status):
    response = alices.get(reverse("recycle:instances"), {"status": status})

    assert [row.pk for row in response.context["page"].rows] == [one_of_each[status].pk]
    assert f'<option value="{status}" selected>{LISTED[status]}</option>' in response.text


@pytest.mark.django_db
def test_the_overview_counts_every_status_and_leads_to_its_list(alices, one_of_each):
    response = alices.get(reverse("recycle:overview"))

    stats = {stat["status"]: str(stat["count"]) for stat in response.context["stats"]}
    assert stats == dict.fromkeys(LISTED, "1")
    assert str(response.context["in_bin"]) == "1"
    for status, label in LISTED.items():
        address = f"{reverse('recycle:instances')}?status={status}"
        assert f'href="{address}"><span class="label dot" data-state="{status}">{label}' in (
            response.text
        )


@pytest.mark.django_db
def test_every_instance_has_exactly_one_status(one_of_each):
    found = [
        Instance.objects.with_status(status).values_list("name", flat=True).get() for status in ALL
    ]

    assert found == [f"is-{status}" for status in ALL]


def test_the_filter_offers_what_is_listed_and_nothing_else():
    status: Any = InstanceFilter.base_fields["status"]

    assert [value for value, _label in status.choices] == ["", *LISTED]
