"""Batch jobs as people meet them: the dialog that becomes one, its page, the list, the tray."""

import csv
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions
from recycle.actions import JobOrder, jobs
from recycle.forms import selection
from recycle.lifecycle import Action, State
from recycle.models import BatchJob, Event, Instance, JobState, Membership
from recycle.policy import BillingMode, Refusal, Role
from recycle.views import jobs as pages
from recycle.views.verbs import dialog
from tests.conftest import HTMX, acting
from tests.poison import Poison
from tests.test_verbs_pages import fields_of

pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture
def alice_in(client, alice):
    client.force_login(alice)
    return client


def everything(client, name, **query):
    """What the form of a list sends for all that match."""
    fields = fields_of(client.get(reverse(f"recycle:{name}"), query), form=name)
    return {**fields, "all": "1"}


def url(action):
    return reverse(f"recycle:{action}")


def page_of(job):
    return reverse("recycle:job", args=[job.pk])


def work():
    actions.carry_out_jobs(context=acting(None))


def ask(by, action, now, **parameters):
    order = JobOrder(account=by.memberships.get().account, action=action, parameters=parameters)
    rows = Instance.objects.filter(account=order.account).order_by("name")
    actions.request_job(rows, order, context=acting(by, now, reason="night"))
    return BatchJob.objects.get(by=by, action=action)


# --- The dialog -----------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "partial"])
def test_all_that_match_becomes_a_job_and_leads_to_its_page(alice_in, make_instance, headers):
    matching = [make_instance(State.RECYCLED, name=f"web-{number}") for number in range(3)]
    other = make_instance(State.RECYCLED, name="db")

    answer = alice_in.post(
        url("restore"),
        {**everything(alice_in, "bin", q="web"), "confirmed": "1", "reason": "night"},
        headers=headers,
    )

    job = BatchJob.objects.get()
    assert answer.get("HX-Redirect" if headers else "Location") == page_of(job)
    assert (job.action, job.total, job.reason, job.state) == ("restore", 3, "night", "waiting")
    assert job.chosen == "/recycle-bin/?region=&q=web"
    assert "This goes on as a batch job." in alice_in.get(page_of(job)).text
    work()
    states = {each.name: each.state for each in Instance.objects.all()}
    assert states == {**{each.name: State.STOPPED for each in matching}, other.name: "recycled"}


def test_many_named_one_by_one_become_a_job_and_few_are_done_at_once(
    alice_in, make_instance, monkeypatch
):
    monkeypatch.setattr(selection, "AT_ONCE", 2)
    instances = [make_instance() for _ in range(3)]

    alice_in.post(url("stop"), {"ids": [each.pk for each in instances[:2]], "confirmed": "1"})
    assert not BatchJob.objects.exists()
    assert Instance.objects.filter(state=State.STOPPED).count() == 2
    alice_in.post(url("protect"), {"ids": [each.pk for each in instances], "confirmed": "1"})

    assert (BatchJob.objects.get().total, BatchJob.objects.get().chosen) == (3, "")
    assert not Instance.objects.filter(protected=True).exists()


def test_the_dialog_of_a_large_job_shows_the_first_part_and_counts_all(
    alice_in, make_instance, monkeypatch
):
    monkeypatch.setattr(dialog, "PREVIEWED", 2)
    monkeypatch.setattr("recycle.views.verbs.PREVIEWED", 2)
    for _ in range(5):
        make_instance(State.RECYCLED)

    shown = alice_in.post(url("restore"), everything(alice_in, "bin"))

    assert str(shown.context["title"]) == "Restore 5 instances"
    assert "of the first 2 of 5" in shown.text
    [group] = shown.context["groups"]
    assert len(group.members) == 2
    assert not shown.context["expected"]


def test_what_is_final_is_retyped_by_its_number_beyond_what_is_shown_as_well(
    alice_in, make_instance, monkeypatch
):
    monkeypatch.setattr(dialog, "PREVIEWED", 2)
    monkeypatch.setattr("recycle.views.verbs.PREVIEWED", 2)
    for number in range(4):
        make_instance(name=f"a-{number}")
    make_instance(billing_mode=BillingMode.HOURLY, name="z")
    selected = {**everything(alice_in, "instances"), "confirmed": "1"}

    wrong = alice_in.post(url("delete"), {**selected, "confirm": "2"})
    assert (wrong.status_code, wrong.context["expected"]) == (422, "5")
    assert not BatchJob.objects.exists()
    alice_in.post(url("delete"), {**selected, "confirm": "5"})
    work()

    job = BatchJob.objects.get()
    assert (job.parameters, job.done) == ({"may_release": True}, 5)
    shown = alice_in.get(page_of(job)).text
    assert "Moved 4 instances to the recycle bin." in shown
    assert "Released 1 instance for good." in shown


