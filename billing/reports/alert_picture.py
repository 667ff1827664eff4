"""What the e-mail of an alert shows: the budget's period, or the last days, as a chart."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from billing.charts import burn_up, stacked_days
from billing.charts.burn_up import Mark, Point
from billing.charts.drawing import Picture
from billing.charts.look import PLACES, colour
from billing.charts.stacked_days import Part
from billing.models import Alert
from billing.models.alerts import Crossing
from billing.pricing.budget_periods import PeriodKind, period
from billing.pricing.figures import with_currency
from billing.reports import spend
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

_DAYS = 30
_ONE_DAY = timedelta(days=1)

# These are about Purser itself, and no amount of spend shows them.
_WITHOUT = (
    Alert.Kind.KEY_EXPIRING,
    Alert.Kind.DELIVERIES_FAILING,
    Alert.Kind.BACKLOG,
    Alert.Kind.LEDGER_WRONG,
)


def of_alert(alert: Alert, *, now: datetime) -> Picture | None:
    """As things stand now; None where spend has nothing to do with it."""
    today = ReportingDays(alert.organization).day(now)
    crossing = alert.crossing
    if crossing is not None:
        return _of_period(alert, crossing, today)
    return None if alert.kind in _WITHOUT else _of_days(alert, today)


def _of_period(alert: Alert, crossing: Crossing, today: date) -> Picture:
    budget = crossing.budget
    its = period(PeriodKind(budget.period), crossing.period_start)
    last = min(today, its.last)
    costs = _costs(sorted(budget.covered_team_ids), _only(budget.project), its.first, last)
    currency = budget.organization.currency
    points, total = [], Decimal()
    for offset in range((last - its.first).days + 1):
        day = its.first + timedelta(days=offset)
        cost = costs.get(day, Decimal())
        total += cost
        points.append(
            Point(day, total, with_currency(cost, currency), with_currency(total, currency))
        )
    fired_on = ReportingDays(budget.organization).day(alert.fired_at)
    mark = Mark(min(max(fired_on, its.first), last), crossing.spent, "")
    spec = burn_up.burn_up(
        first=its.first,
        last=its.last,
        points=points,
        cap=crossing.cap,
        planned=None,
        marks=[mark],
    )
    return Picture(
        spec,
        f"From {_named(its.first)} to {_named(last)} {with_currency(total, currency)} "
        f"have been spent; the cap of the period until {_named(its.last)} is "
        f"{with_currency(crossing.cap, currency)}.",
    )


def _of_days(alert: Alert, today: date) -> Picture:
    first = today - timedelta(days=_DAYS - 1)
    name = (alert.project or alert.team or alert.organization).name
    costs = _costs(_teams(alert), _only(alert.project), first, today)
    currency = alert.organization.currency
    parts = [
        Part(day, name, cost, with_currency(cost, currency)) for day, cost in costs.items()
    ]
    total = with_currency(sum(costs.values(), Decimal()), currency)
    return Picture(
        stacked_days.stacked_days(
            first=first, last=today, parts=parts, series={name: colour(PLACES[0])}
        ),
        f"{name}, day by day from {_named(first)} to {_named(today)}: {total} altogether.",
    )


def _teams(alert: Alert) -> list[int]:
    teams = Team.objects.filter(organization=alert.organization)
    if alert.project is not None:
        teams = teams.filter(ownerships__project=alert.project)
    elif alert.team is not None:
        teams = teams.filter(pk=alert.team.pk)
    return sorted(set(teams.values_list("pk", flat=True)))


def _only(project: Project | None) -> list[int] | None:
    return [project.pk] if project else None


def _costs(
    team_ids: Sequence[int], project_ids: Sequence[int] | None, first: date, last: date
) -> dict[date, Decimal]:
    days = spend.by_day(
        team_ids=team_ids, project_ids=project_ids, since=first, until=last + _ONE_DAY
    )
    return {row.day: row.cost for row in days}


def _named(day: date) -> str:
    return f"{day.day} {day:%b}"
