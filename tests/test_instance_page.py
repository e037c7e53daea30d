"""The Instance page, and the page of one instance."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions
from recycle.lifecycle import State
from recycle.models import Account, ElasticIP, Event, Instance, Membership
from recycle.offer import family_name
from recycle.policy import BillingMode, Role
from tests.conftest import HTMX, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, alice):
    """What Alice sees."""
    client.force_login(alice)
    return lambda **query: client.get(reverse("recycle:instances"), query)


@pytest.fixture
def detail(client, alice):
    client.force_login(alice)
    return lambda instance: client.get(reverse("recycle:instance", args=[instance.pk]))


def names(response):
    return [row.name for row in response.context["page"].rows]


def offered(response, action, instance):
    return f'href="{reverse(f"recycle:{action}")}?ids={instance.pk}' in response.text


def test_a_row_shows_configuration_addresses_billing_zone_and_tags(page, make_instance, bind):
    instance = make_instance(name="web", billing_mode=BillingMode.MONTHLY)
    bind(instance)

    text = page().text

    expires = f"expires {instance.expires_at:%Y-%m-%d %H:%M}"
    for words in (
        "Running",
        "N3.2B",
        "Debian 12",
        instance.private_ip,
        "120.92.",
        "Subscription",
        expires,
    ):
        assert words in text
    for words in ("cn-beijing-6a", "<b>env</b> prod"):
        assert words in text


def test_only_living_instances_are_listed_newest_first(page, make_instance, now):
    for number, state in enumerate(State):
        make_instance(state, name=state.value, created_at=now - timedelta(days=3 + number))

    assert names(page()) == ["active", "stopped", "expired"]


def test_the_menu_of_a_row_offers_what_fits_its_state_and_says_why_not_of_the_rest(
    page, client, make_instance, now
):
    running, stopped = make_instance(), make_instance(State.STOPPED)
    expired, young = make_instance(State.EXPIRED), make_instance(created_at=now)

    def offers(instance):
        response = client.get(reverse("recycle:instance_menu", args=[instance.pk]), headers=HTMX)
        verbs = ("start", "stop", "renew", "delete", "rename")
        return {verb for verb in verbs if offered(response, verb, instance)}, response.text

    page()

    assert offers(running)[0] == {"stop", "delete", "rename"}
    assert offers(stopped)[0] == {"start", "delete", "rename"}
    assert offers(expired)[0] == {"renew", "rename"}
    assert offers(young)[0] == {"stop", "rename"}
    assert 'title="It can be deleted once it is more than 1 hour old."' in offers(young)[1]


def test_a_row_renames_and_does_not_connect_and_nothing_in_it_deletes(page, make_instance):
    instance = make_instance(name="web")

    response = page()

    assert offered(response, "rename", instance)
    assert not offered(response, "delete", instance)
    assert "No machine stands behind it." in response.text


def test_the_head_of_a_column_narrows_the_list_to_one_status(page, make_instance):
    make_instance(name="on"), make_instance(State.STOPPED, name="off")

    text = page(size="50", sort="name").text

    address = re.search(r'href="([^"]*status=stopped[^"]*)"', text)
    assert address
    assert "sort=name" in address[1]
    assert names(page(status="stopped")) == ["off"]


@pytest.mark.parametrize(
    ("family", "words"),
    [("N3", "General Purpose N3"), ("SE9", "High Efficiency SE9"), ("E1", "E1")],
)
def test_a_family_is_called_in_words(family, words):
    assert family_name(family) == words


@pytest.mark.parametrize("query", [{}, {"sort": "name"}, {"size": "50"}])
def test_a_search_without_result_says_that_the_bin_has_one(page, make_instance, query):
    make_instance(State.RECYCLED, name="lost")

    assert "The recycle bin has matches:" in page(q="lost", **query).text
    assert "The recycle bin has matches:" not in page(q="other", **query).text


def test_an_empty_account_says_how_to_fill_it(page):
    assert "manage.py import_inventory" in page().text


# --- One instance ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "billing_mode", "words", "offers"),
    [
        (State.ACTIVE, BillingMode.DAILY, "Running", {"stop", "restart", "delete"}),
        (State.STOPPED, BillingMode.DAILY, "Stopped", {"start", "delete"}),
        (State.EXPIRED, BillingMode.MONTHLY, "This subscription has expired.", {"renew"}),
        (State.RECYCLED, BillingMode.DAILY, "lies in the recycle bin", {"restore", "purge"}),
        (State.PURGED, BillingMode.DAILY, "has been deleted for good", set()),
    ],
)
def test_an_instance_has_a_page_in_every_state(
    detail, make_instance, state, billing_mode, words, offers
):
    instance = make_instance(state, billing_mode)

    response = detail(instance)

    assert response.status_code == 200
    assert words in response.text
    actions_ = ("start", "stop", "restart", "delete", "renew", "restore", "purge")
    assert {action for action in actions_ if offered(response, action, instance)} == offers


def test_relationships_are_listed_and_later_remembered(detail, alice, make_instance, bind):
    instance = make_instance()
    bind(instance)

    assert ">front</a> · HTTP:80" in detail(instance).text
    actions.delete(
        Instance.objects.all(), may_release=False, context=acting(alice, reason="wrong stack")
    )
    text = detail(instance).text

    assert "Nothing is bound to this instance." in text
    assert "Former relationships" in text
    assert "<b>SLB</b> front · HTTP:80" in text
    assert "wrong stack" in text
    assert "Move to the recycle bin" in text


def test_the_way_back_from_a_dialog_is_the_page_of_the_instance(detail, client, make_instance):
    instance = make_instance()
    url = reverse("recycle:instance", args=[instance.pk])

    assert "back=" + url.replace("/", "%2F") in detail(instance).text
    response = client.post(
        reverse("recycle:stop"), {"ids": instance.pk, "confirmed": "1", "back": url}
    )

    assert response["Location"] == url


@pytest.mark.parametrize("state", State)
def test_a_stranger_gets_the_same_answer_as_for_an_instance_that_never_was(
    client, mallory, make_instance, state
):
    instance = make_instance(state)
    client.force_login(mallory)

    foreign = client.get(reverse("recycle:instance", args=[instance.pk]))
    unknown = client.get(reverse("recycle:instance", args=[uuid4()]))

    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert instance.name not in foreign.text


@pytest.mark.parametrize("bad", ["x", "1", "0" * 32, "%00", "..%2f..%2fetc%2fpasswd"])
def test_an_id_that_is_none_is_not_found(client, alice, bad):
    client.force_login(alice)

    assert client.get(f"/instances/{bad}/").status_code == 404


def test_an_instance_of_another_account_is_found_once_that_account_is_chosen(
    client, alice, zone, make_instance
):
    other = Account.objects.create(name="Zeta")
    Membership.objects.create(user=alice, account=other, role=Role.VIEWER)
    theirs = make_instance(account=other)
    client.force_login(alice)
    url = reverse("recycle:instance", args=[theirs.pk])

    before = client.get(url)
    client.post(reverse("recycle:account"), {"account": other.pk})
    after = client.get(url)

    assert (before.status_code, after.status_code) == (409, 200)
    assert "Switch to Zeta" in before.text
    assert not offered(after, "stop", theirs)


def test_the_log_of_an_instance_is_its_own(detail, alice, make_instance):
    instance, other = make_instance(), make_instance()
    actions.stop(Instance.objects.filter(pk=other.pk), context=acting(alice, reason="not this one"))

    assert "not this one" not in detail(instance).text
    assert Event.objects.count() == 1


# --- Batch query ----------------------------------------------------------------------------------


@pytest.mark.both
def test_many_are_asked_for_at_once_by_whole_ids_names_and_addresses(page, make_instance, bind):
    by_id, by_ip = make_instance(name="web-1"), make_instance(name="web-3")
    make_instance(name="Web 2")
    bound, longer = make_instance(name="web-4"), make_instance(name="web-22")
    bind(bound)
    eip = ElasticIP.objects.get(instance=bound).address
    asked = f"{by_id.pk}, wEB 2\r\n{by_ip.private_ip}；{eip} nothing"

    response = page(many=asked)

    assert set(names(response)) == {"web-1", "Web 2", "web-3", "web-4"}
    assert longer.name not in names(response)
    # The address of what is selected by this filter says it, in one line.
    assert f"many={by_id.pk}%2CwEB+2%2C" in response.text
    assert page(many="web-22").context["page"].count.number == 1


@pytest.mark.parametrize(
    ("many", "words"),
    [(" ".join(f"web-{n}" for n in range(51)), "Ask for 50 at most."), ("x" * 1_901, "1900")],
)
def test_more_than_an_address_holds_is_refused_in_a_sentence(page, make_instance, many, words):
    make_instance()

    response = page(many=many)

    assert response.status_code == 400
    assert words in response.text


def test_a_batch_query_costs_as_much_for_fifty_as_for_one(
    page, make_instance, django_assert_num_queries
):
    for number in range(3):
        make_instance(name=f"web-{number}")
    page()
    with CaptureQueriesContext(connection) as one:
        page(many="web-1")

    with django_assert_num_queries(len(one)):
        page(many="\n".join(f"web-{n}" for n in range(50)))
