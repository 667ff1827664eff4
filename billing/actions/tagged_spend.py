"""What counts against budgets that are limited to a tag, kept by day while counting.

The rollups know no tags: there would be a row for each value that anybody posts. So the
tags are read from the records, in the transaction that charges them, and only when one
of the team's budgets asks for a tag.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from billing.models import Budget, Charge, TaggedSpend, UsageRecord, arrays, unnest

Days = Mapping[tuple[int, date], Decimal]
"""Cost by budget and day of the reporting zone."""


class Written(NamedTuple):
    """Which pricings this transaction has added, of records of these months."""

    months: Collection[date]
    uids: Sequence[str]
    revisions: Sequence[int]  # one for each uid


# The records first, and from each to its charges by their key: a planner that takes the
# tables for small, as they were a moment ago, must not look for each record in all.
_COUNTING = f"""
WITH tagged AS MATERIALIZED (
    SELECT b.id AS budget_id, u.month, u.uid
    FROM {UsageRecord._meta.db_table} u
    JOIN {Budget._meta.db_table} b ON u.tags ->> b.tag_key = ANY (b.tag_values)
    WHERE u.team_id = %(team)s::bigint AND b.id = ANY (%(budgets)s::bigint[]) {{records}}
)
SELECT b.id, c.day, sum(c.cost)
FROM tagged t
JOIN {Charge._meta.db_table} c ON c.team_id = %(team)s::bigint
    AND c.record_uid = t.uid AND c.month = t.month
JOIN {Budget._meta.db_table} b ON b.id = t.budget_id
    AND coalesce(b.project_id, c.project_id) = c.project_id
    AND (cardinality(b.model_ids) = 0 OR c.model_id = ANY (b.model_ids))
    AND (cardinality(b.processing) = 0 OR c.processing = ANY (b.processing))
{{charges}}
GROUP BY b.id, c.day
"""

_ADDED = _COUNTING.format(
    records="AND u.month = ANY (%(months)s::date[]) AND u.uid = ANY (%(uids)s::uuid[])",
    charges=(
        "JOIN unnest(%(uids)s::uuid[], %(revisions)s::smallint[]) "
        "AS written (record_uid, revision) "
        "ON written.record_uid = c.record_uid AND written.revision = c.revision"
    ),
)
_ALL = _COUNTING.format(records="", charges="")

_COLUMNS: unnest.Columns = {"budget_id": "bigint", "day": "date", "cost": "numeric"}
_ON_CONFLICT = "ON CONFLICT (team_id, budget_id, day) DO UPDATE SET cost = "


def add(team_id: int, budgets: Sequence[Budget], written: Written) -> Days:
    """Add what was written to the days of these budgets. Returns it by budget and day."""
    given = {
        "uids": arrays.literal(written.uids, "uuid"),
        "revisions": arrays.literal(written.revisions, "smallint"),
        "months": list(written.months),
    }
    added = _counted(_ADDED, team_id, budgets, given)
    _write(team_id, added, f"{_ON_CONFLICT} kept.cost + EXCLUDED.cost")
    return added


def rederive(team_id: int, budgets: Sequence[Budget]) -> Days:
    """Set a team's days of these budgets to what its charges say; these.

    The caller holds the team's ledger. Reads the team's charges and their records.
    """
    kept = TaggedSpend.objects.filter(team_id=team_id, budget__in=budgets)
    # A day that nothing is left of is set to nothing.
    days = dict.fromkeys(kept.values_list("budget_id", "day"), Decimal())
    days.update(_counted(_ALL, team_id, budgets, {}))
    _write(team_id, days, f"{_ON_CONFLICT} EXCLUDED.cost")
    return days


def _counted(
    statement: str, team_id: int, budgets: Sequence[Budget], given: dict[str, Any]
) -> dict[tuple[int, date], Decimal]:
    of: dict[str, Any] = {"team": team_id, "budgets": [budget.pk for budget in budgets]}
    with connection.cursor() as cursor:
        cursor.execute(statement, of | given)
        return {(budget_id, day): cost for budget_id, day, cost in cursor.fetchall()}


def _write(team_id: int, days: Days, then: str) -> None:
    unnest.insert(
        table=TaggedSpend._meta.db_table,
        columns=_COLUMNS,
        rows=[(*key, cost) for key, cost in days.items()],
        team_id=team_id,
        order_by=("budget_id", "day"),
        then=then,
    )
