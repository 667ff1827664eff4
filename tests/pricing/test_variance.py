"""Variance: each effect alone, by hand; and that the parts are the whole, always.

The figures of the first part stand in docs/variance.md with how they are worked out.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.pricing import money
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.variance import (
    SIZES,
    Amounts,
    Cell,
    Conditions,
    Effect,
    Variance,
    variance,
)

STANDARD = Conditions("standard", "standard", "global", "global")
BATCH = STANDARD._replace(processing="batch")

# Dollars per million tokens (per thousand searches), written out and not read from rates.
SMALL = {"input": "3", "cache_read": "0.30", "output": "15", "web_search": "10"}
LARGE = {"input": "5", "cache_read": "0.50", "output": "25", "web_search": "10"}
SMALL_BATCH = {
    "input": "1.50",
    "cache_read": "0.15",
    "output": "7.50",
    "web_search": "10",
}


def amounts(requests: int, prices: Mapping[str, str], **quantities: int) -> Amounts:
    per = {"web_search": 1000}
    costs = {
        name: Decimal(prices[name]) * quantity / per.get(name, 10**6)
        for name, quantity in quantities.items()
    }
    return Amounts(
        requests,
        tuple(Quantities(**quantities)),
        tuple(money.whole(costs.get(name, Decimal())) for name in TokenClass),
    )


def usual(requests: int, prices: Mapping[str, str] = SMALL, **changes: int) -> Amounts:
    """A request reads 1,000 tokens uncached and 4,000 from the cache and writes 200; one
    of a hundred searches. A thousand of them cost $7.30: 3.00 + 1.20 + 3.00 + 0.10."""
    quantities = {
        "input": 1000 * requests,
        "cache_read": 4000 * requests,
        "output": 200 * requests,
        "web_search": requests // 100,
    }
    return amounts(requests, prices, **quantities | changes)


PLAN = {Cell("small", STANDARD): usual(1000)}
BOTH = {
    Cell("small", STANDARD): usual(1000),
    Cell("large", STANDARD): usual(1000, LARGE),
}


def dollars(found: Variance, model: str = "") -> dict[str, Decimal]:
    """The effects that are not nothing, of one model or all."""
    walk = found.models[model] if model else found.total
    return {str(name): money.exact(its) for name, its in walk.effects.items() if its}


def expected(**effects: str) -> dict[str, Decimal]:
    return {name: Decimal(its) for name, its in effects.items()}


# --- Each effect alone ----------------------------------------------------------------


def test_the_plan_itself_has_no_variance():
    found = variance(PLAN, PLAN)

    assert money.exact(found.total.plan) == Decimal("7.30")
    assert dollars(found) == {}


def test_more_requests_alone_are_volume():
    found = variance(PLAN, {Cell("small", STANDARD): usual(1200)})

    assert money.exact(found.total.actual) == Decimal("8.76")
    assert dollars(found) == expected(volume="1.46")


def test_other_models_alone_are_mix():
    actual = {
        Cell("small", STANDARD): usual(500),
        Cell("large", STANDARD): usual(1500, LARGE),
    }

    found = variance(BOTH, actual)

    assert money.exact(found.total.plan) == Decimal("19.40")
    assert money.exact(found.total.actual) == Decimal("21.80")
    assert dollars(found) == expected(mix="2.40")
    assert dollars(found, "small") == expected(mix="-3.65")
    assert dollars(found, "large") == expected(mix="6.05")


def test_longer_input_alone_is_input_size():
    longer = usual(1000, input=1_500_000, cache_read=6_000_000)

    found = variance(PLAN, {Cell("small", STANDARD): longer})

    assert dollars(found) == expected(input_size="2.10")
    assert found.total.base(Effect.INPUT_SIZE) == money.whole(Decimal("4.20"))


def test_longer_output_alone_is_output_size():
    found = variance(PLAN, {Cell("small", STANDARD): usual(1000, output=260_000)})

    assert dollars(found) == expected(output_size="0.90")
    assert found.total.base(Effect.OUTPUT_SIZE) == money.whole(Decimal("3.00"))


def test_more_searches_alone_are_tool_size():
    found = variance(PLAN, {Cell("small", STANDARD): usual(1000, web_search=30)})

    assert dollars(found) == expected(tool_size="0.20")
    assert found.total.size == money.whole(Decimal("0.20"))


def test_fewer_cache_reads_of_the_same_input_alone_are_caching():
    colder = usual(1000, input=3_000_000, cache_read=2_000_000)

    found = variance(PLAN, {Cell("small", STANDARD): colder})

    assert dollars(found) == expected(caching="5.40")


def test_half_of_it_in_batches_alone_is_processing():
    actual = {
        Cell("small", STANDARD): usual(500),
        Cell("small", BATCH): usual(500, SMALL_BATCH),
    }

    assert dollars(variance(PLAN, actual)) == expected(processing="-1.80")
    assert dollars(variance(actual, PLAN)) == expected(processing="1.80")


def test_a_cheaper_output_token_alone_is_price():
    actual = {Cell("small", STANDARD): usual(1000, SMALL | {"output": "12"})}

    assert dollars(variance(PLAN, actual)) == expected(price="-0.60")


def test_a_model_that_nobody_planned_is_mix():
    actual = {
        Cell("small", STANDARD): usual(800),
        Cell("large", STANDARD): usual(200, LARGE),
    }

    found = variance(PLAN, actual)

    assert dollars(found) == expected(mix="0.96")
    assert dollars(found, "small") == expected(mix="-1.46")
    assert dollars(found, "large") == expected(mix="2.42")


def test_a_model_that_nobody_used_is_mix():
    found = variance(BOTH, {Cell("small", STANDARD): usual(2000)})

    assert dollars(found) == expected(mix="-4.80")
    assert dollars(found, "small") == expected(mix="7.30")
    assert dollars(found, "large") == expected(mix="-12.10")


def test_all_at_once_comes_apart_again():
    prices = SMALL | {"output": "13.50"}
    actual = {
        Cell("small", STANDARD): amounts(
            800,
            prices,
            input=1_600_000,
            cache_read=3_200_000,
            output=200_000,
            web_search=12,
        ),
        Cell("small", BATCH): amounts(
            400,
            SMALL_BATCH | {"output": "6.75"},
            input=800_000,
            cache_read=1_600_000,
            output=100_000,
            web_search=6,
        ),
    }

    found = variance(PLAN, actual)

    assert money.exact(found.total.actual) == Decimal("10.755")
    assert dollars(found) == expected(
        volume="1.46",
        input_size="1.008",
        output_size="0.90",
        tool_size="0.06",
        caching="2.592",
        processing="-2.265",
        price="-0.30",
    )


# --- Where a side has nothing to compare with -----------------------------------------


def test_a_cache_that_nobody_planned_is_caching_and_not_price():
    plan = {Cell("small", STANDARD): amounts(1000, SMALL, input=5_000_000)}
    actual = amounts(1000, SMALL, input=1_000_000, cache_read=4_000_000)

    found = variance(plan, {Cell("small", STANDARD): actual})

    assert dollars(found) == expected(caching="-10.80")


def test_sound_that_nobody_planned_is_input_size():
    prices = SMALL | {"input_audio": "40"}
    actual = amounts(
        1000, prices, input=1_000_000, cache_read=4_000_000, input_audio=100_000
    )
    plan = {
        Cell("small", STANDARD): usual(1000, output=0, web_search=0),
    }

    found = variance(plan, {Cell("small", STANDARD): actual})

    assert dollars(found) == expected(input_size="4.00")


def test_without_a_plan_all_is_mix():
    found = variance({}, PLAN)

    assert dollars(found) == expected(mix="7.30")


def test_nothing_used_of_a_plan_is_volume():
    found = variance(PLAN, {})

    assert dollars(found) == expected(volume="-7.30")


def test_nothing_on_either_side_is_nothing():
    found = variance({}, {})

    assert (found.models, dollars(found)) == ({}, {})


def test_a_planned_cost_without_requests_has_no_volume():
    plan = {Cell("small", STANDARD): usual(1000)._replace(requests=0)}

    found = variance(plan, {Cell("small", STANDARD): usual(1200)})

    assert dollars(found) == expected(mix="1.46")


def test_what_was_charged_again_without_being_used_is_price():
    again = usual(1000)
    costs = (again.costs[0] + money.whole(Decimal("0.25")), *again.costs[1:])

    found = variance(PLAN, {Cell("small", STANDARD): again._replace(costs=costs)})

    assert dollars(found) == expected(price="0.25")


def test_a_charge_for_a_class_that_was_not_used_is_price():
    costs = list(usual(1000).costs)
    costs[tuple(TokenClass).index(TokenClass.CACHE_WRITE_1H)] = money.whole(Decimal(2))
    actual = usual(1000)._replace(costs=tuple(costs))

    assert dollars(variance(PLAN, {Cell("small", STANDARD): actual})) == expected(price="2")


def test_a_part_of_a_month_is_not_rounded_before_its_end():
    """A third of $7.30 is no decimal; three times what was rounded would be off."""
    thirds = {cell: its.times(Fraction(1, 3)) for cell, its in PLAN.items()}

    found = variance(thirds, PLAN)

    assert money.exact(found.total.plan) == Decimal("2.433333333333333")
    assert dollars(found) == expected(volume="4.866666666666667")


# --- The parts are the whole ----------------------------------------------------------

COUNTS = st.one_of(st.just(0), st.integers(-1000, 10**6), st.integers(0, 10**12))
COSTS = st.one_of(st.just(0), st.integers(-(10**18), 10**18), st.integers(0, 10**24))
CELLS = st.builds(
    Cell,
    st.sampled_from("abc"),
    st.sampled_from([STANDARD, BATCH, STANDARD._replace(geo="us")]),
)
SHARES = st.builds(Fraction, st.integers(1, 31), st.integers(28, 31))


@st.composite
def sides(draw: st.DrawFn) -> dict[Cell, Amounts]:
    cells = draw(st.lists(CELLS, max_size=4, unique=True))
    share = draw(st.one_of(st.just(1), SHARES))
    classes = len(TokenClass)
    return {
        cell: Amounts(
            draw(COUNTS) * share,
            tuple(one * share for one in draw(st.tuples(*[COUNTS] * classes))),
            tuple(one * share for one in draw(st.tuples(*[COSTS] * classes))),
        )
        for cell in cells
    }


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(sides(), sides())
def test_effects_add_up_to_the_difference(plan, actual):
    found = variance(plan, actual)

    for model in {cell.model for cell in (*plan, *actual)}:
        walk = found.models[model]
        spent = sum(sum(its.costs) for cell, its in actual.items() if cell.model == model)
        planned = sum(sum(its.costs) for cell, its in plan.items() if cell.model == model)
        assert (walk.plan, walk.actual) == (money.nearest(planned), money.nearest(spent))
        assert sums_in_dollars(walk)
    assert found.total.plan == sum(walk.plan for walk in found.models.values())
    assert found.total.actual == sum(walk.actual for walk in found.models.values())
    assert sums_in_dollars(found.total)
    for effect in Effect:
        parts = [walk.of(effect) for walk in found.models.values()]
        assert found.total.of(effect) == sum(parts)


def sums_in_dollars(walk) -> bool:
    """As a reader adds it up: volume + mix + size + caching + processing + price."""
    outside_of_size = [effect for effect in Effect if effect not in SIZES]
    parts = [walk.size, *(walk.of(effect) for effect in outside_of_size)]
    exactly = [Fraction(money.exact(part)) for part in parts]
    return sum(exactly) == Fraction(money.exact(walk.actual)) - Fraction(
        money.exact(walk.plan)
    )


POSITIVE = st.tuples(*[st.integers(1, 10**9)] * len(TokenClass))


def priced(requests: int, quantities, prices) -> Amounts:
    costs = tuple(one * price for one, price in zip(quantities, prices, strict=True))
    return Amounts(requests, quantities, costs)


@given(POSITIVE, POSITIVE, st.integers(1, 10**6), st.integers(0, 50))
def test_only_volume_moves_whatever_is_planned(quantities, prices, requests, times):
    cell = Cell("a", BATCH)
    many = tuple(one * times for one in quantities)

    found = variance(
        {cell: priced(requests, quantities, prices)},
        {cell: priced(requests * times, many, prices)},
    )

    assert set(dollars(found)) <= {"volume"}


@given(POSITIVE, POSITIVE, POSITIVE, st.integers(1, 10**6))
def test_only_price_moves_whatever_is_planned(quantities, prices, others, requests):
    cell = Cell("a", BATCH)

    found = variance(
        {cell: priced(requests, quantities, prices)},
        {cell: priced(requests, quantities, others)},
    )

    assert set(dollars(found)) <= {"price"}


@given(POSITIVE, POSITIVE, POSITIVE, st.integers(1, 10**6))
def test_only_size_moves_with_output_and_tools(quantities, prices, others, requests):
    inputs = [name for name in TokenClass if "input" in name or "cache" in name]
    changed = tuple(
        mine if name in inputs else its
        for name, mine, its in zip(TokenClass, quantities, others, strict=True)
    )
    cell = Cell("a", STANDARD)

    found = variance(
        {cell: priced(requests, quantities, prices)},
        {cell: priced(requests, changed, prices)},
    )

    assert set(dollars(found)) <= {"output_size", "tool_size"}


@given(POSITIVE, POSITIVE, st.permutations(range(4)), st.integers(1, 10**6))
def test_only_caching_moves_with_the_split(quantities, prices, order, requests):
    changed = (*(quantities[index] for index in order), *quantities[4:])
    cell = Cell("a", STANDARD)

    found = variance(
        {cell: priced(requests, quantities, prices)},
        {cell: priced(requests, changed, prices)},
    )

    assert set(dollars(found)) <= {"caching"}


def test_a_model_of_one_side_is_no_base_of_what_it_has_not():
    actual = {
        Cell("small", STANDARD): usual(1000),
        Cell("large", STANDARD): usual(200, LARGE),
    }

    found = variance(PLAN, actual).total

    assert money.exact(found.base(Effect.OUTPUT_SIZE)) == Decimal(3)
    assert money.exact(found.base(Effect.PRICE)) == Decimal("7.30")


@pytest.mark.parametrize("effect", Effect)
def test_a_base_is_the_part_that_a_step_changes(effect):
    """From $7.30: 4.20 goes in, 3.00 comes out, 0.10 is searches."""
    found = variance(PLAN, PLAN).total

    bases = {Effect.INPUT_SIZE: "4.20", Effect.OUTPUT_SIZE: "3", Effect.TOOL_SIZE: "0.10"}
    bases[Effect.CACHING] = "4.20"
    assert money.exact(found.base(effect)) == Decimal(bases.get(effect, "7.30"))
