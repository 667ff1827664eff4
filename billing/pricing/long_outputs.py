"""From which size on an output is long beside the others of its kind."""

from math import isqrt

# Fewer say nothing of what is usual.
ENOUGH = 20
# And never below so many times the upper quartile, where all are of nearly one size.
AT_LEAST = 2


def bound(lower: int, upper: int) -> int:
    """Return the largest number of tokens that is not long, by the quartiles of all.

    Tukey's fence on the logarithms: upper × (upper ÷ lower)^1.5. It is rounded down, so
    that a whole number is above it exactly when it is above the fence. Sizes of outputs
    spread by factors, so a fence on the sizes themselves would call many of them long.
    """
    lower = max(lower, 1)
    return max(isqrt(upper**5 // lower**3), upper * AT_LEAST)
