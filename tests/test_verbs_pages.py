"""The verbs as people meet them: first the dialog, which says what would happen, then OK, which
does it and says so.
"""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions, forms
from recycle.actions.outcome import Failed, Outcome
from recycle.lifecycle import Action, State
from recycle.models import Account, Event, Instance, Membership, Region, Zone
from recycle.policy import BillingMode, Refusal, Role, may
from tests.conftest import HTMX, acting, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# What each verb is tried on, and where that leads.
VERBS = {
    Action.START: (State.STOPPED, BillingMode.DAILY, State.ACTIVE, "Started 1 instance."),
    Action.STOP: (State.ACTIVE, BillingMode.DAILY, State.STOPPED, "Stopped 1 instance."),
    Action.RESTART: (State.ACTIVE, BillingMode.DAILY, State.ACTIVE, "Restarted 1 instance."),
    Action.DELETE: (
        State.ACTIVE,
        BillingMode.DAILY,
        State.RECYCLED,
        "Moved 1 instance to the recycle bin.",
    ),
    Action.RENEW: (State.EXPIRED, BillingMode.MONTHLY, State.ACTIVE, "Renewed 1 instance."),
    Action.RESTORE: (
        State.RECYCLED,
        BillingMode.DAILY,
        State.STOPPED,
        "Restored 1 instance. It is stopped.",
    ),
    Action.PURGE: (State.RECYCLED, BillingMode.DAILY, State.PURGED, "Deleted 1 instance for good."),
}
every_verb = pytest.mark.parametrize("action", VERBS)


@pytest.fixture
def subject(action, make_instance):
    """An instance the verb can be carried out on."""
    state, billing_mode, *_ = VERBS[action]
    return make_instance(state, billing_mode, name="web")


def url(action):
    return reverse(f"recycle:{action}")


def ok(*instances, **more):
    """What the dialog's OK sends."""
    return {
        "ids": [instance.pk for instance in instances],
        "confirmed": "1",
        "confirm": "web",
        **more,
    }


def states(*instances):
    return [Instance.objects.get(pk=instance.pk).state for instance in instances]


def unchanged(*instances):
    """Nothing happened to any of them, nor was anything written down."""
    assert states(*instances) == [instance.state for instance in instances]
    assert not Event.objects.exists()
    return True


def fields_of(response, form="dialog"):
    """What the form in an answer would send, as a browser without a script reads it."""
    scope = re.search(
        r"<dialog.*?</dialog>" if form == "dialog" else rf'<form id="{form}".*?</form>',
        response.text,
        re.DOTALL,
    )
    assert scope, response.text[:2000]
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r'<input type="hidden"[^>]*>', scope[0]):
        name, value = (re.search(rf'{key}="([^"]*)"', tag) for key in ("name", "value"))
        if name and 'form="' not in tag:
            sent.setdefault(name[1], []).append(value[1].replace("&amp;", "&") if value else "")
    sent.pop("csrfmiddlewaretoken", None)
    return sent


# --- The dialog, then OK --------------------------------------------------------------------------


@pytest.mark.alike
@every_verb
def test_the_dialog_only_asks(client, alice, action, subject):
    client.force_login(alice)

    for answer in (
        client.get(url(action), {"ids": subject.pk}),
        client.post(url(action), {"ids": [subject.pk]}),
    ):
        assert answer.status_code == 200
        assert "<dialog" in answer.text
        assert "web" in answer.text
        assert ">OK<" in answer.text
    assert unchanged(subject)


@every_verb
def test_the_dialog_is_a_page_of_its_own_without_htmx_and_a_piece_with_it(
    client, alice, action, subject
):
    client.force_login(alice)

    page = client.get(url(action), {"ids": subject.pk})
    boosted = client.get(url(action), {"ids": subject.pk}, headers={**HTMX, "HX-Boosted": "true"})
    piece = client.get(url(action), {"ids": subject.pk}, headers=HTMX)

    for answer in (page, boosted):
        assert "<html" in answer.text
        assert re.search(r"<dialog[^>]* open ", answer.text)
        assert "HX-Retarget" not in answer
    assert "<html" not in piece.text
    assert not re.search(r"<dialog[^>]* open ", piece.text)
    assert piece["HX-Retarget"] == "#dialog"
    assert all("HX-Request" in answer["Vary"] for answer in (page, boosted, piece))


