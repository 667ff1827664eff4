"""Spend from the daily rollups: the one function behind every total."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NotRequired, TypedDict

from django.db.models import F, Q, QuerySet, Sum

from billing.models import Budget, DailySpend, LanguageModel, TaggedSpend
from billing.pricing.budget_periods import Period, calendar_month
from billing.pricing.token_classes import TOOLS, TokenClass
from billing.reports.exposure import Exposure, exposure
from teams.models import Project, Team

DIMENSIONS = ("team", "project", "model", "family", "day")
# The rollups' column with the cost of each token class.
COST_COLUMNS = {token_class: f"{token_class}_cost" for token_class in TokenClass}
_MEASURES = ("requests", *TokenClass, *COST_COLUMNS.values(), "cost", "adjustment")
# The column that a dimension is grouped by in SQL; names come afterwards.
_COLUMNS = {
    "team": "team_id",
    "project": "project_id",
    "model": "model_id",
    "family": "model_id",
    "day": "day",
}


class Extent(TypedDict):
    """Which part of the rollups: teams, the days [since, until), perhaps projects."""

    team_ids: Sequence[int]
    since: date
    until: date
    project_ids: NotRequired[Sequence[int] | None]


@dataclass(slots=True)
class Sums:
    requests: int = 0
    quantities: dict[TokenClass, int] = field(
        default_factory=lambda: dict.fromkeys(TokenClass, 0)
    )
    costs: dict[TokenClass, Decimal] = field(
        default_factory=lambda: dict.fromkeys(TokenClass, Decimal())
    )
    cost: Decimal = Decimal()
    # Of the cost: what was charged for months that were closed.
    adjustment: Decimal = Decimal()

    @property
    def tokens_in(self) -> int:
        """What went in, cached or not."""
        return self.tokens - self.quantities[TokenClass.OUTPUT]

    @property
    def tokens(self) -> int:
        """All tokens billed; counted tools are none."""
        return sum(self.quantities[name] for name in TokenClass if name not in TOOLS)

    def add(self, row: dict[str, Any]) -> None:
        self.requests += row["requests"]
        for token_class, column in COST_COLUMNS.items():
            self.quantities[token_class] += row[token_class]
            self.costs[token_class] += row[column]
        self.cost += row["cost"]
        self.adjustment += row["adjustment"]

    def plus(self, other: "Sums") -> None:
        """Add another group's sums to these."""
        self.requests += other.requests
        for token_class in TokenClass:
            self.quantities[token_class] += other.quantities[token_class]
            self.costs[token_class] += other.costs[token_class]
        self.cost += other.cost
        self.adjustment += other.adjustment


@dataclass(frozen=True, slots=True)
class SpendRow:
    keys: dict[str, str]
    sums: Sums


@dataclass(frozen=True, slots=True)
class SpendReport:
    """Half-open: the day `until` is not in it."""

    since: date
    until: date
    group_by: tuple[str, ...]
    rows: list[SpendRow]
    total: Sums
    unpriced_records: int
    # Of those records; what they would cost at most is in no sum.
    exposure: Exposure


def spend(
    *,
    team_ids: Sequence[int],
    since: date,
    until: date,
    group_by: Sequence[str],
    project_ids: Sequence[int] | None = None,
    model_ids: Sequence[int] | None = None,
) -> SpendReport:
    """Sums per group over [since, until), in days of the reporting zone.

    Rows are ordered by their keys. `project_ids` and `model_ids` narrow to these.
    Unpriced records have no cost; they are counted beside it, never as zero.
    """
    days = rows(team_ids, since, until, project_ids, model_ids)
    columns = sorted({_COLUMNS[dimension] for dimension in group_by})
    grouped = (
        days.values(*columns)
        .order_by()
        .annotate(**{f"sum_{name}": Sum(name) for name in _MEASURES})
    )
    found = list(grouped)
    names = _names(group_by, found)
    total = Sums()
    groups: dict[tuple[str, ...], Sums] = defaultdict(Sums)
    for row in found:
        measured = {name: row[f"sum_{name}"] for name in _MEASURES}
        key = tuple(names[dimension](row) for dimension in group_by)
        groups[key].add(measured)
        total.add(measured)
    without_price = unpriced(
        team_ids=team_ids, since=since, until=until, project_ids=project_ids
    )
    return SpendReport(
        since=since,
        until=until,
        group_by=tuple(group_by),
        rows=[
            SpendRow(dict(zip(group_by, key, strict=True)), groups[key])
            for key in sorted(groups)
        ],
        total=total,
        unpriced_records=without_price.records,
        exposure=without_price,
    )


@dataclass(frozen=True, slots=True)
class DayCost:
    """What one key (a team, a family) cost on one day; without a split the key is ""."""

    day: date
    key: str
    requests: int
    cost: Decimal


