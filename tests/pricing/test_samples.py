"""Profiles of samples: percentiles, shares and costs worked out by hand."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from billing.pricing import samples
from billing.pricing.bootstrap import Doubt
from billing.pricing.rates import RateBook
from billing.pricing.samples import Distribution, Profile, Side
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing, Step, Usage

Make = Callable[..., Usage]


@pytest.fixture
def book(make_rate: Callable[..., object], make_book: Callable[..., RateBook]) -> RateBook:
    """Output costs 5, all else 1; a batch half of it. Amounts are 10⁻¹⁵ units."""
    output = list(TokenClass).index(TokenClass.OUTPUT)
    prices = [2] * len(TokenClass)
    prices[output] = 10
    halves = [price // 2 for price in prices]
    return make_book(
        [
            make_rate(prices=tuple(prices)),
            make_rate(prices=tuple(halves), processing=Processing.BATCH),
        ]
    )


def only(found: list[Profile]) -> Profile:
    (profile,) = found
    return profile


def test_percentiles_are_values_of_the_sample():
    assert samples.distribution([4, 1, 2, 3]) == Distribution(1, 2, 3, 4, 4, mean=3)
    assert samples.distribution(list(range(1, 101))) == Distribution(
        25, 50, 75, 90, 95, mean=51
    )
    assert samples.distribution([7]) == Distribution(7, 7, 7, 7, 7, mean=7)


def test_a_request_without_a_class_counts_as_none_of_it(book: RateBook, make_usage: Make):
    one, none = Quantities(input=10, web_search=4), Quantities(input=10)

    its = only(samples.profiles([make_usage(one), make_usage(none)], book))

    assert its.classes == {
        TokenClass.INPUT: Distribution(10, 10, 10, 10, 10, mean=10),
        TokenClass.WEB_SEARCH: Distribution(0, 0, 4, 4, 4, mean=2),
    }
    assert its.totals == {TokenClass.INPUT: 20, TokenClass.WEB_SEARCH: 4}


def test_hits_are_reads_beside_all_that_went_in(book: RateBook, make_usage: Make):
    used = Quantities(input=100, cache_write_5m=50, cache_write_1h=50, cache_read=600)

    its = only(samples.profiles([make_usage(used)], book))

    assert its.hit_percent == Decimal("75.00")
    assert its.sides[Side.INPUT].p50 == 800


def test_the_prefix_is_that_of_the_requests_that_cache(book: RateBook, make_usage: Make):
    """Half of them do; the mean of all, 300, is of none of them."""
    reads = Quantities(input=10, cache_read=590, cache_write_5m=10)
    writes = Quantities(input=10, cache_write_1h=600)
    plain = Quantities(input=610)

    its = only(samples.profiles(map(make_usage, [reads, plain, writes, plain]), book))

    assert its.caching == 2
    assert its.prefix == Distribution(600, 600, 600, 600, 600, mean=600)
    assert only(samples.profiles([make_usage(plain)], book)).prefix is None


def test_requests_under_conditions_that_no_plan_has_are_counted(
    book: RateBook, make_usage: Make
):
    used = Quantities(input=10)
    others = [{"speed": "fast"}, {"processing": "flex"}, {"geo": "us"}, {"endpoint": "eu"}]
    usages = [make_usage(used, **one) for one in [{}, {"processing": "batch"}, *others]]

    assert only(samples.profiles(usages, book)).elsewhere == 4


def test_output_at_five_times_the_price(book: RateBook, make_usage: Make):
    """2,000 in at 2, 500 out at 10: 4,000 and 5,000."""
    its = only(samples.profiles([make_usage(Quantities(input=2000, output=500))], book))

    assert its.cost == 9000
    assert its.output_cost_percent == Decimal("55.56")


def test_thinking_is_a_part_of_the_output(book: RateBook, make_usage: Make):
    used = make_usage(Quantities(output=400), thinking=100)

    assert only(samples.profiles([used], book)).thinking_percent == Decimal("25.00")


def test_without_input_there_is_no_hit_rate(book: RateBook, make_usage: Make):
    its = only(samples.profiles([make_usage(Quantities(web_search=1))], book))

    assert (its.hit_percent, its.thinking_percent) == (None, None)


def test_what_has_no_price_is_counted_apart_and_never_free(
    book: RateBook, make_usage: Make
):
    priced = make_usage(Quantities(input=10))
    unpriced = make_usage(Quantities(input=10), speed="fast")

    its = only(samples.profiles([priced] * 20 + [unpriced], book))

    assert (its.requests, its.priced, its.unpriced) == (21, 20, {"no_rate": 1})
    assert (its.cost, its.mean_cost) == (400, 20)
    assert its.cost_per_request is not None
    assert its.cost_per_request.mean == 20


def test_without_any_price_there_is_no_cost(book: RateBook, make_usage: Make):
    unknown = make_usage(
        provider="acme", model="three", steps=(Step("three", Quantities(1)),)
    )

    its = only(samples.profiles([unknown], book))

    assert its.model == "acme/three"
    assert (its.mean_cost, its.cost_per_request, its.output_cost_percent) == (
        None,
        None,
        None,
    )
    assert its.doubts == ()


def test_what_the_provider_does_not_bill_costs_nothing(book: RateBook, make_usage: Make):
    refused = make_usage(Quantities(input=10), unbilled="refused_before_output")

    its = only(samples.profiles([refused, make_usage(Quantities(input=10))], book))

    assert (its.priced, its.free, its.mean_cost) == (2, 1, 10)


def test_models_stand_in_order_of_their_requests(book: RateBook, make_usage: Make):
    two = make_usage(Quantities(1), model="two", steps=(Step("two", Quantities(1)),))

    found = samples.profiles([make_usage(Quantities(1)), two, two], book)

    assert [its.model for its in found] == ["acme/two", "acme/one"]


def test_a_batch_costs_what_a_batch_costs(book: RateBook, make_usage: Make):
    standard = make_usage(Quantities(input=100))
    batch = make_usage(Quantities(input=100), processing=Processing.BATCH)

    its = only(samples.profiles([standard, standard, standard, batch], book))

    assert (its.batch_percent, its.cost) == (Decimal("25.00"), 700)


def test_few_requests_are_doubted(book: RateBook, make_usage: Make):
    its = only(samples.profiles([make_usage(Quantities(input=10))] * 99, book))

    assert its.doubts == (Doubt.TOO_FEW,)
    assert (
        only(samples.profiles([make_usage(Quantities(input=10))] * 100, book)).doubts == ()
    )
