"""Operations that make many rules at once: one pass over a table for all of its rules, not one for each.

Not a migration: Django leaves out modules that begin with an underscore.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

#: Ids of rows named for each rule that they break.
_NAMED = 5


class AddRules(Operation):
    """Add constraints to one model.

    SQLite copies the table, once, and so looks at every row. PostgreSQL checks new rows from here on (``NOT VALID``,
    which takes no time); those that are there already it looks at in ``ValidateRules``, while programs go on. May be
    repeated after it was broken off.
    """

    reversible = True

    def __init__(self, model_name: str, constraints: Sequence[models.BaseConstraint]) -> None:
        self.model_name = model_name
        self.constraints = list(constraints)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The model with the constraints."""
        # All in one: for each change of the state its models are made anew.
        known = state.models[app_label, self.model_name].options["constraints"]
        state.alter_model_options(app_label, self.model_name, {"constraints": [*known, *self.constraints]})

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Make them."""
        model = to_state.apps.get_model(app_label, self.model_name)
        alias = schema_editor.connection.alias
        with _naming_broken_rows(model, self.constraints, alias), transaction.atomic(using=alias):
            if schema_editor.connection.vendor == "postgresql":
                self._add(model, schema_editor)
            else:
                # Whichever is added, the copy has all those of the model.
                schema_editor.add_constraint(model, self._checks[0])

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Take them away."""
        model = to_state.apps.get_model(app_label, self.model_name)
        is_one_copy = schema_editor.connection.vendor != "postgresql"
        for constraint in self._checks[:1] if is_one_copy else self.constraints:
            schema_editor.remove_constraint(model, constraint)

    def describe(self) -> str:
        """For ``migrate`` and ``sqlmigrate``."""
        return f"Add {len(self.constraints)} rules to {self.model_name}"

    @property
    def _checks(self) -> list[models.CheckConstraint]:
        return [one for one in self.constraints if isinstance(one, models.CheckConstraint)]

    def _add(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:
        quote = schema_editor.quote_name
        table = quote(model._meta.db_table)
        for constraint in self.constraints:
            if isinstance(constraint, models.CheckConstraint):
                schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {quote(constraint.name)}")
                schema_editor.execute(f"{constraint.create_sql(model, schema_editor)} NOT VALID", params=None)
            else:
                schema_editor.execute(f"DROP INDEX IF EXISTS {quote(constraint.name)}")
                schema_editor.add_constraint(model, constraint)


class ValidateRules(Operation):
    """On PostgreSQL, look whether the rows that were there before the rules keep them; all rules in one pass."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, rules: AddRules) -> None:
        self.rules = rules

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Look, without keeping anybody from reading or writing."""
        if schema_editor.connection.vendor != "postgresql":
            return
        model = to_state.apps.get_model(app_label, self.rules.model_name)
        quote = schema_editor.quote_name
        actions = ", ".join(f"VALIDATE CONSTRAINT {quote(one.name)}" for one in self.rules._checks)
        with _naming_broken_rows(model, self.rules.constraints, schema_editor.connection.alias):
            schema_editor.execute(f"ALTER TABLE {quote(model._meta.db_table)} {actions}")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Nothing."""

    def describe(self) -> str:
        """For ``migrate`` and ``sqlmigrate``."""
        return f"Look whether all rows of {self.rules.model_name} keep its rules"


@contextmanager
def _naming_broken_rows(
    model: type[models.Model], constraints: Sequence[models.BaseConstraint], alias: str
) -> Iterator[None]:
    """Where the database only says that a rule is broken, say by which rows."""
    try:
        yield
    except IntegrityError as error:
        found = [text for one in constraints if (text := _broken(model._base_manager.using(alias), one))]
        raise IntegrityError(
            f"rows of {model._meta.db_table} break rules of this version; mend or delete them, then migrate again: "
            + "; ".join(found)
        ) from error


def _broken(rows: models.Manager[Any], constraint: models.BaseConstraint) -> str:
    """The rule and the rows that break it; "" if none does."""
    if isinstance(constraint, models.CheckConstraint):
        broken = rows.filter(~models.Q(constraint.condition)).order_by("pk").values_list("pk", flat=True)
    elif isinstance(constraint, models.UniqueConstraint):
        same = rows.filter(constraint.condition or models.Q()).order_by().values(*constraint.fields)
        broken = same.annotate(last=models.Max("pk"), n=models.Count("pk")).filter(n__gt=1).values_list("last", flat=True)
    ids = [str(pk) for pk in broken[: _NAMED + 1]]
    if not ids:
        return ""
    return f"{constraint.name}: {', '.join(ids[:_NAMED])}" + (" and more" if len(ids) > _NAMED else "")
