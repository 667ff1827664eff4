from datetime import timedelta
from decimal import Decimal

import pytest

from billing.pricing.engine import Charge, Charges, Line, Unpriced, lines, price
from billing.pricing.rates import prices_per_unit
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass
from billing.pricing.usage import Processing, Step

PRICES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)
EACH = Quantities(*(10**place for place in range(11)))
# 2 + 30 + 500 + 7,000 + 110,000 + 1,300,000 + …
EACH_COST = 341_508_417_532


def test_every_class_costs_its_own_price(make_rate, make_book, make_usage) -> None:
    rate = make_rate(prices=PRICES)

    assert price(make_usage(EACH), make_book([rate])) == Charges(
        (Charge("acme/one", rate, EACH, EACH_COST),), EACH_COST, ""
    )


def test_record_that_used_nothing_costs_nothing(make_rate, make_book, make_usage) -> None:
    priced = price(make_usage(NOTHING), make_book([make_rate()]))

    assert isinstance(priced, Charges)
    assert priced.cost == 0
    assert [charge.cost for charge in priced.charges] == [0]


def test_tier_is_a_cliff_for_the_whole_call(make_rate, make_book, make_usage) -> None:
    book = make_book([make_rate(1), make_rate(10, above=100)])
    at_bound = Quantities(40, 30, 20, 10, 1_000)
    above = at_bound._replace(cache_read=11)

    assert price(make_usage(at_bound), book).cost == 1_100
    assert price(make_usage(above), book).cost == 11_010


def test_what_is_heard_counts_towards_the_tier(make_rate, make_book, make_usage) -> None:
    book = make_book([make_rate(1), make_rate(10, above=100)])
    heard = Quantities(60, input_audio=20, cache_read_audio=20)
    more = heard._replace(input_audio=21)

    assert price(make_usage(heard), book).cost == 100
    assert price(make_usage(more), book).cost == 1_010


def test_session_is_rounded_once_for_the_record(make_rate, make_book, make_usage) -> None:
    """$0.08 an hour is 22,222,222.2… of 10⁻¹⁵ for a millisecond."""
    hour = prices_per_unit(
        {TokenClass.INPUT: Decimal(5), TokenClass.SESSION: Decimal("0.08")}
    )
    book = make_book([make_rate(prices=hour)])

    def cost(milliseconds: int) -> int:
        priced = price(make_usage(Quantities(1, session=milliseconds)), book)
        assert sum(line.cost for line in lines(priced)) == priced.cost
        return priced.cost - 5 * 10**9

    assert cost(3_600_000) == 80_000_000_000_000
    assert cost(1) == 22_222_222
    assert cost(2) == 44_444_444
    assert cost(7) == 155_555_556


def test_output_does_not_count_towards_the_tier(make_rate, make_book, make_usage) -> None:
    book = make_book([make_rate(1), make_rate(10, above=100)])

    assert (
        price(make_usage(Quantities(100, output=5_000, web_search=9)), book).cost == 5_109
    )


def test_each_step_is_priced_at_its_own_model(make_rate, make_book, make_usage) -> None:
    one, two = make_rate(1), make_rate(10, model="acme/two")
    steps = (Step("one", Quantities(5)), Step("two", Quantities(7)))

    priced = price(make_usage(steps=steps), make_book([one, two]))

    assert priced == Charges(
        (
            Charge("acme/one", one, Quantities(5), 5),
            Charge("acme/two", two, Quantities(7), 70),
        ),
        75,
        "",
    )


def test_each_step_has_its_own_tier(make_rate, make_book, make_usage) -> None:
    base, high = make_rate(1), make_rate(10, above=100)
    steps = (Step("one", Quantities(90)), Step("one", Quantities(101)))

    priced = price(make_usage(steps=steps), make_book([base, high]))

    assert [charge.rate for charge in priced.charges] == [base, high]
    assert priced.cost == 90 + 1_010


def test_steps_at_one_rate_become_one_charge(make_rate, make_book, make_usage) -> None:
    one, two = make_rate(1), make_rate(10, model="acme/two")
    steps = (
        Step("one", Quantities(5, output=1)),
        Step("two", Quantities(7)),
        Step("one-20260101", Quantities(20, web_search=2)),
    )

    priced = price(make_usage(steps=steps), make_book([one, two]))

    assert priced.charges == (
        Charge("acme/one", one, Quantities(25, output=1, web_search=2), 28),
        Charge("acme/two", two, Quantities(7), 70),
    )
    assert priced.cost == 98


# --- What the provider does not bill


def test_unbilled_record_has_one_charge_of_nothing(
    make_rate, make_book, make_usage
) -> None:
    usage = make_usage(EACH, unbilled="batch_expired")

    assert price(usage, make_book([make_rate()])) == Charges(
        (Charge("acme/one", None, NOTHING, 0),), 0, "batch_expired"
    )