def test_a_purge_of_all_that_match_is_retyped(alice_in, make_instance):
    for _ in range(3):
        make_instance(State.RECYCLED)
    selected = {**everything(alice_in, "bin"), "confirmed": "1"}

    assert alice_in.post(url("purge"), selected).status_code == 422
    alice_in.post(url("purge"), {**selected, "confirm": "3"})
    work()

    assert Instance.objects.filter(state=State.PURGED).count() == 3


def test_nothing_that_matches_any_more_is_no_job(alice_in, recycled, now):
    selected = {**everything(alice_in, "bin"), "confirmed": "1"}
    Instance.objects.update(changed_at=now + timedelta(minutes=1))

    answer = alice_in.post(url("restore"), selected, headers=HTMX)

    assert "None of the selected instances is there any more." in answer.text
    assert not BatchJob.objects.exists()


# --- The page of a job ----------------------------------------------------------------------------


def test_the_page_follows_a_job_and_stops_when_it_is_over(
    alice_in, alice, make_instance, monkeypatch, now
):
    monkeypatch.setattr(jobs, "CHUNK", 2)
    for _ in range(3):
        make_instance()
    job = ask(alice, Action.STOP, now, no_fees=False)
    actions.carry_out_jobs(context=acting(None), limit=1)

    running = alice_in.get(page_of(job))
    piece = alice_in.get(page_of(job), headers=HTMX)

    assert "2 of 3 · 2 done · 0 refused · 0 failed" in running.text
    assert 'http-equiv="refresh"' in running.text
    assert 'hx-trigger="every 2s"' in piece.text
    assert "<html" not in piece.text
    work()
    over = alice_in.get(page_of(job))
    assert "Finished" in over.text
    assert 'http-equiv="refresh"' not in over.text
    assert "every 2s" not in over.text
    assert 'hx-get="/jobs/tray/"' not in over.text


def test_what_was_left_alone_is_grouped_by_its_reason_and_named(
    alice_in, alice, make_instance, now, monkeypatch
):
    monkeypatch.setattr(pages, "NAMED", 2)
    for number in range(3):
        make_instance(State.STOPPED, name=f"off-{number}")
    bad = make_instance(name="bad")
    job = ask(alice, Action.STOP, now, no_fees=False)
    poison = Poison([bad])
    work()
    poison.lift()

    shown = alice_in.get(page_of(job))

    reasons = {group.reason: (group.count, group.more) for group in shown.context["left"]}
    assert reasons[str(Refusal.STOPPED.label)] == (3, 1)
    assert list(reasons.values())[1] == (1, 0)
    assert "off-0" in shown.text
    assert "and 1 more" in shown.text
    # What the database said is for who runs the console.
    assert "poisoned" not in shown.text
    alice.is_superuser = True
    alice.save()
    assert "poisoned" in alice_in.get(page_of(job)).text


def test_the_results_are_a_file(alice_in, alice, make_instance, now):
    make_instance(name="web-1")
    make_instance(State.STOPPED, name="web-2")
    job = ask(alice, Action.STOP, now, no_fees=False)
    work()

    text = alice_in.get(reverse("recycle:job_results", args=[job.pk])).getvalue().decode()

    rows = list(csv.reader(text.lstrip("\ufeff").splitlines()))
    assert [row[1:4] for row in rows[:3]] == [
        ["Name", "Outcome", "Reason"],
        ["web-1", "Done", "Stop"],
        ["web-2", "Refused", "It is stopped."],
    ]


def test_what_a_job_deleted_is_found_and_restored_from_its_page(
    alice_in, alice, make_instance, now
):
    deleted, other = make_instance(name="web"), make_instance(State.RECYCLED, name="other")
    job = ask(alice, Action.DELETE, now, may_release=False)
    work()
    shown = alice_in.get(page_of(job))
    links = dict(shown.context["onward"])

    in_bin = alice_in.get(links["Show them in the recycle bin"])
    assert [row.name for row in in_bin.context["page"].rows] == ["web"]
    restoring = alice_in.get(links["Restore these"])
    answer = alice_in.post(url("restore"), fields_of(restoring))
    work()

    assert answer.status_code == 302
    states = {each.pk: each.state for each in Instance.objects.all()}
    assert states == {deleted.pk: State.STOPPED, other.pk: State.RECYCLED}


