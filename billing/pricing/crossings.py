"""On which day a cap's levels were, or would have been, reached."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing.pricing import caps


class DayOfLevel(NamedTuple):
    """The day at whose end a level (percent of the cap) was first reached."""

    level: int
    day: date


def days_of_levels(
    costs: Iterable[tuple[date, Decimal]], cap: Decimal, thresholds: Iterable[int]
) -> tuple[DayOfLevel, ...]:
    """Return when each level was first reached by costs of days, in the order of days.

    Levels of one day are in their own order. A cost may be negative; a level that was
    reached stays reached.
    """
    thresholds = tuple(thresholds)
    total = Decimal()
    found: dict[int, date] = {}
    for day, cost in costs:
        total += cost
        for level in caps.crossed(total, cap, thresholds):
            found.setdefault(level, day)
    return tuple(
        sorted(
            (DayOfLevel(level, day) for level, day in found.items()),
            key=lambda one: (one.day, one.level),
        )
    )
