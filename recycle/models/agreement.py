"""Rules that span two rows, kept by the database: a row agrees with the one it refers to.

What is bound to an instance belongs to the instance's account and stands in its zone or region.
Where a table of bindings has no such column of its own it repeats the other row's, and a foreign
key over all of these columns together lets neither side have a value that the other has not. It
also says that the other row is there, so the relation itself goes without a foreign key of its own
(`db_constraint=False`) and a binding costs one check instead of two.

Django writes the constraints of a model again whenever SQLite makes a table anew; a trigger would
be lost.
"""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models


def _field(model: type[models.Model], name: str) -> Any:
    return model._meta.get_field(name)


class Agreement(models.BaseConstraint):
    """A foreign key over `relation` and the fields `on`, which bear the same names in the row
    referred to.

    The other model needs a unique constraint over its primary key and these fields. As everywhere
    in SQL, nothing is compared while one of the columns is null.
    """

    def __init__(self, *, relation: str, on: Sequence[str], name: str, **kwargs: Any) -> None:
        self.relation, self.on = relation, tuple(on)
        super().__init__(name=name, **kwargs)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Agreement):
            return bool(self.deconstruct() == other.deconstruct())
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def fields(self) -> tuple[str, ...]:
        return self.relation, *self.on

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "relation": self.relation, "on": self.on}

    def columns(self, model: type[models.Model]) -> list[str]:
        return [_field(model, name).column for name in self.fields]

    def target(self, model: type[models.Model]) -> tuple[type[models.Model], list[str]]:
        """The model referred to, and its columns in the order of ours."""
        other = self.other(model)
        return other, [_field(other, name).column for name in self.target_fields(model)]

    def other(self, model: type[models.Model]) -> type[models.Model]:
        found: type[models.Model] = _field(model, self.relation).remote_field.model
        return found

    def target_fields(self, model: type[models.Model]) -> list[str]:
        """The fields of the row referred to, in the order of ours."""
        return [self.other(model)._meta.pk.name, *self.on]

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        other, targets = self.target(model)
        own, theirs = (", ".join(map(quote, columns)) for columns in (self.columns(model), targets))
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({own})"
            f" REFERENCES {quote(other._meta.db_table)} ({theirs}) DEFERRABLE INITIALLY DEFERRED"
        )

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Any = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        if exclude and not set(exclude).isdisjoint(self.fields):
            return
        names = [_field(model, name).attname for name in self.fields]
        values = [getattr(instance, name) for name in names]
        if None in values:
            return
        other, _columns = self.target(model)
        same = dict(zip(self.target_fields(model), values, strict=True))
        if not other._base_manager.using(using).filter(**same).exists():
            raise ValidationError(
                self.get_violation_error_message(), code=self.violation_error_code
            )


class InProject(Agreement):
    """The row's project is one of its account: a foreign key over the account and the number by
    which it knows its projects.
    """

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        fixed = {"relation": "account", "on": ("project_number",)}
        super().__init__(name=name, **{**kwargs, **fixed})

    def other(self, model: type[models.Model]) -> type[models.Model]:
        return super().other(model)._meta.apps.get_model("recycle", "Project")

    def target_fields(self, model: type[models.Model]) -> list[str]:
        return ["account", "number"]


class Repeated(models.ForeignKey):  # type: ignore[type-arg]
    """The account, region or zone of the row that the relation `of` leads to, repeated for an
    `Agreement` on it.

    It follows the relation whenever the row is saved, bulk inserts included. It asks no query for
    it: where only the id of the other row was given, it has to be given as well, as it has with an
    UPDATE of many rows.
    """

    def __init__(self, to: Any, *, of: str, **kwargs: Any) -> None:
        self.of = of
        # The relation it follows decides what becomes of the row; the agreement on it is its
        # foreign key.
        fixed: dict[str, Any] = {
            "on_delete": models.DO_NOTHING,
            "db_constraint": False,
            "db_index": False,
        }
        super().__init__(to, **{**kwargs, **fixed, "related_name": "+", "editable": False})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, row: models.Model, add: bool) -> Any:
        relation = _field(type(row), self.of)
        if getattr(row, relation.attname) is None:
            setattr(row, self.attname, None)
        elif relation.is_cached(row):
            setattr(row, self.attname, getattr(relation.get_cached_value(row), self.attname))
        return super().pre_save(row, add)
