"""The day on which each level of a cap was reached."""

from datetime import date
from decimal import Decimal

import pytest

from billing.pricing.crossings import days_of_levels

DAYS = [date(2026, 10, number) for number in range(1, 6)]


def reached(costs: list[str], cap: str, *thresholds: int) -> list[tuple[int, int]]:
    days = zip(DAYS, map(Decimal, costs), strict=False)
    return [
        (one.level, one.day.day) for one in days_of_levels(days, Decimal(cap), thresholds)
    ]


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        (["4", "1", "3", "2"], [(50, 2), (80, 3), (100, 4)]),
        (["4", "0.999999999999999"], []),
        (["30"], [(50, 1), (80, 1), (100, 1)]),
        (["5", "-5", "5", "3"], [(50, 1), (80, 4)]),
        (["0", "0"], []),
        ([], []),
    ],
)
def test_a_level_is_of_the_day_that_reached_it_first(costs, expected):
    assert reached(costs, "10", 50, 80) == expected


def test_the_cap_is_a_level_without_thresholds():
    assert reached(["9", "1"], "10") == [(100, 2)]


def test_a_threshold_may_lie_above_the_cap():
    assert reached(["10", "2"], "10", 120) == [(100, 1), (120, 2)]


def test_a_cap_of_zero_is_reached_by_the_first_spend():
    assert reached(["0", "0.01"], "0", 50) == [(50, 2), (100, 2)]
