"""How a budget stands in its period: one word, for pages and messages alike."""

from decimal import Decimal
from enum import StrEnum

# How far the used share of a cap may run ahead of the elapsed share of its period.
AHEAD = Decimal(10)  # percentage points


class Standing(StrEnum):
    """In the order in which they ask for attention."""

    OVER = "over"
    AT_RISK = "at_risk"
    ON_TRACK = "on_track"
    NO_BUDGET = "no_budget"
    NO_DATA = "no_data"


def standing(*, spent: Decimal, cap: Decimal, elapsed: int, days: int) -> Standing:
    """Judge a budget after `elapsed` of the `days` of its period, today included.

    Over: the cap is reached. At risk: the used share of the cap is ten points or more
    ahead of the elapsed share of the period. It is no forecast.
    """
    if spent <= 0:
        return Standing.NO_DATA
    if spent >= cap:
        return Standing.OVER
    # Both shares times cap × days: nothing is divided, nothing rounded.
    ahead = (spent * days - cap * elapsed) * 100
    return Standing.AT_RISK if ahead >= AHEAD * cap * days else Standing.ON_TRACK
