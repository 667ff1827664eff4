"""What holds for every book and every usage, against a plain model of the rules."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from billing.pricing.engine import Charges, lines, price
from billing.pricing.rates import NO_PRICES, Rate, RateBook
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass
from billing.pricing.usage import Processing, Speed, Step, Usage

START = datetime(2026, 1, 1, tzinfo=UTC)
SOME = Quantities(3, output=5, session=7)
ALIASES = {("acme", name): f"acme/{name}" for name in ("one", "two")}

DAYS = st.integers(0, 4)
BOUNDS = st.sampled_from([0, 10, 20])
COUNTS = st.integers(0, 10**12)
QUANTITIES = st.builds(Quantities, *[COUNTS] * len(TokenClass))
SMALL = st.builds(Quantities, *[st.integers(0, 12)] * len(TokenClass))
STEPS = st.lists(
    st.builds(Step, st.sampled_from(["one", "two"]), SMALL | QUANTITIES),
    min_size=1,
    max_size=5,
)


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    stop = draw(st.booleans()) and draw(st.booleans())
    prices = draw(st.tuples(*[st.integers(0, 10**12)] * len(TokenClass)))
    return Rate(
        id=draw(st.integers(1, 10**6)),
        model=draw(st.sampled_from(sorted(ALIASES.values()))),
        processing=Processing.STANDARD,
        speed=Speed.STANDARD,
        geo="global",
        endpoint="global",
        above=draw(BOUNDS),
        effective_from=START + timedelta(days=draw(DAYS)),
        prices=NO_PRICES if stop else prices,
        stop=stop,
    )


CARDS = st.lists(st.lists(rates(), max_size=8), max_size=3)


def full_card(session: int | Fraction = 37) -> list[Rate]:
    """Prices for everything, so that whatever is used can be priced."""
    ids = count(1)
    return [
        Rate(
            id=next(ids),
            model=model,
            processing=Processing.STANDARD,
            speed=Speed.STANDARD,
            geo="global",
            endpoint="global",
            above=above,
            effective_from=START,
            prices=(3 + above, 5, 7, 11, 13, 17, 19, 23, 29, 31, session),
        )
        for model in ALIASES.values()
        for above in (0, 10, 20)
    ]


def usage_of(steps: list[Step], at: datetime = START) -> Usage:
    return Usage(provider="acme", model="one", occurred_at=at, steps=tuple(steps))


def cost_of(steps: list[Step], book: RateBook) -> int:
    priced = price(usage_of(steps), book)
    assert isinstance(priced, Charges)
    return priced.cost


def looked_up(cards: list[list[Rate]], model: str, total: int, at: datetime) -> Rate | None:
    """The rule, written out slowly: first card, highest tier, latest start, last given."""
    for card in cards:
        for above in (20, 10, 0):
            if above and total <= above:
                continue
            series = [r for r in card if r.model == model and r.above == above]
            started = [r for r in series if r.effective_from <= at]
            if not started:
                continue
            newest = max(r.effective_from for r in started)
            latest = [r for r in started if r.effective_from == newest][-1]
            if not latest.stop:
                return latest
    return None


@given(CARDS, st.integers(0, 25), st.integers(-1, 5), st.sampled_from([-1, 0, 1]))
def test_book_finds_what_the_rule_says(cards, total, day, tick) -> None:
    at = START + timedelta(days=day, microseconds=tick)
    found = RateBook(cards, ALIASES).rate(
        "acme/one", Processing.STANDARD, Speed.STANDARD, "global", "global", total, at
    )

    assert found is looked_up(cards, "acme/one", total, at)


@given(STEPS, st.randoms(use_true_random=False))
def test_order_of_steps_does_not_change_the_cost(steps, random) -> None:
    book = RateBook([full_card()], ALIASES)
    shuffled = random.sample(steps, len(steps))

    assert cost_of(shuffled, book) == cost_of(steps, book)


@given(STEPS, st.integers(0, 5))
def test_cutting_records_apart_does_not_change_the_sum(steps, cut) -> None:
    book = RateBook([full_card()], ALIASES)
    parts = [part for part in (steps[:cut], steps[cut:]) if part]

    assert sum(cost_of(part, book) for part in parts) == cost_of(steps, book)
    assert sum(cost_of([step], book) for step in steps) == cost_of(steps, book)


@given(STEPS)
def test_parts_sum_to_the_whole(steps) -> None:
    priced = price(usage_of(steps), RateBook([full_card()], ALIASES))

    assert isinstance(priced, Charges)
    assert sum(charge.cost for charge in priced.charges) == priced.cost
    assert sum(line.cost for line in lines(priced)) == priced.cost
    counted = NOTHING
    for charge in priced.charges:
        counted = counted.plus(charge.quantities)
    assert counted == usage_of(steps).quantities


@given(STEPS, st.randoms(use_true_random=False))
def test_time_is_rounded_once_and_the_parts_still_sum_up(steps, random) -> None:
    """The price of a millisecond need not be whole; every other one is."""
    book = RateBook([full_card(session=Fraction(200, 9))], ALIASES)
    priced = price(usage_of(steps), book)
    shuffled = price(usage_of(random.sample(steps, len(steps))), book)

    assert isinstance(priced, Charges)
    assert sum(charge.cost for charge in priced.charges) == priced.cost
    assert sum(line.cost for line in lines(priced)) == priced.cost
    assert shuffled.cost == priced.cost


@given(st.lists(STEPS, max_size=6), st.integers(0, 6), st.randoms(use_true_random=False))
def test_batches_and_their_order_do_not_change_the_total(batch, cut, random) -> None:
    """Neither does what a book has looked up before."""
    records = [usage_of([*steps, Step("one-20260101", SOME)]) for steps in batch]
    book = RateBook([full_card(session=Fraction(200, 9))], ALIASES)
    fresh = RateBook([full_card(session=Fraction(200, 9))], ALIASES)
    shuffled = random.sample(records, len(records))

    whole = sum(price(one, book).cost for one in records)

    assert sum(price(one, fresh).cost for one in shuffled) == whole
    assert (
        sum(price(one, fresh).cost for one in shuffled[:cut])
        + sum(price(one, book).cost for one in shuffled[cut:])
        == whole
    )


@given(STEPS, st.integers(0, 5))
def test_adding_nothing_changes_nothing(steps, place) -> None:
    book = RateBook([full_card()], ALIASES)
    with_nothing = [*steps[:place], Step("one", NOTHING), *steps[place:]]

    assert cost_of(with_nothing, book) == cost_of(steps, book)


@given(SMALL, SMALL)
def test_splitting_a_call_within_a_tier_changes_nothing(one, other) -> None:
    flat = [rate for rate in full_card() if not rate.above]
    book = RateBook([flat], ALIASES)
    together = [Step("one", one.plus(other))]

    assert cost_of(together, book) == cost_of([Step("one", one), Step("one", other)], book)


@given(CARDS, rates(), STEPS)
def test_later_price_leaves_the_past_as_it_was(cards, later, steps) -> None:
    before = RateBook(cards, ALIASES)
    after = RateBook([[*card, later] for card in cards], ALIASES)
    at = later.effective_from - timedelta(microseconds=1)

    assert price(usage_of(steps, at), after) == price(usage_of(steps, at), before)
