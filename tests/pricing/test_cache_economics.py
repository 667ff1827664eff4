"""When a cache pays, what it cost to let it expire, and what is said of it."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import cache_economics, prefixes
from billing.pricing.cache_economics import (
    BreakEven,
    CachePrices,
    Lifetime,
    Told,
    Uses,
    advice,
    break_even,
)
from billing.pricing.rates import NO_PRICES, Prices, prices_per_unit
from billing.pricing.token_classes import TokenClass


def prices(plain: str, write: str, read: str, hour: str = "8") -> Prices:
    """Per million tokens: input, 5-minute write, read, 1-hour write."""
    return prices_per_unit(
        {
            TokenClass.INPUT: Decimal(plain),
            TokenClass.CACHE_WRITE_5M: Decimal(write),
            TokenClass.CACHE_READ: Decimal(read),
            TokenClass.CACHE_WRITE_1H: Decimal(hour),
        }
    )


# --- Break-even ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "five_minutes", "hour"),
    [
        # Published ratios: writes at 1.25 and 2 times the input, reads at 0.1, 0.05, 0.025.
        ("0.4", BreakEven(Fraction(5, 18), 2), BreakEven(Fraction(10, 9), 3)),
        ("0.2", BreakEven(Fraction(5, 19), 2), BreakEven(Fraction(20, 19), 3)),
        ("0.1", BreakEven(Fraction(10, 39), 2), BreakEven(Fraction(40, 39), 3)),
    ],
)
def test_a_cache_pays_after_so_many_reads(read: str, five_minutes: Any, hour: Any):
    its = prices("4", "5", read)

    assert break_even(its, Lifetime.FIVE_MINUTES) == five_minutes
    assert break_even(its, Lifetime.ONE_HOUR) == hour


@given(
    plain=st.integers(1, 1_000),
    write=st.integers(0, 5_000),
    read=st.integers(0, 1_000),
)
def test_it_pays_from_the_request_on_and_not_before(plain: int, write: int, read: int):
    its = prices(str(plain), str(write), str(read))

    pays = break_even(its, Lifetime.FIVE_MINUTES)

    if pays is None:
        assert read >= plain
        return

    def gain(requests: int) -> int:
        return requests * plain - write - (requests - 1) * read

    assert gain(pays.request) > 0
    assert pays.request == 2 or gain(pays.request - 1) <= 0


def test_without_prices_nothing_is_said():
    assert break_even(NO_PRICES, Lifetime.FIVE_MINUTES) is None
    assert break_even(prices("1", "1", "1"), Lifetime.FIVE_MINUTES) is None


# --- What expired -------------------------------------------------------------------

# Of Opus 5.5, a token: write 5, write for an hour 8, read 0.2 a million.
OPUS = CachePrices(Decimal("0.000005"), Decimal("0.000008"), Decimal("0.0000002"))
MILLION = 1_000_000


def test_writing_again_costs_what_reading_would_not_have():
    uses = Uses(written_5m=3 * MILLION, writes_again=2, again_5m=MILLION)

    assert cache_economics.rebuilt_cost(uses, OPUS) == Decimal("4.8")


def test_an_hour_pays_where_most_expires_within_it():
    uses = Uses(
        written_5m=3 * MILLION, again_5m=2 * MILLION, again_5m_within_hour=2 * MILLION
    )

    # Two million are read at 0.2 instead of 5, one is written at 8 instead of 5.
    assert cache_economics.with_other_lifetime(uses, OPUS) == (
        Lifetime.ONE_HOUR,
        Decimal("9.6") - 3,
    )


def test_five_minutes_pay_where_reads_come_soon():
    uses = Uses(written_1h=2 * MILLION, late_reads=MILLION)

    # Two million are written at 5 instead of 8, one is written instead of read.
    assert cache_economics.with_other_lifetime(uses, OPUS) == (
        Lifetime.FIVE_MINUTES,
        6 - Decimal("4.8"),
    )


@pytest.mark.parametrize("uses", [Uses(), Uses(written_5m=1, written_1h=1)])
def test_of_both_lifetimes_neither_is_the_other(uses: Uses):
    assert cache_economics.with_other_lifetime(uses, OPUS) is None


# --- Sentences ----------------------------------------------------------------------

PAYS = {
    Lifetime.FIVE_MINUTES: BreakEven(Fraction(5, 19), 2),
    Lifetime.ONE_HOUR: BreakEven(Fraction(20, 19), 3),
}


def told(**changes: Any) -> str:
    return advice(
        Told(
            **{
                "cached": True,
                "reads": Fraction(1, 10),
                "net": Decimal("-12.3"),
                "pays": PAYS,
                "used": (Lifetime.FIVE_MINUTES,),
                "prompt": 9_000,
                "minimum": 512,
                "other": None,
                "currency": "USD",
                **changes,
            }
        )
    )


def test_a_loss_is_said():
    assert told() == (
        "5-minute caching pays from the 2nd request on (0.26 reads of each token); what "
        "you write is read 0.1 times: it lost $12.30."
    )


def test_the_other_lifetime_is_named_where_it_is_cheaper():
    better = told(other=(Lifetime.ONE_HOUR, Decimal(2)))

    assert better.endswith(" With 1-hour caching: about $2.00 less.")
    assert told(other=(Lifetime.ONE_HOUR, Decimal(-2))) == told()
    assert told(other=(Lifetime.ONE_HOUR, Decimal("0.009"))) == told()


def test_reads_of_what_was_written_before_are_no_ratio():
    said = told(reads=None, net=Decimal(3), used=())

    assert (
        said == "Nothing was written, and it saved $3.00: what is read was written before."
    )


def test_too_short_prompts_cannot_be_cached():
    said = told(cached=False, prompt=300, minimum=1_024)

    assert "prompts of 300 tokens" in said
    assert "the 1,024 that this model caches at least" in said


def test_nothing_cached_says_when_it_would_pay():
    assert told(cached=False).endswith("from the 2nd request within 5 minutes on.")
    assert told(cached=False, pays={}) == "Nothing is cached."


@pytest.mark.parametrize(
    ("reads", "shown"),
    [
        (Fraction(5, 18), "0.28"),
        (Fraction(0), "0"),
        (Fraction(83, 10), "8.3"),
        (Fraction(1239, 100), "12.4"),
        (Fraction(1240), "1,240"),
        (Fraction(2), "2"),
    ],
)
def test_times_are_short(reads: Fraction, shown: str):
    assert cache_economics.times(reads) == shown


# --- The shortest prefix ------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("anthropic/claude-opus-5-5", 512),
        ("aws/claude-sonnet-4-5", 1_024),
        ("anthropic/claude-opus-4-7", 2_048),
        ("google/claude-haiku-4-5", 4_096),
        ("anthropic/claude-mythos-preview", 2_048),
        ("anthropic/claude-mythos-5-1", None),
        ("openai/gpt-5.6", None),
    ],
)
def test_a_model_has_a_minimum_whoever_serves_it(model: str, tokens: int | None):
    assert prefixes.least(model) == tokens
