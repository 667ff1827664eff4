"""Many rows in one statement: an array per column, or one value that all rows have.

One team's rows go in one statement, sorted by key so that writers meet in one order. The
same text runs on plain PostgreSQL and, with a constant team, on one shard of Citus.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from billing.models import bound

Columns = dict[str, str]
"""Column name → PostgreSQL type of its array elements; `x::y` casts text to y."""


def insert(
    *,
    table: str,
    columns: Columns,
    rows: Sequence[tuple[Any, ...]],
    team_id: int,
    then: str,
    order_by: Iterable[str],
) -> list[tuple[Any, ...]]:
    """Insert `rows` (values in the order of `columns`) for one team.

    `then` is the ON CONFLICT and RETURNING text. Returns what RETURNING returned.
    """
    if not rows:
        return []
    key = tuple(order_by)
    values = dict(zip(columns, zip(*rows, strict=True), strict=True))
    # Most conditions of a batch are the same in all of it.
    shared = {
        name: column[0]
        for name, column in values.items()
        if name not in key and _all_equal(column)
    }
    arrays = {name: list(values[name]) for name in columns if name not in shared}
    statement = _statement(table, columns, tuple(arrays), then, key)
    with bound.cursor() as cursor:
        cursor.execute(statement, [team_id, *shared.values(), *arrays.values()])
        return cursor.fetchall() if cursor.description else []


def _all_equal(column: Sequence[Any]) -> bool:
    return column[0] == column[-1] and column.count(column[0]) == len(column)


def _statement(
    table: str, columns: Columns, arrays: Sequence[str], then: str, key: Sequence[str]
) -> str:
    values = ", ".join(
        _cast(f"u.{name}", kind) if name in arrays else _cast(_typed(kind), kind)
        for name, kind in columns.items()
    )
    unnested = ", ".join(f"{_typed(columns[name])}[]" for name in arrays)
    return (
        f"INSERT INTO {table} AS kept (team_id, {', '.join(columns)}) "
        f"SELECT %b::bigint, {values} FROM unnest({unnested}) AS u({', '.join(arrays)}) "
        f"ORDER BY {', '.join(key)} {then}"
    )


def _typed(kind: str) -> str:
    """A parameter of the type that its values arrive in."""
    return f"%b::{kind.partition('::')[0]}"


def _cast(value: str, kind: str) -> str:
    _, _, cast = kind.partition("::")
    return f"{value}::{cast}" if cast else value
