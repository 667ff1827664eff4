"""What the running period of a budget will have cost, and what drives it.

From the daily rollups, up to a quarter of a year back, without what was charged for closed
months. The model is `billing.pricing.forecast`; here it is given days, a plan, and the
errors of others.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from django.db.models import F, Q, Sum

from billing.models import (
    Budget,
    DailySpend,
    ForecastErrors,
    LanguageModel,
    TaggedSpend,
)
from billing.pricing import forecast as forecasting
from billing.pricing import money
from billing.pricing.budget_periods import Period, PeriodKind
from billing.pricing.forecast import Ahead, Forecast, Spread
from billing.pricing.token_classes import TokenClass
from billing.reports import plans
from billing.reports.budgets import BudgetStatus
from billing.reports.plans import Scope
from billing.reports.spend import COST_COLUMNS
from teams.models import Organization, Project, Team
from teams.reporting_days import ReportingDays

# As far back as days say something about those to come.
DAYS_BACK = 90
# What was spent lately, and what that is held against.
_LATELY = 7
_BEFORE = 28
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BudgetForecast:
    """Of the running period of a budget, against its cap as it stands.

    `exhausted_on` is the day by whose end the cap is reached: a past one where it was, the
    expected one where it will be, None where the period is expected to end below it.
    """

    forecast: Forecast
    cap: Decimal
    exhausted_on: date | None

    @property
    def probability_over_cap(self) -> Decimal:
        """From 0 to 1, with two places."""
        return self.forecast.probability_over(self.cap)

    @property
    def low_confidence(self) -> bool:
        return self.forecast.low_confidence is not None

    @property
    def over(self) -> Decimal:
        """What the period is expected to end above the cap by; negative below it."""
        return self.forecast.expected - self.cap

    @property
    def ahead(self) -> list[Ahead]:
        return self.forecast.path()


class Drivers(NamedTuple):
    """By their names in the API. What grew most lately, or has the largest part."""

    project: str
    model: str
    token_class: TokenClass


def of_budget(status: BudgetStatus, *, now: datetime) -> BudgetForecast | None:
    """The forecast of the status's period; None when it does not run at this moment, and
    where there is neither a day of data nor a plan."""
    return of_budgets([status], now=now).get(status.budget.pk)


def of_budgets(
    statuses: Iterable[BudgetStatus], *, now: datetime
) -> dict[int, BudgetForecast]:
    """Those of several budgets of one organization, by id, in as many queries as of a few.

    Budgets of the same part of the spend in the same period differ by what they have
    counted and by their cap: the days to come are forecast once for them.
    """
    listed = list(statuses)
    if not listed:
        return {}
    days = ReportingDays(listed[0].budget.organization)
    today = days.day(now)
    running = [status for status in listed if today in status.period]
    if not running:
        return {}
    left = _share_left(days, today, now)
    since = min(today - DAYS_BACK * _ONE_DAY, *(one.period.first for one in running))
    series = _series([one.budget for one in running], since, today)
    planned = _planned(running)
    others = _errors_kept(listed[0].budget.organization)
    made: dict[Any, Forecast | None] = {}
    found: dict[int, BudgetForecast] = {}
    for status in running:
        part = _Part.of(status.budget)
        its = (part, status.period.until, planned.get(status.budget.pk))
        if its not in made:
            made[its] = forecasting.forecast(
                spent=Decimal(),
                history=_history(series[part], today - DAYS_BACK * _ONE_DAY, today),
                today=today,
                today_left=left,
                until=status.period.until,
                planned_daily=planned.get(status.budget.pk),
                others=others,
            )
        if (ahead := made[its]) is not None:
            whole = replace(ahead, spent=status.spent)
            found[status.budget.pk] = _against_cap(status, whole, series[part])
    return found


def of_next_period(budget: Budget, *, now: datetime) -> tuple[Period, Forecast] | None:
    """The period after the running one, and its forecast; of a budget that is saved or
    not. None for a custom period, which nothing follows, and where there is neither a day
    of data nor a plan."""
    days = ReportingDays(budget.organization)
    today = days.day(now)
    running = None if budget.window.custom else budget.window.period(today)
    following = running and budget.window.period(running.until)
    if running is None or following is None or (budget.tag_key and budget.pk is None):
        return None
    since = today - DAYS_BACK * _ONE_DAY
    costs = _series([budget], since, today)[_Part.of(budget)]
    made = forecasting.forecast(
        spent=Decimal(),
        history=_history(costs, since, today),
        today=today,
        today_left=_share_left(days, today, now),
        until=following.until,
        planned_daily=_planned_daily(budget, [following, running], now),
        others=_errors_kept(budget.organization),
    )
    return None if made is None else (following, made.beginning(following.first))


def as_json(one: BudgetForecast) -> dict[str, Any]:
    its = one.forecast
    return {
        "amount": money.plain(its.expected),
        "low": money.plain(its.low),
        "high": money.plain(its.high),
        "probability_over_cap": money.plain(one.probability_over_cap),
        "exhausted_on": one.exhausted_on,
        "low_confidence": one.low_confidence,
    }


def errors_of(organization: Organization, *, now: datetime) -> Spread:
    """How far forecasts of an organization's teams were off; all must be visible."""
    today = ReportingDays(organization).day(now)
    since = today - DAYS_BACK * _ONE_DAY
    daily = _daily(_team_ids(organization), since, today, (), Q())
    teams: dict[int, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for place, costs in daily.items():
        for day, cost in costs.items():
            teams[place.team_id][day] += cost
    return forecasting.spread(_history(costs, since, today) for costs in teams.values())


def drivers(budgets: Sequence[Budget], *, now: datetime) -> dict[int, Drivers]:
    """What makes the spend of budgets of one organization larger, by id: the project whose
    daily mean grew most in the last seven days, against the 28 days before; of its models,
    and of the token classes of that one, the same. Where nothing grew, the largest part.

    As many queries as for one. Without those that nothing was spent of lately, and those of
    a tag: how its spend is made up is not kept.
    """
    listed = [budget for budget in budgets if not budget.tag_key]
    if not listed:
        return {}
    today = ReportingDays(listed[0].organization).day(now)
    turn = today - _LATELY * _ONE_DAY
    lately = _Means(listed, turn, today)
    before = _Means(listed, turn - _BEFORE * _ONE_DAY, turn)
    grown = {
        budget.pk: _grown(its, before.parts(budget))
        for budget in listed
        if (its := lately.parts(budget))
    }
    projects = Project.objects.in_bulk({one.project_id for one in grown.values()})
    models = LanguageModel.objects.in_bulk({one.model_id for one in grown.values()})
    return {
        pk: Drivers(
            projects[one.project_id].slug, models[one.model_id].name, one.token_class
        )
        for pk, one in grown.items()
    }


# --- Days ---------------------------------------------------------------------------

_SPENT = Sum(F("cost") - F("adjustment"))
_Costs = Mapping[date, Decimal]


class _Place(NamedTuple):
    """Where something was spent, as finely as was asked for."""

    team_id: int
    project_id: int
    model_id: int | None = None
    processing: str | None = None


def _covered(budgets: Sequence[Budget]) -> list[int]:
    """The teams whose spend counts against one of the budgets."""
    if any(_is_whole(budget) for budget in budgets):
        return _team_ids(budgets[0].organization)
    return sorted({team_id for budget in budgets for team_id in budget.covered_team_ids})


def _is_whole(budget: Budget) -> bool:
    return budget.team_id is None and budget.project_id is None


def _team_ids(organization: Organization) -> list[int]:
    teams = Team.objects.filter(organization=organization).order_by("pk")
    return list(teams.values_list("pk", flat=True))


class _Part(NamedTuple):
    """What of the spend counts against a budget; of a tag, that budget alone knows."""

    team_id: int | None
    project_id: int | None
    model_ids: tuple[int, ...]
    processing: tuple[str, ...]
    tagged: int | None

    @classmethod
    def of(cls, budget: Budget) -> "_Part":
        return cls(
            budget.team_id,
            budget.project_id,
            tuple(sorted(budget.model_ids)),
            tuple(sorted(budget.processing)),
            budget.pk if budget.tag_key else None,
        )

    def has(self, place: "_Place") -> bool:
        return (
            self.team_id in (None, place.team_id)
            and self.project_id in (None, place.project_id)
            and (not self.model_ids or place.model_id in self.model_ids)
            and (not self.processing or place.processing in self.processing)
        )


def _series(budgets: Sequence[Budget], since: date, until: date) -> dict[_Part, _Costs]:
    """What counted against each budget on the days of [since, until), by its part.

    One query for budgets of all that their scopes spend, one for those limited to models
    or processing, and one for those of a tag.
    """
    tagged = [budget for budget in budgets if budget.tag_key]
    rest = [budget for budget in budgets if not budget.tag_key]
    series = _tagged(tagged, since, until) if tagged else {}
    for listed in (
        [budget for budget in rest if not budget.is_limited],
        [budget for budget in rest if budget.is_limited],
    ):
        if listed:
            daily = _daily_of_parts(listed, since, until)
            places = _Places(daily)
            for part in {_Part.of(budget) for budget in listed}:
                series[part] = _sum(
                    daily[place] for place in places.near(part) if part.has(place)
                )
    return series


def _tagged(budgets: Sequence[Budget], since: date, until: date) -> dict[_Part, _Costs]:
    days = TaggedSpend.objects.filter(
        team_id__in=_covered(budgets), budget__in=budgets, day__gte=since, day__lt=until
    )
    costs: dict[int, dict[date, Decimal]] = {budget.pk: {} for budget in budgets}
    rows = days.values_list("budget_id", "day").annotate(total=Sum("cost"))
    for budget_id, day, cost in rows.order_by():
        costs[budget_id][day] = cost
    return {_Part.of(budget): costs[budget.pk] for budget in budgets}


def _daily_of_parts(
    budgets: Sequence[Budget], since: date, until: date
) -> dict[_Place, _Costs]:
    """As finely as these budgets are limited."""
    models = {model_id for one in budgets for model_id in one.model_ids}
    processing = {name for one in budgets for name in one.processing}
    narrowed = Q()
    if all(one.model_ids for one in budgets):
        narrowed &= Q(model_id__in=models)
    if all(one.processing for one in budgets):
        narrowed &= Q(processing__in=processing)
    finer = [name for name, by in (("model_id", models), ("processing", processing)) if by]
    return _daily(_covered(budgets), since, until, finer, narrowed)


class _Places:
    """Where something was spent, by team and by project."""

    def __init__(self, places: Iterable[_Place]) -> None:
        self._all = list(places)
        self._of: dict[tuple[str, int], list[_Place]] = defaultdict(list)
        for place in self._all:
            self._of["team", place.team_id].append(place)
            self._of["project", place.project_id].append(place)

    def near(self, part: _Part) -> Sequence[_Place]:
        """All that can be in a part."""
        if part.project_id is not None:
            return self._of.get(("project", part.project_id), ())
        if part.team_id is not None:
            return self._of.get(("team", part.team_id), ())
        return self._all


def _sum(several: Iterable[_Costs]) -> _Costs:
    costs: dict[date, Decimal] = defaultdict(Decimal)
    for its in several:
        for day, cost in its.items():
            costs[day] += cost
    return costs


def _daily(
    team_ids: Sequence[int],
    since: date,
    until: date,
    finer: Sequence[str],
    narrowed: Q,
) -> dict[_Place, _Costs]:
    """By team and project; by what is named in `finer` too, of what is `narrowed` to."""
    days = DailySpend.objects.filter(
        narrowed, team_id__in=team_ids, day__gte=since, day__lt=until
    )
    rows = days.values_list("team_id", "project_id", "day", *finer).annotate(total=_SPENT)
    places: dict[tuple[Any, ...], _Place] = {}
    found: dict[_Place, dict[date, Decimal]] = defaultdict(dict)
    for team_id, project_id, day, *rest, cost in rows.order_by():
        key = (team_id, project_id, *rest)
        if key not in places:
            places[key] = _Place(team_id, project_id, **dict(zip(finer, rest, strict=True)))
        found[places[key]][day] = cost
    return dict(found)


def _history(costs: _Costs, since: date, until: date) -> list[Decimal]:
    """Every day of [since, until), the first one first."""
    return [
        costs.get(since + offset * _ONE_DAY, Decimal())
        for offset in range((until - since).days)
    ]


def _share_left(days: ReportingDays, today: date, now: datetime) -> Decimal:
    """Of today, from 0 to 1: a day may have 23 or 25 hours."""
    start, end = days.start(today), days.start(today + _ONE_DAY)
    microsecond = timedelta(microseconds=1)
    return Decimal((end - now) // microsecond) / ((end - start) // microsecond)


# --- Plan, errors, cap ----------------------------------------------------------------


def _planned(statuses: Sequence[BudgetStatus]) -> dict[int, Decimal]:
    """What a day was to cost, by the plan of a whole team's month."""
    months = [
        (Scope(one.budget.team_id), one)
        for one in statuses
        if one.budget.team_id is not None
        and one.budget.period == PeriodKind.MONTH
        and not one.budget.is_limited
    ]
    if not months:
        return {}
    found = plans.plans_of([scope for scope, _ in months], months[0][1].period)
    return {
        one.budget.pk: cost / one.period.days
        for scope, one in months
        if (cost := found[scope].cost)
    }


def _planned_daily(
    budget: Budget, periods: Iterable[Period], now: datetime
) -> Decimal | None:
    """What a day is planned to cost, in the first of these periods that has a plan."""
    team_id = budget.owner_id(now)
    if team_id is None or budget.is_limited:
        return None
    scope = Scope(team_id, budget.project_id)
    for period in periods:
        plan = plans.plans_of([scope], period)[scope]
        if plan.cost:
            return plan.cost / sum(stretch.days for stretch in plan.covered)
    return None


def _errors_kept(organization: Organization) -> Spread:
    kept = ForecastErrors.objects.filter(organization=organization).first()
    if kept is None:
        return forecasting.UNKNOWN
    return Spread(kept.down, kept.up, kept.stretches)


def _against_cap(status: BudgetStatus, made: Forecast, costs: _Costs) -> BudgetForecast:
    cap = status.cap
    return BudgetForecast(
        forecast=made,
        cap=cap,
        exhausted_on=_reached_on(status, cap, costs) or made.exhausted_on(cap),
    )


def _reached_on(status: BudgetStatus, cap: Decimal, costs: _Costs) -> date | None:
    """The day before today by whose end what was spent came to the cap."""
    total = Decimal()
    for day in sorted(day for day in costs if day in status.period):
        total += costs[day]
        if total >= cap:
            return day
    return None


# --- Drivers --------------------------------------------------------------------------

K = TypeVar("K", int, TokenClass)


class _Share(NamedTuple):
    project_id: int
    model_id: int
    token_class: TokenClass


_Parts = Mapping[_Share, Decimal]


class _Means:
    """The mean costs of a day of [since, until), as finely as budgets are limited."""

    def __init__(self, budgets: Sequence[Budget], since: date, until: date) -> None:
        rows = DailySpend.objects.filter(
            team_id__in=_covered(budgets), day__gte=since, day__lt=until
        ).values_list("team_id", "project_id", "model_id", "processing")
        sums = rows.annotate(*(Sum(column) for column in COST_COLUMNS.values()))
        self._days = (until - since).days
        self._costs = {_Place(*row[:4]): row[4:] for row in sums.order_by()}
        self._places = _Places(self._costs)

    def parts(self, budget: Budget) -> _Parts:
        """Of what counts against the budget."""
        its = _Part.of(budget)
        costs: dict[_Share, Decimal] = defaultdict(Decimal)
        for place in self._places.near(its):
            if place.model_id is None or not its.has(place):
                continue
            for token_class, cost in zip(COST_COLUMNS, self._costs[place], strict=True):
                if cost:
                    share = _Share(place.project_id, place.model_id, token_class)
                    costs[share] += cost
        return {share: cost / self._days for share, cost in costs.items()}


def _grown(lately: _Parts, before: _Parts) -> _Share:
    project_id = _driver({part[0] for part in lately}, lately, before, ())
    model_id = _driver(
        {part[1] for part in lately if part[0] == project_id}, lately, before, (project_id,)
    )
    its = (project_id, model_id)
    token_class = _driver(
        {part[2] for part in lately if part[:2] == its}, lately, before, its
    )
    return _Share(project_id, model_id, token_class)


def _driver(
    candidates: Iterable[K],
    lately: _Parts,
    before: _Parts,
    within: tuple[int, ...],
) -> K:
    """Of what comes after `within` in the parts, the one that grew most, or is largest."""

    def mean(means: _Parts, one: K) -> Decimal:
        its = (*within, one)
        found = (cost for part, cost in means.items() if part[: len(its)] == its)
        return sum(found, Decimal())

    listed = sorted(candidates)
    growth = {one: mean(lately, one) - mean(before, one) for one in listed}
    grown = max(listed, key=lambda one: growth[one])
    return grown if growth[grown] > 0 else max(listed, key=lambda one: mean(lately, one))