@every_verb
def test_a_get_never_does_anything_even_when_it_says_it_is_confirmed(
    client, alice, action, subject
):
    client.force_login(alice)

    response = client.get(url(action), ok(subject))

    assert response.status_code == 200
    assert unchanged(subject)


@every_verb
def test_without_javascript_the_whole_way_from_the_row_to_the_message(
    client, alice, action, subject
):
    *_, target, sentence = VERBS[action]
    client.force_login(alice)
    back = reverse("recycle:bin") + "?region=&size=50"

    dialog = client.get(url(action), {"ids": subject.pk, "back": back})
    response = client.post(url(action), {**fields_of(dialog), "confirm": "web"})

    assert response.status_code == 302
    assert response["Location"] == back
    assert states(subject) == [target]
    assert sentence in client.get(back).text


@every_verb
def test_with_htmx_ok_answers_with_the_message_and_what_to_refresh(client, alice, action, subject):
    *_, target, sentence = VERBS[action]
    client.force_login(alice)

    response = client.post(url(action), ok(subject), headers=HTMX)

    assert response.status_code == 200
    assert states(subject) == [target]
    assert sentence in response.text
    assert 'hx-swap-oob="innerHTML"' in response.text
    assert "<html" not in response.text
    assert response["HX-Reswap"] == "none"
    assert {"done", "changed"} <= set(response.headers["HX-Trigger"].replace('"', " ").split())


@every_verb
def test_a_stranger_is_told_that_there_is_no_such_instance(client, mallory, action, subject):
    client.force_login(mallory)

    for headers in ({}, HTMX):
        for answer in (
            client.get(url(action), {"ids": subject.pk}, headers=headers),
            client.post(url(action), ok(subject), headers=headers),
        ):
            assert answer.status_code == 404
            assert "1 instance was not found. Nothing was changed." in answer.text
            assert "web" not in answer.text
    assert unchanged(subject)


@every_verb
def test_who_belongs_to_no_account_may_do_nothing(client, django_user_model, action, subject):
    client.force_login(django_user_model.objects.create_user("nobody"))

    response = client.post(url(action), ok(subject))

    assert response.status_code == 403
    assert unchanged(subject)


@every_verb
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR])
def test_each_role_does_what_it_may_and_no_more(client, account, action, subject, role):
    client.force_login(make_user("somebody", account, role))

    dialog = client.get(url(action), {"ids": subject.pk})
    response = client.post(url(action), ok(subject), headers=HTMX)

    if may(role, action):
        assert (dialog.status_code, response.status_code) == (200, 200)
        assert Event.objects.get().by_name == "somebody"
    else:
        assert (dialog.status_code, response.status_code) == (403, 403)
        assert all(str(Refusal.ROLE.label) in answer.text for answer in (dialog, response))
        assert unchanged(subject)


def test_a_role_that_was_taken_away_counts_at_once(client, oscar, make_instance):
    instance = make_instance()
    client.force_login(oscar)
    client.get(url("stop"), {"ids": instance.pk})
    Membership.objects.filter(user=oscar).update(role=Role.VIEWER)

    response = client.post(url("stop"), ok(instance))

    assert response.status_code == 403
    assert unchanged(instance)


def test_an_operator_is_not_offered_what_only_administrators_may(client, oscar, recycled):
    client.force_login(oscar)

    bin_page = client.get(reverse("recycle:bin")).text

    assert "Batch Delete" not in bin_page
    assert f'href="{url("restore")}?ids={recycled.pk}' in bin_page
    assert f'href="{url("purge")}' not in bin_page


# --- What the dialogs say -------------------------------------------------------------------------