def test_a_job_is_cancelled_and_what_failed_is_tried_again_from_its_page(
    alice_in, alice, make_instance, now
):
    bad = make_instance(name="bad")
    make_instance(name="good")
    job = ask(alice, Action.STOP, now, no_fees=False)
    poison = Poison([bad])
    work()
    poison.lift()

    answer = alice_in.post(reverse("recycle:retry_job", args=[job.pk]))
    again = BatchJob.objects.get(retry_of=job)
    assert answer["Location"] == page_of(again)
    assert "Retry failed" not in alice_in.get(page_of(job)).text
    answer = alice_in.post(reverse("recycle:cancel_job", args=[again.pk]), follow=True)

    again.refresh_from_db()
    assert again.state == JobState.CANCELLED
    assert "What was done stays." in answer.text
    answer = alice_in.post(reverse("recycle:cancel_job", args=[again.pk]), follow=True)
    assert str(Refusal.OVER.label) in answer.text


def test_a_job_of_somebody_else_is_only_looked_at(client, oscar, victor, make_instance, now):
    make_instance()
    job = ask(oscar, Action.STOP, now, no_fees=False)
    client.force_login(victor)

    shown = client.get(page_of(job))
    answer = client.post(reverse("recycle:cancel_job", args=[job.pk]))

    assert "Cancel the job" not in shown.text
    assert answer.status_code == 403
    job.refresh_from_db()
    assert job.state == JobState.WAITING


@pytest.mark.parametrize("name", ["job", "job_results", "cancel_job", "retry_job"])
def test_a_stranger_finds_no_job(client, alice, mallory, make_instance, now, name):
    make_instance()
    job = ask(alice, Action.STOP, now, no_fees=False)
    client.force_login(mallory)
    address = reverse(f"recycle:{name}", args=[job.pk])

    post = name in ("cancel_job", "retry_job")
    answer = client.post(address) if post else client.get(address)

    assert answer.status_code == 404
    job.refresh_from_db()
    assert job.state == JobState.WAITING


# --- The list and the tray ------------------------------------------------------------------------


def test_the_list_has_the_jobs_of_the_account_and_filters_them(
    client, alice, oscar, mallory, make_instance, now
):
    make_instance()
    make_instance(account=mallory.memberships.get().account)
    mine, his = ask(alice, Action.STOP, now, no_fees=False), ask(oscar, Action.PROTECT, now)
    ask(mallory, Action.PROTECT, now)
    actions.cancel(mine, context=acting(alice, now))
    client.force_login(alice)

    def listed(**query):
        page = client.get(reverse("recycle:jobs"), query).context["page"]
        return {job.pk for job in page.rows}

    assert listed() == {mine.pk, his.pk}
    assert listed(state="cancelled") == {mine.pk}
    assert listed(action="protect") == {his.pk}
    assert listed(q="oscar") == {his.pk}
    assert "No batch job matches" in client.get(reverse("recycle:jobs"), {"q": "nobody"}).text


def test_every_page_shows_what_runs_and_asks_again_only_then(
    client, alice, mallory, make_instance, now
):
    make_instance()
    client.force_login(alice)
    quiet = client.get(reverse("recycle:volumes")).text
    ask(alice, Action.STOP, now, no_fees=False)
    busy = client.get(reverse("recycle:volumes")).text

    assert "every 5s" not in quiet
    assert re.search(r'id="tray" hx-get="/jobs/tray/" hx-trigger="every 5s"', busy)
    assert "1 batch job · 0%" in busy
    with CaptureQueriesContext(connection) as queries:
        assert "1 batch job" in client.get(reverse("recycle:job_tray"), headers=HTMX).text
    assert len(queries) <= 5
    client.force_login(mallory)
    assert "batch job ·" not in client.get(reverse("recycle:volumes")).text


def test_the_log_names_the_job_and_leads_to_it(alice_in, alice, make_instance, now):
    make_instance()
    job = ask(alice, Action.STOP, now, no_fees=False)
    work()

    shown = alice_in.get(reverse("recycle:log"), {"batch": job.pk})

    assert len(shown.context["page"].rows) == 2
    assert f'<a href="{page_of(job)}">stop (1)</a>' in shown.text


def test_the_list_costs_the_same_however_many_jobs_there_are(alice_in, alice, make_instance, now):
    make_instance()
    costs = set()
    for action in (Action.STOP, Action.PROTECT):
        ask(alice, action, now, **({"no_fees": False} if action is Action.STOP else {}))
        with CaptureQueriesContext(connection) as queries:
            alice_in.get(reverse("recycle:jobs"))
        costs.add(len(queries))

    assert len(costs) == 1
    assert Membership.objects.get(user=alice).role == Role.ADMINISTRATOR
    assert Event.objects.count() == 2
