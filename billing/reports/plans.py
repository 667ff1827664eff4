"""What was planned, for any days: the one function behind variance, plan lines, forecasts.

The plan of a project's month is the newest approved estimate of it that covers the month.
That of a whole team's month is its newest approved one, else what its projects' plans add
up to. A month's plan is spread evenly over its days.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from django.db.models import F, Q

from billing.models import Estimate, EstimateLine
from billing.models.estimates import MOST_MONTHS
from billing.models.rate_book import Book
from billing.pricing import estimates as pricing
from billing.pricing import money, plans
from billing.pricing.budget_periods import Period, calendar_month, months_later
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed
from billing.pricing.variance import Amounts, Cell, Conditions, together
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MonthPlan:
    """What is planned for a month, and the days of it that are asked for.

    `estimates` are one, or one of each project; the lines are those of the month.
    """

    month: Period
    days: Period
    estimates: list[Estimate]
    lines: list[EstimateLine]

    @property
    def share(self) -> Fraction:
        return Fraction(self.days.days, self.month.days)


@dataclass(frozen=True, slots=True)
class Plan:
    """Of the days of `asked`: the months of them that have one."""

    asked: Period
    months: list[MonthPlan]

    def __bool__(self) -> bool:
        return bool(self.months)

    @property
    def estimates(self) -> list[Estimate]:
        """All it is made of, each once."""
        found = {one.pk: one for month in self.months for one in month.estimates}
        return [found[pk] for pk in sorted(found)]

    @property
    def is_of_team(self) -> bool:
        """Whether a month of it was planned for the team as a whole: what its projects'
        plans add up to says nothing of its other projects."""
        return any(one.project_id is None for one in self.estimates)

    @property
    def covered(self) -> list[Period]:
        """The days that are planned, in stretches."""
        stretches: list[Period] = []
        for month in self.months:
            if stretches and stretches[-1].until == month.days.first:
                stretches[-1] = Period(stretches[-1].first, month.days.until)
            else:
                stretches.append(month.days)
        return stretches

    @property
    def uncovered(self) -> list[Period]:
        """The other days."""
        gaps: list[Period] = []
        since = self.asked.first
        for stretch in [*self.covered, Period(self.asked.until, self.asked.until)]:
            if since < stretch.first:
                gaps.append(Period(since, stretch.first))
            since = stretch.until
        return gaps

    @property
    def is_whole(self) -> bool:
        return not self.uncovered

    @property
    def cost(self) -> Decimal:
        """What is planned for these days; each model rounded once."""
        totals: dict[int, Fraction] = defaultdict(Fraction)
        for month in self.months:
            for line in month.lines:
                totals[line.model_id] += money.whole(line.cost) * month.share
        return money.exact(sum(map(money.nearest, totals.values())))

    @property
    def path(self) -> list["PlannedDay"]:
        """Day by day, each planned one; the last total is the whole."""
        totals: dict[int, Fraction] = defaultdict(Fraction)
        before, path = 0, []
        for month in self.months:
            daily: dict[int, Fraction] = defaultdict(Fraction)
            for line in month.lines:
                cost = Fraction(money.whole(line.cost), month.month.days)
                daily[line.model_id] += cost
            for number in range(month.days.days):
                for model_id, cost in daily.items():
                    totals[model_id] += cost
                now = sum(map(money.nearest, totals.values()))
                day = month.days.first + number * _ONE_DAY
                path.append(PlannedDay(day, money.exact(now - before), money.exact(now)))
                before = now
        return path

    def side(self, book: Book) -> dict[Cell, Amounts]:
        """By model (its id) and conditions, for these days.

        The book says by its prices at the time how the cost of a line falls to its token
        classes.
        """
        keys = {model_id: key for key, model_id in book.model_ids.items()}
        parts: dict[Cell, list[Amounts]] = defaultdict(list)
        for month in self.months:
            priced_at = {one.pk: one.priced_at for one in month.estimates}
            for line in month.lines:
                quantities = Quantities(*(getattr(line, name) for name in TokenClass))
                rate = pricing.rate_of(
                    keys[line.model_id],
                    line.requests,
                    quantities,
                    book.rates,
                    priced_at[line.estimate_id],
                    Processing(line.processing),
                )
                costs = plans.class_costs(
                    money.whole(line.cost),
                    quantities,
                    pricing.planned_prices(rate) if rate else None,
                )
                amounts = Amounts(line.requests, tuple(quantities), costs)
                parts[_cell(line)].append(amounts.times(month.share))
        return {cell: together(its) for cell, its in parts.items()}


class PlannedDay(NamedTuple):
    """What is planned for a day, and for all until its end."""

    day: date
    planned: Decimal
    total: Decimal


class Scope(NamedTuple):
    """A project of a team or, without one, the whole team."""

    team_id: int
    project_id: int | None = None


def plan(*, team: Team, project: Project | None = None, asked: Period) -> Plan:
    scope = Scope(team.pk, project.pk if project else None)
    return plans_of([scope], asked)[scope]


def plans_of(
    scopes: Sequence[Scope], asked: Period, *, in_time: ReportingDays | None = None
) -> dict[Scope, Plan]:
    """Those of several scopes, by as many queries as that of one; with a calendar only
    what was approved before its month was over."""
    found = plans_for([(scope, asked) for scope in scopes], in_time=in_time)
    return {scope: found[scope, asked] for scope in scopes}


def plans_for(
    wanted: Collection[tuple[Scope, Period]], *, in_time: ReportingDays | None = None
) -> dict[tuple[Scope, Period], Plan]:
    """Like `plans_of`, of days of its own for each scope."""
    if not wanted:
        return {}
    whole = Period(
        min(asked.first for _, asked in wanted), max(asked.until for _, asked in wanted)
    )
    approved = _approved({scope.team_id for scope, _ in wanted}, whole)
    of_months = {
        month: _in_time(approved, month, in_time) if in_time else approved
        for month in _months(whole)
    }
    chosen = {
        (scope, month): _chosen(scope, month, of_months[month])
        for scope, asked in wanted
        for month in _months(asked)
    }
    lines = _lines({one.pk for its in chosen.values() for one in its}, whole)
    return {
        (scope, asked): Plan(
            asked,
            [
                MonthPlan(
                    month=month,
                    days=Period(
                        max(month.first, asked.first), min(month.until, asked.until)
                    ),
                    estimates=its,
                    lines=[line for one in its for line in lines[one.pk, month.first]],
                )
                for month in _months(asked)
                if (its := chosen[scope, month])
            ],
        )
        for scope, asked in wanted
    }


def planned_projects(*, team: Team, asked: Period) -> list[int]:
    """Ids of the projects with a plan of their own for one of these days."""
    approved = _approved({team.pk}, asked)
    return sorted({one.project_id for one in approved if one.project_id is not None})


def _months(asked: Period) -> list[Period]:
    months = [calendar_month(asked.first)]
    while months[-1].until < asked.until:
        months.append(calendar_month(months[-1].until))
    return months


def _approved(team_ids: Iterable[int], asked: Period) -> list[Estimate]:
    """Those that cover one of these days, the newest first."""
    earliest = months_later(asked.first, 1 - MOST_MONTHS)
    found = Estimate.objects.filter(
        team__in=team_ids,
        state=Estimate.State.APPROVED,
        month__gte=earliest,
        month__lt=asked.until,
    ).order_by("-approved_at", "-pk")
    return [one for one in found if one.period.until > asked.first]


def _in_time(
    approved: Sequence[Estimate], month: Period, days: ReportingDays
) -> list[Estimate]:
    end = days.start(month.until)
    return [one for one in approved if one.approved_at and one.approved_at < end]


def _chosen(scope: Scope, month: Period, approved: Sequence[Estimate]) -> list[Estimate]:
    """What makes the plan of a month, from estimates with the newest first."""
    newest: dict[int | None, Estimate] = {}
    for one in approved:
        if one.team_id == scope.team_id and month.first in one.period:
            newest.setdefault(one.project_id, one)
    if scope.project_id in newest:
        return [newest[scope.project_id]]
    return [] if scope.project_id is not None else list(newest.values())


def _lines(
    estimate_ids: Iterable[int], asked: Period
) -> Mapping[tuple[int, date], list[EstimateLine]]:
    """The planned scenario of each estimate and month."""
    in_months = Q(month__gte=asked.first.replace(day=1), month__lt=asked.until)
    found: dict[tuple[int, date], list[EstimateLine]] = defaultdict(list)
    planned = EstimateLine.objects.filter(
        in_months, estimate__in=estimate_ids, scenario=F("estimate__plan")
    )
    for line in planned.order_by("pk"):
        found[line.estimate_id, line.month].append(line)
    return found


def _cell(line: EstimateLine) -> Cell:
    """An estimate says nothing of speed and place: it is priced at the usual ones."""
    return Cell(line.model_id, Conditions(line.processing, Speed.STANDARD, GLOBAL, GLOBAL))
