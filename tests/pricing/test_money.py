from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import money

AMOUNTS = st.integers(min_value=-(10**30) + 1, max_value=10**30 - 1)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (1, "0.000000000000001"),
        (-1, "-0.000000000000001"),
        (10**15, "1"),
        (-(10**15), "-1"),
        (1_500_000_000_000_000, "1.5"),
        (5_500_000, "0.0000000055"),
        (100 * 10**15, "100"),
        (10**30 + 1, "1000000000000000.000000000000001"),
    ],
)
def test_amount_is_written_plainly(amount: int, text: str) -> None:
    assert money.text(amount) == text
    assert money.exact(amount) == Decimal(text)


@given(AMOUNTS)
def test_amount_survives_every_notation(amount: int) -> None:
    assert money.whole(money.exact(amount)) == amount
    assert Decimal(money.text(amount)) == money.exact(amount)
    assert money.plain(money.exact(amount)) == money.text(amount)


def test_exact_does_not_round_to_the_context() -> None:
    amount = 123_456_789_012_345_678_901_234_567_890

    assert money.exact(amount).as_tuple().digits == tuple(map(int, str(amount)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+3", "1000"),
        ("-0", "0"),
        ("0E-20", "0"),
        ("10", "10"),
        ("10.00", "10"),
        ("-0.50", "-0.5"),
        ("1E-20", "0.00000000000000000001"),
    ],
)
def test_decimal_is_written_plainly(value: str, text: str) -> None:
    assert money.plain(Decimal(value)) == text


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_amount(value: str) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        money.plain(Decimal(value))
    with pytest.raises(ValueError, match="is not an amount"):
        money.whole(Decimal(value))


@pytest.mark.parametrize(
    "value", ["1E-16", "0.0000000000000001", "1.0000000000000005", "1E-1000000"]
)
def test_finer_than_fifteen_places_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="finer than 15 places"):
        money.whole(Decimal(value))


@pytest.mark.parametrize("value", ["1E+15", "-1000000000000000", "1E+1000000"])
def test_wider_than_the_columns_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="digits before the point"):
        money.whole(Decimal(value))


@pytest.mark.parametrize(
    ("value", "amount"),
    [("0", 0), ("0E+1000000", 0), ("1.500", 1_500_000_000_000_000), ("-2E-15", -2)],
)
def test_decimal_becomes_a_whole_number(value: str, amount: int) -> None:
    assert money.whole(Decimal(value)) == amount


# --- Rounding


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        (7, 7),
        (-7, -7),
        (Fraction(10, 4), 3),
        (Fraction(-10, 4), -3),
        (Fraction(7, 3), 2),
        (Fraction(8, 3), 3),
        (Fraction(-1, 3), 0),
    ],
)
def test_half_goes_away_from_zero(amount: int | Fraction, rounded: int) -> None:
    assert money.nearest(amount) == rounded


@pytest.mark.parametrize("text", ["0", "6000", "0.25", "-1.50", "007"])
def test_an_amount_is_read_as_it_is_written(text: str) -> None:
    assert money.amount(text) == Decimal(text)


# Decimal takes all of these but the last three.
@pytest.mark.parametrize(
    "text",
    [
        *("1_000", " 1", "1 ", "1\n", "1e3", "1E-3", "+1", ".5", "5.", "NaN", "Infinity"),
        *("٣", "１２", "1" * 41),
        *("1,000", "$1", ""),
    ],
)
def test_what_people_read_differently_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="plain notation"):
        money.amount(text)
