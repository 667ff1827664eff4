"""A team's budget page: typed rows, the same for the page and for whatever else asks.

Money comes from the daily rollups and the budget totals; nothing here reads records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q

from billing.models import Budget, months
from billing.models.months import OpenMonths
from billing.pricing.budget_periods import Period, PeriodKind, calendar_month
from billing.pricing.standing import Standing
from billing.reports import budget_view, budgets, completeness, estimates, team_spend
from billing.reports.budget_view import BudgetView
from billing.reports.budgets import BudgetStatus
from billing.reports.completeness import Freshness
from billing.reports.estimates import EstimateReport
from billing.reports.team_spend import Filters, Spent
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TeamPage:
    team: Team
    budgets: list[tuple[BudgetStatus, Standing]]
    budget: BudgetView | None
    spent: Spent
    month: EstimateReport
    freshness: Freshness
    open_months: OpenMonths


def team_page(
    *,
    team: Team,
    visible_team_ids: Sequence[int],
    listed: Sequence[Budget],
    budget: Budget | None,
    since: date,
    until: date,
    filters: Filters,
    now: datetime,
) -> TeamPage:
    """All of the page: the budgets that can be chosen, and one of them day by day.

    Of the budget it shows the period that the range ends in; a range that reaches today or
    beyond shows the period that runs.
    """
    days = ReportingDays(team.organization)
    today = days.day(now)
    last = min(today, until - _ONE_DAY)
    month = estimates.estimate_vs_actual(team=team, month=last)
    statuses = budgets.statuses_on(listed, day=last, now=now)
    chosen = next((one for one in statuses if one.budget == budget), None)
    return TeamPage(
        team=team,
        budgets=[(one, budget_view.standing_of(one, today)) for one in statuses],
        budget=budget_view.budget_view(chosen, team, visible_team_ids, today, now)
        if chosen
        else None,
        spent=team_spend.spent(team=team, since=since, until=until, filters=filters),
        month=month,
        freshness=completeness.freshness(
            team_ids=[team.pk], now=now, time_zone=days.zone(now).key
        ),
        open_months=months.open_months(days, now),
    )


def budgets_of(team: Team, *, today: date, now: datetime) -> list[Budget]:
    """Active budgets of a team and of the projects it owns; its own month comes first,
    those that do not run come last."""
    its = Q(team=team) | Q(project__in=Project.objects.owned_by(team, now))
    found = Budget.objects.active().filter(its, organization=team.organization_id)
    return sorted(
        found.with_scope(),
        key=lambda one: (
            one.running(today) is None,
            one.team_id is None,
            bool(one.limits),
            one.period != PeriodKind.MONTH,
            one.pk,
        ),
    )


def period_of(budget: Budget | None, day: date) -> Period:
    """The period a page starts with: that of the budget, else the month."""
    return budget.window.shown_on(day) if budget else calendar_month(day)
