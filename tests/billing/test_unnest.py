"""Many rows in one statement arrive as they are, whatever their columns have in common."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.models import bound, unnest
from tests.conftest import Cast
from tests.guards.sql_guard import SqlGuard

NASTY = ["NULL", "", 'a"b', "back\\slash", "{1,2}", "a,b", "line\nbreak", "ü 🙂", "%s %b"]
COLUMNS: unnest.Columns = {
    "uid": "uuid",
    "number": "bigint",
    "label": "text",
    "day": "date",
    "at": "timestamptz",
    "cost": "numeric",
    "flags": "text::text[]",
    "kept": "text::jsonb",
    "digest": "bytea",
}
Row = tuple[Any, ...]


@pytest.fixture
def table(db: None) -> str:
    """A table of no model, which goes with the test's transaction."""
    columns = ", ".join(
        f"{name} {kind.rpartition('::')[2]}" for name, kind in COLUMNS.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE planted (team_id bigint, {columns}, PRIMARY KEY (team_id, uid))"
        )
    return "planted"


def row(number: int, /, **changes: Any) -> Row:
    values = {
        "uid": UUID(int=number),
        "number": number,
        "label": "same",
        "day": date(2026, 11, 22),
        "at": datetime(2026, 11, 22, 12, tzinfo=UTC),
        "cost": Decimal("0.000000000000001"),
        "flags": "{a,b}",
        "kept": '{"a": [1, null]}',
        "digest": b"\x00\\x",
    }
    return tuple((values | changes).values())


def insert(table: str, rows: list[Row], then: str = "") -> list[Row]:
    return unnest.insert(
        table=table, columns=COLUMNS, rows=rows, team_id=1, order_by=("uid",), then=then
    )


def kept(table: str, column: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} ORDER BY uid")
        return [value for (value,) in cursor.fetchall()]


def test_what_all_rows_share_is_in_every_row(table: str):
    insert(table, [row(1), row(2), row(3)])

    assert kept(table, "number") == [1, 2, 3]
    assert kept(table, "label") == ["same"] * 3
    assert kept(table, "at") == [datetime(2026, 11, 22, 12, tzinfo=UTC)] * 3
    assert kept(table, "cost") == [Decimal("0.000000000000001")] * 3
    assert kept(table, "flags") == [["a", "b"]] * 3
    assert kept(table, "kept->'a'->>0") == ["1"] * 3
    assert [bytes(digest) for digest in kept(table, "digest")] == [b"\x00\\x"] * 3


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("label", NASTY),
        ("number", [0, -1, 2**15, 2**31, 2**63 - 1, None]),
        ("cost", [Decimal(0), Decimal("-1E-15"), Decimal("999999999999.000000000000001")]),
        ("day", [date(1, 1, 1), None, date(9999, 12, 31)]),
        ("label", [None, "first is none"]),
        ("label", ["ends alike", "in the middle", "ends alike"]),
        ("label", [None, None]),
    ],
)
def test_every_value_arrives_in_its_row(table: str, column: str, values: list[Any]):
    insert(table, [row(at, **{column: value}) for at, value in enumerate(values, 1)])

    assert kept(table, column) == values


def test_one_row_and_no_row(table: str):
    assert insert(table, []) == []

    insert(table, [row(1)])

    assert kept(table, "number") == [1]


def test_what_is_returned_has_the_types_of_the_columns(table: str):
    then = "RETURNING uid, number, label, at, cost, digest"

    (returned,) = insert(table, [row(7)], then)

    assert returned == (
        UUID(int=7),
        7,
        "same",
        datetime(2026, 11, 22, 12, tzinfo=UTC),
        Decimal("0.000000000000001"),
        b"\x00\\x",
    )


def test_a_key_is_written_once(table: str):
    insert(table, [row(1)])

    added = insert(table, [row(1), row(2)], "ON CONFLICT DO NOTHING RETURNING number")

    assert added == [(2,)]


def test_the_statements_of_the_cursor_are_seen(db: None):
    with CaptureQueriesContext(connection) as queries, bound.cursor() as cursor:
        cursor.execute("SELECT %b::bigint", [3])
        assert cursor.fetchall() == [(3,)]

    assert [query["sql"] for query in queries] == ["SELECT $1::bigint"]


def test_the_errors_of_the_cursor_are_those_of_django(db: None):
    with pytest.raises(DataError), transaction.atomic(), bound.cursor() as cursor:
        cursor.execute("SELECT 1 / %b::bigint", [0])


def test_the_guard_sees_what_it_does(cast: Cast, sql_guard: SqlGuard):
    with pytest.raises(AssertionError, match="R7"):
        unnest.insert(
            table="billing_budget_total",
            columns={"budget_id": "bigint", "period_start": "date", "spent": "numeric"},
            rows=[(1, date(2026, 11, 1), Decimal(1))],
            team_id=cast.search.pk,
            order_by=("budget_id",),
            then="",
        )
    assert "INSERT on" in sql_guard.violations.pop()
