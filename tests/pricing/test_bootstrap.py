"""The interval of a mean: at its edges, and that it holds what it says it holds."""

from collections.abc import Sequence
from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import bootstrap
from billing.pricing.bootstrap import Doubt, Interval

UNIT = 10**12


def chance_of(seed: object) -> Random:
    return Random(repr(seed))  # noqa: S311 - the same samples each time


def lognormal(sigma: float, size: int, seed: object) -> list[int]:
    chance = chance_of(seed)
    return [round(chance.lognormvariate(0, sigma) * UNIT) for _ in range(size)]


def interval(costs: Sequence[int]) -> Interval:
    found = bootstrap.interval(costs)
    assert found is not None
    return found


def test_too_few_have_no_interval():
    assert bootstrap.interval([1, 2, 3, 4, 5, 6, 7, 8, 9]) is None
    assert bootstrap.interval([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) is not None


@pytest.mark.parametrize("cost", [0, 7, 10**26])
def test_what_always_costs_the_same_costs_just_that(cost: int):
    assert bootstrap.interval([cost] * 400) == Interval(cost, cost, cost)


def test_a_sample_has_one_answer():
    costs = lognormal(1, 1234, "one")

    assert interval(costs) == interval(costs)


@given(st.lists(st.integers(0, 10**26), min_size=10, max_size=60))
def test_the_mean_lies_within_and_the_bounds_within_what_was_seen(costs: list[int]):
    its = interval(costs)

    assert min(costs) <= its.low <= its.mean <= its.high <= max(costs)


def test_four_times_as_many_costs_make_half_the_width():
    few, many = interval(lognormal(0.5, 100, 1)), interval(lognormal(0.5, 1600, 2))

    assert 3 <= (few.high - few.low) / (many.high - many.low) <= 5


def test_of_dear_ones_that_are_rare_the_upper_bound_lies_further_off():
    found = [interval(lognormal(1, 100, ("far", n))) for n in range(40)]

    above = sum(its.high - its.mean for its in found)
    assert above > sum(its.mean - its.low for its in found) * 5 // 4


@pytest.mark.parametrize(("sigma", "size"), [(0.5, 100), (1, 100), (1, 650)])
def test_nine_of_ten_intervals_hold_the_mean(sigma: float, size: int):
    """Of 150; `make bench-bootstrap` has thousands. 0.8 lies three errors below 0.88."""
    mean = exp(sigma**2 / 2) * UNIT
    samples = [interval(lognormal(sigma, size, (sigma, size, n))) for n in range(150)]

    held = sum(its.low <= mean <= its.high for its in samples)

    assert 0.8 <= held / 150 <= 0.97


def test_bounds_err_on_both_sides():
    """Quantiles of the drawn means alone would nearly always lie too low."""
    mean = exp(0.5) * UNIT
    samples = [interval(lognormal(1, 200, ("side", n))) for n in range(150)]

    too_low = sum(its.high < mean for its in samples)
    too_high = sum(its.low > mean for its in samples)

    assert too_low <= 18
    assert 1 <= too_high <= 18


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        (lognormal(1, 300, "calm"), ()),
        (lognormal(1, 99, "few"), (Doubt.TOO_FEW,)),
        (lognormal(0.5, 99, "free") + [0] * 900, (Doubt.TOO_FEW,)),
        (lognormal(2, 300, "wild"), (Doubt.TOO_SKEWED,)),
        ([UNIT] * 999 + [1000 * UNIT], (Doubt.TOO_SKEWED,)),
        ([UNIT] * 200, ()),
        ([], (Doubt.TOO_FEW,)),
    ],
)
def test_what_the_interval_does_not_hold_for_is_doubted(
    costs: list[int], expected: tuple[Doubt, ...]
):
    assert bootstrap.doubts(costs) == expected
