"""What another time in the bin, or another rule, would have meant for the deletions of an account.

The database adds them up, in one statement: an account may have deleted a million, and the preview
of a change is a page that somebody waits for.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from recycle.lifecycle import Action
from recycle.models import Account, Event, Instance, RetentionRule
from recycle.policy import STANDARDS

# How far a forecast looks back.
LOOKBACK = timedelta(days=30)
MINUTE, DAY = 60_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the deletions of LOOKBACK would have come to, as it is now and as it would be."""

    deletions: int = 0
    longer: int = 0
    shorter: int = 0
    # Instances that somebody brought back later than the rules would have kept them.
    lost: int = 0
    # The most instances that were in the bin within one minute.
    peak: int = 0
    peak_after: int = 0
    # GB of system disk times days that the bin would hold more; negative when it holds less.
    gb_days: float = 0


def forecast(
    account: Account,
    rules: Sequence[RetentionRule],
    *,
    keep_for: timedelta | None,
    new_rules: Sequence[RetentionRule],
    now: datetime,
) -> Forecast:
    """Compare how `account` keeps by `rules` with a time and rules it does not have yet, over its
    LOOKBACK.

    Only what the events tell counts: each deletion with the tags it had then, and who took it out
    again. A stay ends at `now` at the latest. Its rules are those of `policy.retention`.
    """
    values: dict[str, Any] = {
        "account": account.pk,
        "since": _moment(now - LOOKBACK),
        "until": _moment(now),
        "now": int(now.timestamp() * 1000),
        "rules": json.dumps([*_told("now", rules), *_told("then", new_rules)]),
        "keep_now": _milliseconds(account.keep_for) or 0,
        "keep_then": _milliseconds(keep_for) or 0,
    }
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT.format(**_words(now=rules, then=new_rules)), values)
        *counts, gb_days = cursor.fetchone()
    return replace(Forecast(*map(int, counts)), gb_days=round(float(gb_days), 1))


def _told(when: str, rules: Iterable[RetentionRule]) -> Iterable[dict[str, Any]]:
    for rule in rules:
        keep = _milliseconds(rule.keep_for)
        yield {"applies": when, "key": rule.key, "value": rule.value, "keep": keep}


def _milliseconds(time: timedelta | None) -> int | None:
    return None if time is None else time // timedelta(milliseconds=1)


def _moment(moment: datetime) -> Any:
    """As the database keeps it in a row."""
    return connection.ops.adapt_datetimefield_value(timezone.localtime(moment, UTC))


# Moments and times are whole milliseconds, with which both databases reckon alike.
STATEMENT = """
WITH rule AS ({rules}),
-- Who takes something out ends the stays since the time before. What the schedule purged, it purged
-- because the time was over.
way_out AS (
    SELECT instance_id, action, id, {ms} AS out_ms,
        LAG(id, 1, CAST(0 AS bigint)) OVER (PARTITION BY instance_id ORDER BY id) AS before_id
    FROM {event} AS event
    WHERE account_id = %(account)s AND at >= %(since)s AND at <= %(until)s
        AND action IN ('{restore}', '{purge}') AND by_name <> ''
),
-- Read in the order of the table: put in the order of its instances, each row is fetched by itself.
entry AS MATERIALIZED (
    SELECT id, instance_id, {ms} AS start, {tags} AS tags
    FROM {event} AS event
    WHERE account_id = %(account)s AND at >= %(since)s AND at <= %(until)s
        AND action = '{recycle}'
),
-- Of rows that have been forgotten nobody knows the billing mode: the one that keeps things for the
-- shortest time stands for it.
deletion AS (
    SELECT start, tags, COALESCE(system_disk_gb, 0) AS gb,
        CASE COALESCE(billing_mode, '{unknown}') {standards} END AS standard,
        COALESCE(out_ms, {never}) AS out_ms,
        CASE WHEN way_out.action = '{restore}' THEN 1 ELSE 0 END AS restored
    FROM entry
    LEFT JOIN way_out ON way_out.instance_id = entry.instance_id
        AND way_out.id > entry.id AND way_out.before_id < entry.id
    LEFT JOIN {instance} AS instance ON instance.id = entry.instance_id
),
-- Reckoned once for each, and not wherever it is read.
kept AS MATERIALIZED (
    SELECT start, gb, restored, out_ms,
        start + {keep_now} AS end_now, start + {keep_then} AS end_then
    FROM deletion WHERE standard IS NOT NULL
),
stay AS (
    SELECT start, gb, restored, out_ms,
        {least}(end_now, out_ms) AS end_now, {least}(end_then, out_ms) AS end_then
    FROM kept
),
-- Those that began and ended in the same minutes count together, of which there are never many.
bundle AS (
    SELECT start / {minute} AS first,
        {least}(end_now, %(now)s) / {minute} AS last_now,
        {least}(end_then, %(now)s) / {minute} AS last_then,
        COUNT(*) AS number,
        SUM(CASE WHEN {least}(end_now, %(now)s) > start THEN 1 ELSE 0 END) AS there,
        SUM(CASE WHEN end_then > end_now THEN 1 ELSE 0 END) AS longer,
        SUM(CASE WHEN end_then < end_now THEN 1 ELSE 0 END) AS shorter,
        SUM(CASE WHEN restored = 1 AND end_now = out_ms AND end_then < out_ms THEN 1 ELSE 0 END)
            AS lost,
        SUM(CAST(gb AS double precision) * ({least}(end_then, %(now)s) - {least}(end_now, %(now)s)))
            / {day} AS gb_days
    FROM stay
    GROUP BY 1, 2, 3
),
step AS (
    SELECT first AS minute, there AS more_now, there AS more_then FROM bundle
    UNION ALL SELECT last_now + 1, -there, 0 FROM bundle
    UNION ALL SELECT last_then + 1, 0, -there FROM bundle
),
level AS (
    SELECT SUM(SUM(more_now)) OVER (ORDER BY minute) AS level_now,
        SUM(SUM(more_then)) OVER (ORDER BY minute) AS level_then
    FROM step
    GROUP BY minute
)
SELECT COALESCE(SUM(number), 0), COALESCE(SUM(longer), 0), COALESCE(SUM(shorter), 0),
    COALESCE(SUM(lost), 0), COALESCE((SELECT MAX(level_now) FROM level), 0),
    COALESCE((SELECT MAX(level_then) FROM level), 0), COALESCE(SUM(gb_days), 0)
FROM bundle
"""

