"""What-if, worked by hand: acme/one costs 10 in, 12 and 20 to write, 1 to read, 50 out;
acme/two half of that. A batch of either is half its price. 1,000 calls of 100 tokens in
and 20 out are 100,000 × 10 + 20,000 × 50 = 2,000,000."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.pricing import what_if
from billing.pricing.rates import Rate, RateBook
from billing.pricing.text_tokens import Times
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass
from billing.pricing.usage import Processing, Speed
from billing.pricing.what_if import (
    Caching,
    CachingKind,
    Cell,
    Guess,
    Lever,
    Levers,
    Move,
    Outcome,
    Recached,
)
from tests.pricing.conftest import START

# input, writes for 5 minutes and an hour, reads, output, searches; sound; sessions
ONE = (10, 12, 20, 1, 50, 7, 30, 3, 90, 80, 2)
TWO = (5, 6, 10, None, 25, 7, 15, None, 45, 40, 2)
LATER = START + timedelta(days=100)
USED = Quantities(input=100_000, output=20_000)


def rate(number: int, model: str, prices: Sequence[int | None], **changes: Any) -> Rate:
    values: dict[str, Any] = {
        "id": number,
        "model": f"acme/{model}",
        "processing": Processing.STANDARD,
        "speed": Speed.STANDARD,
        "geo": "global",
        "endpoint": "global",
        "above": 0,
        "effective_from": START,
        "prices": tuple(prices),
    }
    return Rate(**{**values, **changes})


BATCH = Processing.BATCH
BOOK = RateBook(
    [
        [
            rate(1, "one", ONE),
            rate(2, "two", TWO),
            rate(3, "one", (5, 6, 10, 0, 25, 7, 15, 1, 45, 40, 2), processing=BATCH),
            rate(4, "one", [None if one is None else one * 3 for one in ONE], above=1000),
            rate(5, "one", [None if one is None else one * 2 for one in ONE], speed="fast"),
            rate(
                6, "one", (20, 24, 40, 2, 100, 7, 60, 6, 180, 160, 2), effective_from=LATER
            ),
        ]
    ],
    {},
)


def cell(**changes: Any) -> Cell:
    values: dict[str, Any] = {
        "place": (1,),
        "model": "acme/one",
        "processing": "standard",
        "speed": "standard",
        "geo": "global",
        "endpoint": "global",
        "size": 100,
        "at": START,
        "deferrable": False,
        "requests": 1000,
        "quantities": USED,
    }
    return Cell(**{**values, **changes})


def asked(levers: Levers, *cells: Cell, guess: Guess = Guess.MID) -> Outcome:
    priced, without = what_if.at_rates(cells or [cell()], BOOK)
    assert not without
    return what_if.pull(priced, levers, BOOK, guess)


def move(percent: int, **changes: Any) -> Move:
    return Move("acme/one", "acme/two", Fraction(percent), **changes)


def test_nothing_pulled_changes_nothing() -> None:
    outcome = asked(Levers())
    assert outcome.total_before == outcome.total_after == 2_000_000
    assert outcome.pulled == ()


def test_what_has_no_rate_is_apart() -> None:
    priced, without = what_if.at_rates([cell(), cell(model="acme/three")], BOOK)
    assert [one.cost for one in priced] == [2_000_000]
    assert [one.model for one in without] == ["acme/three"]


def test_a_move_takes_its_percent_to_the_other_model() -> None:
    outcome = asked(Levers(moves=(move(40),)))
    # 60 % stay at 1,200,000; 40 % cost half of 800,000.
    assert outcome.total_after == 1_600_000
    (pulled,) = outcome.pulled
    assert (pulled.lever, pulled.effect, pulled.requests) == (Lever.MODELS, -400_000, 400)
    (moved,) = pulled.moved
    assert (moved.before, moved.after) == (800_000, 400_000)
    assert moved.break_even == 2


def test_another_tokenizer_makes_other_numbers_of_text_alone() -> None:
    factor = Times(Fraction(9, 10), Fraction(13, 10), Fraction(3))
    used = Quantities(input=1000, output=100, web_search=10, input_audio=10)
    levers = Levers(moves=(move(100, factor=factor),))
    costs = [
        asked(levers, cell(quantities=used), guess=guess).total_after for guess in Guess
    ]
    # 1,000 × 5 + 100 × 25 = 7,500 of text; 10 × 7 + 10 × 15 = 220 of other things.
    assert costs == [7_500 * 9 // 10 + 220, 7_500 * 13 // 10 + 220, 7_500 * 3 + 220]
    (moved,) = asked(levers, cell(quantities=used)).pulled[0].moved
    # Before: 1,000 × 10 + 100 × 50 + 10 × 7 + 10 × 30 = 15,370.
    assert moved.break_even == Fraction(15_370 - 220, 7_500)


def test_more_tokens_may_reach_a_dearer_tier() -> None:
    levers = Levers(moves=(Move("acme/two", "acme/one", Fraction(100)),))
    its = cell(model="acme/two", size=1000)
    assert asked(levers, its).total_after == 2_000_000
    twice = levers.moves[0]._replace(factor=Times(*[Fraction(2)] * 3))
    assert asked(Levers(moves=(twice,)), its).total_after == 12_000_000


def test_moves_start_together_and_their_parts_add_up() -> None:
    levers = Levers(moves=(move(50), Move("acme/two", "acme/one", Fraction(100)), move(50)))
    its = cell(requests=1, quantities=Quantities(input=3))
    outcome = asked(levers, its)
    assert sum(one.cell.requests for one in outcome.after) == 1
    assert {one.cell.model for one in outcome.after} == {"acme/two"}
    assert outcome.total_after == 15


def test_a_model_without_cache_prices_bills_cached_tokens_as_input() -> None:
    its = cell(quantities=Quantities(cache_write_5m=100, cache_read=1000))
    outcome = asked(Levers(moves=(move(100),)), its)
    assert outcome.total_before == 100 * 12 + 1000
    assert outcome.total_after == 100 * 6 + 1000 * 5
    assert outcome.pulled[0].moved[0].as_input


def test_what_cannot_move_stays_and_is_said() -> None:
    moves = (Move("acme/one", "acme/none", Fraction(30)), move(50))
    outcome = asked(Levers(moves=moves))
    assert outcome.total_after == 1_000_000 + 500_000
    (missing,) = outcome.pulled[0].missing
    assert missing == ("acme/one", "standard", 300, 600_000)


def test_of_one_model_no_more_than_all_is_moved() -> None:
    with pytest.raises(ValueError, match="100 percent"):
        Levers(moves=(move(60), move(41)))


def test_a_batch_takes_what_can_wait() -> None:
    can_wait = cell(deferrable=True)
    outcome = asked(Levers(batch=Fraction(80)), cell(), can_wait)
    # Of the second 2,000,000 a fifth stays, four fifths are halved.
    assert outcome.total_after == 2_000_000 + 400_000 + 800_000
    assert outcome.pulled[0].requests == 800


@pytest.mark.parametrize(
    "changes",
    [{"model": "acme/two"}, {"speed": "fast"}],
    ids=["no batch rate", "fast"],
)
def test_what_cannot_be_batched_stays_and_is_said(changes: dict[str, Any]) -> None:
    outcome = asked(Levers(batch=Fraction(50)), cell(deferrable=True, **changes))
    assert outcome.pulled[0].effect == 0
    assert [one.requests for one in outcome.pulled[0].missing] == [500]


def test_what_is_in_a_batch_already_stays() -> None:
    outcome = asked(
        Levers(batch=Fraction(50)), cell(deferrable=True, processing=Processing.BATCH)
    )
    assert (outcome.pulled[0].effect, outcome.pulled[0].missing) == (0, ())


CACHED = Quantities(input=1000, cache_write_5m=100, cache_write_1h=10, cache_read=900)


def test_without_caching_all_is_plain_input() -> None:
    outcome = asked(Levers(caching=Caching(CachingKind.OFF)), cell(quantities=CACHED))
    # Before: 1,000 × 10 + 100 × 12 + 10 × 20 + 900 × 1.
    assert (outcome.total_before, outcome.total_after) == (12_300, 20_100)
    recached = outcome.pulled[0].recached
    assert recached is not None
    assert (recached.tokens, recached.before, recached.after) == (1010, 2_300, 10_100)
    # At 12 to write and 1 to read, 2 in 11 have to be read to cost 10 each.
    assert recached.hit_even == Fraction(2, 11)


@pytest.mark.parametrize(
    ("plain", "read", "written", "share"),
    [
        (100, 10, 125, Fraction(25, 115)),
        (100, 10, 100, 0),
        (100, 10, 80, 0),  # writing costs less than input: no share below nothing
        (100, 100, 125, None),
        (100, 10, 10, None),
        (None, 10, 125, None),
    ],
)
def test_the_share_that_has_to_be_read_is_from_nothing_to_all(
    plain: int | None, read: int, written: int, share: Fraction | None
) -> None:
    assert Recached(1, 0, 0, plain, read, written).hit_even == share


def test_with_caching_the_repeated_part_is_read_or_written() -> None:
    caching = Caching(CachingKind.ON, share=Fraction(60), hit=Fraction(90))
    outcome = asked(Levers(caching=caching))
    # Of 100,000 in 60,000 repeat: 54,000 × 1 + 6,000 × 12, the others × 10.
    assert outcome.total_after == 54_000 + 72_000 + 400_000 + 1_000_000
    hourly = caching._replace(write=TokenClass.CACHE_WRITE_1H)
    assert asked(Levers(caching=hourly)).pulled[0].its_after == (
        54_000 + 120_000 + 400_000 + 1_000_000
    )


def test_caching_is_not_pulled_where_a_model_has_no_price_for_it() -> None:
    caching = Caching(CachingKind.ON, share=Fraction(60), hit=Fraction(90))
    outcome = asked(Levers(caching=caching), cell(model="acme/two"))
    assert outcome.pulled[0].effect == 0
    assert [one.model for one in outcome.pulled[0].missing] == ["acme/two"]


def test_an_hour_against_five_minutes() -> None:
    hour = asked(
        Levers(caching=Caching(CachingKind.ONE_HOUR)), cell(quantities=CACHED)
    ).pulled[0]
    assert hour.effect == 100 * (20 - 12)
    assert hour.recached is not None
    # Each token read instead of written for an hour saves 19: 800 ÷ 19 of them.
    assert hour.recached.tokens_even == Fraction(800, 19)
    minutes = asked(
        Levers(caching=Caching(CachingKind.FIVE_MINUTES)), cell(quantities=CACHED)
    ).pulled[0]
    assert minutes.effect == -10 * (20 - 12)
    assert minutes.recached is not None
    assert minutes.recached.tokens_even == Fraction(80, 11)


def test_output_grows_and_shrinks() -> None:
    assert asked(Levers(output=Fraction(-20))).pulled[0].effect == -200_000
    assert asked(Levers(output=Fraction(10))).pulled[0].effect == 100_000


def test_prices_of_another_day() -> None:
    outcome = asked(Levers(prices_at=LATER), cell(), cell(model="acme/two"))
    assert outcome.pulled[0].effect == 2_000_000
    before = asked(Levers(prices_at=START - timedelta(days=1)))
    assert before.pulled[0].effect == 0
    assert before.pulled[0].missing == (("acme/one", "standard", 1000, 2_000_000),)


def test_levers_are_pulled_on_what_the_one_before_left() -> None:
    levers = Levers(
        moves=(Move("acme/two", "acme/one", Fraction(100)),),
        batch=Fraction(100),
        caching=Caching(CachingKind.ON, share=Fraction(50), hit=Fraction(100)),
        output=Fraction(-50),
        prices_at=LATER,
    )
    outcome = asked(levers, cell(model="acme/two", deferrable=True))
    totals = [(one.lever, one.before, one.after) for one in outcome.pulled]
    # No batch rate starts later, so the one that is in force stays.
    assert totals == [
        (Lever.MODELS, 1_000_000, 2_000_000),
        (Lever.BATCH, 2_000_000, 1_000_000),
        (Lever.CACHING, 1_000_000, 750_000),
        (Lever.OUTPUT, 750_000, 500_000),
        (Lever.PRICES, 500_000, 500_000),
    ]


# --- Whatever is asked ----------------------------------------------------------------

PERCENTS = st.fractions(0, 100, max_denominator=100)
COUNTS = st.integers(-(10**6), 10**9)
CELLS = st.lists(
    st.builds(
        Cell,
        place=st.tuples(st.integers(1, 2)),
        model=st.sampled_from(["acme/one", "acme/two"]),
        processing=st.just("standard"),
        speed=st.just("standard"),
        geo=st.just("global"),
        endpoint=st.just("global"),
        size=st.integers(0, 2000),
        at=st.sampled_from([START, LATER]),
        deferrable=st.booleans(),
        requests=COUNTS,
        quantities=st.builds(
            Quantities, *[COUNTS] * 3, st.just(0), *[COUNTS] * 3, st.just(0), *[COUNTS] * 3
        ),
    ),
    max_size=4,
)
GUESSES = st.sampled_from(list(Guess))


@st.composite
def every_lever(draw: st.DrawFn) -> Levers:
    some = st.fractions(Fraction(1, 2), 2, max_denominator=100)
    first = draw(PERCENTS)
    factor = Times(*sorted(draw(st.tuples(some, some, some))))
    to = st.sampled_from(["acme/one", "acme/two", "acme/none"])
    return Levers(
        moves=(
            Move("acme/one", draw(to), first, factor),
            Move("acme/one", draw(to), 100 - first),
            Move("acme/two", draw(to), draw(PERCENTS), factor),
        ),
        batch=draw(st.none() | PERCENTS),
        caching=draw(
            st.none()
            | st.builds(
                Caching,
                st.sampled_from(list(CachingKind)),
                PERCENTS,
                PERCENTS,
                st.sampled_from([TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_1H]),
            )
        ),
        output=draw(st.none() | st.fractions(-100, 400, max_denominator=10)),
        prices_at=draw(st.none() | st.sampled_from([START, LATER])),
    )


@settings(max_examples=1000)
@given(CELLS, every_lever(), GUESSES)
def test_effects_add_up_and_no_call_is_lost(
    cells: list[Cell], levers: Levers, guess: Guess
) -> None:
    priced, _ = what_if.at_rates(cells, BOOK)
    outcome = what_if.pull(priced, levers, BOOK, guess)
    effects = sum(one.effect for one in outcome.pulled)
    assert outcome.total_after - outcome.total_before == effects
    follow = [one.before for one in outcome.pulled] + [outcome.total_after]
    assert follow[0] == outcome.total_before
    assert follow[1:] == [one.after for one in outcome.pulled]
    for one in outcome.pulled:
        assert one.effect == one.its_after - one.its_before
    before = sum(one.cell.requests for one in priced)
    assert sum(one.cell.requests for one in outcome.after) == before


@settings(max_examples=300)
@given(CELLS, st.lists(PERCENTS, max_size=3))
def test_a_move_to_the_same_model_changes_nothing(
    cells: list[Cell], percents: list[Fraction]
) -> None:
    third = [percent * Fraction(1, 3) for percent in percents]
    moves = tuple(Move("acme/one", "acme/one", percent) for percent in third)
    priced, _ = what_if.at_rates(cells, BOOK)
    outcome = what_if.pull(priced, Levers(moves=moves), BOOK)
    assert outcome.total_after == outcome.total_before
    used = NOTHING
    for one in outcome.after:
        used = used.plus(one.cell.quantities)
    expected = NOTHING
    for one in priced:
        expected = expected.plus(one.cell.quantities)
    assert used == expected
