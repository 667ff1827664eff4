"""What the demo's latest records will cost, found out before they are posted.

A story such as "93 % of its cap" needs the cap to be there, and right, when the first
record of the month is counted. So the records are priced once without being stored.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from billing.demo import stories, usage
from billing.demo.plan import Day, Plan
from billing.formats import posted, registry
from billing.models import rate_book
from billing.models.rate_book import Book
from billing.pricing import engine, money
from billing.pricing.engine import Charges
from teams.models import Organization

# A month that has just begun says little: then these days speak for it.
_AT_LEAST_DAYS = 14
_CENT = Decimal("0.01")


@dataclass(slots=True)
class Rehearsal:
    """Costs per day, of each team and of the project with a budget for the day."""

    plan: Plan
    teams: dict[tuple[str, date], int] = field(default_factory=lambda: defaultdict(int))
    project: dict[date, int] = field(default_factory=lambda: defaultdict(int))

    def cap(self, team: stories.Team) -> Decimal:
        """A monthly cap at which the team's story comes true."""
        if team.spent_percent:
            spent = self._spent(team.slug, _this_month(self.plan))
            if spent:
                return round_sum(spent * 100 / team.spent_percent)
        month_end = self.month_end(team.slug)
        return round_sum(month_end * 100 / (team.month_end_percent or 100))

    def month_end(self, team: str) -> Decimal:
        """What the month comes to if the rest of it is like its beginning."""
        days = _this_month(self.plan)
        if not self._spent(team, days):
            days = _last_days(self.plan)
        busy = sum(_busy(self.plan, team, day.date, day.passed) for day in days)
        first = self.plan.today.replace(day=1)
        until = (first + timedelta(days=31)).replace(day=1)
        whole = sum(
            _busy(self.plan, team, first + timedelta(days=number))
            for number in range((until - first).days)
        )
        return self._spent(team, days) * whole / busy if busy else Decimal()

    def daily_cap(self) -> Decimal:
        busiest = money.exact(max(self.project.values(), default=0))
        return round_sum(busiest * 100 / stories.DAILY_BUSIEST_PERCENT)

    def _spent(self, team: str, days: Sequence[Day]) -> Decimal:
        return money.exact(sum(self.teams[team, day.date] for day in days))


def rehearse(plan: Plan, organization: Organization) -> Rehearsal:
    book = rate_book.current(organization.pk)
    rehearsal = Rehearsal(plan)
    days = {day.date: day for day in (*_last_days(plan), *_this_month(plan))}
    for day in days.values():
        for team in stories.TEAMS:
            for record in usage.records(plan, team.slug, day):
                _add(rehearsal, team.slug, day.date, record, book)
    return rehearsal


def _add(
    rehearsal: Rehearsal, team: str, day: date, record: usage.Posted, book: Book
) -> None:
    decoded = posted.decode(record.raw)
    result = engine.price(registry.read(decoded), book.rates)
    if isinstance(result, Charges):
        rehearsal.teams[team, day] += result.cost
        if decoded.project == stories.DAILY_PROJECT:
            rehearsal.project[day] += result.cost


def _this_month(plan: Plan) -> list[Day]:
    first = plan.today.replace(day=1)
    return [day for day in plan.days if day.date >= first]


def _last_days(plan: Plan) -> list[Day]:
    return plan.days[-_AT_LEAST_DAYS:]


def _busy(plan: Plan, team: str, day: date, passed: int = 86_400) -> int:
    """The week's rhythm alone: a projection should not know the future."""
    return sum(
        one.share * one.week[day.weekday()] * passed
        for one in stories.WORKLOADS
        if one.team == team
    )


def round_sum(amount: Decimal) -> Decimal:
    """An amount as a person would set it: three digits, a cent at least."""
    three_digits = amount.quantize(Decimal(1).scaleb(amount.adjusted() - 2))
    return max(three_digits, _CENT).quantize(_CENT)