KEEP_BY_ACCOUNT = "{greatest}(standard, %(keep_{when})s)"
# The longest of the standard, the account's time and those of the rules that match; one that
# matches and has no time excludes from all but the standard.
KEEP = """
CASE WHEN tags IS NULL THEN {greatest}(standard, %(keep_{when})s) ELSE (
    SELECT CASE WHEN COUNT(rule.key) > COUNT(rule.keep) THEN standard
        ELSE {greatest}(standard, %(keep_{when})s, COALESCE(MAX(rule.keep), 0)) END
    FROM rule JOIN {each_tag} AS tag
        ON rule.key = {tag_key} AND rule.value IN ('', {tag_value})
    WHERE rule.applies = '{when}'
) END
"""

POSTGRESQL = {
    "ms": "CAST(date_part('epoch', at) * 1000 AS bigint)",
    "rules": "SELECT * FROM jsonb_to_recordset(%(rules)s::jsonb) "
    "AS rule (applies text, key text, value text, keep bigint)",
    "tags": "CASE WHEN jsonb_typeof(detail -> 'tags') = 'array' THEN detail -> 'tags' END",
    "each_tag": "jsonb_array_elements(tags)",
    "tag_key": "tag.value ->> 'key'",
    "tag_value": "tag.value ->> 'value'",
    "least": "LEAST",
    "greatest": "GREATEST",
}
SQLITE = {
    # Days since -4713, to the millisecond.
    "ms": "CAST((julianday(at) - 2440587.5) * 86400000 + 0.5 AS integer)",
    "rules": "SELECT json_extract(value, '$.applies') AS applies, "
    "json_extract(value, '$.key') AS key, json_extract(value, '$.value') AS value, "
    "json_extract(value, '$.keep') AS keep FROM json_each(%(rules)s)",
    "tags": "CASE WHEN json_type(detail, '$.tags') = 'array' "
    "THEN json_extract(detail, '$.tags') END",
    "each_tag": "json_each(tags)",
    "tag_key": "json_extract(tag.value, '$.key')",
    "tag_value": "json_extract(tag.value, '$.value')",
    "least": "MIN",
    "greatest": "MAX",
}


def _words(**rules: Sequence[RetentionRule]) -> dict[str, Any]:
    """What the statement says otherwise in each database, and the words of ours in it. Where there
    are no rules, no tag of a million deletions is read for them.
    """
    words: dict[str, Any] = SQLITE if connection.vendor == "sqlite" else POSTGRESQL
    keeps = {
        f"keep_{when}": (KEEP if those else KEEP_BY_ACCOUNT).format(when=when, **words)
        for when, those in rules.items()
    }
    standards = [
        f"WHEN '{mode}' THEN CAST({_milliseconds(keep_for)} AS bigint)"
        for mode, keep_for in STANDARDS.items()
    ]
    return (
        words
        | keeps
        | {
            "event": connection.ops.quote_name(Event._meta.db_table),
            "instance": connection.ops.quote_name(Instance._meta.db_table),
            "recycle": Action.RECYCLE.value,
            "restore": Action.RESTORE.value,
            "purge": Action.PURGE.value,
            "unknown": min(STANDARDS, key=lambda mode: STANDARDS[mode]),
            "standards": " ".join(standards),
            # Later than any end that is reckoned with here.
            "never": 2**53,
            "minute": MINUTE,
            "day": DAY,
        }
    )
