"""What a cap says about an amount spent."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Context, Decimal

# The cap itself is the last threshold, whatever others a budget has.
CAP_REACHED = 100

DEFAULT_THRESHOLDS = (50, 80)

# The forecast alert: how likely a period has to end above the cap, in percent, before it
# is told; and how many points less likely it may get while the alert fires.
DEFAULT_FORECAST_ALERT = 50
_HYSTERESIS = 10

_FOR_PEOPLE = Context(rounding=ROUND_DOWN)


def levels(thresholds: Iterable[int]) -> tuple[int, ...]:
    """Return the percentages that raise an alert: the thresholds and the cap."""
    return tuple(sorted({*thresholds, CAP_REACHED}))


def crossed(spent: Decimal, cap: Decimal, thresholds: Iterable[int]) -> tuple[int, ...]:
    """Return the levels that `spent` has reached: exactly on one counts as reached.

    Nothing spent crosses nothing, not even a cap of zero.
    """
    if spent <= 0:
        return ()
    return tuple(level for level in levels(thresholds) if spent * 100 >= cap * level)


def percent(spent: Decimal, cap: Decimal) -> Decimal | None:
    """Return how much of the cap is spent, in percent; None for a cap of zero.

    For people: `crossed` decides exactly, this is rounded down at 28 digits.
    """
    return _FOR_PEOPLE.divide(spent * 100, cap) if cap else None


def is_told_ahead(probability: Decimal, forecast_alert: int | None, *, fires: bool) -> bool:
    """Return whether a cap that is exceeded with `probability` (0–1) is to be told.

    From `forecast_alert` percent on, and never without one; what fires holds until it is
    ten points less likely, so that a probability near the line does not come and go.
    """
    if forecast_alert is None:
        return False
    level = max(forecast_alert - _HYSTERESIS, 1) if fires else forecast_alert
    return probability * 100 >= level
