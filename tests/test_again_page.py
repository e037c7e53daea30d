"""The page Configure again, the ways to it, and what the restore dialog and its outcome say."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions
from recycle.actions.resources import addresses
from recycle.lifecycle import State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    LoadBalancer,
    Membership,
    RealServer,
    Volume,
    Zone,
)
from recycle.policy import BillingMode, Refusal, Role
from tests.conftest import HTMX, acting, rejecting

pytestmark = pytest.mark.django_db

AGAIN = reverse("recycle:configure_again")
RESTORE = reverse("recycle:restore")
BIN = reverse("recycle:bin")


def only(*instances):
    return Instance.objects.filter(pk__in=[each.pk for each in instances])


@pytest.fixture
def alice_in(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def make_back(alice, make_instance, bind, now):
    """Instances that had one relationship of every kind and came out of the bin."""

    def make(**fields):
        instance = make_instance(**fields)
        bind(instance)
        actions.delete(only(instance), may_release=False, context=acting(alice, now))
        actions.restore(only(instance), context=acting(alice, now))
        return instance

    return make


@pytest.fixture
def back(make_back):
    return make_back(name="back")


@pytest.fixture
def binned(alice, make_instance, bind, now):
    instance = make_instance(name="binned")
    bind(instance)
    actions.delete(only(instance), may_release=False, context=acting(alice, now))
    return instance


def keys(instance):
    """The lines of its plan, as the page names them."""
    alice = Membership.objects.get(account=instance.account, user__username="alice").user
    return [
        line.former.key
        for line in actions.plan(only(instance), context=acting(alice, instance.created_at))
    ]


def fields(text):
    """What the form on the page sends along."""
    names: dict[str, list[str]] = {}
    for name, value in re.findall(
        r'<input type="hidden" name="(ids|batch|skip|scope)" value="([^"]*)"', text
    ):
        names.setdefault(name, []).append(value)
    return names


def associate(instance, by, now):
    addresses.associate(ElasticIP.objects.all(), instance, context=acting(by, now))


# --- The plan -------------------------------------------------------------------------------------


def test_the_page_shows_each_former_relationship_ticked_if_it_can_be_bound(alice_in, back):
    text = alice_in.get(AGAIN, {"ids": back.pk}).text

    assert text.count("Can be bound") == 5
    assert text.count('name="lines"') == text.count("checked>") == 5
    assert str(ElasticIP.objects.get().address) in text
    assert "<html" in text


def test_as_a_piece_it_is_the_plan_alone(alice_in, back):
    response = alice_in.get(AGAIN, {"ids": back.pk}, headers=HTMX)

    assert "<html" not in response.text
    assert 'id="plan"' in response.text


def test_what_is_taken_has_a_link_to_the_taker_and_no_box(
    alice_in, alice, back, make_instance, now
):
    taker = make_instance(name="taker")
    associate(taker, alice, now)

    text = alice_in.get(AGAIN, {"ids": back.pk}).text

    assert text.count('name="lines"') == 4
    assert f'<a href="{reverse("recycle:instance", args=[taker.pk])}">taker</a>' in text


def test_an_address_that_a_load_balancer_took_has_a_link_to_that(alice_in, alice, back, now):
    balancer = LoadBalancer.objects.get()
    addresses.associate(ElasticIP.objects.all(), balancer, context=acting(alice, now))

    text = alice_in.get(AGAIN, {"ids": back.pk}).text

    assert f'<a href="{reverse("recycle:balancer", args=[balancer.pk])}">front</a>' in text


def test_what_is_gone_says_when_and_by_whom(alice_in, alice, back, now):
    addresses.remove(ElasticIP.objects.all(), context=acting(alice, now))

    text = alice_in.get(AGAIN, {"ids": back.pk}).text

    assert "Gone" in text
    assert f"deleted {now:%Y-%m-%d %H:%M} by alice" in text


def test_what_lies_in_the_bin_can_be_looked_at_and_restored_from_there(alice_in, binned):
    text = alice_in.get(AGAIN, {"ids": binned.pk}).text

    assert text.count("It is in the recycle bin.") == 5
    assert 'name="lines"' not in text
    assert RESTORE in text


def test_an_instance_that_had_nothing_says_so(alice_in, make_instance):
    text = alice_in.get(AGAIN, {"ids": make_instance().pk}).text

    assert "Nothing was bound to it when it was deleted." in text


def test_a_batch_names_all_that_one_request_acted_on(alice_in, alice, make_instance, bind, now):
    rows = [make_instance(State.RECYCLED) for _ in range(3)]
    batch = actions.restore(only(*rows), context=acting(alice, now)).batch

    text = alice_in.get(AGAIN, {"batch": batch}).text

    assert all(row.name in text for row in rows)


def test_a_large_batch_is_shown_a_hundred_at_a_time(alice_in, alice, make_instance, now):
    rows = [make_instance(State.RECYCLED) for _ in range(103)]
    batch = actions.restore(only(*rows), context=acting(alice, now)).batch

    first = alice_in.get(AGAIN, {"batch": batch}).text
    carried_out = alice_in.post(AGAIN, fields(first)).text
    second = alice_in.get(AGAIN, {"batch": batch, "skip": 100}).text

    assert first.count('scope="rowgroup"') == 100
    assert f"?batch={batch}&amp;skip=100" in first
    assert f"?batch={batch}&amp;skip=100" in carried_out
    assert second.count('scope="rowgroup"') == 3


@pytest.mark.parametrize("count", [2, 20])
def test_the_page_costs_the_same_number_of_queries_whatever_its_size(alice_in, make_back, count):
    rows = [make_back() for _ in range(count)]
    Volume.objects.filter(name="scratch").delete()
    alice_in.get(BIN)

    with CaptureQueriesContext(connection) as queries:
        alice_in.get(AGAIN, {"ids": [row.pk for row in rows]})

    assert len(queries) <= 16, "\n".join(query["sql"] for query in queries)


# --- The deed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_is_ticked_is_bound_and_each_line_says_what_became_of_it(
    alice_in, alice, back, make_instance, now, headers
):
    lines = keys(back)
    taker = make_instance(name="taker")
    associate(taker, alice, now)

    response = alice_in.post(AGAIN, {"ids": back.pk, "lines": lines}, headers=headers)

    text = response.text
    assert response.status_code == 200
    assert text.count("Bound again") == 4
    assert "Left alone" in text
    assert "Bound 4 relationships again." in text
    assert "1 relationship was left alone:" in text
    assert f'<a href="{reverse("recycle:instance", args=[taker.pk])}">taker</a>' in text
    assert ElasticIP.objects.get().instance == taker
    assert RealServer.objects.get().instance == back


def test_a_line_says_that_the_database_rejected_it(alice_in, back):
    [line] = [key for key in keys(back) if ".eip." in key]

    with rejecting('UPDATE "recycle_elasticip"'):
        text = alice_in.post(AGAIN, {"ids": back.pk, "lines": line}).text

    assert "1 relationship was left alone:" in text
    assert "Bound again" not in text
    # In the message and on the line; not what the database said.
    assert text.count("The database rejected the change.") == 2
    assert "impossible" not in text


def test_only_what_is_ticked_is_bound(alice_in, back):
    [line] = [key for key in keys(back) if ".eip." in key]

    text = alice_in.post(AGAIN, {"ids": back.pk, "lines": line}).text

    assert ElasticIP.objects.get().instance == back
    assert not InstanceTag.objects.exists()
    assert text.count('name="lines"') == 4
    assert "checked" not in text


def test_with_nothing_ticked_nothing_is_bound(alice_in, back):
    response = alice_in.post(AGAIN, {"ids": back.pk})

    assert "No relationship was picked. Nothing was bound." in response.text
    assert not Event.objects.filter(action="bind").exists()


def test_a_line_that_is_not_in_the_plan_binds_nothing(alice_in, back, make_back):
    other = make_back()

    response = alice_in.post(AGAIN, {"ids": back.pk, "lines": [*keys(back), *keys(other)]})

    assert response.status_code == 409
    assert "The plan has changed in the meantime." in response.text
    assert not Event.objects.filter(action="bind").exists()


def test_deleted_and_restored_once_more_the_old_plan_is_refused(alice_in, alice, back, now):
    lines = keys(back)
    actions.delete(only(back), may_release=False, context=acting(alice, now))
    actions.restore(only(back), context=acting(alice, now))

    assert alice_in.post(AGAIN, {"ids": back.pk, "lines": lines}).status_code == 409


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_viewer_is_told_that_the_role_does_not_allow_it(client, victor, back, method):
    client.force_login(victor)

    response = getattr(client, method)(AGAIN, {"ids": back.pk, "lines": keys(back)})

    assert response.status_code == 403
    assert "Your role does not allow this." in response.text
    assert not Event.objects.filter(action="bind").exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_finds_nothing(client, mallory, alice, back, method):
    client.force_login(mallory)

    response = getattr(client, method)(AGAIN, {"ids": back.pk, "lines": keys(back)})

    assert response.status_code == 404
    assert back.name not in response.text
    assert not Event.objects.filter(action="bind").exists()


def test_a_stranger_finds_nothing_by_a_batch_either(client, mallory, back):
    client.force_login(mallory)

    assert client.get(AGAIN, {"batch": Event.objects.latest("id").batch}).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"ids": "nonsense"}, 404),
        ({"ids": str(uuid4())}, 404),
        ({"batch": "nonsense"}, 400),
        ({"batch": str(uuid4())}, 404),
        ({"ids": [str(uuid4()) for _ in range(1_001)]}, 400),
        ({}, 302),
    ],
)
def test_bad_input_is_refused_with_a_sentence(alice_in, query, status):
    assert alice_in.get(AGAIN, query).status_code == status


def test_more_than_a_hundred_named_at_once_are_refused(alice_in, make_instance):
    rows = [make_instance() for _ in range(101)]

    response = alice_in.get(AGAIN, {"ids": [row.pk for row in rows]})

    assert response.status_code == 400
    assert "At most 100 instances" in response.text


def test_a_form_from_a_window_with_another_account_is_refused(alice_in, alice, back):
    other = Account.objects.create(name="Other")

    response = alice_in.post(AGAIN, {"ids": back.pk, "lines": keys(back), "scope": f"{other.pk}:"})

    assert response.status_code == 400
    assert not Event.objects.filter(action="bind").exists()


# --- The ways to it -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["back", "binned"])
def test_the_page_of_an_instance_shows_its_former_relationships_with_the_way_to_the_plan(
    request, alice_in, name
):
    instance = request.getfixturevalue(name)

    text = alice_in.get(reverse("recycle:instance", args=[instance.pk])).text

    assert "Former relationships" in text
    assert str(ElasticIP.objects.get().address) in text
    assert f"{AGAIN}?ids={instance.pk}" in text


def test_what_is_bound_again_is_former_no_more(alice_in, alice, back, now):
    """Neither the event of the bind nor what is there once more is shown beside the present."""
    plan = actions.plan(only(back), context=acting(alice, now))
    eip = next(line for line in plan if line.former.kind == "eip")
    page = reverse("recycle:instance", args=[back.pk])

    actions.configure([eip], context=acting(alice, now))
    text = alice_in.get(page).text
    assert "Cancelled when the instance was deleted" in text
    assert text.count("<b>EIP</b>") == 1

    actions.configure(plan, context=acting(alice, now))
    assert "Former relationships" not in alice_in.get(page).text


def test_what_was_never_deleted_has_no_former_relationships(
    alice_in, alice, make_instance, bind, now
):
    instance = make_instance()
    bind(instance)
    ElasticIP.objects.update(instance=None, zone=None)
    associate(instance, alice, now)

    assert (
        "Former relationships"
        not in alice_in.get(reverse("recycle:instance", args=[instance.pk])).text
    )


def test_the_bin_leads_to_the_plan_as_well(alice_in, binned):
    former = reverse("recycle:former", args=[binned.pk])

    assert f'hx-get="{former}"' in alice_in.get(BIN).text
    assert f"{AGAIN}?ids={binned.pk}" in alice_in.get(former, headers=HTMX).text


def test_a_viewer_sees_why_there_is_no_way(client, victor, back):
    client.force_login(victor)

    text = client.get(reverse("recycle:instance", args=[back.pk])).text

    assert AGAIN not in text
    assert "Configure again" in text


def test_the_restore_dialog_offers_the_plan_unticked(alice_in, binned):
    text = alice_in.get(RESTORE, {"ids": binned.pk}).text

    assert '<input type="checkbox" name="again" value="1">' in text


def test_a_restore_alone_binds_nothing_and_goes_back_to_the_bin(alice_in, binned):
    response = alice_in.post(RESTORE, {"ids": binned.pk, "confirmed": 1, "back": BIN})

    assert response.url == f"{BIN}?region="
    assert not Event.objects.filter(action="bind").exists()


def test_a_restore_with_the_box_ticked_leads_to_the_plan_of_all_that_came_back(
    alice_in, alice, binned, recycled, now
):
    late = Instance.objects.get(pk=recycled.pk)
    only(recycled).update(purge_at=now - timedelta(minutes=1))

    response = alice_in.post(
        RESTORE, {"ids": [binned.pk, late.pk], "confirmed": 1, "again": 1}, follow=True
    )

    text = response.text
    assert (
        response.redirect_chain[0][0]
        == f"{AGAIN}?batch={Event.objects.filter(action='restore').get().batch}"
    )
    assert text.count("Can be bound") == 5
    assert text.count('scope="rowgroup"') == 1
    assert "Restored 1 instance." in text
    assert "1 instance was left alone:" in text
    assert not Event.objects.filter(action="bind").exists()


def test_with_htmx_the_browser_is_sent_to_the_plan(alice_in, binned):
    response = alice_in.post(RESTORE, {"ids": binned.pk, "confirmed": 1, "again": 1}, headers=HTMX)

    assert response["HX-Redirect"].startswith(f"{AGAIN}?batch=")
    assert "done" in response["HX-Trigger"]


def test_where_nothing_came_back_there_is_no_plan_to_go_to(alice_in, binned, now):
    only(binned).update(purge_at=now)

    response = alice_in.post(RESTORE, {"ids": binned.pk, "confirmed": 1, "again": 1, "back": BIN})

    assert response.url == f"{BIN}?region="


# --- Preflight ------------------------------------------------------------------------------------


def dialog(client, url, *instances, **fields):
    return client.get(url, {"ids": [each.pk for each in instances], **fields}).context


def announced(client, url, *instances):
    return {"announced": dialog(client, url, *instances)["announced"]}


def sold_out(zone, make_instance):
    """Room for one more of these, and no more."""
    make_instance()
    Zone.objects.filter(pk=zone.pk).update(vcpu_capacity=4)


def past_deadline(instance, now):
    only(instance).update(recycled_at=now - timedelta(hours=3), purge_at=now - timedelta(hours=1))


def test_the_dialog_refuses_for_the_very_reasons_that_the_restore_then_has(
    alice_in, zone, make_instance, now
):
    rows = [make_instance(State.RECYCLED, name=name) for name in ("a", "b", "c")]
    past_deadline(rows[0], now)
    sold_out(zone, make_instance)

    groups = dialog(alice_in, RESTORE, *rows)["groups"]
    alice_in.post(RESTORE, {"ids": [row.pk for row in rows], "confirmed": 1})

    shown = {
        member.name: getattr(member, "refusal", None)
        for group in groups
        for member in group.members
    }
    assert shown["a"] is Refusal.PAST_DEADLINE
    assert {shown["b"], shown["c"]} == {None, Refusal.SOLD_OUT}
    states = dict(only(*rows).values_list("name", "state"))
    assert {name for name, state in states.items() if state == State.STOPPED} == {
        name for name, refusal in shown.items() if refusal is None
    }


def test_a_dialog_says_the_role_before_it_is_needed(client, victor, recycled):
    client.force_login(victor)

    for method in (client.get, client.post):
        response = method(RESTORE, {"ids": recycled.pk, "confirmed": 1})
        assert response.status_code == 403
        assert "Your role does not allow this." in response.text


def test_nothing_is_said_of_a_refusal_that_the_dialog_gave_as_well(alice_in, make_instance, now):
    late, good = make_instance(State.RECYCLED), make_instance(State.RECYCLED)
    past_deadline(late, now)
    told = announced(alice_in, RESTORE, late, good)

    text = alice_in.post(
        RESTORE, {"ids": [late.pk, good.pk], "confirmed": 1, "back": BIN, **told}, follow=True
    ).text

    assert "Its time is over; it is being deleted for good." in text
    assert "This has changed since the dialog was shown." not in text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_refusal_that_the_dialog_did_not_give_is_said_to_be_new(
    alice_in, zone, make_instance, now, headers
):
    row, other = make_instance(State.RECYCLED, name="a"), make_instance(State.RECYCLED, name="b")
    told = announced(alice_in, RESTORE, row, other)
    sold_out(zone, make_instance)

    text = alice_in.post(
        RESTORE,
        {"ids": [row.pk, other.pk], "confirmed": 1, "back": BIN, **told},
        headers=headers,
        follow=True,
    ).text

    assert "Restored 1 instance." in text
    assert (
        ": Its zone does not have enough left. This has changed since the dialog was shown." in text
    )


def test_what_the_dialog_called_impossible_and_was_done_after_all_is_named(
    alice_in, zone, make_instance
):
    row = make_instance(State.RECYCLED, name="a")
    sold_out(zone, make_instance)
    Zone.objects.update(vcpu_capacity=2)
    told = announced(alice_in, RESTORE, row)
    Zone.objects.update(vcpu_capacity=None)

    text = alice_in.post(
        RESTORE, {"ids": row.pk, "confirmed": 1, "back": BIN, **told}, follow=True
    ).text

    assert "The dialog said that this cannot be done; in the meantime it could:" in text
    assert "<li>a</li>" in text


@pytest.mark.parametrize("nonsense", ["", "nonsense", ":,,:", "x" * 10_000])
def test_nonsense_about_the_dialog_changes_nothing_but_words(alice_in, recycled, nonsense):
    alice_in.post(RESTORE, {"ids": recycled.pk, "confirmed": 1, "announced": nonsense})

    assert only(recycled).get().state == State.STOPPED


def test_a_delete_that_became_possible_after_the_dialog_says_so_as_well(
    alice_in, make_instance, now
):
    young = make_instance(name="young", billing_mode=BillingMode.DAILY, created_at=now)
    delete = reverse("recycle:delete")
    told = announced(alice_in, delete, young)
    only(young).update(created_at=now - timedelta(hours=2))

    text = alice_in.post(delete, {"ids": young.pk, "confirmed": 1, **told}, follow=True).text

    assert "<li>young</li>" in text


def test_the_owner_s_role_counts_at_the_moment_of_the_deed(alice_in, alice, back):
    lines = keys(back)
    Membership.objects.filter(user=alice).update(role=Role.VIEWER)

    assert alice_in.post(AGAIN, {"ids": back.pk, "lines": lines}).status_code == 403
