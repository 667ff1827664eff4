"""The stretches of days that a cap is for."""

import re
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

_MONTHS_IN_A_YEAR = 12
_DAYS_IN_A_WEEK = 7


class PeriodKind(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    CUSTOM = "custom"  # from one day to another, and never again


# Those that a fiscal year's first month moves.
FISCAL = frozenset({PeriodKind.QUARTER, PeriodKind.YEAR})

# Of the years that a record may lie in.
MONTH = re.compile(r"2[01][0-9]{2}-(?:0[1-9]|1[0-2])")

# How many months make one of these.
_MONTHS = {PeriodKind.MONTH: 1, PeriodKind.QUARTER: 3, PeriodKind.YEAR: 12}


class Period(NamedTuple):
    """Half-open: `until` is the first day of the next one."""

    first: date
    until: date

    @property
    def days(self) -> int:
        return (self.until - self.first).days

    @property
    def last(self) -> date:
        """The last day in it."""
        return self.until - timedelta(days=1)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day < self.until


class Window(NamedTuple):
    """The periods of one kind, one after the other; of `custom` there is only one.

    `week_starts_on` is 0 for Monday to 6 for Sunday. `fiscal_starts_in` is the month, 1
    to 12, that quarters and years are counted from.
    """

    kind: PeriodKind
    week_starts_on: int = 0
    fiscal_starts_in: int = 1
    custom: Period | None = None

    def period(self, day: date) -> Period | None:
        """The period that the day lies in. Periods tile without gaps: only outside of a
        custom one there is none."""
        its = self.shown_on(day)
        return its if day in its else None

    def shown_on(self, day: date) -> Period:
        """The same; before and after a custom period, that one."""
        if self.custom is not None:
            return self.custom
        if self.kind is PeriodKind.DAY:
            return Period(day, day + timedelta(days=1))
        if self.kind is PeriodKind.WEEK:
            gone = (day.weekday() - self.week_starts_on) % _DAYS_IN_A_WEEK
            first = day - timedelta(days=gone)
            return Period(first, first + timedelta(days=_DAYS_IN_A_WEEK))
        starts_in = self.fiscal_starts_in if self.kind in FISCAL else 1
        return _months_around(day, _MONTHS[self.kind], starts_in)


def calendar_month(day: date) -> Period:
    return _months_around(day, 1, 1)


def months_later(month: date, count: int) -> date:
    """Return the first day of the month so many after that of `month`, or before it."""
    return _first_of(month.year * _MONTHS_IN_A_YEAR + month.month - 1 + count)


def month(text: str) -> date:
    """Return the first day of a month written as 2026-11, as far as records may lie.

    Raises ValueError.
    """
    if not MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is not a month from 2000-01 to 2199-12.")
    return date.fromisoformat(f"{text}-01")


def _months_around(day: date, length: int, starts_in: int) -> Period:
    """So many months, counted from that one of some year."""
    months = day.year * _MONTHS_IN_A_YEAR + day.month - 1
    first = months - (months - starts_in + 1) % length
    return Period(_first_of(first), _first_of(first + length))


def _first_of(months: int) -> date:
    year, month = divmod(months, _MONTHS_IN_A_YEAR)
    return date(year, month + 1, 1)