def test_a_delete_is_sorted_into_what_it_means_for_each(client, alice, make_instance, bind, now):
    daily, hourly = (
        make_instance(name="daily"),
        make_instance(billing_mode=BillingMode.HOURLY, name="hourly"),
    )
    make_instance(billing_mode=BillingMode.MONTHLY, name="monthly")
    make_instance(name="young", created_at=now - timedelta(minutes=10))
    bind(daily)
    client.force_login(alice)

    response = client.get(
        url("delete"), {"ids": list(Instance.objects.values_list("pk", flat=True))}
    )

    groups = {
        group.title: [line[0].name for line in group.lines] for group in response.context["groups"]
    }
    assert groups == {
        "Will move to the recycle bin": ["daily"],
        "Will be released at once, for good": ["hourly"],
        "Cannot be done": ["monthly", "young"],
    }
    for words in (
        "until ",
        "From ",
        "<b>SLB</b> front",
        "<b>EIP</b>",
        "<b>EBS</b> scratch",
        "env=prod",
        hourly.name,
    ):
        assert words in response.text
    assert response.context["expected"] == "hourly"
    assert str(response.context["title"]) == "Delete 4 instances"


def test_no_fees_is_offered_where_it_exists_and_refused_with_its_reason_elsewhere(
    client, alice, make_instance
):
    daily, hourly = make_instance(), make_instance(billing_mode=BillingMode.HOURLY)
    client.force_login(alice)

    offered = client.get(url("stop"), {"ids": [daily.pk, hourly.pk]}).text
    refused = client.get(url("stop"), {"ids": [daily.pk]}).text
    client.post(url("stop"), ok(daily, hourly, mode="StopCharging"))

    assert 'value="StopCharging" disabled' not in offered
    assert 'value="StopCharging" disabled' in refused
    assert str(Refusal.NO_FEES_MODE.label) in refused
    assert states(daily, hourly) == [State.ACTIVE, State.STOPPED]
    assert Instance.objects.get(pk=hourly.pk).no_fees


@pytest.mark.parametrize("months", [1, 9, 12, 36])
def test_renew_takes_the_months_that_are_offered(client, alice, make_instance, months, now):
    instance = make_instance(State.EXPIRED)
    client.force_login(alice)

    assert f'<option value="{months}"' in client.get(url("renew"), {"ids": instance.pk}).text
    client.post(url("renew"), ok(instance, months=months))

    left = Instance.objects.get(pk=instance.pk).expires_at - now
    assert timedelta(days=28 * months) < left < timedelta(days=31 * months + 3)


@pytest.mark.parametrize("months", ["0", "10", "-1", "1.5", "x", "\0", "9" * 30])
def test_renew_takes_no_other_months(client, alice, make_instance, months):
    instance = make_instance(State.EXPIRED)
    client.force_login(alice)

    assert client.post(url("renew"), ok(instance, months=months)).status_code == 400
    assert unchanged(instance)


def test_the_reason_is_kept_and_its_markup_is_only_text(client, alice, make_instance):
    instance = make_instance()
    client.force_login(alice)

    client.post(url("delete"), ok(instance, reason=" <b>wrong</b> stack "))

    assert Event.objects.get().reason == "<b>wrong</b> stack"
    for name in ("bin", "log"):
        assert "&lt;b&gt;wrong&lt;/b&gt; stack" in client.get(reverse(f"recycle:{name}")).text


def test_a_name_with_markup_is_only_text_wherever_it_is_shown(client, alice, make_instance):
    instance = make_instance(name="<script>x</script>")
    client.force_login(alice)

    answers = [
        client.get(reverse("recycle:instances")),
        client.get(reverse("recycle:instance", args=[instance.pk])),
        client.get(url("delete"), {"ids": instance.pk}),
        client.post(url("start"), ok(instance), headers=HTMX),
        client.post(url("delete"), ok(instance), headers=HTMX),
        client.get(reverse("recycle:bin")),
        client.get(reverse("recycle:log")),
    ]

    assert all("<script>x" not in answer.text for answer in answers)
    assert all("&lt;script&gt;x" in answers[index].text for index in (0, 1, 2, 3, 5, 6))


# --- Nothing brings it back: retyping -------------------------------------------------------------

FINAL = {
    "purge": (Action.PURGE, State.RECYCLED, BillingMode.DAILY),
    "release": (Action.DELETE, State.ACTIVE, BillingMode.HOURLY),
}
final_verbs = pytest.mark.parametrize(
    ("action", "state", "billing_mode"), FINAL.values(), ids=FINAL
)


