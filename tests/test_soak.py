"""`manage.py soak`: that its proof finds what it has to find."""

from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from recycle import actions
from recycle.lifecycle import Action, State
from recycle.models import BatchJob, Event, Instance, InstanceTag, JobItem, Tag
from recycle.policy import BillingMode
from tests.conftest import acting
from tests.soak.course import Outage, wrong_answers
from tests.soak.people import Answer, Forms, what_is_wrong_with
from tests.soak.proof import PROMISES, prove

pytestmark = [pytest.mark.django_db, pytest.mark.both]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def history(make_instance, bind, account, alice, now):
    """Instances that have been through everything there is, by the actions themselves."""

    def named(*names):
        return Instance.objects.filter(name__in=names)

    def do(verb, *names, when, **options):
        verb(named(*names), context=acting(alice, when, reason="drill"), **options)

    long_ago = now - 3 * HOUR
    for name in ("due", "back", "again", "held", "gone", "fresh", "kept"):
        bind(make_instance(name=name))
    make_instance(name="hourly", billing_mode=BillingMode.HOURLY)
    make_instance(name="subscription", billing_mode=BillingMode.MONTHLY, expires_at=now - 8 * DAY)
    make_instance(name="idle")
    every = ("due", "back", "again", "held", "gone", "hourly", "kept")
    do(actions.delete, *every, when=long_ago, may_release=True)
    do(actions.delete, "fresh", when=now, may_release=False)
    do(actions.hold, "held", when=long_ago)
    do(actions.extend, "kept", when=long_ago, longer=DAY)
    do(actions.restore, "back", "again", when=long_ago + HOUR)
    do(actions.start, "again", when=long_ago + HOUR)
    do(actions.restart, "again", when=long_ago + HOUR)
    do(actions.delete, "again", when=now, may_release=False)
    do(actions.purge, "gone", when=long_ago + HOUR)
    for name in ("jobbed", "barred"):
        make_instance(name=name, protected=name == "barred")
    order = actions.JobOrder(account=account, action=Action.PROTECT, parameters={})
    actions.request_job(named("jobbed", "barred"), order, context=acting(alice, now))
    actions.carry_out_jobs(context=acting(None, now))
    actions.expire_due(context=acting(None, now))
    actions.purge_due(context=acting(None, now))
    return named


def broken(now):
    connection.check_constraints()
    found = prove(now)
    print(*found, sep="\n")
    return {each.promise for each in found}


def test_the_proof_finds_nothing_where_all_is_well(history, now):
    assert broken(now) == set()
    states = dict(Instance.objects.values_list("name", "state"))
    assert states == {
        "due": "purged",
        "back": "stopped",
        "again": "recycled",
        "held": "recycled",
        "gone": "purged",
        "fresh": "recycled",
        "kept": "recycled",
        "hourly": "purged",
        "subscription": "purged",
        "idle": "active",
        "jobbed": "active",
        "barred": "active",
    }


def test_an_event_that_is_there_twice_is_found(history, now):
    event = Event.objects.get(instance_name="kept", action="extend")
    event.pk = None
    event.save(force_insert=True)

    assert broken(now) == {"every event is there once"}


def test_an_event_that_is_missing_is_found(history, now):
    Event.objects.get(instance_name="again", action="start").delete()

    assert broken(now) == {"the steps of an instance are one chain"}


def test_a_last_event_that_is_missing_is_found(history, now):
    Event.objects.get(instance_name="back", action="restore").delete()

    assert broken(now) == {"an instance is where its last step led"}


def test_a_first_event_that_is_missing_is_found(history, now):
    Event.objects.get(instance_name="gone", action="recycle").delete()

    assert broken(now) == {"the steps of an instance are one chain"}


def test_a_state_without_an_event_is_found(history, now):
    history("idle").update(state=State.RECYCLED, recycled_at=now, purge_at=now + 2 * HOUR)

    assert broken(now) == {"an instance is where its last step led"}


