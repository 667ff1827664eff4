"""What is unusual, and what is a silence: at their bounds."""

from decimal import Decimal

import pytest

from billing.pricing import unusual
from billing.pricing.unusual import Usual


def amounts(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_what_is_usual_is_the_median_and_a_robust_deviation():
    its = unusual.usual(amounts("80", "100", "120", "100", "9000"))

    assert its == Usual(Decimal(100), Decimal("29.6520"))


def test_what_never_varies_is_taken_to_vary_by_a_tenth():
    assert unusual.usual(amounts("50", "50", "50", "50")) == Usual(Decimal(50), Decimal(5))


def test_fewer_than_four_say_nothing():
    assert unusual.usual(amounts("50", "50", "50")) is None


@pytest.mark.parametrize(
    ("spent", "its", "expected"),
    [
        ("40", ("20", "5"), True),  # four deviations, and more than 5 + a quarter
        ("39.99", ("20", "5"), False),
        ("30", ("20", "1"), True),  # ten above: 5 + a quarter of 20
        ("29.99", ("20", "1"), False),
        ("5", ("0", "0"), True),
        ("4.99", ("0", "0"), False),
        ("0", ("100", "1"), False),  # less is no anomaly
    ],
)
def test_both_rare_and_worth_telling(spent: str, its: tuple[str, str], expected: bool):
    assert unusual.is_unusual(Decimal(spent), Usual(*amounts(*its))) is expected


def test_hours_missed_count_as_often_as_they_were_busy():
    busy = {8: 4, 9: 4, 10: 1}

    assert unusual.missed(busy, [7, 8, 9, 10]) == Decimal("2.25")
    assert unusual.missed(busy, [8] * 3) == 3  # three weeks have passed


@pytest.mark.parametrize(
    ("weeks", "missed", "expected"),
    [
        ([40, 40, 40, 40], "5.5", True),
        ([40, 40, 40, 40], "5.4", False),
        ([40, 40, 40, 20], "6", True),
        ([40, 40, 40, 19], "6", False),  # it ends gently
        ([0, 7, 7, 6], "6", True),
        ([0, 7, 6, 6], "6", False),  # nineteen hours are no habit
        ([0, 0, 20, 20], "6", False),  # nor are two weeks
    ],
)
def test_a_silence(weeks: list[int], missed: str, expected: bool):
    assert unusual.is_silence(weeks, Decimal(missed)) is expected
