"""Copies what the admin's own log has so far into ours, which does not go with its people."""

import json
from itertools import islice

from django.db import migrations

# What Django's log calls an addition, a change and a deletion.
ACTIONS = {1: "create", 2: "update", 3: "remove"}


def copy(apps, schema_editor):
    try:
        entries = apps.get_model("admin", "LogEntry").objects.order_by("action_time", "pk")
    except LookupError:
        # Its log comes after us where the database is new. A dependency on it would be a circle for
        # the migration that stands for all of these: that log knows our users.
        return
    events = apps.get_model("recycle", "AuditEvent")
    rows = entries.values_list(
        "action_time",
        "action_flag",
        "content_type__model",
        "object_id",
        "object_repr",
        "change_message",
        "user_id",
        "user__username",
    )
    copied = (
        events(
            at=at,
            action=ACTIONS.get(flag, "update"),
            kind=model or "",
            subject_id=(key or "")[:64],
            subject_name=name,
            by_id=user,
            by_name=username,
            detail={"note": note} if (note := _note(message)) else {},
        )
        for at, flag, model, key, name, message, user, username in rows.iterator()
    )
    while batch := list(islice(copied, 500)):
        events.objects.bulk_create(batch)


def _note(message):
    """The names of the fields that were changed, and of what changed beside; never values."""
    try:
        parts = json.loads(message)
    except ValueError:
        return message
    if not isinstance(parts, list):
        return message
    told = (part for each in parts if isinstance(each, dict) for part in each.values())
    return ", ".join(
        name
        for part in told
        if isinstance(part, dict)
        for name in (*part.get("fields", ()), *filter(None, [part.get("object")]))
    )


class Migration(migrations.Migration):
    dependencies = [
        ("recycle", "0011_audit"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(copy, migrations.RunPython.noop, elidable=True)]
