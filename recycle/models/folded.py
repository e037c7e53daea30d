"""The columns that searches look into."""

from typing import Any

from django.db import models

from recycle.text import fold


class FoldedField(models.TextField):  # type: ignore[type-arg]
    """What the text of another field is found by: the same, folded, written whenever that is.

    Django fills it in `save`, `create` and `bulk_create`. Whoever names the fields of an UPDATE or
    an INSERT names this one as well, as `update_fields` in the admin does; a test looks at every
    such statement of the suite. It holds more than its source does, as some letters fold to
    several.
    """

    def __init__(self, of: str, **options: Any) -> None:
        self.of = of
        # Null is what nobody has filled yet. SQLite adds such a column to a table; for any other
        # Django copies the table.
        super().__init__(**{"editable": False, "null": True, **options})

    def pre_save(self, model_instance: models.Model, add: bool) -> str | None:
        text = getattr(model_instance, self.of)
        # No text: null, or what the database puts there by itself.
        folded = fold(text) if isinstance(text, str) else None
        setattr(model_instance, self.attname, folded)
        return folded

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, _args, options = super().deconstruct()
        return name, path, [self.of], options


def with_folded(model: type[models.Model], names: list[str]) -> list[str]:
    """The names for `update_fields`, with what these fields are found by."""
    folded = [
        field.name
        for field in model._meta.get_fields()
        if isinstance(field, FoldedField) and field.of in names
    ]
    return [*names, *folded]
