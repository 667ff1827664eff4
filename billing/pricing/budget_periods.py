"""The stretches of days that a cap is for."""

import re
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

_MONTHS_IN_A_YEAR = 12


class PeriodKind(StrEnum):
    DAY = "day"
    WEEK = "week"  # from Monday
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


# Of the years that a record may lie in.
MONTH = re.compile(r"2[01][0-9]{2}-(?:0[1-9]|1[0-2])")

# How many months make one of these, counted from January.
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


def period(kind: PeriodKind, day: date) -> Period:
    """Return the period of this kind that the day lies in; periods tile without gaps."""
    if kind is PeriodKind.DAY:
        return Period(day, day + timedelta(days=1))
    if kind is PeriodKind.WEEK:
        monday = day - timedelta(days=day.weekday())
        return Period(monday, monday + timedelta(days=7))
    length = _MONTHS[kind]
    months = day.year * _MONTHS_IN_A_YEAR + day.month - 1
    first = months - months % length
    return Period(_first_of(first), _first_of(first + length))


def month(text: str) -> date:
    """Return the first day of a month written as 2026-11, as far as records may lie.

    Raises ValueError.
    """
    if not MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is not a month from 2000-01 to 2199-12.")
    return date.fromisoformat(f"{text}-01")


def _first_of(months: int) -> date:
    year, month = divmod(months, _MONTHS_IN_A_YEAR)
    return date(year, month + 1, 1)
