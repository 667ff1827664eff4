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


@dataclass(frozen=True)
class Said:
    """From now on a budget has these terms; the first time, it is made."""

    budget: int
    revision: int
    projects: frozenset[str]  # whose spend counts against it
    period: str
    cap: Decimal
    thresholds: tuple[int, ...]


@dataclass(frozen=True)
class Ended:
    budget: int


@dataclass(frozen=True)
class Moved:
    """A project's spend became more or less, by a record of that moment."""

    project: str
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
    spend: dict[tuple[str, date], Decimal] = {}
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
                before = spend.get((what.project, day), Decimal())
                spend[what.project, day] = before + what.amount
            case Looked():
                holding = {
                    row for one in budgets.values() for row in reached(one, spend, today)
                }
                rows |= holding
    return Alerts(rows, holding)


def is_closed(day: date, today: date) -> bool:
    """Whether the month of a day is closed: three days after its end."""
    return today >= month_after(day.replace(day=1)) + GRACE


def month_after(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def reached(
    budget: Said, spend: dict[tuple[str, date], Decimal], today: date
) -> Iterator[Row]:
    """The levels that the spend of the running period has reached, exactly or more."""
    first = first_day(budget.period, today)
    spent = sum(
        amount
        for (project, day), amount in spend.items()
        if project in budget.projects and first_day(budget.period, day) == first
    )
    for level in {*budget.thresholds, THE_CAP}:
        if spent > 0 and spent >= budget.cap * level / 100:
            kind = "cap_reached" if level == THE_CAP else "threshold"
            yield Row(kind, budget.budget, budget.revision, first, level)


def first_day(period: str, day: date) -> date:
    match period:
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
    raise ValueError(period)
