"""The rollups of a team once more, from its charges alone.

They are kept while counting and should never need this; where one was damaged, it is
mended here. Whoever counts, re-rates or sets totals of the team waits for its ledger
row meanwhile; records are accepted all the time.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from billing.actions import budget_totals
from billing.models import Budget, Charge, DailySpend, HourlySpend, Rate
from billing.models.months import IS_ADJUSTMENT
from billing.models.rollups import SPEND_KEY
from billing.pricing.token_classes import UNITS, TokenClass
from teams import isolation
from teams.actions import audit
from teams.models import Team


@dataclass(frozen=True, slots=True)
class Mended:
    """Rows of one rollup: how many were set to what the charges say, or were of none."""

    written: int
    removed: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    daily: Mended
    hourly: Mended


def rebuild(*, team: Team, by: str, now: datetime) -> Rebuilt:
    """Set a team's rollups, and its budget totals, to what its charges come to.

    Rows that say so already are left as they are. One transaction.
    """
    with isolation.visible_teams([team.pk]):
        budget_totals.take_ledger(team.pk)
        rebuilt = Rebuilt(_mend(team.pk, _DAILY), _mend(team.pk, _HOURLY))
        budgets = Budget.objects.active().over_team(team.pk).with_scope()
        budget_totals.rederive(team.pk, budgets)
        audit.record(
            action="rollups.rebuild",
            subject=f"team {team.slug}",
            organization=team.organization.slug,
            after=asdict(rebuilt),
            by=by,
            now=now,
        )
    return rebuilt


def _mend(team_id: int, statement: str) -> Mended:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"team": team_id})
        written, removed = cursor.fetchone()
    return Mended(written, removed)


_OTHERS = tuple(name for name in TokenClass if name is not TokenClass.SESSION)
_COSTS = tuple(f"{name}_cost" for name in TokenClass)
_SUMS = ("requests", *TokenClass, *_COSTS, "cost")


def _cost_of(name: TokenClass) -> str:
    """What a rate makes of a sum of one class: exact, as no quotient is left to NUMERIC."""
    return f"coalesce(sum(at_rate.{name} * r.{name} * {Decimal(1) / UNITS[name]:f}), 0)"


# What a session costs is rounded in each charge, so it is what is left of the whole.
_SESSION_COST = " - ".join(("sum(at_rate.cost)", *map(_cost_of, _OTHERS)))


def _rebuilding(table: str, period: str, of_charge: str, more: dict[str, str]) -> str:
    """`more` are the columns that only this rollup has, by what they sum of the charges."""
    key = (*SPEND_KEY, period)
    sums = (*_SUMS, *more)
    columns = (*key, *sums)
    costs = {name: _cost_of(name) for name in _OTHERS} | {TokenClass.SESSION: _SESSION_COST}
    return f"""
WITH at_rate AS (
    SELECT {", ".join(SPEND_KEY)}, {of_charge} AS {period}, rate_id,
        count(*) FILTER (WHERE leg = 0) - count(*) FILTER (WHERE leg = -1) AS requests,
        {", ".join(f"sum({name}) AS {name}" for name in TokenClass)}, sum(cost) AS cost
        {"".join(f", {of} AS {name}" for name, of in more.items())}
    FROM {Charge._meta.db_table} WHERE team_id = %(team)s::bigint
    GROUP BY {", ".join(SPEND_KEY)}, {of_charge}, rate_id
), derived AS (
    SELECT {", ".join(f"at_rate.{name}" for name in key)},
        sum(at_rate.requests) AS requests,
        {", ".join(f"sum(at_rate.{name}) AS {name}" for name in TokenClass)},
        {", ".join(f"{costs[name]} AS {name}_cost" for name in TokenClass)},
        sum(at_rate.cost) AS cost
        {"".join(f", sum(at_rate.{name}) AS {name}" for name in more)}
    FROM at_rate LEFT JOIN {Rate._meta.db_table} r ON r.id = at_rate.rate_id
    GROUP BY {", ".join(f"at_rate.{name}" for name in key)}
), written AS (
    INSERT INTO {table} AS kept ({", ".join(columns)})
    SELECT {", ".join(("%(team)s::bigint", *columns[1:]))} FROM derived
    ORDER BY {", ".join(key)}
    ON CONFLICT ({", ".join(key)}) DO UPDATE SET
        {", ".join(f"{name} = EXCLUDED.{name}" for name in sums)}
    WHERE ({", ".join(f"kept.{name}" for name in sums)})
        IS DISTINCT FROM ({", ".join(f"EXCLUDED.{name}" for name in sums)})
    RETURNING 1
), removed AS (
    DELETE FROM {table} kept WHERE kept.team_id = %(team)s::bigint AND NOT EXISTS (
        SELECT FROM derived
        WHERE {" AND ".join(f"derived.{name} = kept.{name}" for name in key)}
    )
    RETURNING 1
)
SELECT (SELECT count(*) FROM written), (SELECT count(*) FROM removed)
"""


_DAILY = _rebuilding(
    DailySpend._meta.db_table,
    "day",
    "day",
    {"adjustment": f"coalesce(sum(cost) FILTER (WHERE {IS_ADJUSTMENT}), 0)"},
)
_HOURLY = _rebuilding(
    HourlySpend._meta.db_table, "hour", "date_trunc('hour', occurred_at, 'UTC')", {}
)
