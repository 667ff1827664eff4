"""The budgets above a project, and how far each is used: what a call has to pass.

What does not change from call to call is read once in a while (`Chain`). Whoever decides
by it asks, in the statement that decides, whether it is still so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Q

from billing.models.budgets import Budget, BudgetTotal
from billing.models.holds import HoldPart
from billing.pricing import caps
from billing.pricing.budget_periods import Period
from teams import trips
from teams.models import Organization, Ownership, Project, ReportingZone, Team
from teams.ownership import Owner
from teams.recent import Recent
from teams.reporting_days import ReportingDays
from teams.trips import Statement


class Call(NamedTuple):
    """What decides which of the budgets a coming call counts against."""

    model_ids: frozenset[int]  # one of these it is; none: nobody knows which
    processing: str
    tags: Mapping[str, str] | None  # None: not known yet

    def may_count(self, budget: Budget, project_id: int) -> bool:
        return any(
            budget.covers(
                project_id=project_id,
                model_id=model_id,
                processing=self.processing,
                tags=self.tags,
            )
            for model_id in self.model_ids or (None,)
        )


class Slot(NamedTuple):
    """A budget in a period that a call may count in."""

    budget: Budget
    period: Period
    cap: Decimal


@dataclass(frozen=True, slots=True)
class Level:
    """How far a budget is used in a period."""

    slot: Slot
    spent: Decimal
    held: Decimal

    @property
    def used(self) -> Decimal:
        return self.spent + self.held

    @property
    def remaining(self) -> Decimal:
        """Negative when the cap is passed."""
        return self.slot.cap - self.used

    @property
    def percent(self) -> Decimal | None:
        """Of what is spent; None for a cap of zero."""
        return caps.percent(self.spent, self.slot.cap)


class Chain:
    """The active budgets over a project and the team that owns it, the nearest first."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        project = Project.objects.select_related("organization").get(pk=owner.project_id)
        self.organization: Organization = project.organization
        self.days = ReportingDays(self.organization)
        above = Q(project=owner.project_id) | Q(team=owner.team_id)
        self.budgets: list[Budget] = list(
            Budget.objects.active()
            .filter(above | Q(team=None, project=None), organization=self.organization)
            .with_scope()
            .order_by("pk")
        )
        teams = list(
            Team.objects.filter(organization=self.organization).values_list("pk", flat=True)
        )
        owners = list(
            Ownership.objects.filter(project=project).values_list("team_id", flat=True)
        )
        is_wide = any(budget.is_wide for budget in self.budgets)
        # Whose spend counts against any of them, and so has to be visible.
        self.team_ids = teams if is_wide else [owner.team_id]
        named = ",".join(f"{budget.pk}.{budget.revision}" for budget in self.budgets)
        self.budgets.sort(key=_distance)
        self.signature = f"{named}|{len(teams)}|{len(owners)}|{self.days.version}"

    @classmethod
    def recent(cls, owner: Owner) -> "Chain":
        """One that this process has read a moment ago, or a new one."""
        return _recent.get(owner) or cls.current(owner)

    @classmethod
    def current(cls, owner: Owner) -> "Chain":
        return _recent.keep(owner, cls(owner))

    @property
    def place(self) -> list[int]:
        """What `SIGNATURE` is asked with."""
        organization_id = self.organization.pk
        return [
            organization_id,
            self.owner.team_id,
            self.owner.project_id,
            organization_id,
            self.owner.project_id,
            organization_id,
        ]

    def slots(self, call: Call, since: datetime, until: datetime) -> Iterator[Slot]:
        """What the call may count in, whenever between the two moments it happens."""
        days = sorted({self.days.day(since), self.days.day(until)})
        its_project = self.owner.project_id
        for budget in self.budgets:
            if call.may_count(budget, its_project):
                for its in dict.fromkeys(budget.running(day) for day in days):
                    if its is not None:
                        yield Slot(budget, its, budget.cap(since))


# Whoever uses one asks whether it still holds.
_recent: Recent[Owner, Chain] = Recent(seconds=600)


def _distance(budget: Budget) -> int:
    """From the project: its own, its team's, the organization's."""
    return 0 if budget.project_id else 1 if budget.team_id else 2


# What `Chain.signature` is made of, as it is now.
SIGNATURE = f"""concat(
    (SELECT string_agg(concat(id, '.', revision), ',' ORDER BY id)
        FROM {Budget._meta.db_table}
        WHERE archived_at IS NULL AND organization_id = %b::bigint
            AND (team_id = %b::bigint OR project_id = %b::bigint
                OR (team_id IS NULL AND project_id IS NULL))),
    '|', (SELECT count(*) FROM {Team._meta.db_table} WHERE organization_id = %b::bigint),
    '|', (SELECT count(*) FROM {Ownership._meta.db_table} WHERE project_id = %b::bigint),
    '|', (SELECT concat(count(*), '.', coalesce(max(id), 0))
        FROM {ReportingZone._meta.db_table} WHERE organization_id = %b::bigint))
"""

# Beginning of a WITH: `level` has the slots asked for with what is spent and held. What
# is held ends by the server's clock, which all processes have in common.
LEVELS = f"""
asked AS (
    SELECT * FROM unnest(%b::bigint[], %b::date[], %b::numeric[], %b::boolean[])
        AS asked(budget_id, period_start, cap, reserves)
), spent AS (
    SELECT budget_id, period_start, sum(total.spent) AS spent
    FROM {BudgetTotal._meta.db_table} total JOIN asked USING (budget_id, period_start)
    GROUP BY budget_id, period_start
), held AS (
    SELECT budget_id, period_start, sum(part.amount) AS held
    FROM {HoldPart._meta.db_table} part JOIN asked USING (budget_id, period_start)
    WHERE part.until IS NULL OR part.until > statement_timestamp()
    GROUP BY budget_id, period_start
), level AS (
    SELECT asked.*, coalesce(spent.spent, 0) AS spent, coalesce(held.held, 0) AS held
    FROM asked
    LEFT JOIN spent USING (budget_id, period_start)
    LEFT JOIN held USING (budget_id, period_start)
)
"""


_READ = f"""
WITH {LEVELS}, chain AS (SELECT {SIGNATURE} = %b::text AS is_current)
SELECT budget_id, period_start, spent, held, chain.is_current
FROM chain LEFT JOIN level ON true
"""


def read(chain: Chain, slots: Sequence[Slot]) -> list[Level] | None:
    """How far these are used now. None: the budgets are others by now."""
    asked = [*parameters(slots, [False] * len(slots)), *chain.place, chain.signature]
    (rows,) = trips.at_once(chain.team_ids, [Statement(_READ, asked)])
    *_, is_current = rows[0]
    return of_rows(slots, rows) if is_current else None


def of_rows(slots: Sequence[Slot], rows: Iterable[tuple[Any, ...]]) -> list[Level]:
    """The levels of these slots, in their order; a row begins as `level` does."""
    used = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    return [Level(slot, *used[slot.budget.pk, slot.period.first]) for slot in slots]


def parameters(slots: Sequence[Slot], reserves: Sequence[bool]) -> list[Any]:
    """What `LEVELS` is asked with."""
    return [
        [slot.budget.pk for slot in slots],
        [slot.period.first for slot in slots],
        [slot.cap for slot in slots],
        list(reserves),
    ]
