"""Between which bounds the mean of all requests lies, as far as a sample can say.

The bootstrap draws many samples from the sample itself, with replacement, and looks how
far each one's mean lies from the mean it was drawn from. Costs of requests are skewed: a
few are dear. The bounds that are quantiles of the drawn means themselves lie too low then,
so each distance is measured in the drawn sample's own standard error (Efron's bootstrap-t,
Hall 1988). How often it holds the true mean is measured in docs/samples.md.

Statistics are inexact by nature: inside, and only here, they are floats. The generator
begins with the same seed each time, so that one sample has one answer.
"""

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from math import log, sqrt
from random import Random
from statistics import pstdev
from typing import NamedTuple

from billing.pricing import money

# Fewer say nothing of how far apart costs are.
LEAST = 10
# With fewer, or with more spread (the standard deviation of the logarithms) than this, the
# interval holds the mean less often than it says.
ENOUGH = 100
SPREAD = 1.15
# So does it where so much of the deviation, as a part of the most there can be, is due to
# one side: a few costs make most of the total.
_LOPSIDED = 0.5

_SEED = 1_979  # of Efron's paper
_DRAWN = 499
_LOW, _HIGH = 24, 474  # of the distances in order: 5 % below, and 5 % above
# So many are drawn from, or less than twice as many: of more costs the means of groups,
# whose mean varies as much.
_GROUPS = 300


class Doubt(StrEnum):
    """Why an interval holds the true mean less often than in nine of ten."""

    TOO_FEW = "too_few"
    TOO_SKEWED = "too_skewed"


class Interval(NamedTuple):
    """Of the mean: 90 %. Amounts in 10⁻¹⁵ of the currency unit."""

    mean: int
    low: int
    high: int


def interval(costs: Sequence[int]) -> Interval | None:
    """Return the mean of these costs (10⁻¹⁵ units, none negative), and its interval.

    None for fewer than `LEAST`. No bound lies outside of what was seen.
    """
    if len(costs) < LEAST:
        return None
    mean = Fraction(sum(costs), len(costs))
    rounded = money.nearest(mean)
    chance = Random(_SEED)  # noqa: S311 - the same draws each time
    means = _of_groups([float(cost - mean) for cost in costs], chance)
    error = _error(means)
    if not error:
        return Interval(rounded, rounded, rounded)
    distances = sorted(_distances(means, chance))
    return Interval(
        rounded,
        max(rounded - round(distances[_HIGH] * error), min(costs)),
        min(rounded - round(distances[_LOW] * error), max(costs)),
    )


def doubts(costs: Sequence[int]) -> tuple[Doubt, ...]:
    """Return why the interval of these costs is to be taken with care.

    What costs nothing says little of what the others cost: it does not count.
    """
    dear = [cost for cost in costs if cost > 0]
    if len(dear) < ENOUGH:
        return (Doubt.TOO_FEW,)
    spread = pstdev(log(cost) for cost in dear)
    if spread > SPREAD or _lopsidedness(costs) > _LOPSIDED:
        return (Doubt.TOO_SKEWED,)
    return ()


def _of_groups(deviations: list[float], chance: Random) -> list[float]:
    """The deviations as they are, or the means of groups of them, made by lot.

    What does not fill the last group has no part in the spread, but in the mean.
    """
    size = len(deviations) // _GROUPS
    if size < 2:
        return deviations
    chance.shuffle(deviations)
    ends = range(size, len(deviations) + 1, size)
    return [sum(deviations[end - size : end]) / size for end in ends]


def _error(values: Sequence[float]) -> float:
    """The standard error of their mean."""
    return pstdev(values) / sqrt(len(values))


def _distances(values: Sequence[float], chance: Random) -> list[float]:
    """How far the means of drawn samples lie from that of all, in standard errors."""
    count = len(values)
    middle = sum(values) / count
    centred = [value - middle for value in values]
    least = sum(value * value for value in centred) / count * 1e-12
    found = []
    for _ in range(_DRAWN):
        drawn = chance.choices(centred, k=count)
        mean = sum(drawn) / count
        variance = sum([value * value for value in drawn]) / count - mean * mean
        # Drawn all alike it has no error of its own: its distance is beyond all others.
        found.append(mean / sqrt(max(variance, least) / count))
    return found


def _lopsidedness(costs: Sequence[int]) -> float:
    """The skewness, as a part (0 to 1) of the most that so many values can have."""
    mean = Fraction(sum(costs), len(costs))
    deviations = [float(cost - mean) for cost in costs]
    count = len(deviations)
    variance = sum(value * value for value in deviations) / count
    third = sum(value * value * value for value in deviations) / count
    return abs(third) / (variance * sqrt(variance * count)) if variance else 0.0