@pytest.mark.alike
@final_verbs
@pytest.mark.parametrize("typed", ["", "WEB", "web-2", "1", "we b"])
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "partial"])
def test_one_goes_for_good_only_when_its_name_is_typed(
    client, alice, make_instance, action, state, billing_mode, typed, headers
):
    instance = make_instance(state, billing_mode, name="web")
    client.force_login(alice)

    response = client.post(url(action), ok(instance, confirm=typed, reason="gone"), headers=headers)

    assert response.status_code == 422
    assert "Type exactly what is asked for." in response.text
    assert "<b>web</b>" in response.text
    assert 'value="gone"' in response.text
    assert unchanged(instance)


@final_verbs
def test_several_go_for_good_only_when_their_number_is_typed(
    client, alice, make_instance, action, state, billing_mode
):
    instances = [make_instance(state, billing_mode) for _ in range(3)]
    client.force_login(alice)

    wrong = client.post(url(action), ok(*instances, confirm=instances[0].name))
    assert wrong.status_code == 422
    assert unchanged(*instances)

    client.post(url(action), ok(*instances, confirm=" 3 "))
    assert set(states(*instances)) == {State.PURGED}


@pytest.mark.parametrize("name", [" web ", "  "])
def test_a_name_with_space_around_it_can_be_typed_and_one_of_space_alone_still_asks(
    client, alice, make_instance, name
):
    instance = make_instance(State.RECYCLED, name=name)
    client.force_login(alice)

    assert client.post(url("purge"), ok(instance, confirm="")).status_code == 422
    client.post(url("purge"), ok(instance, confirm=name.strip() or "1"))

    assert states(instance) == [State.PURGED]


def test_what_the_dialog_called_recoverable_is_not_released(client, alice, make_instance):
    instance = make_instance(name="web")
    client.force_login(alice)
    dialog = client.get(url("delete"), {"ids": instance.pk})
    Instance.objects.update(billing_mode=BillingMode.HOURLY)

    response = client.post(url("delete"), fields_of(dialog))

    assert response.status_code == 422
    assert response.context["expected"] == "web"
    assert unchanged(instance)


def patch(monkeypatch, action, carry_out):
    """Have the table of the verbs name another function for an action."""
    row = forms.VERBS[action]._replace(carry_out=carry_out)
    monkeypatch.setitem(forms.VERBS, action, row)


def test_what_changes_between_question_and_lock_is_refused_by_the_action(
    client, alice, make_instance, monkeypatch
):
    instance = make_instance()
    client.force_login(alice)

    delete = actions.delete

    def meanwhile(instances, **options):
        if not options.get("dry_run"):
            Instance.objects.update(billing_mode=BillingMode.HOURLY)
        return delete(instances, **options)

    patch(monkeypatch, Action.DELETE, meanwhile)
    response = client.post(url("delete"), ok(instance), headers=HTMX)

    assert str(Refusal.UNCONFIRMED.label) in response.text
    assert unchanged(instance)


@pytest.mark.parametrize(
    ("action", "times"), [(Action.DELETE, 1), (Action.RESTORE, 1), (Action.PURGE, 2)]
)
def test_ok_judges_twice_only_where_something_has_to_be_retyped(
    client, alice, action, subject, times
):
    client.force_login(alice)

    with CaptureQueriesContext(connection) as queries:
        client.post(url(action), ok(subject, confirm="web"))

    judged = re.compile(r'^SELECT (?!.*"image_name")[^=]*"protected"[^=]* FROM "recycle_instance"')
    assert states(subject) == [VERBS[action][2]]
    assert sum(bool(judged.search(query["sql"])) for query in queries) == times


# --- What came of it ------------------------------------------------------------------------------


