"""Many rows in one statement: an array per column, one parameter each.

One team's rows go in one statement, sorted by key so that writers meet in one order. The
same text runs on plain PostgreSQL and, with a constant team, on one shard of Citus.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

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
    statement = _statement(table, columns, then, tuple(order_by))
    arrays = [list(values) for values in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(statement, [team_id, *arrays])
        return cursor.fetchall() if cursor.description else []


def _statement(table: str, columns: Columns, then: str, order_by: tuple[str, ...]) -> str:
    names = ", ".join(columns)
    arrays = ", ".join(f"%s::{kind.split('::')[0]}[]" for kind in columns.values())
    values = ", ".join(_value(name, kind) for name, kind in columns.items())
    return (
        f"INSERT INTO {table} AS kept (team_id, {names}) "
        f"SELECT %s::bigint, {values} FROM unnest({arrays}) AS u({names}) "
        f"ORDER BY {', '.join(order_by)} {then}"
    )


def _value(name: str, kind: str) -> str:
    _, _, cast = kind.partition("::")
    return f"u.{name}::{cast}" if cast else f"u.{name}"
