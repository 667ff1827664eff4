"""Estimate against actual: the one function behind the page, the API and the admin."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Sum

from billing.models import DailySpend, Estimate, EstimateLine, LanguageModel
from billing.models.estimates import Scenario
from teams.models import Team

_LISTED = 200


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model of a team's month: planned in three sizes, and what it came to."""

    model: str
    display_name: str
    family: str
    planned: dict[Scenario, Decimal]
    estimate: Decimal | None  # the planned scenario; None: not in the plan
    actual: Decimal
    requests: int

    @property
    def variance(self) -> Decimal | None:
        """Actual − estimate: positive is over the plan."""
        return None if self.estimate is None else self.actual - self.estimate

    @property
    def variance_percent(self) -> Decimal | None:
        if not self.estimate or self.variance is None:
            return None
        return self.variance * 100 / self.estimate


@dataclass(frozen=True, slots=True)
class EstimateReport:
    """A team's month. `total` sums the rows; without an estimate it has none."""

    team: str
    month: date
    estimate: Estimate | None
    rows: list[ModelRow]
    total: ModelRow


@dataclass(frozen=True, slots=True)
class ListedEstimate:
    """An estimate in a list: what its whole period comes to, by scenario."""

    estimate: Estimate
    totals: dict[Scenario, Decimal]

    @property
    def planned(self) -> Decimal:
        return self.totals.get(Scenario(self.estimate.plan), Decimal())


def listed(teams: Sequence[Team]) -> list[ListedEstimate]:
    """Those of these teams and their projects, newest first, as many as a page has."""
    newest = Estimate.objects.with_scope().filter(team__in=teams).order_by("-pk")
    found = {one.pk: ListedEstimate(one, {}) for one in newest[:_LISTED]}
    lines = EstimateLine.objects.filter(estimate__in=found).values_list(
        "estimate_id", "scenario"
    )
    for pk, scenario, cost in lines.annotate(Sum("cost")).order_by():
        found[pk].totals[Scenario(scenario)] = cost
    return list(found.values())


def planned_months(estimate: Estimate) -> list[date]:
    """The months whose plan it is: no other one of its scope was approved after it."""
    if estimate.state != Estimate.State.APPROVED:
        return []
    of_scope = Estimate.objects.filter(
        team=estimate.team_id, project=estimate.project_id, state=Estimate.State.APPROVED
    )
    newest = {
        month: of_scope.covering(month).by_weight().first()
        for month in estimate.covered_months
    }
    return [month for month, one in newest.items() if one == estimate]


def estimate_vs_actual(*, team: Team, month: date) -> EstimateReport:
    """The plan of a whole team's month, else its newest estimate, against the rollups.

    Models that stand on one side only are there too.
    """
    first = month.replace(day=1)
    of_team = Estimate.objects.filter(team=team, project=None)
    estimate = of_team.covering(first).by_weight().first()
    planned = _planned(estimate, first)
    actual = _actual(team, first)
    models = LanguageModel.objects.in_bulk([*{*planned, *actual}])
    plan = Scenario(estimate.plan) if estimate else None
    rows = [
        _row(model, planned.get(model.pk), plan, *actual.get(model.pk, (Decimal(), 0)))
        for model in sorted(models.values(), key=lambda one: (one.family, one.name))
    ]
    return EstimateReport(team.slug, first, estimate, rows, _total(rows, plan))


def _planned(estimate: Estimate | None, first: date) -> dict[int, dict[Scenario, Decimal]]:
    planned: dict[int, dict[Scenario, Decimal]] = defaultdict(dict)
    if estimate is not None:
        lines = estimate.lines.filter(month=first).values_list("model_id", "scenario")
        for model_id, scenario, cost in lines.annotate(Sum("cost")).order_by():
            planned[model_id][Scenario(scenario)] = cost
    return planned


def _actual(team: Team, first: date) -> dict[int, tuple[Decimal, int]]:
    until = (first + timedelta(days=31)).replace(day=1)
    spent = DailySpend.objects.filter(team_id=team.pk, day__gte=first, day__lt=until)
    sums = spent.values_list("model_id").annotate(Sum("cost"), Sum("requests"))
    return {model_id: (cost, requests) for model_id, cost, requests in sums.order_by()}


def _row(
    model: LanguageModel,
    planned: dict[Scenario, Decimal] | None,
    plan: Scenario | None,
    actual: Decimal,
    requests: int,
) -> ModelRow:
    return ModelRow(
        model=model.name,
        display_name=model.display_name,
        family=model.family,
        planned=planned or {},
        estimate=planned.get(plan, Decimal()) if planned and plan else None,
        actual=actual,
        requests=requests,
    )


def _total(rows: list[ModelRow], plan: Scenario | None) -> ModelRow:
    planned = {
        scenario: sum((row.planned.get(scenario, Decimal()) for row in rows), Decimal())
        for scenario in Scenario
    }
    return ModelRow(
        model="",
        display_name="Total",
        family="",
        planned=planned if plan else {},
        estimate=planned[plan] if plan else None,
        actual=sum((row.actual for row in rows), Decimal()),
        requests=sum(row.requests for row in rows),
    )
