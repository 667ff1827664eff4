"""Which alerts of budgets' levels there must be, told from what happened and from
docs/domain.md ("Levels") alone: nothing of the service is imported here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

THE_CAP = 100
GRACE = timedelta(days=3)


class Use(NamedTuple):
    """What is spent for, as limits ask; the tag is the value of the one there is."""

    project: str
    model: str = "opus"
    processing: str = "standard"
    tag: str = ""


@dataclass(frozen=True)
class Said:
    """From now on a budget has these terms; the first time, it is made."""

    budget: int
    revision: int
    projects: frozenset[str]  # whose spend counts against it
    period: str
    cap: Decimal
    thresholds: tuple[int, ...]
    # What is empty limits nothing.
    models: frozenset[str] = frozenset()
    processing: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    # Of a custom period: its first day, and the first after it.
    days: tuple[date, date] | None = None
    raised_to: Decimal | None = None
    raised_until: datetime | None = None


@dataclass(frozen=True)
class Ended:
    budget: int


@dataclass(frozen=True)
class Moved:
    """What is spent became more or less, by a record of that moment."""

    use: Use
    occurred_at: datetime
    amount: Decimal


@dataclass(frozen=True)
class Looked:
    """All that was posted is counted; this is what a commit has shown."""


What = Said | Ended | Moved | Looked


class Row(NamedTuple):
    kind: str
    budget: int
    revision: int
    period_start: date
    threshold: int


class Alerts(NamedTuple):
    rows: set[Row]
    holding: set[Row]  # the part of them that is not resolved


def expected(history: Iterable[tuple[datetime, What]], zone: ZoneInfo) -> Alerts:
    """The rows after all this, in the order in which it happened."""
    budgets: dict[int, Said] = {}
    spend: dict[tuple[Use, date], Decimal] = {}
    rows: set[Row] = set()
    holding: set[Row] = set()
    for at, what in history:
        today = at.astimezone(zone).date()
        match what:
            case Said():
                budgets[what.budget] = what
            case Ended():
                del budgets[what.budget]
            case Moved():
                own = what.occurred_at.astimezone(zone).date()
                day = today if is_closed(own, today) else own
                before = spend.get((what.use, day), Decimal())
                spend[what.use, day] = before + what.amount
            case Looked():
                holding = {
                    row
                    for one in budgets.values()
                    for row in reached(one, spend, today, cap_at(one, at))
                }
                rows |= holding
    return Alerts(rows, holding)


def is_closed(day: date, today: date) -> bool:
    """Whether the month of a day is closed: three days after its end."""
    return today >= month_after(day.replace(day=1)) + GRACE


def month_after(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def cap_at(budget: Said, at: datetime) -> Decimal:
    """A raise holds until its end, whatever anybody has written down of it."""
    if budget.raised_to is None or budget.raised_until is None:
        return budget.cap
    return budget.raised_to if at < budget.raised_until else budget.cap


def counts(budget: Said, use: Use) -> bool:
    return (
        use.project in budget.projects
        and use.model in (budget.models or {use.model})
        and use.processing in (budget.processing or {use.processing})
        and use.tag in (budget.tags or {use.tag})
    )


def reached(
    budget: Said, spend: dict[tuple[Use, date], Decimal], today: date, cap: Decimal
) -> Iterator[Row]:
    """The levels that the spend of the running period has reached, exactly or more."""
    first = first_day(budget, today)
    if first is None:
        return
    spent = sum(
        amount
        for (use, day), amount in spend.items()
        if counts(budget, use) and first_day(budget, day) == first
    )
    for level in {*budget.thresholds, THE_CAP}:
        if spent > 0 and spent >= cap * level / 100:
            kind = "cap_reached" if level == THE_CAP else "threshold"
            yield Row(kind, budget.budget, budget.revision, first, level)


def first_day(budget: Said, day: date) -> date | None:
    """Of the period that a day lies in; None outside of a custom one."""
    if budget.days is not None:
        first, until = budget.days
        return first if first <= day < until else None
    match budget.period:
        case "day":
            return day
        case "week":
            while day.strftime("%a") != "Mon":
                day -= timedelta(days=1)
            return day
        case "month":
            return day.replace(day=1)
        case "quarter":
            return date(day.year, {1: 1, 2: 4, 3: 7, 4: 10}[(day.month + 2) // 3], 1)
        case "year":
            return date(day.year, 1, 1)
    raise ValueError(budget.period)
