"""Why a team or project spent more or less than planned: the one function behind the
page, the API and the review.

Days without a plan are not compared. What was spent on them is said beside.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Sum
from django.db.models.functions import TruncMonth

from billing.models import LanguageModel, rate_book
from billing.models.rate_book import Book
from billing.pricing import money
from billing.pricing.budget_periods import Period
from billing.pricing.token_classes import TokenClass
from billing.pricing.variance import (
    Amounts,
    Cell,
    Conditions,
    Effect,
    Side,
    Walk,
    together,
)
from billing.pricing.variance import variance as walk
from billing.reports import completeness, drivers, plans, spend
from billing.reports.completeness import Gaps
from billing.reports.drivers import Driver
from billing.reports.exposure import Exposure
from billing.reports.plans import Plan, Scope
from billing.reports.spend import COST_COLUMNS, Extent
from teams.models import Project, Team


@dataclass(frozen=True, slots=True)
class Compared:
    """Plan and actual of the same days, and how one came to the other."""

    walk: Walk
    planned_requests: int
    requests: int

    @property
    def planned(self) -> Decimal:
        return money.exact(self.walk.plan)

    @property
    def actual(self) -> Decimal:
        return money.exact(self.walk.actual)

    @property
    def difference(self) -> Decimal:
        """Actual − planned: above 0 is over the plan."""
        return money.exact(self.walk.difference)

    @property
    def percent(self) -> Decimal | None:
        """The difference in percent of the plan; None where nothing was planned."""
        return self.percent_of_plan(self.difference)

    @property
    def effects(self) -> dict[Effect, Decimal]:
        """What each step of the path adds; together the difference, exactly."""
        return {name: money.exact(its) for name, its in self.walk.effects.items()}

    @property
    def size(self) -> Decimal:
        """The three effects of size together."""
        return money.exact(self.walk.size)

    def percent_of_plan(self, amount: Decimal) -> Decimal | None:
        return percent_of(amount, self.planned)


@dataclass(frozen=True, slots=True)
class ModelRow:
    model: LanguageModel
    compared: Compared


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project, and its own variance where it has a plan of its own: of the days that
    are planned for it."""

    project: Project
    requests: int
    actual: Decimal
    compared: Compared | None


@dataclass(frozen=True, slots=True)
class ClassRow:
    token_class: TokenClass
    planned_quantity: int
    quantity: int
    planned: Decimal
    actual: Decimal

    @property
    def difference(self) -> Decimal:
        return self.actual - self.planned

    @property
    def percent(self) -> Decimal | None:
        return percent_of(self.difference, self.planned)


@dataclass(frozen=True, slots=True)
class DayRow:
    """A planned day, and the totals of all until its end."""

    day: date
    planned: Decimal
    actual: Decimal
    planned_total: Decimal
    actual_total: Decimal

    @property
    def difference(self) -> Decimal:
        return self.actual - self.planned

    @property
    def percent(self) -> Decimal | None:
        return percent_of(self.difference, self.planned)


@dataclass(frozen=True, slots=True)
class VarianceReport:
    """The days of `asked`, of a team or of one project of it.

    `total` and the rows are about the planned ones of these days, and sum up to each
    other; where none is planned, `total` is None and there are no rows but those of
    projects. `spent` is all that the days of `asked` cost, `outside` the part of it on
    days without a plan.
    """

    team: Team
    project: Project | None
    asked: Period
    plan: Plan
    total: Compared | None
    models: list[ModelRow]
    projects: list[ProjectRow]
    classes: list[ClassRow]
    days: list[DayRow]
    drivers: list[Driver]
    spent: Decimal
    outside: Decimal
    gaps: Gaps
    exposure: Exposure

    def days_to_come(self, today: date) -> int:
        """How many of the planned days have not begun: the plan counts them."""
        return sum(
            max((stretch.last - max(stretch.first, today)).days, 0)
            if stretch.first <= today
            else stretch.days
            for stretch in self.plan.covered
        )


def variance(
    *, team: Team, since: date, until: date, project: Project | None = None
) -> VarianceReport:
    """The plan of [since, until) and what became of it, in days of the reporting zone."""
    asked = Period(since, until)
    extent = Extent(
        team_ids=[team.pk],
        since=since,
        until=until,
        project_ids=[project.pk] if project else None,
    )
    rows = list(_actual(extent))
    scopes = _scopes(team, project, rows, asked)
    planned = plans.plans_of(scopes, asked)
    book = rate_book.current(team.organization_id)
    plan = planned[scopes[0]]
    inside = _in_months(rows, plan)
    expected, came = plan.side(book), _side(inside)
    spent = _cost(rows)
    return VarianceReport(
        team=team,
        project=project,
        asked=asked,
        plan=plan,
        total=_compared(expected, came) if plan else None,
        models=_models(expected, came) if plan else [],
        projects=_projects(inside if plan else rows, rows, planned, team, book),
        classes=_classes(expected, came) if plan else [],
        days=_days(plan, extent),
        drivers=_drivers(expected, came, team) if plan else [],
        spent=spent,
        outside=spent - _cost(inside),
        gaps=completeness.gaps(**extent),
        exposure=spend.unpriced(**extent),
    )


def percent_of(part: Decimal, whole: Decimal) -> Decimal | None:
    return part * 100 / whole if whole else None


# --- What was spent -------------------------------------------------------------------


class _Spent(NamedTuple):
    """Of one project in one month (its first day), in one cell."""

    project_id: int
    month: date
    cell: Cell
    amounts: Amounts


