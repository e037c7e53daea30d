"""Retention: the page, what it says a change would mean, and who may change what."""

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions
from recycle.actions.forecast import Forecast, forecast
from recycle.actions.keeping import add_rule, keep, remove_rules
from recycle.labels import duration_label, retention_label
from recycle.models import Account, Event, Instance, InstanceTag, RetentionRule, Tag
from recycle.policy import STANDARDS, BillingMode, Refusal, retention
from tests.conftest import HTMX, acting

pytestmark = [pytest.mark.django_db, pytest.mark.both]

URL = "/retention/"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def alices(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def scope(account):
    return {"scope": f"{account.pk}:"}


@pytest.fixture
def rule(account):
    return RetentionRule.objects.create(account=account, key="env", value="prod", keep_for=DAY)


def only(row):
    return type(row).objects.filter(pk=row.pk)


def said(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


# --- The actions ----------------------------------------------------------------------------------


def test_a_change_of_the_time_is_an_event_that_says_from_what_to_what(alice, account, now):
    context = acting(alice, now)

    first = keep(only(account), 3 * DAY, context=context)
    again = keep(only(account), 3 * DAY, context=context)
    back = keep(only(account), None, context=context)

    assert (len(first.done), len(back.done)) == (1, 1)
    assert [refused.refusal for refused in again.refused] == [Refusal.ALREADY]
    assert [event.detail["retention"] for event in Event.objects.order_by("id")] == [
        {"before": None, "after": 259_200},
        {"before": 259_200, "after": None},
    ]
    event = Event.objects.latest("id")
    assert (event.action, event.kind, event.by_name, event.instance_id) == (
        "update",
        "",
        "alice",
        None,
    )


def test_rules_are_set_set_anew_and_removed(alice, account, now):
    context = acting(alice, now)

    def rule(keep_for):
        return RetentionRule(account=account, key="env", value="prod", keep_for=keep_for)

    for keep_for in (DAY, None):
        assert add_rule(rule(keep_for), context=context).done
    assert [refused.refusal for refused in add_rule(rule(None), context=context).refused] == [
        Refusal.ALREADY
    ]
    assert RetentionRule.objects.get().keep_for is None
    remove_rules(RetentionRule.objects.all(), context=context)

    assert [event.detail["retention"] for event in Event.objects.order_by("id")] == [
        {"key": "env", "value": "prod", "before": None, "after": 86_400},
        {"key": "env", "value": "prod", "before": 86_400, "after": 0},
        {"key": "env", "value": "prod", "before": 0, "after": None},
    ]
    assert not RetentionRule.objects.exists()


def test_only_administrators_of_the_account_change_it(oscar, mallory, account, rule, now):
    for stranger in (oscar, mallory):
        context = acting(stranger, now)
        outcomes = [
            keep(only(account), DAY, context=context),
            add_rule(RetentionRule(account=account, key="a"), context=context),
            remove_rules(RetentionRule.objects.all(), context=context),
        ]
        assert [refused.refusal for outcome in outcomes for refused in outcome.refused] == [
            Refusal.ROLE
        ] * 3
    assert RetentionRule.objects.get() == rule
    assert not Event.objects.exists()


def test_what_lies_in_the_bin_keeps_the_time_it_was_promised(alice, account, make_instance, now):
    instance = make_instance()
    account.keep_for = 10 * DAY
    account.save()
    actions.delete(only(instance), may_release=False, context=acting(alice, now))

    keep(only(account), None, context=acting(alice, now + HOUR))

    instance.refresh_from_db()
    assert (instance.purge_at, instance.retention_kind) == (now + 10 * DAY, "account")


# --- What a change would mean ---------------------------------------------------------------------


@pytest.fixture
def history(alice, account, make_instance, now):
    """Deletions of the last days: `history(days, back=hours, tags=...)`."""

    def delete(days, *, back=None, purged=None, tagged=False):
        instance = make_instance(system_disk_gb=100, created_at=now - 90 * DAY)
        if tagged:
            tag, _ = Tag.objects.get_or_create(account=account, key="env", value="prod")
            InstanceTag.objects.create(instance=instance, tag=tag)
        start = now - timedelta(days=days)
        actions.delete(only(instance), may_release=False, context=acting(alice, start))
        if back is not None:
            actions.restore(only(instance), context=acting(alice, start + timedelta(hours=back)))
        elif purged is not None:
            actions.purge(only(instance), context=acting(alice, start + timedelta(hours=purged)))
        elif days > 0.1:
            actions.purge_due(context=acting(None, start + timedelta(days=31)))

    return delete


def test_a_longer_time_is_told_from_the_last_30_days(history, account, now):
    for days in (40, 20, 19, 10):
        history(days)
    history(5, back=1)
    history(4, purged=1)

    told = forecast(account, [], keep_for=2 * DAY, new_rules=[], now=now)

    # Three of five stay 46 hours longer each, and two of them lie there together.
    assert told == Forecast(5, longer=3, shorter=0, lost=0, peak=1, peak_after=2, gb_days=575.0)


def test_what_would_go_on_beyond_now_is_counted_until_now(history, account, now):
    history(1)

    told = forecast(account, [], keep_for=30 * DAY, new_rules=[], now=now)

    assert told.gb_days == round(100 * 22 / 24, 1)


def test_a_rule_means_only_what_had_its_tag_then(history, account, now):
    history(3)
    history(2, tagged=True)
    InstanceTag.objects.all().delete()

    told = forecast(
        account,
        [],
        keep_for=None,
        new_rules=[RetentionRule(key="env", value="prod", keep_for=DAY)],
        now=now,
    )

    assert (told.deletions, told.longer) == (2, 1)


RULES = {
    "any value": [("env", "", 9 * DAY)],
    "this value": [("env", "prod", 9 * DAY)],
    "another value": [("env", "test", 9 * DAY)],
    "the longest": [("env", "", 3 * DAY), ("env", "prod", 9 * DAY)],
    "shorter than the account's": [("env", "prod", 3 * HOUR)],
    "excluded": [("env", "prod", 9 * DAY), ("env", "", None)],
    "not excluded": [("env", "prod", 9 * DAY), ("env", "test", None)],
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_the_database_reckons_by_the_rules_of_the_policy(history, account, now, rules):
    rules = [RetentionRule(key=key, value=value, keep_for=time) for key, value, time in rules]
    account.keep_for = DAY
    history(20, tagged=True)

    told = forecast(account, rules, keep_for=None, new_rules=[], now=now)

    kept = retention(BillingMode.DAILY, DAY, rules, {("env", "prod")})
    standard = STANDARDS[BillingMode.DAILY]
    assert kept
    assert told.gb_days == round(100 * (standard - kept.keep_for) / DAY, 1)
    assert told.shorter == (kept.keep_for > standard)


def test_a_shorter_time_names_what_would_have_been_lost(history, account, now):
    account.keep_for = 10 * DAY
    account.save()
    history(20, back=30)
    history(20, back=1)
    history(12)

    told = forecast(account, [], keep_for=None, new_rules=[], now=now)

    assert (told.deletions, told.longer, told.shorter, told.lost) == (3, 0, 2, 1)
    assert told.gb_days < 0


def test_of_an_account_without_deletions_nothing_is_told(account, now):
    assert forecast(account, [], keep_for=DAY, new_rules=[], now=now) == Forecast()


def test_a_forecast_costs_the_same_whatever_it_looks_at(history, account, now):
    costs = []
    for _ in range(2):
        for _ in range(3):
            history(2)
        with CaptureQueriesContext(connection) as queries:
            forecast(account, [], keep_for=DAY, new_rules=[], now=now)
        costs.append(len(queries))

    assert costs == [1, 1]


# --- The page -------------------------------------------------------------------------------------


def test_the_page_shows_the_time_and_the_rules(alices, account, rule):
    RetentionRule.objects.create(account=account, key="team")
    account.keep_for = timedelta(hours=36)
    account.save()

    text = alices.get(URL).text

    for words in (
        "<b>env</b> prod",
        "1 day",
        "any value",
        "Standard only",
        'value="36"',
        "2 hours",
    ):
        assert words in text


def test_a_change_is_previewed_then_saved(alices, account, scope, history):
    history(3)

    preview = alices.post(
        f"{URL}account/", {"keep_for_0": "7", "keep_for_1": "86400", **scope}, headers=HTMX
    )
    account.refresh_from_db()
    before = account.keep_for
    saved = alices.post(
        f"{URL}account/", {"keep_for_0": "7", "keep_for_1": "86400", "confirmed": "1", **scope}
    )

    account.refresh_from_db()
    assert preview["HX-Retarget"] == "#dialog"
    assert preview.text.count("<dialog") == 1
    for words in (
        "standard, 2 hours",
        "<b>7 days</b>",
        "1 deletion",
        "1 would have been kept longer",
        "+291.7",
    ):
        assert words in preview.text, words
    assert 'name="keep_for_0" value="7"' in preview.text
    assert before is None
    assert account.keep_for == 7 * DAY
    assert (saved.status_code, saved.url) == (302, URL)
    assert said(saved) == ["The account keeps instances for: 7 days."]


def test_with_script_saving_closes_the_dialog_and_refreshes_the_page(alices, scope):
    entered = {"keep_for_0": "5", "keep_for_1": "3600", "confirmed": "1", **scope}

    response = alices.post(f"{URL}account/", entered, headers=HTMX)

    assert response["HX-Reswap"] == "none"
    assert {"done", "changed"} <= set(response["HX-Trigger"].replace('"', " ").split())
    assert "The account keeps instances for: 5 hours." in response.text


def test_without_script_the_preview_is_a_page(alices, scope):
    text = alices.post(f"{URL}account/", {"keep_for_0": "7", "keep_for_1": "86400", **scope}).text

    assert "<html" in text
    assert "Nothing was moved to the recycle bin in this time." in text


def test_a_rule_is_added_and_removed(alices, account, scope):
    entered = {
        "key": "env",
        "value": "",
        "means": "keep",
        "keep_for_0": "3",
        "keep_for_1": "86400",
        **scope,
    }
    preview = alices.post(f"{URL}rules/add/", entered)
    assert not RetentionRule.objects.exists()
    alices.post(f"{URL}rules/add/", {**entered, "confirmed": "1"})
    rule = RetentionRule.objects.get()
    asked = alices.get(f"{URL}rules/{rule.pk}/remove/", headers=HTMX)

    alices.post(f"{URL}rules/{rule.pk}/remove/", {"confirmed": "1", **scope})

    assert "Rule for env" in preview.text
    assert (rule.account, rule.key, rule.value, rule.keep_for) == (account, "env", "", 3 * DAY)
    assert "Remove the rule for env" in asked.text
    assert not RetentionRule.objects.exists()


def test_an_exclusion_has_no_time_of_its_own(alices, account, scope):
    entered = {
        "key": "env",
        "value": "test",
        "means": "exclude",
        "keep_for_0": "1",
        "keep_for_1": "3600",
        **scope,
    }

    alices.post(f"{URL}rules/add/", {**entered, "confirmed": "1"})

    assert RetentionRule.objects.get().keep_for is None


def test_saving_what_somebody_else_has_saved_says_so(alices, account, scope, rule):
    entered = {
        "key": "env",
        "value": "prod",
        "means": "keep",
        "keep_for_0": "1",
        "keep_for_1": "86400",
        **scope,
    }

    response = alices.post(f"{URL}rules/add/", {**entered, "confirmed": "1"})

    assert said(response) == [Refusal.ALREADY.label]


BAD_TIMES = [
    ("2", "3600"),
    ("31", "86400"),
    ("721", "3600"),
    ("-1", "86400"),
    ("x", "86400"),
    ("3", "7"),
    ("1.5", "86400"),
]


@pytest.mark.alike
@pytest.mark.parametrize(("number", "unit"), BAD_TIMES)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "piece"])
def test_times_that_make_no_sense_are_refused(alices, account, scope, number, unit, headers):
    entered = {"keep_for_0": number, "keep_for_1": unit, "confirmed": "1", **scope}

    response = alices.post(f"{URL}account/", entered, headers=headers)

    account.refresh_from_db()
    assert response.status_code == 422
    assert account.keep_for is None
    assert ("errorlist" in response.text) or ("toast" in response.text)


@pytest.mark.alike
@pytest.mark.parametrize(
    "entered",
    [
        {"key": ""},
        {"key": "k" * 129},
        {"key": "ksc-x"},
        {"value": "v" * 256},
        {"value": "KSCx"},
        {"key": "a\x00b"},
        {"means": "forget"},
        {"keep_for_0": ""},
        {"keep_for_0": "999"},
    ],
    ids=str,
)
def test_rules_that_make_no_sense_are_refused(alices, scope, entered):
    fields = {
        "key": "env",
        "value": "",
        "means": "keep",
        "keep_for_0": "3",
        "keep_for_1": "86400",
        "confirmed": "1",
    }

    response = alices.post(f"{URL}rules/add/", {**fields, **entered, **scope})

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert not RetentionRule.objects.exists()


def test_a_page_made_for_another_account_changes_nothing(alices, alice, account):
    other = Account.objects.create(name="Other")
    alice.memberships.create(account=other, role=30)

    response = alices.post(
        f"{URL}account/",
        {"keep_for_0": "7", "keep_for_1": "86400", "confirmed": "1", "scope": f"{other.pk}:"},
    )

    account.refresh_from_db()
    assert response.status_code == 422
    assert "You have switched the account in another window." in response.text
    assert account.keep_for is None


@pytest.mark.parametrize("name", ["oscar", "victor"])
def test_who_is_no_administrator_reads_why_not(client, request, name, scope, rule):
    client.force_login(request.getfixturevalue(name))
    removed = f"{URL}rules/{rule.pk}/remove/"

    answers = [client.get(URL), client.get(removed)]
    answers += [
        client.post(url, {**scope, "confirmed": "1"})
        for url in (f"{URL}account/", f"{URL}rules/add/", removed)
    ]

    assert [answer.status_code for answer in answers] == [403] * 5
    assert all("Your role does not allow this." in answer.text for answer in answers)
    assert f'href="{URL}"' not in client.get(reverse("recycle:overview")).text


def test_a_strangers_rule_is_not_there(client, mallory, rule):
    own = mallory.memberships.get().account
    client.force_login(mallory)

    for method in (client.get, client.post):
        assert (
            method(
                f"{URL}rules/{rule.pk}/remove/", {"confirmed": "1", "scope": f"{own.pk}:"}
            ).status_code
            == 404
        )
    assert "<b>env</b> prod" not in client.get(URL).text
    assert RetentionRule.objects.exists()


def test_the_page_costs_the_same_whatever_the_rules(alices, account):
    costs = []
    for number in range(2):
        for more in range(4):
            RetentionRule.objects.create(account=account, key=f"key-{number}-{more}", keep_for=DAY)
        alices.get(URL)
        with CaptureQueriesContext(connection) as queries:
            alices.get(URL)
        costs.append(len(queries))

    assert costs[0] == costs[1]
    assert costs[0] <= 8


def test_the_operation_log_tells_what_was_changed(alices, alice, account, rule, now):
    context = acting(alice, now)
    keep(only(account), 3 * DAY, context=context)
    remove_rules(RetentionRule.objects.all(), context=context)

    text = alices.get(reverse("recycle:log"), {"action": "update"}).text

    for words in (
        "Retention of the account",
        "standard → 3 days",
        "Retention, rule env=prod",
        "1 day → none",
    ):
        assert words in text


def test_the_admin_records_the_same_events(client, account, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    entered = {
        "account": account.pk,
        "key": "env",
        "value": "",
        "keep_for_0": "2",
        "keep_for_1": "86400",
    }

    client.post(reverse("admin:recycle_retentionrule_add"), entered)
    rule = RetentionRule.objects.get()
    change = reverse("admin:recycle_retentionrule_change", args=[rule.pk])
    client.post(change, {"keep_for_0": "", "keep_for_1": "86400"})
    client.post(reverse("admin:recycle_retentionrule_delete", args=[rule.pk]), {"post": "yes"})

    found = Event.objects.order_by("id").values_list(
        "by_name", "detail__retention__before", "detail__retention__after"
    )
    assert list(found) == [("root", None, 172_800), ("root", 172_800, 0), ("root", 0, None)]


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subject", "time", "words"),
    [
        ("standard", "", 2 * HOUR, "standard, 2 hours"),
        ("rule", "env\nprod", 7 * DAY, "rule env=prod, 7 days"),
        ("rule", "env\n", 7 * DAY, "rule env, 7 days"),
        ("rule", "a=b\nc", 7 * DAY, "rule a=b=c, 7 days"),
        ("account", "", 36 * HOUR, "set for the account, 1 day 12 hours"),
        ("extended", "alice", 3 * HOUR, "extended by alice, 3 hours"),
    ],
)
def test_where_the_time_comes_from_is_said_in_words(kind, subject, time, words):
    assert retention_label(kind, subject, time) == words


@pytest.mark.parametrize(
    ("time", "words"), [(timedelta(0), "0 minutes"), (timedelta(minutes=61), "1 hour 1 minute")]
)
def test_a_length_of_time_is_said_in_its_units(time, words):
    assert duration_label(time) == words


def test_the_delete_dialog_says_where_the_time_comes_from(
    alices, account, rule, make_instance, bind
):
    instance = make_instance()
    bind(instance)
    assert Instance.objects.exists()

    text = alices.get(reverse("recycle:delete"), {"ids": instance.pk}).text

    assert "(rule env=prod, 1 day)" in text