def test_what_is_refused_holds_up_nobody_and_stays_selected(client, alice, make_instance, now):
    good = make_instance(State.RECYCLED, name="good")
    ended = make_instance(
        State.RECYCLED, name="ended", recycled_at=now - timedelta(hours=2), purge_at=now
    )
    running = make_instance(name="running")
    client.force_login(alice)

    response = client.post(
        url("restore"), ok(good, ended, running, back=reverse("recycle:bin")), follow=True
    )

    assert states(good, ended, running) == [State.STOPPED, State.RECYCLED, State.ACTIVE]
    assert "Restored 1 instance. It is stopped." in response.text
    assert "2 instances were left alone:" in response.text
    assert f"<li>ended: {Refusal.PAST_DEADLINE.label}</li>" in response.text
    assert f"<li>running: {Refusal.RUNNING.label}</li>" in response.text
    assert re.search(rf'value="{ended.pk}"[^>]*checked', response.text)
    assert not re.search(r'name="ids"[^>]*checked', client.get(reverse("recycle:bin")).text)


def test_what_the_database_rejects_is_said_without_its_words(
    client, alice, make_instance, monkeypatch
):
    instance = make_instance(name="web")
    client.force_login(alice)
    failed = Failed(instance.pk, instance.name, "UNIQUE constraint failed: secret_table")
    outcome = Outcome(Action.STOP, failed=[failed])
    patch(monkeypatch, Action.STOP, lambda instances, **options: outcome)

    response = client.post(url("stop"), ok(instance), headers=HTMX)

    assert "1 instance failed:" in response.text
    assert "web: The database rejected the change." in response.text
    assert "UNIQUE" not in response.text
    assert str(instance.pk) in response["HX-Trigger"]


def test_the_message_of_a_restore_leads_to_the_restored(client, alice, make_instance):
    restored = [make_instance(State.RECYCLED) for _ in range(2)]
    make_instance()
    client.force_login(alice)

    response = client.post(url("restore"), ok(*restored), follow=True)

    assert "Restored 2 instances. They are stopped." in response.text
    (link,) = re.findall(r'<a href="([^"]*batch=[^"]*)"', response.text)
    assert {row.pk for row in client.get(link).context["page"].rows} == {
        instance.pk for instance in restored
    }


def test_a_mixed_delete_says_both_that_some_moved_and_some_are_gone(client, alice, make_instance):
    daily, hourly = make_instance(), make_instance(billing_mode=BillingMode.HOURLY, name="web")
    client.force_login(alice)

    response = client.post(url("delete"), ok(daily, hourly), headers=HTMX)

    assert "Moved 1 instance to the recycle bin." in response.text
    assert "Released 1 instance for good." in response.text


def test_a_message_names_ten_reasons_at_most(client, alice, make_instance):
    running = [make_instance() for _ in range(12)]
    client.force_login(alice)

    response = client.post(url("start"), ok(*running), headers=HTMX)

    assert response.text.count(str(Refusal.RUNNING.label)) == 10
    assert "and 2 more" in response.text


def test_ok_pressed_twice_does_it_once(client, alice, make_instance):
    instance = make_instance()
    client.force_login(alice)

    client.post(url("delete"), ok(instance))
    second = client.post(url("delete"), ok(instance), headers=HTMX)

    assert str(Refusal.IN_BIN.label) in second.text
    assert Event.objects.count() == 1


@every_verb
def test_a_verb_is_refused_with_a_reason_in_every_state_it_does_not_fit(
    client, alice, make_instance, action
):
    for state in State:
        instance = make_instance(state)
        client.force_login(alice)

        dialog = client.get(url(action), {"ids": instance.pk})
        answer = client.post(url(action), ok(instance, confirm=instance.name), headers=HTMX)

        assert (dialog.status_code, answer.status_code) == (200, 200)
        offered = ">OK<" in dialog.text
        assert offered is Event.objects.filter(instance_id=instance.pk).exists()
        assert offered is ("left alone" not in answer.text)


# --- Select all that match ------------------------------------------------------------------------


def work_off_jobs():
    """All that match become a batch job."""
    actions.carry_out_jobs(context=acting(None))


@pytest.fixture
def shown(client, alice):
    """Alice looks at a list; the answer is what its form sends for all that match."""
    client.force_login(alice)

    def show(name, **query):
        fields = fields_of(client.get(reverse(f"recycle:{name}"), query), form=name)
        assert {"back", "scope", "as_of"} == set(fields)
        return {**fields, "all": "1"}

    return show


