"""How right a team's plans were: each past month that had one, and what they have in
common."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing.pricing import figures
from billing.pricing.budget_periods import Period, calendar_month, months_later
from billing.reports import plans, spend
from billing.reports.plans import Scope
from billing.reports.variance import percent_of
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

MONTHS = 12
# One month is no habit.
_ENOUGH = 2
# So many are said one by one.
_RECENT = 3


@dataclass(frozen=True, slots=True)
class PastMonth:
    month: date
    planned: Decimal
    actual: Decimal

    @property
    def difference(self) -> Decimal:
        return self.actual - self.planned

    @property
    def percent(self) -> Decimal | None:
        """Of the plan; None where it was 0."""
        return percent_of(self.difference, self.planned)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of the last twelve whole months those with an approved plan, the newest first."""

    months: Sequence[PastMonth]

    @property
    def mean_error(self) -> Decimal | None:
        """The mean of the differences, whichever way, in percent of the plan."""
        known = self._percents
        return sum(map(abs, known), Decimal()) / len(known) if known else None

    @property
    def bias(self) -> Decimal | None:
        """How much more the months cost than planned on average, in percent; below 0
        less."""
        known = self._percents
        return sum(known, Decimal()) / len(known) if known else None

    @property
    def _percents(self) -> list[Decimal]:
        return [one.percent for one in self.months if one.percent is not None]

    @property
    def recent(self) -> str:
        """By how much the last three were off, in words; nothing without one."""
        known = [one for one in self.months if one.percent is not None][:_RECENT]
        if not known:
            return ""
        how = [_over_or_under(one.percent or Decimal()) for one in known]
        if len(how) == 1:
            return f"The last planned month was {how[0]} its plan."
        those = f"{', '.join(how[:-1])} and {how[-1]}"
        number = "two" if len(how) == 2 else "three"
        return f"The last {number} planned months were {those} their plans, newest first."

    @property
    def sentence(self) -> str:
        """In words; of fewer than two months nothing is concluded."""
        mean, bias = self.mean_error, self.bias
        if mean is None or bias is None:
            return "No month with an approved plan is over yet."
        if len(self._percents) < _ENOUGH:
            return f"One planned month is over: it was {figures.percent(mean)} off."
        if abs(bias) < 1:
            way = "neither too low nor too high"
        else:
            way = f"{figures.percent(abs(bias))} too {'low' if bias > 0 else 'high'}"
        return (
            f"Plans were {way} on average, and {figures.percent(mean)} off, whichever way, "
            f"in {len(self._percents)} months."
        )


def _over_or_under(percent: Decimal) -> str:
    if abs(percent) < 1:
        return f"within {figures.percent(Decimal(1))} of"
    return f"{figures.percent(abs(percent))} {'over' if percent > 0 else 'under'}"


def accuracy(*, team: Team, now: datetime, project: Project | None = None) -> Accuracy:
    """Of a team or one project; the plan of a month is the one in force when it ended:
    what is approved afterwards knows what it cost."""
    days = ReportingDays(team.organization)
    this = calendar_month(days.day(now))
    asked = Period(months_later(this.first, -MONTHS), this.first)
    scope = Scope(team.pk, project.pk if project else None)
    plan = plans.plans_of([scope], asked, in_time=days)[scope]
    costs: dict[date, Decimal] = defaultdict(Decimal)
    for day in spend.by_day(
        team_ids=[team.pk],
        since=asked.first,
        until=asked.until,
        project_ids=[project.pk] if project else None,
    ):
        costs[day.day.replace(day=1)] += day.cost
    months = [
        PastMonth(
            month=one.month.first,
            planned=sum((line.cost for line in one.lines), Decimal()),
            actual=costs[one.month.first],
        )
        for one in plan.months
    ]
    return Accuracy(months[::-1])
