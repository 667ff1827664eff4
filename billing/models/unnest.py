"""Many rows in one statement: an array per column, or one value that all rows have.

One team's rows go in one statement, sorted by key so that writers meet in one order. The
same text runs on plain PostgreSQL and, with a constant team, on one shard of Citus.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from billing.models import arrays, bound

Columns = dict[str, str]
"""Column name → PostgreSQL type of its array elements; `x::y` casts text to y."""


class Insertion(NamedTuple):
    """An INSERT, to be executed alone or as a part of a statement with `bound.cursor`."""

    statement: str
    parameters: list[Any]


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
    insertion = of_rows(
        table=table,
        columns=columns,
        rows=rows,
        team_id=team_id,
        then=then,
        order_by=order_by,
    )
    with bound.cursor() as cursor:
        cursor.execute(*insertion)
        return cursor.fetchall() if cursor.description else []


def of_rows(
    *,
    table: str,
    columns: Columns,
    rows: Sequence[tuple[Any, ...]],
    team_id: int,
    then: str,
    order_by: Iterable[str],
) -> Insertion:
    """The statement that `insert` executes, also as a part of another one. Of no rows
    there is none."""
    key = tuple(order_by)
    values = dict(zip(columns, zip(*rows, strict=True), strict=True))
    # Most conditions of a batch are the same in all of it.
    shared = {
        name: column[0]
        for name, column in values.items()
        if name not in key and _all_equal(column)
    }
    unnested = {
        name: arrays.literal(column, _kind(columns[name]))
        for name, column in values.items()
        if name not in shared
    }
    return Insertion(
        _statement(table, columns, tuple(unnested), then, key),
        [team_id, *shared.values(), *unnested.values()],
    )


def _all_equal(column: Sequence[Any]) -> bool:
    return column[0] == column[-1] and column.count(column[0]) == len(column)


def _statement(
    table: str, columns: Columns, unnested: Sequence[str], then: str, key: Sequence[str]
) -> str:
    values = ", ".join(
        _cast(f"u.{name}", kind) if name in unnested else _cast(f"%b::{_kind(kind)}", kind)
        for name, kind in columns.items()
    )
    literals = ", ".join(f"%s::{_kind(columns[name])}[]" for name in unnested)
    return (
        f"INSERT INTO {table} AS kept (team_id, {', '.join(columns)}) "
        f"SELECT %b::bigint, {values} FROM unnest({literals}) AS u({', '.join(unnested)}) "
        f"ORDER BY {', '.join(key)} {then}"
    )


def _kind(kind: str) -> str:
    """The type that values arrive in."""
    return kind.partition("::")[0]


def _cast(value: str, kind: str) -> str:
    _, _, cast = kind.partition("::")
    return f"{value}::{cast}" if cast else value
