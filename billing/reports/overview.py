"""An organization's spend: its teams by risk, its days, and what is in no total."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from django.db.models import Q

from billing.models import Budget
from billing.pricing.standing import Standing
from billing.reports import (
    budget_flags,
    budgets,
    completeness,
    forecasts,
    processes,
    spend,
    verified,
)
from billing.reports.budget_flags import Flag
from billing.reports.budget_view import standing_of
from billing.reports.budgets import BudgetStatus
from billing.reports.completeness import Freshness, Gaps
from billing.reports.exposure import Exposure
from billing.reports.forecasts import BudgetForecast
from billing.reports.processes import Seen
from billing.reports.spend import DayCost, Extent, Sums
from billing.reports.verified import Verified
from teams.models import Organization, Team
from teams.reporting_days import ReportingDays

_ONE_DAY = timedelta(days=1)
_BY_RISK = list(Standing)


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team, what it spent in the range, and the budget of it that stands worst.

    `forecast` is of that budget.
    """

    team: Team
    sums: Sums
    percent: Decimal
    budget: BudgetStatus | None
    forecast: BudgetForecast | None
    standing: Standing
    firing: int

    @property
    def share(self) -> Decimal:
        """The used part of the cap, for a bar: a cap of zero is used up by anything."""
        if self.budget is None or self.budget.percent is None:
            return Decimal(100 if self.standing is Standing.OVER else 0)
        return self.budget.percent


@dataclass(frozen=True, slots=True)
class DayOfTeams:
    day: date
    costs: dict[str, Decimal]

    @property
    def total(self) -> Decimal:
        return sum(self.costs.values(), Decimal())


@dataclass(frozen=True, slots=True)
class Overview:
    """`budgets` are those of the whole organization; a viewer of some teams sees none.

    `caps` is what the teams' caps add up to, each team's lowest one, over the period of
    the first of `budgets`; `forecasts` are of all budgets shown, by id.
    `not_reconciled` is what no provider's bill has confirmed: as yet, all of it.
    `verified` is about the whole ledger, and None before its first verification; `silent`
    are the kinds of processes that should have been seen.
    """

    organization: Organization
    since: date
    until: date
    today: date
    total: Sums
    teams: list[TeamRow]
    days: list[DayOfTeams]
    families: list[tuple[str, Sums]]
    budgets: list[tuple[BudgetStatus, Standing]]
    forecasts: dict[int, BudgetForecast]
    caps: Decimal
    flags: list[Flag]
    gaps: Gaps
    exposure: Exposure
    not_reconciled: Decimal
    freshness: Freshness
    verified: Verified | None
    silent: list[Seen]

    @property
    def without_budget(self) -> list[TeamRow]:
        return [row for row in self.teams if row.budget is None and row.sums.cost]


def overview(
    *,
    organization: Organization,
    teams: Sequence[Team],
    whole: bool,
    since: date,
    until: date,
    now: datetime,
) -> Overview:
    """These teams in [since, until). With `whole` they are all of the organization's.

    Of each budget it shows the period that the range ends in, at most the one that runs.
    """
    days = ReportingDays(organization)
    today = days.day(now)
    last = min(today, until - _ONE_DAY)
    team_ids = [team.pk for team in teams]
    extent = Extent(team_ids=team_ids, since=since, until=until)
    by_day = spend.by_day(**extent, split="team")
    by_family = spend.spend(**extent, group_by=("team", "family"))
    mine, shared = _statuses(organization, team_ids, whole, last, now)
    expected = forecasts.of_budgets([*mine, *shared], now=now)
    return Overview(
        organization=organization,
        since=since,
        until=until,
        today=today,
        total=by_family.total,
        teams=_team_rows(teams, by_family, mine, expected, today),
        days=_days(by_day),
        families=_families(by_family),
        budgets=[(one, standing_of(one, today)) for one in shared],
        forecasts=expected,
        caps=_caps(mine, shared),
        flags=budget_flags.flags(
            organization=organization, team_ids=team_ids, whole=whole, now=now
        ),
        gaps=completeness.gaps(**extent),
        exposure=by_family.exposure,
        not_reconciled=by_family.total.cost,
        freshness=completeness.freshness(
            team_ids=team_ids, now=now, time_zone=days.zone(now).key
        ),
        verified=verified.last(now=now),
        silent=processes.silent(now=now),
    )


