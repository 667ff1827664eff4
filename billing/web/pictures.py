"""Reports as charts: what stands in a report is drawn, nothing is computed here."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from billing.charts import burn_up, stacked_days
from billing.charts.burn_up import Expected, Mark, Planned, Point
from billing.charts.look import OTHER, PLACES, Spec, colour
from billing.charts.stacked_days import Part
from billing.pricing.budget_periods import Period
from billing.pricing.figures import with_currency
from billing.pricing.forecast import Ahead
from billing.reports.budget_view import BudgetView, DayPoint
from billing.reports.budgets import BudgetStatus
from billing.reports.overview import Overview
from billing.reports.plans import PlannedDay
from billing.reports.team_spend import Spent


class Bar(NamedTuple):
    """Lengths in percent of the bar. It ends at the cap, or at what is over it."""

    used: Decimal
    cap: Decimal
    pace: Decimal | None


class Series(NamedTuple):
    """A chart's series: what it is called, and its place in the palette."""

    key: str
    name: str
    place: str


# A family has the same colour on every page.
_FAMILIES = ("Opus", "Sonnet", "Haiku", "Fable", "Mythos")


def bar(status: BudgetStatus, *, pace: Decimal | None) -> Bar:
    """`pace` is the elapsed share of a period that runs, in percent."""
    cap, spent = status.cap, max(status.spent, Decimal())
    scale = max(cap, spent)
    if not scale:
        return Bar(Decimal(), Decimal(100), None)
    return Bar(
        used=spent * 100 / scale,
        cap=cap * 100 / scale,
        pace=None if pace is None else pace * cap / scale,
    )


def by_size(names: dict[str, str]) -> list[Series]:
    """Series in the order given; all beyond the palette share a place."""
    return [
        Series(key, name, PLACES[position] if position < len(PLACES) else OTHER)
        for position, (key, name) in enumerate(names.items())
    ]


def of_families(families: Iterable[str]) -> list[Series]:
    """Each family at its own place, in their usual order; others after them."""
    found = set(families)
    others = sorted(found - set(_FAMILIES))
    placed = dict(zip((*_FAMILIES, *others), PLACES, strict=False))
    return [
        Series(family, family, placed.get(family, OTHER))
        for family in (*_FAMILIES, *others)
        if family in found
    ]


def burn_up_of(view: BudgetView, currency: str, zone: str) -> Spec:
    """`zone` cuts the days that alerts are drawn on."""
    status = view.status
    totals = {point.day: point.total for point in view.points}
    marks = []
    for alert in view.alerts:
        crossing = alert.crossing
        if crossing is None:
            continue
        fired_on = alert.fired_at.astimezone(ZoneInfo(zone)).date()
        day = min(max(fired_on, status.period.first), view.today)
        words = f"{crossing.threshold} % reached"
        marks.append(Mark(day, totals.get(day, crossing.spent), words))
    return burn_up.burn_up(
        first=status.period.first,
        last=status.period.last,
        points=[
            Point(
                point.day,
                point.total,
                with_currency(point.spent, currency),
                with_currency(point.total, currency),
            )
            for point in view.points
        ],
        cap=status.cap,
        planned=[Planned(one.day, one.total) for one in view.plan],
        marks=marks,
        expected=_expected(view, currency),
    )


def _expected(view: BudgetView, currency: str) -> list[Expected]:
    """From what was spent at the end of yesterday on, where the period had begun."""
    if view.forecast is None:
        return []
    begun = [
        Expected(point.day, point.total, point.total, point.total, "", "")
        for point in view.points[-2:-1]
    ]
    return begun + [
        Expected(
            one.day,
            one.low,
            one.expected,
            one.high,
            with_currency(one.expected, currency),
            f"{with_currency(one.low, currency)}–{with_currency(one.high, currency)}",
        )
        for one in view.forecast.ahead
    ]


class DayFigures(NamedTuple):
    """A day that is drawn: what it came to, what was planned and is expected by its end."""

    day: date
    point: DayPoint | None
    planned: PlannedDay | None
    ahead: Ahead | None


def figures_of(view: BudgetView) -> list[DayFigures]:
    points = {point.day: point for point in view.points}
    planned = {one.day: one for one in view.plan}
    ahead = {one.day: one for one in view.forecast.ahead} if view.forecast else {}
    return [
        DayFigures(day, points.get(day), planned.get(day), ahead.get(day))
        for day in sorted({*points, *planned, *ahead})
    ]


def days_of_families(
    spent: Spent, series: list[Series], shown: Period, currency: str
) -> Spec:
    return stacked_days.stacked_days(
        first=shown.first,
        last=shown.last,
        parts=[
            Part(row.day, family, cost, with_currency(cost, currency))
            for row in spent.days
            for family, cost in row.costs.items()
        ],
        series={one.name: colour(one.place) for one in series},
    )


def days_of_teams(page: Overview, series: list[Series], currency: str) -> Spec:
    names = {one.key: one.name for one in series}
    return stacked_days.stacked_days(
        first=page.since,
        last=Period(page.since, page.until).last,
        parts=[
            Part(row.day, names[slug], cost, with_currency(cost, currency))
            for row in page.days
            for slug, cost in row.costs.items()
        ],
        series={one.name: colour(one.place) for one in series},
    )
