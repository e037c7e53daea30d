"""The sentences that said where the time in the bin comes from become kind and subject, and
sentences again.
"""

from datetime import timedelta
from uuid import uuid4

import pytest

from recycle.models import Instance
from tests.test_agreements_upgrade import Earlier, migrate  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.both]

SENTENCES, FILLED = [("recycle", "0017_log_indexes")], [("recycle", "0020_fill_retention_kind")]
# By the sentence, the account's rules and what it means.
RULES = [("env", "prod"), ("a=b", "c"), ("d=e", "")]
MEANINGS = {
    "standard": ("standard", ""),
    "account": ("account", ""),
    "rule env=prod": ("rule", "env\nprod"),
    "rule keep": ("rule", "keep\n"),
    # Two rules of the account, and one that it has no longer.
    "rule a=b=c": ("rule", "a=b\nc"),
    "rule d=e": ("rule", "d=e\n"),
    "rule x=y=z": ("rule", "x\ny=z"),
    "rule key with spaces=and more": ("rule", "key with spaces\nand more"),
    "extended Ada Lovelace=": ("extended", "Ada Lovelace="),
    # Written by hand: pages took it for the standard.
    "30 days": ("standard", ""),
}


@pytest.fixture
def earlier(migrate):  # noqa: F811
    """A database with one entry in the bin for each sentence, and with events of changed rules."""
    earlier = Earlier(migrate(SENTENCES))
    for key, value in RULES:
        earlier.make("RetentionRule", account=earlier.ours, key=key, value=value)
    for sentence in MEANINGS:
        entry = earlier.instance(earlier.ours)
        entry.state, entry.retention, entry.name = "recycled", sentence, sentence
        entry.recycled_at, entry.purge_at = earlier.now, earlier.now + timedelta(hours=2)
        entry.save()
    earlier.instance(earlier.theirs)
    for tag in ("", "env=prod", "a=b=c"):
        change = {"tag": tag, "before": None, "after": 86_400}
        event(earlier, {"retention": change})
    event(earlier, {"changes": {"max_tags": [None, 7]}}, kind="account")
    return earlier


def event(earlier, detail, **fields):
    return earlier.make(
        "Event",
        account=earlier.ours,
        at=earlier.now,
        batch=uuid4(),
        action="update",
        detail=detail,
        **fields,
    )


def details(apps):
    events = apps.get_model("recycle", "Event").objects.order_by("id")
    return list(events.values_list("detail", flat=True))


def test_the_sentences_are_taken_apart_and_read_as_before(earlier, migrate):  # noqa: F811
    apps = migrate(FILLED)

    entries = apps.get_model("recycle", "Instance").objects.filter(account=earlier.ours.pk)
    assert {
        name: (kind, subject)
        for name, kind, subject in entries.values_list(
            "name", "retention_kind", "retention_subject"
        )
    } == MEANINGS
    theirs = apps.get_model("recycle", "Instance").objects.get(account=earlier.theirs.pk)
    assert (theirs.retention_kind, theirs.retention_subject) == (None, None)
    # Later migrations have not run: the model knows columns that are not there yet.
    known = Instance.objects.only(
        "name", "retention_kind", "retention_subject", "recycled_at", "purge_at"
    )
    words = {entry.name: entry.kept for entry in known.filter(state="recycled")}
    assert words["rule a=b=c"] == "rule a=b=c, 2 hours"
    assert words["extended Ada Lovelace="] == "extended by Ada Lovelace=, 2 hours"
    assert details(apps) == [
        {"retention": {"before": None, "after": 86_400}},
        {"retention": {"key": "env", "value": "prod", "before": None, "after": 86_400}},
        {"retention": {"key": "a=b", "value": "c", "before": None, "after": 86_400}},
        {"changes": {"max_tags": [None, 7]}},
    ]


def test_on_the_way_back_they_are_the_sentences_of_before(earlier, migrate):  # noqa: F811
    told = details(earlier.apps)
    newer = migrate(FILLED).get_model("recycle", "Instance").objects
    # One was extended, one left the bin while this release ran.
    newer.filter(name="standard").update(retention_kind="extended", retention_subject="oscar")
    newer.filter(name="account").update(
        state="stopped",
        recycled_at=None,
        purge_at=None,
        retention_kind=None,
        retention_subject=None,
    )

    apps = migrate(SENTENCES)

    entries = apps.get_model("recycle", "Instance").objects.filter(account=earlier.ours.pk)
    sentences = dict(entries.values_list("name", "retention"))
    assert sentences == {
        **{sentence: sentence for sentence in MEANINGS},
        "standard": "extended oscar",
        "30 days": "standard",
        "account": "",
    }
    assert details(apps) == told