def test_all_that_match_means_the_filter_over_all_pages(client, shown, make_instance):
    matching = [make_instance(State.RECYCLED, name=f"web-{number}") for number in range(25)]
    other = make_instance(State.RECYCLED, name="db")
    selection = shown("bin", q="web", size="10")

    dialog = client.post(url("restore"), selection)
    client.post(url("restore"), fields_of(dialog))
    work_off_jobs()

    assert str(dialog.context["title"]) == "Restore 25 instances"
    assert set(states(*matching)) == {State.STOPPED}
    assert states(other) == [State.RECYCLED]


def test_all_that_match_goes_the_whole_way_on_every_list(client, shown, make_instance):
    running, expired = make_instance(), make_instance(State.EXPIRED)

    client.post(url("stop"), {**shown("instances", status="active"), "confirmed": "1"})
    client.post(url("renew"), {**shown("expired"), "confirmed": "1"})
    work_off_jobs()

    assert states(running, expired) == [State.STOPPED, State.ACTIVE]


@pytest.mark.parametrize("step", ["before the dialog", "before OK"])
def test_what_came_after_the_list_was_shown_is_left_alone(
    client, shown, make_instance, oscar, step
):
    old = make_instance(State.RECYCLED)
    selection = shown("bin")
    if step == "before OK":
        selection = fields_of(client.post(url("restore"), selection))
    new = make_instance()
    actions.delete(Instance.objects.filter(pk=new.pk), may_release=False, context=acting(oscar))

    client.post(url("restore"), {**selection, "confirmed": "1"})
    work_off_jobs()

    assert states(old, new) == [State.STOPPED, State.RECYCLED]


def test_what_somebody_acted_on_meanwhile_is_left_alone(client, shown, make_instance, oscar):
    kept, touched = make_instance(), make_instance()
    selection = shown("instances", status="active")
    actions.restart(Instance.objects.filter(pk=touched.pk), context=acting(oscar))

    client.post(url("stop"), {**selection, "confirmed": "1"})
    work_off_jobs()

    assert states(kept, touched) == [State.STOPPED, State.ACTIVE]


def test_time_that_passes_brings_no_more_into_what_ends_soon(
    client, shown, make_instance, now, time_machine
):
    soon = make_instance(State.RECYCLED, purge_at=now + timedelta(minutes=14))
    later = make_instance(State.RECYCLED, purge_at=now + timedelta(minutes=20))
    selection = shown("bin", ends="15")

    time_machine.move_to(now + timedelta(minutes=10))
    client.post(url("restore"), {**selection, "confirmed": "1"})
    work_off_jobs()

    assert states(soon, later) == [State.STOPPED, State.RECYCLED]


WRONG_ALL = {
    "no back": {"back": ""},
    "another host": {"back": "https://evil.example/recycle-bin/"},
    "no scheme": {"back": "//evil.example/recycle-bin/"},
    "backslashes": {"back": "/\\evil.example/recycle-bin/"},
    "a broken address": {"back": "//["},
    "a page that is no list": {"back": "/operation-log/"},
    "the overview": {"back": "/"},
    "nowhere": {"back": "/nowhere/"},
    "a script": {"back": "javascript:alert(1)"},
    "an address that is too long": {"back": "/recycle-bin/?q=web&x=" + "x" * 9000},
    "NUL": {"back": "/recycle-bin/\0"},
    "a filter that makes no sense": {"back": "/recycle-bin/?zone=mars"},
    "a forged cursor": {"back": "/recycle-bin/?cursor=x"},
    "reversed dates": {"back": "/recycle-bin/?deleted_from=2026-02-02&deleted_to=2026-02-01"},
    "no scope": {"scope": ""},
    "no moment": {"as_of": ""},
    "a moment that is none": {"as_of": "yesterday"},
    "a moment without a zone": {"as_of": "2026-01-01T00:00:00"},
    "a thirteenth month": {"as_of": "2026-13-01T00:00:00+00:00"},
    "before all time": {"as_of": "0001-01-01T00:00:00+14:00"},
    "after all time": {"as_of": "9999-12-31T23:59:59-14:00"},
}


