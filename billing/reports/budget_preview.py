"""What a cap would have said of the periods before, and what it will say of this one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from billing.models import Alert, Budget
from billing.pricing import caps, figures, money
from billing.pricing.budget_periods import Period, PeriodKind
from billing.pricing.caps import CAP_REACHED
from billing.pricing.crossings import DayOfLevel, days_of_levels
from billing.reports import spend
from teams.reporting_days import ReportingDays

_ONE_DAY = timedelta(days=1)
PERIODS = 3
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class PeriodPreview:
    """A period, and the days on which it reaches the levels of the cap."""

    period: Period
    spent: Decimal
    reached: tuple[DayOfLevel, ...]

    @property
    def alerts(self) -> tuple[DayOfLevel, ...]:
        """The thresholds reached, without the cap itself."""
        return tuple(one for one in self.reached if one.level != CAP_REACHED)

    @property
    def over_on(self) -> date | None:
        return next((one.day for one in self.reached if one.level == CAP_REACHED), None)


@dataclass(frozen=True, slots=True)
class BudgetPreview:
    """`before` are the last periods that are over, the oldest first, against the amount
    that holds for good: `is_raised` says that the running one alone has a higher cap.

    Of the period that runs: `percent` is used (None of a cap of zero), the levels in `said`
    are reached and were said under the terms before, those in `due` are reached and will
    be said at once. A custom period has none before it. Nothing `is_known` of what a tag
    has cost before there is a budget that counts it.
    """

    kind: PeriodKind
    is_known: bool
    cap: Decimal
    is_raised: bool
    before: tuple[PeriodPreview, ...]
    running: PeriodPreview | None
    percent: Decimal | None
    said: tuple[int, ...]
    due: tuple[int, ...]

    @property
    def summary(self) -> str:
        """What the cap would have said of the periods before."""
        if not self.is_known:
            return "What this tag has cost is known once there is a budget that counts it."
        if not self.before:
            return "There are no periods before this one to compare with."
        which = _last(len(self.before), self.kind)
        if not any(one.spent for one in self.before):
            return f"Nothing was spent in {which}: there is nothing to compare with."
        alerts = [
            f"{_day(at)} ({_percent(level)})"
            for one in self.before
            for level, at in one.alerts
        ]
        overs = [_day(one.over_on) for one in self.before if one.over_on]
        said = [f"alerted on {_listed(alerts)}"] if alerts else []
        said += [f"been over on {_listed(overs)}"] if overs else []
        if not said:
            return f"With this cap nothing would have alerted in {which}."
        return f"With this cap {which} would have {' and '.join(said)}."

    @property
    def outlook(self) -> str:
        """What it says of the period that runs."""
        this = "This period" if self.kind is PeriodKind.CUSTOM else f"This {self.kind}"
        if self.running is None:
            return "Its period does not run today."
        if not self.running.spent:
            return f"{this} has no spend yet."
        clauses = [f"{_percents(self.said)} will not alert again"] if self.said else []
        if self.due:
            clauses.append(f"{_percents(self.due)} will alert at once")
        rest = ", ".join(clauses)
        if self.percent is None:
            return f"{this} has spend against a cap of zero: {rest}."
        used = figures.percent(self.percent)
        if self.is_raised:
            used += " of the raised cap"
        if not rest:
            return f"{this} is at {used}: no level is reached yet."
        return f"{this} is already at {used}: {rest}."


def budget_preview(budget: Budget, *, now: datetime) -> BudgetPreview:
    """The preview of a budget with its terms as they are on this instance, saved or not.

    A level is reached on a day that ends with it: costs are those of the daily rollups.
    Of teams that are not visible nothing is in it.
    """
    today = ReportingDays(budget.organization).day(now)
    cap = budget.cap(now)
    running = budget.window.period(today)
    periods = _before(budget, running)
    first = min((one.first for one in (*periods, *filter(None, [running]))), default=today)
    costs = _costs(budget, first, today)
    previews = [_preview(one, costs, budget.amount, budget.thresholds) for one in periods]
    current = _preview(running, costs, cap, budget.thresholds) if running else None
    spent = current.spent if current else Decimal()
    reached = caps.crossed(spent, cap, budget.thresholds)
    said = _said(budget, running)
    return BudgetPreview(
        kind=PeriodKind(budget.period),
        is_known=budget.pk is not None or not budget.tag_key,
        cap=cap,
        is_raised=cap != budget.amount,
        before=tuple(previews),
        running=current,
        percent=caps.percent(spent, cap) if current else None,
        said=tuple(level for level in reached if level in said),
        due=tuple(level for level in reached if level not in said),
    )


def _before(budget: Budget, running: Period | None) -> list[Period]:
    """The last periods that are over, the oldest first."""
    periods: list[Period] = []
    its = running
    while its is not None and len(periods) < PERIODS:
        its = budget.window.period(its.first - _ONE_DAY)
        if its is not None:
            periods.insert(0, its)
    return periods


def _costs(budget: Budget, first: date, today: date) -> list[tuple[date, Decimal]]:
    """What of each day counts. Of a tag, days are known to the budgets that there are."""
    if budget.tag_key and budget.pk is None:
        return []
    costs = spend.of_budget(budget, since=first, until=today + _ONE_DAY)
    return sorted(costs.items())


def _preview(
    its: Period,
    costs: Sequence[tuple[date, Decimal]],
    cap: Decimal,
    thresholds: Sequence[int],
) -> PeriodPreview:
    within = [(day, cost) for day, cost in costs if day in its]
    return PeriodPreview(
        period=its,
        spent=sum((cost for _, cost in within), Decimal()),
        reached=days_of_levels(within, cap, thresholds),
    )


def _said(budget: Budget, running: Period | None) -> set[int | None]:
    """The levels that hold of the budget as it is saved: these are not said again."""
    if budget.pk is None or running is None:
        return set()
    alerts = Alert.objects.filter(budget=budget, period_start=running.first)
    levels = alerts.exclude(threshold=None).exclude(state=Alert.State.RESOLVED)
    return set(levels.values_list("threshold", flat=True))


def as_json(preview: BudgetPreview) -> dict[str, Any]:
    return {
        "cap": money.plain(preview.cap),
        "before": [_period_as_json(one) for one in preview.before],
        "running": _period_as_json(preview.running) if preview.running else None,
        "percent": None
        if preview.percent is None
        else money.plain(preview.percent.quantize(_CENT, ROUND_DOWN)),
        "said": list(preview.said),
        "due": list(preview.due),
        "summary": preview.summary,
        "outlook": preview.outlook,
    }


def _period_as_json(one: PeriodPreview) -> dict[str, Any]:
    return {
        "period_start": one.period.first,
        "period_end": one.period.until,
        "spent": money.plain(one.spent),
        "alerts": [{"threshold": level, "day": day} for level, day in one.alerts],
        "over_on": one.over_on,
    }


# --- In words -----------------------------------------------------------------------

_NO_BREAK = "\u00a0"
_NUMBERS = {1: "", 2: "two ", 3: "three "}


def _last(number: int, kind: PeriodKind) -> str:
    return f"the last {_NUMBERS[number]}{kind}{'s' if number > 1 else ''}"


def _day(day: date) -> str:
    return f"{day.day}{_NO_BREAK}{day:%b}"


def _percent(level: int) -> str:
    return f"{level}{figures.THIN}%"


def _percents(levels: Sequence[int]) -> str:
    return _listed([_percent(level) for level in levels])


def _listed(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