def test_a_step_that_there_is_not_is_found(history, now):
    Event.objects.filter(instance_name="again", action="start").update(action="restart")

    assert broken(now) == {"every step is one that there is"}


def test_the_steps_of_a_row_that_was_never_purged_and_is_gone_are_found(history, now):
    InstanceTag.objects.filter(instance__name="back").delete()
    history("back").delete()

    assert broken(now) == {"an instance is where its last step led"}


def test_a_due_row_that_was_left_is_found(history, now, make_instance):
    history("fresh").update(purge_at=now)

    assert broken(now) == {"everything due is done"}


def test_a_due_row_that_failed_and_waits_aside_is_found(history, now):
    history("fresh").update(purge_at=now, retry_at=now + HOUR, attempts=3)

    assert broken(now) == {"everything due is done"}


def test_a_subscription_that_did_not_expire_is_found(history, now, make_instance):
    make_instance(billing_mode=BillingMode.MONTHLY, expires_at=now)

    assert broken(now) == {"everything due is done"}


def test_an_early_purge_is_found(history, now):
    """The moment that was promised to the owner has not come yet."""
    history("due").update(purge_at=now + timedelta(seconds=1))

    assert broken(now) == {"nothing is deleted early"}


def test_a_purge_at_a_promise_that_was_moved_is_found(history, now):
    """Whatever the row says, two hours are promised to everybody."""
    since = now - timedelta(minutes=119)
    history("due").update(recycled_at=since, purge_at=now - HOUR)
    Event.objects.filter(instance_name="due", action="recycle").update(at=since)

    assert broken(now) == {"nothing is deleted early"}


def test_a_subscription_that_was_deleted_early_is_found(history, now):
    history("subscription").update(expires_at=now - 6 * DAY)

    assert broken(now) == {"nothing is deleted early"}


@pytest.mark.parametrize("keeps", ["hold", "protect"])
def test_the_end_of_what_was_kept_is_found(history, now, keeps):
    state = Event.objects.filter(instance_name="hourly").order_by("pk")[0].from_state
    wrong = Event.objects.get(instance_name="hourly", action="release")
    pk, wrong.pk = wrong.pk, None
    wrong.save(force_insert=True)
    Event.objects.filter(pk=pk).update(
        action=keeps, from_state=state, to_state=state, batch=uuid4()
    )

    assert broken(now) == {"what is held or protected is not deleted"}


def test_a_binding_of_what_lies_in_the_bin_is_found(history, now, account):
    tag = Tag.objects.get(account=account, key="env")
    with transaction.atomic():
        InstanceTag.objects.create(instance=history("fresh").get(), tag=tag)

    assert broken(now) == {"nothing is bound to what lies in the bin or is gone"}


def test_an_end_at_another_time_than_its_event_is_found(history, now):
    history("gone").update(purged_at=now)

    assert broken(now) == {"an instance is where its last step led"}


def test_times_that_do_not_follow_the_state_are_found(history, now):
    """The database refuses them; the proof does not rely on that."""
    with unchecked():
        history("idle").update(purge_at=now + HOUR)

    assert broken(now) == {"the times of an instance follow its state"}


