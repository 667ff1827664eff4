"""What no migration may do, and what each has to bring along."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.contrib.postgres.operations import CreateExtension
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    CreateModel,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation

from tests.guards.sql_text import Items, says, split, statements

OUR_APPS = ("teams", "billing")
ROLES = ("teams", "0001_roles")

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
# In the text, not in the statements: a DO block is a string to those.
_FORBIDDEN = {
    "makes a trigger": re.compile(
        r"\bCREATE\s+(OR\s+REPLACE\s+)?((CONSTRAINT|EVENT)\s+)?TRIGGER\b", re.IGNORECASE
    ),
    "makes an extension": re.compile(r"\bCREATE\s+EXTENSION\b", re.IGNORECASE),
}
_NO_COLUMN = ("constraint", "primary", "unique", "check", "foreign", "exclude")


def ours() -> list[Migration]:
    """All migrations of our apps, in the order in which they run."""
    migrations = MigrationLoader(None).disk_migrations
    return [migrations[key] for key in plan() if key[0] in OUR_APPS]


def plan() -> list[tuple[str, str]]:
    """The order in which `migrate` runs them on a new database."""
    graph = MigrationLoader(None).graph
    order: dict[tuple[str, str], None] = {}
    for leaf in graph.leaf_nodes():
        order |= dict.fromkeys(graph.forwards_plan(leaf))
    return list(order)


def complaints(migration: Migration) -> list[str]:
    found: list[str] = []
    created = {
        operation.name_lower
        for operation in _with_states(migration.operations)
        if isinstance(operation, CreateModel)
    }
    for operation in _operations(migration.operations):
        found += _of_operation(operation)
        if isinstance(operation, AddField) and operation.model_name_lower not in created:
            found += _of_new_column(operation)
    where = f"{migration.app_label}.{migration.name}"
    return [f"{where} {sentence}" for sentence in found]


def _operations(operations: Iterable[Operation]) -> Iterator[Operation]:
    """What is done to the database."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _operations(operation.database_operations)
        else:
            yield operation


def _with_states(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _with_states(operation.database_operations)
            yield from _with_states(operation.state_operations)
        else:
            yield operation


def _of_operation(operation: Operation) -> Iterator[str]:
    if not operation.reversible:
        yield f"has a {type(operation).__name__} without a reverse"
    if isinstance(operation, CreateExtension):
        yield "makes an extension"
    for text in sql(operation):
        for sentence, pattern in _FORBIDDEN.items():
            if pattern.search(text):
                yield sentence
        for items in statements(text):
            yield from _of_alter_table(items)


def _of_new_column(operation: AddField) -> Iterator[str]:
    field: Any = operation.field
    if field.many_to_many or field.generated or field.null:
        return
    if not field.has_default() and not field.has_db_default():
        column = f"{operation.model_name}.{operation.name}"
        yield f"adds {column}, NOT NULL without a default"


def _of_alter_table(items: Items) -> Iterator[str]:
    """ALTER TABLE … ADD [COLUMN] name type NOT NULL, in SQL."""
    if not (says(items[0], "alter") and len(items) > 1 and says(items[1], "table")):
        return
    for action in split(items, ","):
        words = [getattr(item, "text", "") for item in action]
        if "add" not in words:
            continue
        column = [word for word in words[words.index("add") + 1 :] if word != "column"]
        given = {"default", "generated"} & set(column)
        if column and column[0] not in _NO_COLUMN and "not" in column and not given:
            yield f"adds {column[0]}, NOT NULL without a default"


def sql(operation: Operation) -> list[str]:
    """Both directions of a RunSQL, without comments."""
    if not isinstance(operation, RunSQL):
        return []
    given: list[Any] = []
    for direction in (operation.sql, operation.reverse_sql):
        given += direction if isinstance(direction, list | tuple) else [direction]
    texts = [one if isinstance(one, str) else one[0] for one in given if one]
    return [_COMMENT.sub(" ", text) for text in texts]


# --- Over all migrations ------------------------------------------------------------


def unsecured(migrations: Iterable[Migration], tables: Iterable[str]) -> list[str]:
    """Tables for which no migration enables and forces row-level security."""
    texts = [
        text
        for migration in migrations
        for operation in _operations(migration.operations)
        for text in sql(operation)
        if "ENABLE ROW LEVEL SECURITY" in text and "FORCE ROW LEVEL SECURITY" in text
    ]
    return [
        f"no migration secures the rows of {table}"
        for table in sorted(tables)
        if not any(re.search(rf"\b{table}\b", text) for text in texts)
    ]


def late_roles(order: Sequence[tuple[str, str]]) -> list[str]:
    """Migrations before the one that makes the roles: they get no right on those."""
    early = order[: order.index(ROLES)] if ROLES in order else order
    return [f"{app}.{name} runs before the roles are made" for app, name in early]
