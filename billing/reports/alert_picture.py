"""What the e-mail of an alert shows: the budget's period, or the last days, as a chart."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from billing.charts import burn_up, stacked_days
from billing.charts.burn_up import Mark, Point
from billing.charts.drawing import Picture
from billing.charts.look import PLACES, Spec, colour
from billing.charts.stacked_days import Part
from billing.models import Alert
from billing.models.alerts import Crossing
from billing.pricing.budget_periods import Period
from billing.pricing.figures import with_currency
from billing.reports import spend
from teams.models import Team
from teams.reporting_days import ReportingDays

_DAYS = 30
_ONE_DAY = timedelta(days=1)

# These are about Purser itself, or about what is in no total yet: no amount of spend shows
# them. Of a model without a price teams hear that do not see the organization's.
_WITHOUT = (
    Alert.Kind.UNPRICED_MODEL,
    Alert.Kind.KEY_EXPIRING,
    Alert.Kind.DELIVERIES_FAILING,
    Alert.Kind.BACKLOG,
    Alert.Kind.LEDGER_WRONG,
)


def of_alert(alert: Alert, *, now: datetime) -> Picture | None:
    """As things stand now; None where spend has nothing to do with it."""
    today = ReportingDays(alert.organization).day(now)
    crossing = alert.crossing
    if crossing is None and alert.kind == Alert.Kind.RAISE_REQUEST:
        crossing = _as_it_stands(alert, today, now)
    if crossing is not None:
        return _of_period(alert, crossing, today)
    return None if alert.kind in _WITHOUT else _of_days(alert, today)


def _as_it_stands(alert: Alert, today: date, now: datetime) -> Crossing | None:
    """What a raise is asked for: the budget in its running period, against its cap."""
    budget = alert.budget
    if budget is None:
        return None
    first = budget.window.shown_on(today).first
    costs = spend.of_budget(budget, since=first, until=today + _ONE_DAY)
    spent = sum(costs.values(), Decimal())
    return Crossing(budget, budget.revision, first, 0, spent, budget.cap(now))


def _of_period(alert: Alert, crossing: Crossing, today: date) -> Picture:
    budget, currency = crossing.budget, alert.organization.currency
    its = budget.window.shown_on(crossing.period_start)
    last = min(today, its.last)
    one_day = its.first == its.last
    first = last - timedelta(days=_DAYS - 1) if one_day else its.first
    costs = spend.of_budget(budget, since=first, until=last + _ONE_DAY)
    spent = sum((cost for day, cost in costs.items() if day in its), Decimal())
    until = f"On {_named(last)}" if one_day else f"From {_named(first)} to {_named(last)}"
    named = "that day" if one_day else f"the period until {_named(its.last)}"
    cap = with_currency(crossing.cap, currency)
    return Picture(
        # A line through one day would be a point.
        _bars(first, last, costs, budget.scope, currency)
        if one_day
        else _burn_up(its, last, costs, crossing, alert),
        f"{until} {with_currency(spent, currency)} has been spent; the cap of {named} is "
        f"{cap}.",
    )


def _burn_up(
    its: Period, last: date, costs: Mapping[date, Decimal], crossing: Crossing, alert: Alert
) -> Spec:
    currency = alert.organization.currency
    points, total = [], Decimal()
    for offset in range((last - its.first).days + 1):
        day = its.first + timedelta(days=offset)
        cost = costs.get(day, Decimal())
        total += cost
        points.append(
            Point(day, total, with_currency(cost, currency), with_currency(total, currency))
        )
    fired_on = ReportingDays(alert.organization).day(alert.fired_at)
    return burn_up.burn_up(
        first=its.first,
        last=its.last,
        points=points,
        cap=crossing.cap,
        planned=(),
        marks=[Mark(min(max(fired_on, its.first), last), crossing.spent, "")],
        expected=(),
    )


def _of_days(alert: Alert, today: date) -> Picture:
    first = today - timedelta(days=_DAYS - 1)
    name = (alert.project or alert.team or alert.organization).name
    rows = spend.by_day(
        team_ids=_teams(alert),
        project_ids=[alert.project.pk] if alert.project else None,
        since=first,
        until=today + _ONE_DAY,
    )
    costs = {row.day: row.cost for row in rows}
    currency = alert.organization.currency
    total = with_currency(sum(costs.values(), Decimal()), currency)
    return Picture(
        _bars(first, today, costs, name, currency),
        f"{name}, day by day from {_named(first)} to {_named(today)}: {total} altogether.",
    )


def _bars(
    first: date, last: date, costs: Mapping[date, Decimal], name: str, currency: str
) -> Spec:
    return stacked_days.stacked_days(
        first=first,
        last=last,
        parts=[
            Part(day, name, cost, with_currency(cost, currency))
            for day, cost in costs.items()
        ],
        series={name: colour(PLACES[0])},
    )


def _teams(alert: Alert) -> list[int]:
    """Of a project the team that owned it then: others' part of it is not its readers'."""
    teams = Team.objects.filter(organization=alert.organization)
    if alert.project is not None:
        owners = alert.project.ownerships.filter(effective_from__lte=alert.fired_at)
        teams = teams.filter(ownerships=owners.order_by("-effective_from").first())
    elif alert.team is not None:
        teams = teams.filter(pk=alert.team.pk)
    return sorted(teams.values_list("pk", flat=True))


def _named(day: date) -> str:
    return f"{day.day} {day:%b}"
