"""From which size on an output is long."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import long_outputs


@pytest.mark.parametrize(
    ("lower", "upper", "bound"),
    [
        (100, 400, 3_200),  # 400 × 4^1.5
        (100, 200, 565),  # 200 × 2^1.5 = 565.7
        (300, 300, 600),  # all alike: twice as much is long
        (1, 1, 2),
        (0, 9, 243),
    ],
)
def test_bound_is_the_fence_on_logarithms(lower: int, upper: int, bound: int):
    assert long_outputs.bound(lower, upper) == bound


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 10**9))
def test_what_is_above_is_above_exactly(lower: int, more: int, tokens: int):
    upper = lower + more

    is_above = tokens > long_outputs.bound(lower, upper)

    fence = Fraction(tokens, upper) ** 2 > Fraction(upper, lower) ** 3
    assert is_above == (fence and tokens > 2 * upper)