def test_unbilled_record_needs_no_rate(make_book, make_usage) -> None:
    assert price(make_usage(EACH, unbilled="batch_errored"), make_book([])).cost == 0


def test_unbilled_record_of_an_unknown_model_is_unpriced(make_book, make_usage) -> None:
    usage = make_usage(EACH, model="three", unbilled="batch_errored")

    assert price(usage, make_book([])).reason == "unknown_model"


# --- Unpriced


def test_unknown_model_is_unpriced(make_rate, make_book, make_usage) -> None:
    usage = make_usage(model="three", steps=(Step("three", Quantities(1)),))

    priced = price(usage, make_book([make_rate()]))

    assert isinstance(priced, Unpriced)
    assert (priced.reason, priced.model) == ("unknown_model", "three")
    assert "acme" in priced.detail
    assert "'three'" in priced.detail


def test_missing_rate_is_unpriced(make_rate, make_book, make_usage) -> None:
    usage = make_usage(Quantities(12), processing=Processing.BATCH, geo="us")

    priced = price(usage, make_book([make_rate()]))

    assert isinstance(priced, Unpriced)
    assert (priced.reason, priced.model) == ("no_rate", "acme/one")
    for said in ("acme/one", "batch", "us", "2026-01-01T00:00:00+00:00", "12 tokens"):
        assert said in priced.detail


def test_endpoint_that_is_not_stated_is_said(make_rate, make_book, make_usage) -> None:
    book = make_book([make_rate()])

    unstated = price(make_usage(NOTHING, endpoint="unstated"), book)
    regional = price(make_usage(NOTHING, endpoint="regional"), book)

    said = "The record does not say which endpoint was called."
    assert (unstated.reason, regional.reason) == ("no_rate", "no_rate")
    assert unstated.detail.endswith(said)
    assert said not in regional.detail


def test_record_before_the_first_rate_is_unpriced(make_rate, make_book, make_usage) -> None:
    usage = make_usage(NOTHING)
    book = make_book([make_rate(effective_from=usage.occurred_at + timedelta(seconds=1))])

    assert price(usage, book).reason == "no_rate"


@pytest.mark.parametrize("missing", list(range(11)))
def test_used_class_without_price_is_unpriced(
    make_rate, make_book, make_usage, missing: int
) -> None:
    prices = tuple(None if place == missing else 1 for place in range(11))
    book = make_book([make_rate(prices=prices)])
    used = Quantities(*(int(place == missing) for place in range(11)))
    unused = Quantities(*(int(place != missing) for place in range(11)))

    priced = price(make_usage(used), book)

    assert isinstance(priced, Unpriced)
    assert (priced.reason, priced.model) == ("no_price", "acme/one")
    assert Quantities._fields[missing] in priced.detail
    assert price(make_usage(unused), book).cost == 10


def test_free_is_a_price(make_rate, make_book, make_usage) -> None:
    assert price(make_usage(EACH), make_book([make_rate(0)])).cost == 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_unpriced_step_leaves_the_record_unpriced(
    make_rate, make_book, make_usage, place: int
) -> None:
    steps = [Step("one", Quantities(1)), Step("one", Quantities(2))]
    steps.insert(place, Step("three", Quantities(1)))

    assert price(make_usage(steps=tuple(steps)), make_book([make_rate()])) == Unpriced(
        "unknown_model", "No model of acme is known under the name 'three'.", "three"
    )


# --- Lines


def test_lines_break_a_charge_down(make_rate, make_book, make_usage) -> None:
    used = Quantities(input=4, output=2, web_search=1)
    priced = price(make_usage(used), make_book([make_rate(prices=PRICES)]))

    assert lines(priced) == [
        Line(TokenClass.INPUT, 4, 2, 8, "acme/one"),
        Line(TokenClass.OUTPUT, 2, 11, 22, "acme/one"),
        Line(TokenClass.WEB_SEARCH, 1, 13, 13, "acme/one"),
    ]


def test_lines_name_the_model_of_each_step(make_rate, make_book, make_usage) -> None:
    steps = (Step("one", Quantities(5)), Step("two", Quantities(7)))
    book = make_book([make_rate(1), make_rate(10, model="acme/two")])

    assert lines(price(make_usage(steps=steps), book)) == [
        Line(TokenClass.INPUT, 5, 1, 5, "acme/one"),
        Line(TokenClass.INPUT, 7, 10, 70, "acme/two"),
    ]


def test_free_class_has_a_line(make_rate, make_book, make_usage) -> None:
    priced = price(make_usage(Quantities(3)), make_book([make_rate(0)]))

    assert lines(priced) == [Line(TokenClass.INPUT, 3, 0, 0, "acme/one")]


def test_unbilled_record_has_no_lines(make_book, make_usage) -> None:
    assert lines(price(make_usage(EACH, unbilled="batch_errored"), make_book([]))) == []
