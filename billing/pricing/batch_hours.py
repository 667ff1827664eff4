"""Whether what is spent looks like work that nobody waits for, by its hours."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

# Fewer days are no habit.
ENOUGH_DAYS = 5
# What a job does, it does in so few hours of the day: so much of it, in percent.
MOST_HOURS = 4
_BURST_PERCENT = 80
# Where people sleep, and so much happens that it is not them.
NIGHT = range(6)
_NIGHT_PERCENT = 50


class HourOfDay(NamedTuple):
    """One hour of the day, on the clock of the reporting zone: on how many days something
    was done in it, and how much in all."""

    hour: int
    days: int
    amount: Decimal


class Habit(StrEnum):
    BURST = "burst"  # most of it in the same few hours
    NIGHT = "night"  # most of it while people sleep


class Hours(NamedTuple):
    """The hours of the day that could wait, and on how many days the rarest was used."""

    habit: Habit
    hours: tuple[int, ...]
    days: int


def that_wait(used: Sequence[HourOfDay], total: Decimal) -> Hours | None:
    """Return the hours in which regular work is done that could wait; None without.

    An hour is regular when it is used on five days or more, and on half as many as the
    busiest. Work waits where up to four regular hours hold 80 % of it, or the regular
    ones from midnight to six hold half.
    """
    busiest = max((one.days for one in used), default=0)
    regular = [one for one in used if one.days >= ENOUGH_DAYS and 2 * one.days >= busiest]
    if not regular or total <= 0:
        return None
    largest = sorted(regular, key=lambda one: (-one.amount, one.hour))[:MOST_HOURS]
    if _percent_of(largest, total, _BURST_PERCENT):
        return _hours(Habit.BURST, largest)
    at_night = [one for one in regular if one.hour in NIGHT]
    if _percent_of(at_night, total, _NIGHT_PERCENT):
        return _hours(Habit.NIGHT, at_night)
    return None


def _percent_of(hours: Sequence[HourOfDay], total: Decimal, percent: int) -> bool:
    return sum(one.amount for one in hours) * 100 >= total * percent


def _hours(habit: Habit, hours: Sequence[HourOfDay]) -> Hours:
    return Hours(
        habit, tuple(sorted(one.hour for one in hours)), min(one.days for one in hours)
    )


def clock(hours: Sequence[int]) -> str:
    """Return hours of the day in words: "02:00–04:00 and 13:00–14:00"."""
    spans: list[list[int]] = []
    for hour in hours:
        if spans and spans[-1][1] == hour:
            spans[-1][1] = hour + 1
        else:
            spans.append([hour, hour + 1])
    return " and ".join(f"{first:02}:00–{end:02}:00" for first, end in spans)
