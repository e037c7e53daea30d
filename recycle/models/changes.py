"""What an edit changed, as the logs keep it and as people read it.

A log keeps `{"changes": {field: [before, after]}}` in its `detail`, in plain values. Words are
found when it is read, so that everybody reads them in their own language.
"""

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField, Field, Model
from django.utils import formats, timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from recycle.models.project import project_label

# Their values are in no log, whatever they are: neither in the clear nor hashed.
SECRETS = frozenset({"password"})


def changes_in_words(model: type[Model] | None, detail: dict[str, Any]) -> list[str]:
    """A line for every field, such as "role: Viewer → Operator"."""
    lines = []
    for name, (before, after) in detail.get("changes", {}).items():
        field = _field(model, name)
        label = str(field.verbose_name) if field else name
        lines.append(f"{label}: {_words(field, before)} → {_words(field, after)}")
    if note := detail.get("note"):
        lines.append(note)
    return lines


def _field(model: type[Model] | None, name: str) -> "Field[Any, Any] | None":
    """None for a field that is gone since: it is called as it was."""
    try:
        field = model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, Field) else None


def _words(field: "Field[Any, Any] | None", value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if field and field.name == "project_number" and isinstance(value, int):
        # It had no name.
        return project_label(value)
    if isinstance(field, DateTimeField) and (moment := parse_datetime(str(value))):
        return formats.date_format(timezone.localtime(moment), "Y-m-d H:i")
    labels = dict(field.flatchoices) if field else {}
    return str(labels.get(value, value))