@contextmanager
def unchecked():
    """Meanwhile the database lets times be as they should not."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # No table is altered that has something to check still.
            connection.check_constraints()
            cursor.execute(
                "ALTER TABLE recycle_instance DROP CONSTRAINT instance_bin_times_follow_state"
            )
            yield
            return
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        yield
        cursor.execute("PRAGMA ignore_check_constraints = OFF")


def test_a_batch_job_that_stays_behind_is_found(history, now):
    BatchJob.objects.update(state="running", finished_at=None)

    assert broken(now) == {"every batch job comes to its end"}


def test_a_batch_job_that_miscounts_is_found(history, now):
    """One that says it has done what it was refused."""
    BatchJob.objects.update(done=2, refused=0)

    assert broken(now) == {"a batch job counts what became of its items"}


def test_an_item_that_a_finished_batch_job_has_left_out_is_found(history, now):
    JobItem.objects.filter(outcome="refused").update(outcome="pending")

    assert broken(now) == {"a batch job counts what became of its items"}


def test_a_done_item_without_its_event_is_found(history, now):
    Event.objects.filter(instance_name="jobbed", action="protect").delete()

    assert broken(now) == {"what a batch job did is in the log, and nothing else"}


def test_an_instance_that_a_batch_job_has_twice_is_found(history, now):
    item = JobItem.objects.get(outcome="done")
    item.pk = None
    item.save(force_insert=True)
    BatchJob.objects.update(total=3, done=2)

    assert broken(now) == {"what a batch job did is in the log, and nothing else"}


def test_every_promise_has_been_seen_broken():
    """Above; a new one needs a test that breaks it."""
    assert set(PROMISES) == {
        "the times of an instance follow its state",
        "nothing is bound to what lies in the bin or is gone",
        "everything due is done",
        "nothing is deleted early",
        "what is held or protected is not deleted",
        "every step is one that there is",
        "the steps of an instance are one chain",
        "an instance is where its last step led",
        "every event is there once",
        "every batch job comes to its end",
        "a batch job counts what became of its items",
        "what a batch job did is in the log, and nothing else",
    }


# --- What people were answered --------------------------------------------------------------------

AWAY = [Outage("database", 100, 110), Outage("broker", 200, 230)]


def answered(status, at=50.0, *, path="/instances/", wrong=""):
    return wrong_answers([Answer(at, at + 1, "GET", path, status, wrong)], AWAY)


@pytest.mark.parametrize("status", [0, 200, 302, 403, 404, 409, 422])
def test_what_is_no_fault_of_the_console_is_none(status):
    assert answered(status) == []


def test_who_knows_the_password_is_never_sent_away_for_guessing():
    (found,) = answered(429, path="/login/")

    assert found.examples == ("GET /login/: 429",)


@pytest.mark.parametrize("at", [50.0, 105.0, 210.0])
def test_a_500_is_a_fault_whatever_is_away(at):
    (found,) = answered(500, at)

    assert found.examples == ("GET /instances/: 500",)


@pytest.mark.parametrize(
    ("at", "path", "excused"),
    [
        (98.5, "/instances/", False),
        (99.5, "/instances/", True),
        (105.0, "/login/", True),
        (114.0, "/instances/", True),
        (116.0, "/instances/", False),
        (210.0, "/login/", True),
        (210.0, "/instances/", False),
    ],
)
def test_a_503_is_a_fault_unless_something_is_away(at, path, excused):
    assert bool(answered(503, at, path=path)) is not excused


def test_an_answer_that_is_not_what_it_says_is_a_fault():
    assert answered(200, wrong="a file is cut off")


def test_a_file_is_whole_when_its_last_line_counts_the_others():
    lines = ['"Name"', '"web-1"', '"web-2"', '"End of the file. Rows: 2"']

    assert what_is_wrong_with("\n".join(lines)) == ""
    assert "says at its end that its rows are 2" in what_is_wrong_with("\n".join(lines[1:]))
    assert "says at its end that its rows are none" in what_is_wrong_with("\n".join(lines[:3]))
    assert what_is_wrong_with("")


def test_forms_are_read_as_a_browser_fills_them_in():
    page = """
      <form method="get" action="/x/"><input name="q" value="1"></form>
      <form method="post" action="/y/"><input name="ids" value="7"><input name="ids" value="8">
        <input name="other" form="elsewhere" value="9">
        <input name="confirm" data-must-equal="web-1"></form>
      <input name="loose" value="2">
    """

    (form,) = Forms(page).found

    assert form.action == "/y/"
    assert form.fields == [("ids", "7"), ("ids", "8"), ("confirm", "web-1")]


@pytest.mark.parametrize("minutes", ["0", "0.1", "2000"])
def test_a_soak_of_no_length_is_refused_in_a_sentence(minutes):
    with pytest.raises(CommandError, match=r"A soak takes"):
        call_command("soak", minutes=float(minutes))