@pytest.mark.alike
@pytest.mark.parametrize("wrong", WRONG_ALL.values(), ids=WRONG_ALL)
@pytest.mark.parametrize("confirmed", ["", "1"], ids=["dialog", "OK"])
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "partial"])
def test_all_of_a_list_that_makes_no_sense_is_nothing(
    client, shown, make_instance, wrong, confirmed, headers
):
    instances = [make_instance(State.RECYCLED, name=f"web-{number}") for number in range(2)]
    selection = {**shown("bin", q="web-0"), "confirmed": confirmed, **wrong}

    response = client.post(url("restore"), selection, headers=headers)

    assert response.status_code == 400
    assert "<dialog" not in response.text
    assert "evil" not in response.get("Location", "")
    assert unchanged(*instances)


def test_all_of_a_list_is_only_ever_the_persons_own(client, shown, mallory, recycled):
    selection = shown("bin")
    scope = f"{Membership.objects.get(user=mallory).account_id}:"
    client.force_login(mallory)

    foreign = client.post(url("restore"), {**selection, "confirmed": "1"})
    forged = client.post(
        url("restore"), {**selection, "scope": scope, "confirmed": "1"}, headers=HTMX
    )

    assert foreign.status_code == 400
    assert "Restored" not in forged.text
    assert unchanged(recycled)


# --- Another window -------------------------------------------------------------------------------


@pytest.fixture
def second(alice, zone):
    """Another account of Alice's, with an instance of the same kind."""
    account = Account.objects.create(name="Zeta")
    Membership.objects.create(user=alice, account=account, role=Role.ADMINISTRATOR)
    return account


@pytest.mark.parametrize("everything", [True, False], ids=["all", "by id"])
def test_a_form_from_a_window_of_another_account_is_refused(
    client, shown, second, recycled, everything, make_instance
):
    theirs = make_instance(State.RECYCLED, account=second)
    selection = shown("bin")
    if not everything:
        selection = {"ids": [recycled.pk], "scope": selection["scope"]}
    client.post(reverse("recycle:account"), {"account": second.pk})

    response = client.post(url("restore"), {**selection, "confirmed": "1"})

    assert response.status_code in (400, 404)
    assert "Nothing was changed." in response.text
    assert unchanged(recycled, theirs)


def test_all_from_a_window_of_another_region_is_refused_but_not_what_was_named(
    client, shown, make_instance, recycled
):
    region = Region.objects.create(code="cn-shanghai-2", name="Shanghai")
    elsewhere = make_instance(
        State.RECYCLED, zone=Zone.objects.create(code="cn-shanghai-2a", region=region)
    )
    selection = shown("bin", region="cn-beijing-6")
    client.get(reverse("recycle:bin"), {"region": "cn-shanghai-2"})

    refused = client.post(url("restore"), {**selection, "confirmed": "1"})
    assert refused.status_code == 400
    assert "another window" in refused.text
    assert unchanged(recycled, elsewhere)

    client.post(url("restore"), ok(recycled, scope=selection["scope"][0]))
    assert states(recycled, elsewhere) == [State.STOPPED, State.RECYCLED]


def test_the_dialog_stands_for_the_account_it_was_opened_in(client, alice, second, recycled):
    client.force_login(alice)
    dialog = client.get(url("restore"), {"ids": recycled.pk})
    client.post(reverse("recycle:account"), {"account": second.pk})

    response = client.post(url("restore"), fields_of(dialog))

    assert response.status_code in (400, 404)
    assert unchanged(recycled)


# --- Bad input ------------------------------------------------------------------------------------


@every_verb
def test_an_empty_selection_is_sent_back_with_a_sentence(client, alice, action, subject):
    client.force_login(alice)

    page = client.post(url(action), {"confirmed": "1", "back": "/recycle-bin/"}, follow=True)
    piece = client.post(url(action), {"confirmed": "1"}, headers=HTMX)

    assert page.redirect_chain == [("/recycle-bin/?region=", 302)]
    assert "Select at least one instance." in page.text
    assert piece.status_code == 400
    assert "Select at least one instance." in piece.text
    assert unchanged(subject)