def _actual(extent: Extent) -> Iterator[_Spent]:
    rows = (
        spend.rows(
            extent["team_ids"],
            extent["since"],
            extent["until"],
            extent.get("project_ids"),
            None,
        )
        .annotate(first=TruncMonth("day"))
        .values_list("project_id", "first", "model_id", *Conditions._fields)
        .annotate(
            Sum("requests"),
            *(Sum(name) for name in TokenClass),
            *(Sum(column) for column in COST_COLUMNS.values()),
        )
    )
    classes = len(TokenClass)
    for project_id, first, model_id, *rest in rows.order_by():
        conditions, (requests, *measures) = rest[:4], rest[4:]
        yield _Spent(
            project_id,
            first,
            Cell(model_id, Conditions(*conditions)),
            Amounts(
                requests,
                tuple(measures[:classes]),
                tuple(map(money.whole, measures[classes:])),
            ),
        )


def _in_months(rows: Iterable[_Spent], plan: Plan) -> list[_Spent]:
    planned = {month.month.first for month in plan.months}
    return [row for row in rows if row.month in planned]


def _side(rows: Iterable[_Spent]) -> dict[Cell, Amounts]:
    parts: dict[Cell, list[Amounts]] = defaultdict(list)
    for row in rows:
        parts[row.cell].append(row.amounts)
    return {cell: together(its) for cell, its in parts.items()}


def _cost(rows: Iterable[_Spent]) -> Decimal:
    return money.exact(sum(money.nearest(row.amounts.cost) for row in rows))


# --- Both sides -----------------------------------------------------------------------


def _scopes(
    team: Team, project: Project | None, rows: Sequence[_Spent], asked: Period
) -> list[Scope]:
    """That of the report first, then those of the projects in it."""
    if project is not None:
        return [Scope(team.pk, project.pk)]
    used = {row.project_id for row in rows}
    projects = used | set(plans.planned_projects(team=team, asked=asked))
    return [Scope(team.pk), *(Scope(team.pk, pk) for pk in sorted(projects))]


def _compared(plan: Side, actual: Side) -> Compared:
    return _with_requests(walk(plan, actual).total, plan, actual)


def _with_requests(its: Walk, plan: Side, actual: Side) -> Compared:
    return Compared(
        its,
        money.nearest(together(plan.values()).requests),
        money.nearest(together(actual.values()).requests),
    )


def _of_model(side: Side, model_id: int | str) -> Side:
    return {cell: its for cell, its in side.items() if cell.model == model_id}


def _models(plan: Side, actual: Side) -> list[ModelRow]:
    found = walk(plan, actual).models
    models = LanguageModel.objects.in_bulk([int(model_id) for model_id in found])
    rows = [
        ModelRow(
            models[int(model_id)],
            _with_requests(its, _of_model(plan, model_id), _of_model(actual, model_id)),
        )
        for model_id, its in found.items()
    ]
    return sorted(rows, key=lambda row: (-abs(row.compared.difference), row.model.name))


def _projects(
    shown: Sequence[_Spent],
    rows: Sequence[_Spent],
    planned: Mapping[Scope, Plan],
    team: Team,
    book: Book,
) -> list[ProjectRow]:
    """What each cost is that of the rows shown; what is compared, of all its planned
    months."""
    ids = {row.project_id for row in shown}
    ids |= {
        scope.project_id
        for scope, plan in planned.items()
        if scope.project_id is not None and plan
    }
    projects = Project.objects.in_bulk(ids)
    found = []
    for pk, project in projects.items():
        plan = planned[Scope(team.pk, pk)]
        its = [row for row in rows if row.project_id == pk]
        mine = [row for row in shown if row.project_id == pk]
        came = _side(_in_months(its, plan))
        found.append(
            ProjectRow(
                project=project,
                requests=money.nearest(together(row.amounts for row in mine).requests),
                actual=_cost(mine),
                compared=_compared(plan.side(book), came) if plan else None,
            )
        )
    return sorted(found, key=lambda row: (-row.actual, row.project.slug))


def _classes(plan: Side, actual: Side) -> list[ClassRow]:
    expected, came = together(plan.values()), together(actual.values())
    costs = _class_costs(plan)
    return [
        ClassRow(
            token_class,
            money.nearest(expected.quantities[index]),
            money.nearest(came.quantities[index]),
            money.exact(costs[index]),
            money.exact(money.nearest(came.costs[index])),
        )
        for index, token_class in enumerate(TokenClass)
        if any((expected.quantities[index], came.quantities[index], came.costs[index]))
    ]


def _class_costs(plan: Side) -> list[int]:
    """Per class what is planned. Each model's classes are rounded as they add up, so that
    together they are what is planned for it."""
    costs = [0] * len(TokenClass)
    for model_id in {cell.model for cell in plan}:
        its = together(_of_model(plan, model_id).values())
        before, total = 0, its.cost * 0
        for index, cost in enumerate(its.costs):
            total += cost
            costs[index] += money.nearest(total) - before
            before = money.nearest(total)
    return costs


def _days(plan: Plan, extent: Extent) -> list[DayRow]:
    if not plan:
        return []
    costs = {row.day: row.cost for row in spend.by_day(**extent)}
    total, rows = Decimal(), []
    for planned in plan.path:
        actual = costs.get(planned.day, Decimal())
        total += actual
        rows.append(DayRow(planned.day, planned.planned, actual, planned.total, total))
    return rows


def _drivers(plan: Side, actual: Side, team: Team) -> list[Driver]:
    ids = {int(cell.model) for cell in (*plan, *actual)}
    names: dict[int | str, str] = {
        pk: model.display_name for pk, model in LanguageModel.objects.in_bulk(ids).items()
    }
    return drivers.drivers(plan, actual, names, team.organization.currency)
