"""What a team spent, by project, family, model, token class and day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby

from billing.models import LanguageModel
from billing.pricing.token_classes import UNITS, TokenClass
from billing.reports import caching, completeness, spend
from billing.reports.caching import CacheSaving
from billing.reports.completeness import Gaps
from billing.reports.exposure import Exposure
from billing.reports.spend import DayCost, Extent, Sums
from teams.models import Project, Team

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Group:
    """A row of a breakdown, with its part of the total in percent."""

    key: str
    name: str
    detail: str
    sums: Sums
    percent: Decimal

    @property
    def per_request(self) -> Decimal | None:
        return self.sums.cost / self.sums.requests if self.sums.requests else None

    @property
    def per_million(self) -> Decimal | None:
        """Of all tokens billed, cached ones included."""
        return self.sums.cost * _MILLION / self.sums.tokens if self.sums.tokens else None


# The classes of a text model; the others are shown where they were used.
_ALWAYS = (
    TokenClass.INPUT,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.CACHE_READ,
    TokenClass.OUTPUT,
)


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One token class: quantity, cost and what a unit of it came to."""

    token_class: TokenClass
    quantity: int
    cost: Decimal
    percent: Decimal

    @property
    def effective_price(self) -> Decimal | None:
        """Of as many as a published price is for: a million tokens, say."""
        if not self.quantity:
            return None
        return self.cost * UNITS[self.token_class] / self.quantity


@dataclass(frozen=True, slots=True)
class DayOfFamilies:
    day: date
    costs: dict[str, Decimal]

    @property
    def total(self) -> Decimal:
        return sum(self.costs.values(), Decimal())


@dataclass(frozen=True, slots=True)
class Filters:
    """What the spend part is narrowed to; the budget part never is."""

    project: Project | None = None
    family: str = ""
    model: LanguageModel | None = None

    def __bool__(self) -> bool:
        return bool(self.project or self.family or self.model)


@dataclass(frozen=True, slots=True)
class Spent:
    """The spend part: the days [since, until) under some filters."""

    since: date
    until: date
    filters: Filters
    total: Sums
    projects: list[Group]
    families: list[Group]
    models: list[Group]
    classes: list[ClassRow]
    days: list[DayOfFamilies]
    cache: CacheSaving
    gaps: Gaps
    exposure: Exposure

    @property
    def cost_per_request(self) -> Decimal | None:
        return self.total.cost / self.total.requests if self.total.requests else None


def spent(*, team: Team, since: date, until: date, filters: Filters) -> Spent:
    """What a team spent in [since, until), in the days of its reporting zone."""
    model_ids = _model_ids(filters)
    extent = Extent(
        team_ids=[team.pk],
        since=since,
        until=until,
        project_ids=[filters.project.pk] if filters.project else None,
    )
    report = spend.spend(
        **extent, model_ids=model_ids, group_by=("project", "family", "model")
    )
    by_day = spend.by_day(**extent, model_ids=model_ids, split="family")
    models = {one.name: one for one in LanguageModel.objects.all()}
    projects = dict(_projects(team))
    return Spent(
        since=since,
        until=until,
        filters=filters,
        total=report.total,
        projects=_groups(report, "project", lambda slug: (projects.get(slug, slug), "")),
        families=_groups(report, "family", lambda family: (family, "")),
        models=_groups(
            report, "model", lambda name: (models[name].display_name, models[name].family)
        ),
        classes=_classes(report.total),
        days=_days(by_day),
        cache=caching.cache_saving(
            organization_id=team.organization_id, **extent, model_ids=model_ids
        ),
        gaps=completeness.gaps(**extent),
        exposure=report.exposure,
    )


def _model_ids(filters: Filters) -> list[int] | None:
    if filters.model is not None:
        # Grouped by name, whichever provider serves it.
        its = LanguageModel.objects.filter(name=filters.model.name)
    elif filters.family:
        its = LanguageModel.objects.filter(family=filters.family)
    else:
        return None
    return list(its.values_list("pk", flat=True))


def _projects(team: Team) -> list[tuple[str, str]]:
    owned = Project.objects.filter(ownerships__team=team).distinct()
    return list(owned.values_list("slug", "name"))


def _groups(
    report: spend.SpendReport, dimension: str, named: Callable[[str], tuple[str, str]]
) -> list[Group]:
    """The report's rows once more, by one of its dimensions, the largest first."""
    sums: dict[str, Sums] = {}
    for row in report.rows:
        sums.setdefault(row.keys[dimension], Sums()).plus(row.sums)
    ordered = sorted(sums.items(), key=lambda one: (-one[1].cost, one[0]))
    return [
        Group(key, *named(key), its, _percent(its.cost, report.total.cost))
        for key, its in ordered
    ]


def _classes(total: Sums) -> list[ClassRow]:
    return [
        ClassRow(
            one,
            total.quantities[one],
            total.costs[one],
            _percent(total.costs[one], total.cost),
        )
        for one in TokenClass
        if one in _ALWAYS or total.quantities[one]
    ]


def _days(rows: Sequence[DayCost]) -> list[DayOfFamilies]:
    """Every day of the range that something was spent on, by family."""
    return [
        DayOfFamilies(day, {row.key: row.cost for row in its})
        for day, its in groupby(rows, lambda row: row.day)
    ]


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return part * 100 / whole if whole else Decimal()