@every_verb
def test_an_id_that_is_none_refuses_the_whole_request(client, alice, action, subject):
    client.force_login(alice)

    for bad in ("x", "", "1", "' OR 1=1 --", "\0", "0" * 33, "é", "../../etc/passwd", "x" * 5000):
        response = client.post(url(action), {**ok(subject), "ids": [subject.pk, bad]}, headers=HTMX)

        assert response.status_code == 404
        assert "That is not the ID of an instance." in response.text
    assert unchanged(subject)


@every_verb
def test_one_unknown_id_among_good_ones_refuses_them_all(client, alice, action, subject):
    client.force_login(alice)

    response = client.post(url(action), {**ok(subject), "ids": [subject.pk, uuid4(), uuid4()]})

    assert response.status_code == 404
    assert "2 instances were not found. Nothing was changed." in response.text
    assert unchanged(subject)


def test_a_foreign_id_is_not_told_from_an_unknown_one(client, alice, mallory, make_instance):
    theirs = make_instance(account=mallory.memberships.get().account, name="theirs")
    client.force_login(alice)

    foreign = client.post(url("stop"), ok(theirs), headers=HTMX)
    unknown = client.post(url("stop"), {**ok(), "ids": [uuid4()]}, headers=HTMX)

    assert (foreign.status_code, foreign.text) == (unknown.status_code, unknown.text)
    assert unchanged(theirs)


def test_the_same_id_twice_is_one_instance_however_it_is_spelled(client, alice, make_instance):
    instance = make_instance()
    client.force_login(alice)
    spelled = [str(instance.pk), str(instance.pk).upper(), instance.pk.hex, f"{{{instance.pk}}}"]

    response = client.post(url("stop"), {**ok(), "ids": spelled}, headers=HTMX)

    assert "Stopped 1 instance." in response.text
    assert Event.objects.count() == 1


@pytest.mark.parametrize("count", [forms.MAX_NAMED + 1, 10_000, 20_001])
def test_too_many_ids_are_refused_with_a_sentence(client, alice, make_instance, count):
    instance = make_instance()
    client.force_login(alice)
    ids = [instance.pk, *(uuid4() for _ in range(count - 1))]

    response = client.post(url("stop"), {**ok(), "ids": ids})

    assert response.status_code == 400
    assert "Nothing was changed" in response.text
    assert unchanged(instance)


def test_as_many_ids_as_fit_are_carried_out(client, alice, make_instance, monkeypatch):
    monkeypatch.setattr(forms, "MAX_NAMED", 3)
    instances = [make_instance() for _ in range(3)]
    client.force_login(alice)

    client.post(url("stop"), ok(*instances))

    assert set(states(*instances)) == {State.STOPPED}


@pytest.mark.alike
@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "a" * 201},
        {"reason": "\0"},
        {"confirm": "a" * 1_001},
        {"confirm": "\0"},
        {"scope": "9" * 65},
        {"mode": "x"},
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "partial"])
def test_text_that_does_not_fit_changes_nothing(client, alice, make_instance, wrong, headers):
    instance = make_instance()
    client.force_login(alice)

    response = client.post(url("stop"), ok(instance, **wrong), headers=headers)

    assert response.status_code == 400
    assert unchanged(instance)


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "///evil.example",
        "javascript:alert(1)",
        "\t//evil",
    ],
)
def test_the_way_back_never_leads_to_another_host(client, alice, make_instance, back):
    instance = make_instance()
    client.force_login(alice)

    dialog = client.get(url("stop"), {"ids": instance.pk, "back": back})
    done = client.post(url("stop"), ok(instance, back=back))
    empty = client.post(url("stop"), {"back": back})

    assert fields_of(dialog)["back"] == [reverse("recycle:instances")]
    assert done["Location"] == empty["Location"] == reverse("recycle:instances")


def test_other_methods_are_not_allowed(client, alice):
    client.force_login(alice)

    for action in VERBS:
        for method in ("put", "patch", "delete"):
            assert getattr(client, method)(url(action)).status_code == 405
