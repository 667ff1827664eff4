"""Whether an amount is unusual beside what is usual for such a day or hour, and whether a
silence is."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import NamedTuple

# So many deviations above what is usual.
Z = Decimal(4)
# Of normally spread values the standard deviation is so many median deviations.
_SCALE = Decimal("1.4826")
# What varies less than this is taken to vary so much: no place spends to the cent alike.
_LEAST_SPREAD = Decimal("0.1")
# What is above by less is nothing to be told, however rare: in the currency's units, and
# as a part of what is usual.
LEAST = Decimal(5)
LEAST_SHARE = Decimal("0.25")
# Fewer of the same weekday say nothing of it.
ENOUGH = 4

ZERO = Decimal()


class Usual(NamedTuple):
    """`spread` is a robust standard deviation."""

    amount: Decimal
    spread: Decimal


def usual(before: Sequence[Decimal]) -> Usual | None:
    """Return the median and the spread; None where there is too little to say."""
    if len(before) < ENOUGH:
        return None
    middle = median(before)
    deviation = median(abs(amount - middle) for amount in before)
    return Usual(middle, max(_SCALE * deviation, _LEAST_SPREAD * abs(middle)))


def is_unusual(spent: Decimal, its: Usual) -> bool:
    """Whether so much more is both rare and worth telling."""
    above = spent - its.amount
    least = LEAST + LEAST_SHARE * max(its.amount, ZERO)
    return above >= least and above >= Z * its.spread


# --- Silence ------------------------------------------------------------------------

# Of the hours of a week that were busy in each of four weeks, so many must have passed:
# six, of which one may have been busy less often, as where clocks have changed.
MISSED = Decimal("5.5")
# Fewer busy hours in the four weeks are no habit.
HABIT = 20
# What was busy this much less in its last week ends by itself.
_GENTLY = Decimal("0.5")

WEEKS = 4
_EACH_WEEK = Decimal("0.25")  # of the four


def missed(busy: Mapping[int, int], passed: Sequence[int]) -> Decimal:
    """Return how many busy hours were to be expected in the hours that have passed.

    `busy` says of an hour of the week (0 to 167) in how many of the four weeks it was
    busy; `passed` are the hours of the week that went by since.
    """
    return sum(busy.get(hour, 0) for hour in passed) * _EACH_WEEK


def is_silence(hours: Sequence[int], expected: Decimal) -> bool:
    """Whether nothing is heard although it was to be expected.

    `hours` are the busy hours of each of the last four weeks before, the oldest first.
    Not where the use had been ending gently, nor where there was no habit.
    """
    *earlier, last = hours
    if sum(hours) < HABIT or sum(1 for week in hours if week) < WEEKS - 1:
        return False
    is_ending = last * len(earlier) < _GENTLY * sum(earlier)
    return not is_ending and expected >= MISSED


def hour_of_week(at: datetime) -> int:
    """Return 0 for the first hour of a Monday to 167, on the clock that `at` is of."""
    return at.weekday() * 24 + at.hour
