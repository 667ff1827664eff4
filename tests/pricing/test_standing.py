"""How a budget stands: over, at risk, on track."""

from decimal import Decimal

import pytest

from billing.pricing.standing import Standing, standing


@pytest.mark.parametrize(
    ("spent", "cap", "elapsed", "expected"),
    [
        ("0", "100", 30, Standing.NO_DATA),
        ("-1", "100", 30, Standing.NO_DATA),
        ("100", "100", 30, Standing.OVER),
        ("100.01", "100", 1, Standing.OVER),
        ("0.01", "0", 1, Standing.OVER),
        ("60", "100", 15, Standing.AT_RISK),
        ("59.99", "100", 15, Standing.ON_TRACK),
        ("99", "100", 30, Standing.ON_TRACK),
    ],
)
def test_standing(spent: str, cap: str, elapsed: int, expected: Standing):
    assert (
        standing(spent=Decimal(spent), cap=Decimal(cap), elapsed=elapsed, days=30)
        is expected
    )
