"""Spend from the daily rollups: the one function behind every total."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from billing.models import DailySpend, LanguageModel, UnpricedRecord
from billing.pricing.token_classes import TokenClass
from teams.models import Project, Team

DIMENSIONS = ("team", "project", "model", "family", "day")
_MEASURES = ("requests", *TokenClass, "cost")
# The column that a dimension is grouped by in SQL; names come afterwards.
_COLUMNS = {
    "team": "team_id",
    "project": "project_id",
    "model": "model_id",
    "family": "model_id",
    "day": "day",
}


@dataclass(slots=True)
class Sums:
    requests: int = 0
    quantities: dict[TokenClass, int] = field(
        default_factory=lambda: dict.fromkeys(TokenClass, 0)
    )
    cost: Decimal = Decimal()

    def add(self, row: dict[str, Any]) -> None:
        self.requests += row["requests"]
        for token_class in TokenClass:
            self.quantities[token_class] += row[token_class]
        self.cost += row["cost"]


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


def spend(
    *,
    team_ids: Sequence[int],
    since: date,
    until: date,
    group_by: Sequence[str],
    project_ids: Sequence[int] | None = None,
) -> SpendReport:
    """Sums per group over [since, until), in days of the reporting zone.

    Rows are ordered by their keys. `project_ids` narrows to these projects.
    Unpriced records have no cost; they are counted beside it, never as zero.
    """
    days = DailySpend.objects.filter(team_id__in=team_ids, day__gte=since, day__lt=until)
    if project_ids is not None:
        days = days.filter(project_id__in=project_ids)
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
    return SpendReport(
        since=since,
        until=until,
        group_by=tuple(group_by),
        rows=[
            SpendRow(dict(zip(group_by, key, strict=True)), groups[key])
            for key in sorted(groups)
        ],
        total=total,
        unpriced_records=_unpriced(team_ids, since, until, project_ids),
    )


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


def _unpriced(
    team_ids: Sequence[int],
    since: date,
    until: date,
    project_ids: Sequence[int] | None,
) -> int:
    # By UTC month: an unpriced record has no reporting day yet.
    records = UnpricedRecord.objects.filter(
        team_id__in=team_ids, month__gte=since.replace(day=1), month__lt=until
    )
    if project_ids is not None:
        records = records.filter(project_id__in=project_ids)
    return records.count()
