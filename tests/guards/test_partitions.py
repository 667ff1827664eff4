"""Months of the ledger: made ahead, made late, made once."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import connection
from psycopg.errors import RaiseException

from billing.actions import partitions
from billing.models import Charge, UsageRecord
from tests.guards import catalogue
from tests.guards.catalogue import Database
from tests.guards.conftest import acting
from tests.guards.rows import insert

MAY = {"month": "2031-05-01", "occurred_at": "2031-05-31T23:59:59.999999Z"}
NOW = datetime(2031, 1, 31, 23, tzinfo=UTC)


def make(database: Database, month: str) -> None:
    database.execute("SELECT purser_make_partitions(%s)", [month])


def where(database: Database, table: str) -> list[str]:
    """The partition of each row."""
    rows = database.execute(f"SELECT tableoid::regclass::text FROM {table}")
    return [name for (name,) in rows]


both_tables = pytest.mark.parametrize("model", [UsageRecord, Charge])


@both_tables
def test_month_without_partition_is_kept_in_the_default_one(database: Database, model: Any):
    insert(database, model, **MAY)

    table = model._meta.db_table
    assert where(database, table) == [f"{table}_default"]


@both_tables
def test_rows_move_out_of_the_default_partition(database: Database, model: Any):
    insert(database, model, **MAY)

    make(database, "2031-05-01")

    table = model._meta.db_table
    assert where(database, table) == [f"{table}_2031_05"]


@both_tables
def test_rows_of_other_months_stay(database: Database, model: Any):
    insert(database, model, **MAY)

    make(database, "2031-04-01")

    table = model._meta.db_table
    assert where(database, table) == [f"{table}_default"]


@both_tables
def test_partition_takes_what_comes_later(database: Database, model: Any):
    make(database, "2031-05-01")

    insert(database, model, **MAY)

    table = model._meta.db_table
    assert where(database, table) == [f"{table}_2031_05"]


def test_partition_that_is_there_is_left_alone(database: Database):
    make(database, "2031-05-01")
    insert(database, Charge, **MAY)

    make(database, "2031-05-01")

    assert where(database, "billing_charge") == ["billing_charge_2031_05"]


def test_day_within_a_month_is_refused(database: Database):
    with (
        pytest.raises(RaiseException, match="2031-05-02 is not the first day of a month"),
        database.transaction(),
    ):
        make(database, "2031-05-02")


def test_partition_has_the_keys_and_checks_of_its_parent(database: Database):
    make(database, "2031-05-01")

    assert constraints(database, "billing_charge_2031_05") == constraints(
        database, "billing_charge"
    )


def constraints(database: Database, table: str) -> list[str]:
    rows = database.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('c', 'p') ORDER BY 1",
        [table],
    )
    return [definition for (definition,) in rows]


# --- billing.actions.partitions -----------------------------------------------------


@both_tables
def test_keep_makes_the_months_around_now(database: Database, model: Any):
    partitions.keep(now=NOW)

    table = model._meta.db_table
    made = catalogue.partitions(database, table)
    for month in ("2030_11", "2030_12", "2031_01", "2031_02", "2031_03", "2031_04"):
        assert f"{table}_{month}" in made
    assert f"{table}_2030_10" not in made
    assert f"{table}_2031_05" not in made


def test_keep_cuts_months_in_utc(database: Database):
    partitions.keep(now=datetime.fromisoformat("2031-01-31T23:00:00-05:00"))

    assert "billing_charge_2031_05" in catalogue.partitions(database, "billing_charge")


@both_tables
def test_keep_empties_the_default_partition(database: Database, model: Any):
    insert(database, model, month=date(2019, 2, 1), occurred_at="2019-02-03T00:00Z")

    partitions.keep(now=NOW)

    table = model._meta.db_table
    assert where(database, table) == [f"{table}_2019_02"]


def test_keep_can_be_repeated(database: Database):
    partitions.keep(now=NOW)
    made = catalogue.partitions(database, "billing_charge")

    partitions.keep(now=NOW)

    assert catalogue.partitions(database, "billing_charge") == made


def test_worker_can_keep(database: Database):
    insert(database, UsageRecord, **MAY)

    with acting(database, "purser_worker"):
        partitions.keep(now=NOW)

        assert where(database, "billing_usage_record") == ["billing_usage_record_2031_05"]


def test_keep_leaves_no_right_on_what_it_made(database: Database):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE purser_worker")
    partitions.keep(now=NOW)

    assert catalogue.rights_on_partitions(database) == []
