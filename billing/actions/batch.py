"""What the records of one counting transaction have in common."""

from datetime import date, datetime
from typing import NamedTuple

from django.db import connection

from billing.models import Budget, months, rate_book
from billing.models.months import ClosedMonths
from billing.models.rate_book import Book
from teams.models import Ownership, ReportingZone, Team
from teams.recent import Recent
from teams.reporting_days import ReportingDays


class Batch(NamedTuple):
    team_id: int
    book: Book
    days: ReportingDays
    closed: ClosedMonths
    budgets: list[Budget]
    now: datetime

    def day(self, occurred_at: datetime) -> date:
        """The day that a call is charged to: its own, or today for a closed month."""
        if self.closed.has(occurred_at):
            return self.closed.today
        return self.days.day(occurred_at)

    @classmethod
    def of_team(cls, team_id: int, now: datetime) -> "Batch":
        """By the prices and budgets of this moment; who charges by it has the team's
        ledger, so that they stay."""
        prices, signature = _now(team_id)
        known = _recent.get(team_id)
        if known is None or known.signature != signature:
            known = _recent.keep(team_id, _Known(team_id, signature))
        return cls(
            team_id=team_id,
            book=rate_book.of_version(known.team.organization_id, prices),
            days=known.days,
            closed=months.closed(known.team, known.days, now),
            budgets=known.budgets,
            now=now,
        )


class _Known:
    """What is the same from batch to batch of a team, as long as its signature is."""

    def __init__(self, team_id: int, signature: str) -> None:
        self.signature = signature
        self.team = Team.objects.select_related("organization").get(pk=team_id)
        self.days = ReportingDays(self.team.organization)
        self.budgets = list(Budget.objects.active().over_team(team_id).with_scope())


# The prices and, apart from them, all that `_Known` is made of.
_NOW = f"""
SELECT ({rate_book.VERSION}), concat(
    team.created_at, '|', (SELECT string_agg(concat(id, '.', revision), ',' ORDER BY id)
        FROM {Budget._meta.db_table}
        WHERE archived_at IS NULL AND organization_id = team.organization_id
            AND (team_id = team.id OR (team_id IS NULL AND project_id IS NULL)
                OR project_id = ANY (owned.projects))),
    '|', (SELECT count(*) FROM {Ownership._meta.db_table}
        WHERE project_id = ANY (owned.projects)),
    '|', (SELECT concat(count(*), '.', max(id)) FROM {ReportingZone._meta.db_table} zone
        WHERE zone.organization_id = team.organization_id))
FROM {Team._meta.db_table} team, LATERAL (
    SELECT array_agg(project_id) AS projects
    FROM {Ownership._meta.db_table} WHERE team_id = team.id
) AS owned
WHERE team.id = %s
"""


def _now(team_id: int) -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(_NOW, [team_id])
        prices, signature = cursor.fetchone()
    return str(prices), str(signature)


# Used only while what it was made of is as it was.
_recent: Recent[int, _Known] = Recent(seconds=60)
