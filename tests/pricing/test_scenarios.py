"""What levers cost: worked by hand, at the published prices of a few models."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.pricing import money, scenarios
from billing.pricing.engine import Unpriced
from billing.pricing.levers import Levers, Share, Ttl
from billing.pricing.rates import prices_per_unit
from billing.pricing.scenarios import Compared, Larger
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing
from tests.pricing.conftest import START

APRIL = date(2026, 4, 1)
SONNET = "anthropic/claude-sonnet-5"
# Per million tokens.
PRICES = {
    TokenClass.INPUT: Decimal(2),
    TokenClass.CACHE_WRITE_5M: Decimal("2.50"),
    TokenClass.CACHE_WRITE_1H: Decimal(4),
    TokenClass.CACHE_READ: Decimal("0.20"),
    TokenClass.OUTPUT: Decimal(10),
    TokenClass.WEB_SEARCH: Decimal(10),
}


@pytest.fixture
def compare(make_rate, make_book):
    """Thirty days of a thousand requests on Sonnet 5, with other prices if told."""

    def made(prices: dict[TokenClass, Decimal] | None = None, **changes: Any) -> Compared:
        of_list = prices_per_unit({**PRICES, **(prices or {})})
        half = tuple(price and price // 2 for price in of_list)
        book = make_book(
            [
                make_rate(model=SONNET, prices=of_list),
                make_rate(model=SONNET, prices=half, processing=Processing.BATCH),
            ]
        )
        its = Levers(
            **{
                "requests_per_day": Decimal(1000),
                "input_tokens": 2_000,
                "output_tokens": 500,
                **changes,
            }
        )
        return scenarios.compared(its, Share(SONNET), APRIL, 1, book, START)

    return made


def cost(found: Compared) -> Decimal:
    assert found.cost is not None
    return money.exact(found.cost)


@pytest.mark.parametrize(
    ("output_price", "larger", "percent"),
    [
        (10, Larger.OUTPUT, "55.56"),  # 5 times the input price
        (8, Larger.NEITHER, "50"),  # 4 times: 2,000 in and 500 out are 4 to 1
        (6, Larger.INPUT, "42.86"),  # 3 times
    ],
)
def test_output_is_the_larger_part_where_prices_differ_more_than_tokens(
    compare, output_price: int, larger: Larger, percent: str
):
    balance = compare({TokenClass.OUTPUT: Decimal(output_price)}).balance

    assert (balance.larger, balance.output_percent) == (larger, Decimal(percent))
    assert balance.price_ratio == Decimal(output_price) / 2
    assert balance.token_ratio == 4


def test_a_prompt_that_is_repeated_and_then_cached_costs_forty_percent_less(compare):
    repeated = {"prefix_tokens": 8_000, "input_tokens": 1_200, "output_tokens": 1_300}
    before = compare(**repeated)
    after = compare(**repeated, cache_ttl=Ttl.FIVE_MINUTES, hit_percent=Decimal(90))

    # 9,200 × 2 + 1,300 × 10 = 31,400; 8,000 × (0.9 × 0.2 + 0.1 × 2.5) + 15,400 = 18,840
    assert (cost(before), cost(after)) == (Decimal(942), Decimal("565.2"))
    assert cost(after) == cost(before) * Decimal("0.6")


def test_an_hour_costs_more_to_write_and_saves_where_more_of_it_is_read(compare):
    repeated = {"prefix_tokens": 8_000, "input_tokens": 0, "output_tokens": 0}
    short = compare(**repeated, cache_ttl=Ttl.FIVE_MINUTES, hit_percent=Decimal(50))
    long = compare(**repeated, cache_ttl=Ttl.ONE_HOUR, hit_percent=Decimal(95))

    # 240 million tokens: half at 0.2 and half at 2.5; 95 % at 0.2 and 5 % at 4.
    assert (cost(short), cost(long)) == (Decimal(324), Decimal("93.6"))


def test_what_a_model_has_no_cache_price_for_is_plain_input(make_rate, make_book):
    """Of 1,000 prompts of 8,000 tokens 900 are read; the other 100 are no writes."""
    per_unit = prices_per_unit(
        {
            TokenClass.INPUT: Decimal(2),
            TokenClass.CACHE_READ: Decimal("0.20"),
            TokenClass.OUTPUT: Decimal(10),
        }
    )
    book = make_book([make_rate(model="openai/gpt-x", prices=per_unit)])
    its = Levers(
        requests_per_day=Decimal(1000),
        active_days=1,
        input_tokens=0,
        output_tokens=0,
        prefix_tokens=8_000,
        cache_ttl=Ttl.FIVE_MINUTES,
        hit_percent=Decimal(90),
    )

    found = scenarios.compared(its, Share("openai/gpt-x"), APRIL, 1, book, START)

    # 7.2 million at 0.2 and 0.8 million at 2.
    assert cost(found) == Decimal("3.04")


def test_batch_has_its_own_price(compare):
    assert cost(compare(batch_percent=Decimal(100))) * 2 == cost(compare())


def test_searches_are_in_neither_side(compare):
    plain, searching = compare(), compare(searches_per_1000=100)

    assert searching.balance == plain.balance
    assert cost(searching) - cost(plain) == 30  # 3,000 at 10 per thousand


def test_what_has_no_price_says_why(compare, make_book):
    its = Levers(Decimal(1), 1, 1)

    found = scenarios.compared(its, Share(SONNET), APRIL, 1, make_book([]), START)

    assert isinstance(found.unpriced, Unpriced)
    assert (found.cost, found.balance) == (None, None)


def test_nothing_asked_costs_nothing_and_has_no_ratio(compare):
    found = compare(requests_per_day=Decimal(0))

    assert (found.cost, found.per_request) == (0, None)
    assert found.balance.larger is Larger.NEITHER
    assert found.balance.output_percent is None


@pytest.mark.parametrize(
    ("planned", "contingency", "cap"),
    [
        (["100", "1234.5"], 0, "1300"),
        (["1200"], 0, "1200"),
        (["1000"], 20, "1200"),
        (["1001"], 20, "1300"),
        (["99.01"], 0, "100"),
        (["9.9"], 0, "10"),
        (["0.004"], 0, "1"),
        (["0"], 50, "0"),
        ([], 50, "0"),
    ],
)
def test_the_cap_is_of_the_largest_month_rounded_up_to_two_digits(
    planned: list[str], contingency: int, cap: str
):
    assert scenarios.proposed_cap(list(map(Decimal, planned)), contingency) == Decimal(cap)
