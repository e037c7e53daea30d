"""Other ways to do what the console does: the limit is hand-written SQL with the same writes in the
same chunks; below it are the loop that one would write first, and the smallest page there is.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import Subquery
from django.http import HttpRequest, HttpResponse
from django.template import engines

from recycle.actions.claim import CHUNK
from recycle.lifecycle import State
from recycle.models import Event, Instance, Membership, User

EVENT = (
    "account_id, at, batch, action, instance_id, instance_name, instance_name_folded, from_state,"
    " to_state, edge, by_id, by_name, by_name_folded, reason, detail"
)
# What a failed try left behind.
NO_RETRY = "retry_at = NULL, attempts = 0, last_error = '', quarantined_at = NULL"
SMALLEST = """<!doctype html><table>{% for row in rows %}<tr><td>{{ row.name }}</td>
<td>{{ row.id }}</td><td>{{ row.recycled_at }}</td><td>{{ row.purge_at }}</td>
<td>{{ row.private_ip }}</td></tr>{% endfor %}</table>"""


def _among(ids: Sequence[UUID]) -> tuple[str, Any]:
    if connection.vendor == "postgresql":
        return "= ANY(%s::uuid[])", "{" + ",".join([pk.hex for pk in ids]) + "}"
    return "IN (SELECT value FROM json_each(%s))", json.dumps([pk.hex for pk in ids])


def _lock(*, skip: bool = False) -> str:
    if connection.vendor != "postgresql":  # which has one writer at a time
        return ""
    return "FOR NO KEY UPDATE" + (" SKIP LOCKED" if skip else "")


def _own(pk: UUID) -> Any:
    return pk if connection.vendor == "postgresql" else pk.hex


def _ids(rows: Sequence[Sequence[Any]]) -> list[UUID]:
    return [pk if isinstance(pk, UUID) else UUID(pk) for (pk,) in rows]


# --- Purge ----------------------------------------------------------------------------------------


def purge_by_sql(now: datetime, limit: int) -> int:
    """Claim, write the events, write the rows: three statements a chunk."""
    done = 0
    while done < limit:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM recycle_instance WHERE state IN ('expired', 'recycled')"
                " AND held_at IS NULL AND NOT protected AND quarantined_at IS NULL"
                " AND COALESCE(retry_at, purge_at) <= %s ORDER BY COALESCE(retry_at, purge_at), id"
                f" LIMIT {CHUNK} {_lock(skip=True)}",
                [now],
            )
            ids = _ids(cursor.fetchall())
            if not ids:
                break
            among, chosen = _among(ids)
            _write_events(cursor, "purge", State.PURGED, among, chosen, now)
            cursor.execute(
                "UPDATE recycle_instance SET state = 'purged', purged_at = %s, changed_at = %s,"
                f" {NO_RETRY} WHERE id {among}",
                [now, now, chosen],
            )
            done += len(ids)
    return done


def _write_events(
    cursor: Any,
    action: str,
    to: str,
    among: str,
    chosen: Any,
    now: datetime,
    by: User | None = None,
    *,
    detail: str = "'{}'",
) -> None:
    name = by.username if by else ""
    cursor.execute(
        f"INSERT INTO recycle_event ({EVENT}) SELECT account_id, %s, %s, %s, id, name, name_folded,"
        f" state, %s, 'command', %s, %s, %s, '', {detail} FROM recycle_instance WHERE id {among}",
        [now, _own(uuid4()), action, to, by and by.pk, name, name, chosen],
    )


def purge_in_a_loop(now: datetime, limit: int) -> int:
    """One row, one transaction, as one would write it first."""
    done = 0
    for instance in Instance.objects.due_for_purge(now)[:limit]:
        with transaction.atomic():
            locked = Instance.objects.select_for_update().get(pk=instance.pk)
            Event.objects.create(
                account_id=locked.account_id,
                at=now,
                batch=uuid4(),
                action="purge",
                instance_id=locked.pk,
                instance_name=locked.name,
                from_state=locked.state,
                to_state=State.PURGED,
            )
            locked.state, locked.purged_at, locked.changed_at = State.PURGED, now, now
            locked.save(update_fields=["state", "purged_at", "changed_at"])
            done += 1
    return done


# --- Recycle and restore --------------------------------------------------------------------------

JSON_POSTGRESQL = """jsonb_build_object(
 'eips', (SELECT jsonb_agg(jsonb_build_object('id', b.id, 'address', host(b.address)))
  FROM recycle_elasticip b WHERE b.instance_id = recycle_instance.id),
 'volumes', (SELECT jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'type', b.type,
  'size_gb', b.size_gb, 'mount_point', b.mount_point,
  'delete_with_instance', b.delete_with_instance))
  FROM recycle_volume b WHERE b.instance_id = recycle_instance.id),
 'real_servers', (SELECT jsonb_agg(jsonb_build_object('id', b.id, 'listener', b.listener_id,
  'listener_name', l.name, 'load_balancer', l.load_balancer_id, 'load_balancer_name', s.name,
  'protocol', l.protocol, 'listener_port', l.port, 'address', host(b.address), 'port', b.port,
  'weight', b.weight)) FROM recycle_realserver b JOIN recycle_listener l ON l.id = b.listener_id
  JOIN recycle_loadbalancer s ON s.id = l.load_balancer_id
  WHERE b.instance_id = recycle_instance.id),
 'tags', (SELECT jsonb_agg(jsonb_build_object('id', b.tag_id, 'key', t.key, 'value', t.value))
  FROM recycle_instancetag b JOIN recycle_tag t ON t.id = b.tag_id
  WHERE b.instance_id = recycle_instance.id))"""
# The same texts on SQLite, where a UUID has no dashes and a truth is a number.
PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
DASHED = " || '-' || ".join(rf"substr(\1, {start}, {length})" for start, length in PARTS)
TRUTH = r"json(CASE WHEN \1 THEN 'true' ELSE 'false' END)"
JSON_SQLITE = re.sub(
    r"\b(b\.id|b\.listener_id|l\.load_balancer_id)(?=[,)])", DASHED, JSON_POSTGRESQL
)
JSON_SQLITE = re.sub(r"(b\.delete_with_instance)", TRUTH, JSON_SQLITE)
for postgresql, sqlite in (
    ("jsonb_build_object", "json_object"),
    ("jsonb_agg", "json_group_array"),
    ("host(b.address)", "b.address"),
):
    JSON_SQLITE = JSON_SQLITE.replace(postgresql, sqlite)


def recycle_by_sql(ids: Sequence[UUID], now: datetime, purge_at: datetime, by: User) -> int:
    detail = JSON_POSTGRESQL if connection.vendor == "postgresql" else JSON_SQLITE
    return _in_chunks(ids, lambda cursor, among, chosen: _recycle(
        cursor, among, chosen, now, purge_at, by, detail
    ))  # fmt: skip


def _recycle(
    cursor: Any, among: str, chosen: Any, now: datetime, purge_at: datetime, by: User, detail: str
) -> None:
    cursor.execute(
        f"SELECT id FROM recycle_instance WHERE id {among} AND state IN ('active', 'stopped')"
        f" ORDER BY id {_lock()}",
        [chosen],
    )
    cursor.fetchall()
    _write_events(cursor, "recycle", State.RECYCLED, among, chosen, now, by, detail=detail)
    for statement in (
        "DELETE FROM recycle_realserver WHERE instance_id",
        "DELETE FROM recycle_instancetag WHERE instance_id",
        "UPDATE recycle_elasticip SET instance_id = NULL, zone_id = NULL WHERE instance_id",
        (
            "UPDATE recycle_volume SET instance_id = NULL, mount_point = '',"
            " delete_with_instance = false WHERE instance_id"
        ),
    ):
        cursor.execute(f"{statement} {among}", [chosen])
    cursor.execute(
        "UPDATE recycle_instance SET state = 'recycled', changed_at = %s, no_fees = false,"
        " recycled_at = %s, recycled_by_id = %s, recycled_by_name = %s,"
        " recycled_by_name_folded = %s, purge_at = %s, retention_kind = 'standard',"
        f" retention_subject = '', {NO_RETRY} WHERE id {among}",
        [now, now, by.pk, by.username, by.username, purge_at, chosen],
    )


def restore_by_sql(ids: Sequence[UUID], now: datetime, by: User) -> int:
    def restore(cursor: Any, among: str, chosen: Any) -> None:
        cursor.execute(
            f"SELECT id FROM recycle_instance WHERE id {among} AND state = 'recycled'"
            f" AND purge_at > %s ORDER BY id {_lock()}",
            [chosen, now],
        )
        cursor.fetchall()
        _write_events(cursor, "restore", State.STOPPED, among, chosen, now, by)
        cursor.execute(
            "UPDATE recycle_instance SET state = 'stopped', changed_at = %s, recycled_at = NULL,"
            " recycled_by_id = NULL, recycled_by_name = NULL, recycled_by_name_folded = NULL,"
            " purge_at = NULL, retention_kind = NULL, retention_subject = NULL,"
            f" {NO_RETRY} WHERE id {among}",
            [now, chosen],
        )

    return _in_chunks(ids, restore)


def _in_chunks(ids: Sequence[UUID], work: Callable[[Any, str, Any], None]) -> int:
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic(), connection.cursor() as cursor:
            work(cursor, *_among(ids[start : start + CHUNK]))
    return len(ids)


# --- Pages ----------------------------------------------------------------------------------------


def smallest_page(request: HttpRequest) -> HttpResponse:
    """The same rows as the bin's first page: session, person, one query, one template."""
    assert isinstance(request.user, User)
    # One account, or no index has them in this order.
    account = Membership.objects.filter(user=request.user).values("account")[:1]
    rows = Instance.objects.filter(account=Subquery(account)).in_bin()
    found = rows.order_by("purge_at", "pk")
    values = found.values("id", "name", "recycled_at", "purge_at", "private_ip")[:51]
    return HttpResponse(_smallest_template().render({"rows": list(values)[:50]}, request))


@cache
def _smallest_template() -> Any:
    """Compiled once, as templates are."""
    return engines["django"].from_string(SMALLEST)