def _statuses(
    organization: Organization,
    team_ids: Sequence[int],
    whole: bool,
    day: date,
    now: datetime,
) -> tuple[list[BudgetStatus], list[BudgetStatus]]:
    """The status of the teams' own budgets that run, and of those of the organization:
    first of all that it spends."""
    wanted = Q(team__in=team_ids)
    if whole:
        wanted |= Q(team=None, project=None)
    found = Budget.objects.active().filter(wanted, organization=organization)
    listed = budgets.statuses_on(found.with_scope().order_by("pk"), day=day, now=now)
    running = [one for one in listed if one.is_running]
    running.sort(key=lambda one: one.budget.is_limited)
    return (
        [one for one in running if one.budget.team_id is not None],
        [one for one in running if one.budget.team_id is None],
    )


def _caps(mine: Sequence[BudgetStatus], shared: Sequence[BudgetStatus]) -> Decimal:
    lowest: dict[int | None, Decimal] = {}
    for status in mine:
        its = status.budget
        if shared and its.window == shared[0].budget.window and not its.is_limited:
            lowest[its.team_id] = min(status.cap, lowest.get(its.team_id, status.cap))
    return sum(lowest.values(), Decimal())


def _team_rows(
    teams: Sequence[Team],
    report: spend.SpendReport,
    statuses: Sequence[BudgetStatus],
    expected: dict[int, BudgetForecast],
    today: date,
) -> list[TeamRow]:
    sums: dict[str, Sums] = {}
    for row in report.rows:
        sums.setdefault(row.keys["team"], Sums()).plus(row.sums)
    rows = [
        _team_row(
            team,
            sums.get(team.slug, Sums()),
            report.total.cost,
            [one for one in statuses if one.budget.team_id == team.pk],
            expected,
            today,
        )
        for team in teams
    ]
    return sorted(rows, key=_risk)


def _team_row(
    team: Team,
    sums: Sums,
    whole: Decimal,
    statuses: list[BudgetStatus],
    expected: dict[int, BudgetForecast],
    today: date,
) -> TeamRow:
    judged = [(standing_of(one, today), one) for one in statuses]
    judged.sort(key=lambda one: (_BY_RISK.index(one[0]), -(one[1].percent or 0)))
    worst, status = judged[0] if judged else (Standing.NO_DATA, None)
    if status is None and sums.requests:
        worst = Standing.NO_BUDGET
    return TeamRow(
        team=team,
        sums=sums,
        percent=sums.cost * 100 / whole if whole else Decimal(),
        budget=status,
        forecast=expected.get(status.budget.pk) if status else None,
        standing=worst,
        firing=sum(len(one.firing) for one in statuses),
    )


def _risk(row: TeamRow) -> tuple[int, Decimal, Decimal, str]:
    used = row.budget.percent if row.budget else None
    return _BY_RISK.index(row.standing), -(used or Decimal()), -row.sums.cost, row.team.name


def _days(rows: Sequence[DayCost]) -> list[DayOfTeams]:
    return [
        DayOfTeams(day, {row.key: row.cost for row in its})
        for day, its in groupby(rows, lambda row: row.day)
    ]


def _families(report: spend.SpendReport) -> list[tuple[str, Sums]]:
    families: dict[str, Sums] = {}
    for row in report.rows:
        families.setdefault(row.keys["family"], Sums()).plus(row.sums)
    return sorted(families.items(), key=lambda one: -one[1].cost)