def by_day(
    *,
    team_ids: Sequence[int],
    since: date,
    until: date,
    split: str | None = None,
    project_ids: Sequence[int] | None = None,
    model_ids: Sequence[int] | None = None,
) -> list[DayCost]:
    """The costs of `spend` grouped by day (and one dimension), for lines and bars.

    The same rows, and of them the cost alone: a quarter of a year is drawn at once.
    """
    days = rows(team_ids, since, until, project_ids, model_ids)
    columns = ["day", *([_COLUMNS[split]] if split else [])]
    grouped = days.values(*columns).annotate(
        sum_requests=Sum("requests"), sum_cost=Sum("cost")
    )
    grouped_rows = list(grouped.order_by("day"))
    named = _names([split], grouped_rows)[split] if split else lambda row: ""
    found: dict[tuple[date, str], DayCost] = {}
    for row in grouped_rows:
        key = (row["day"], named(row))
        before = found.get(key, DayCost(*key, 0, Decimal()))
        found[key] = DayCost(
            *key,
            requests=before.requests + row["sum_requests"],
            cost=before.cost + row["sum_cost"],
        )
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class ModelCost:
    model: LanguageModel
    requests: int
    cost: Decimal


def by_model(
    *,
    team_ids: Sequence[int],
    since: date,
    until: date,
    project_ids: Sequence[int] | None = None,
) -> list[ModelCost]:
    """The costs of `spend` grouped by model, the dearest first."""
    days = rows(team_ids, since, until, project_ids, None).order_by()
    sums = {
        model_id: (requests, cost)
        for model_id, requests, cost in days.values_list("model_id").annotate(
            Sum("requests"), Sum("cost")
        )
    }
    models = LanguageModel.objects.in_bulk(sums)
    found = [ModelCost(models[model_id], *its) for model_id, its in sums.items()]
    return sorted(found, key=lambda one: (-one.cost, one.model.name))


def by_project_and_day(
    wanted: Iterable[tuple[int, int, Period]],
) -> dict[tuple[int, int], dict[date, Decimal]]:
    """By team and project (their ids) what each of the days asked of them cost, in one
    query; several periods of one project are put together."""
    places, team_ids = Q(), set()
    for team_id, project_id, days in wanted:
        within = {"day__gte": days.first, "day__lt": days.until}
        places |= Q(team_id=team_id, project_id=project_id, **within)
        team_ids.add(team_id)
    found: dict[tuple[int, int], dict[date, Decimal]] = defaultdict(dict)
    if not team_ids:
        return found
    its = DailySpend.objects.filter(places, team_id__in=team_ids).order_by()
    columns = its.values_list("team_id", "project_id", "day").annotate(Sum("cost"))
    for team_id, project_id, day, cost in columns:
        found[team_id, project_id][day] = cost
    return found


def of_budget(
    budget: Budget, *, since: date, until: date, adjusted: bool = True
) -> dict[date, Decimal]:
    """What counts against a budget on each day of [since, until) that something does.

    Its limits are kept, so the days of a period add up to its total. Not `adjusted`, it
    is without what was charged for closed months; of a tag that is not told apart. Of
    teams that are not visible nothing is in it. Select the budget `with_scope()`.
    """
    in_range = Q(day__gte=since, day__lt=until, team_id__in=_teams_of(budget))
    if budget.tag_key:
        tagged = TaggedSpend.objects.filter(in_range, budget=budget).values_list("day")
        return dict(tagged.order_by("day").annotate(Sum("cost")))
    days = DailySpend.objects.filter(in_range, budget.covered_rollups).values_list("day")
    cost = F("cost") if adjusted else F("cost") - F("adjustment")
    return dict(days.order_by("day").annotate(total=Sum(cost)))


def _teams_of(budget: Budget) -> Iterable[int]:
    its = Team.objects.filter(organization=budget.organization_id)
    return budget.covered_team_ids or list(its.values_list("pk", flat=True))


def rows(
    team_ids: Sequence[int],
    since: date,
    until: date,
    project_ids: Sequence[int] | None,
    model_ids: Sequence[int] | None,
) -> QuerySet[DailySpend]:
    """The rollups of this extent: what every sum is made of."""
    days = DailySpend.objects.filter(team_id__in=team_ids, day__gte=since, day__lt=until)
    if project_ids is not None:
        days = days.filter(project_id__in=project_ids)
    if model_ids is not None:
        days = days.filter(model_id__in=model_ids)
    return days


def _names(group_by: Iterable[str], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Per dimension a function from a grouped row to the name shown for it."""
    wanted = set(group_by)
    ids = {
        column: {row[column] for row in rows if column in row}
        for column in set(_COLUMNS.values())
    }
    teams = Team.objects.in_bulk(ids["team_id"])
    projects = Project.objects.in_bulk(ids["project_id"])
    models = LanguageModel.objects.in_bulk(ids["model_id"])
    names: dict[str, Any] = {
        "team": lambda row: teams[row["team_id"]].slug,
        "project": lambda row: projects[row["project_id"]].slug,
        "model": lambda row: models[row["model_id"]].name,
        "family": lambda row: models[row["model_id"]].family,
        "day": lambda row: row["day"].isoformat(),
    }
    return {dimension: names[dimension] for dimension in wanted}


def unpriced(
    *,
    team_ids: Sequence[int],
    since: date,
    until: date,
    project_ids: Sequence[int] | None = None,
) -> Exposure:
    """What the records without a price cost at most, in no sum. By UTC month: such a
    record has no reporting day yet."""
    last = calendar_month(until - timedelta(days=1))
    return exposure(
        team_ids=team_ids,
        since=datetime.combine(since.replace(day=1), time(), UTC),
        until=datetime.combine(last.until, time(), UTC),
        project_ids=project_ids,
    )
