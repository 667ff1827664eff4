"""Rollups derived again: byte for byte what counting and re-rating had kept."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from billing.actions import rollups
from billing.actions.rollups import Mended
from billing.models import BudgetTotal, DailySpend, HourlySpend
from teams.models import AuditEvent
from tests.billing.test_rerates import (
    NOW,
    TWO_MODELS,
    carry_out,
    faults,
    make_budget,
    plan,
    publish,
    spend,
    take_back,
)
from tests.builders import record
from tests.conftest import Cast

__all__ = ["spend"]

# What divides an hour's price into no whole number of the smallest units.
SESSION = {"input_tokens": 1000, "output_tokens": 10, "active_seconds": 2.501}

_ROLLUPS = ("billing_daily_spend", "billing_hourly_spend", "billing_budget_total")


def execute(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} /*fanout*/")
        return cursor.fetchall() if cursor.description else []


def rows() -> dict[str, list[tuple]]:
    """Every row as PostgreSQL writes it out."""
    return {
        table: execute(f"SELECT t::text FROM {table} t ORDER BY 1") for table in _ROLLUPS
    }


@pytest.fixture
def counted(cast: Cast, spend) -> dict[str, list[tuple]]:
    """Counted, unbilled, in steps, in a session, re-rated (also a closed month), undone."""
    make_budget(cast, "1")
    managed = {"product": "managed_agents_api"}
    spend(
        record(),
        record(usage=TWO_MODELS),
        record(usage=SESSION, **managed),
        record(usage=SESSION | {"active_seconds": 0.007}, **managed),
        record(batch_result="expired", processing="batch"),
        record(occurred_at="2026-09-30T23:30:00Z"),
        record(project="triage"),
    )
    publish()
    rerate = carry_out(plan(cast))
    spend(record(), record(usage=SESSION, **managed))
    publish(input="9.000000001", output="21")
    again = carry_out(plan(cast))
    take_back(again)
    assert rerate.state == "done"
    assert faults() == []
    return rows()


def rebuild(cast: Cast):
    return rollups.rebuild(team=cast.search, by="root", now=NOW)


def test_what_is_right_is_left_as_it_is(cast: Cast, counted):
    nothing = Mended(written=0, removed=0)

    rebuilt = rebuild(cast)

    assert (rebuilt.daily, rebuilt.hourly) == (nothing, nothing)
    assert rows() == counted


@pytest.mark.parametrize(
    "damage",
    [
        ["DELETE FROM billing_daily_spend", "DELETE FROM billing_hourly_spend"],
        ["DELETE FROM billing_budget_total"],
        ["UPDATE billing_daily_spend SET input_cost = input_cost + 1, requests = 9"],
        ["UPDATE billing_daily_spend SET day = day + 40"],
        ["UPDATE billing_hourly_spend SET session = -1, session_cost = 0, cost = 0"],
        ["UPDATE billing_budget_total SET spent = spent * 2"],
    ],
)
def test_damage_is_mended_to_the_byte(cast: Cast, counted, damage: list[str]):
    for statement in damage:
        execute(f"{statement} WHERE team_id = {cast.search.pk}")
    assert rows() != counted

    rebuild(cast)

    assert rows() == counted
    assert faults() == []


def test_rows_and_totals_of_no_charge_come_to_nothing(cast: Cast, counted):
    """A day that was made up, and a budget total that counting made of it."""
    execute(
        f"UPDATE billing_daily_spend SET day = day - 1000 WHERE team_id = {cast.search.pk}"
    )
    execute(
        "INSERT INTO billing_budget_total (team_id, budget_id, period_start, spent) "
        "SELECT team_id, budget_id, '2025-01-01', 5 FROM billing_budget_total LIMIT 1"
    )

    rebuild(cast)

    assert faults() == []
    assert not DailySpend.objects.filter(day__lt="2025-01-01").exists()
    assert BudgetTotal.objects.get(period_start="2025-01-01").spent == 0


def test_other_teams_are_left_alone_and_it_is_audited(cast: Cast, counted):
    execute("DELETE FROM billing_hourly_spend")

    rebuilt = rebuild(cast)

    assert not HourlySpend.objects.filter(team_id=cast.support.pk).exists()
    assert rebuilt.hourly.written == HourlySpend.objects.count() > 0
    event = AuditEvent.objects.get(action="rollups.rebuild")
    assert (event.actor, event.subject) == ("root", "team search")
    assert event.after["hourly"] == {"written": rebuilt.hourly.written, "removed": 0}


def test_the_command_rebuilds_all_teams_and_can_be_repeated(cast: Cast, counted):
    execute("DELETE FROM billing_daily_spend")

    first, second = say(), say()

    assert "/3 acme search: days: " in first
    assert "hours agree" in first
    assert second.count("days agree; hours agree") == 3
    assert rows() == counted


def say() -> str:
    out = StringIO()
    call_command("rebuild_rollups", stdout=out)
    return out.getvalue()
