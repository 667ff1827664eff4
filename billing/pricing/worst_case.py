"""What a call will cost at most, before it is made."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from billing.pricing import engine
from billing.pricing.budget_periods import calendar_month
from billing.pricing.engine import Unpriced
from billing.pricing.rates import Prices, RateBook
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step, Usage


class WorstCase(NamedTuple):
    """The most that a call costs (10⁻¹⁵ of the currency unit).

    `bound` says why it is not a price but an upper bound, or is "". `cost` is None when
    no bound is known either.
    """

    cost: int | None
    bound: str = ""

    @property
    def is_free(self) -> bool:
        """The rates say that it costs nothing."""
        return self.cost == 0 and not self.bound


def of_usage(usage: Usage, book: RateBook) -> WorstCase:
    """Of a call that is expected to use just this: its price, or else an upper bound."""
    result = engine.price(usage, book)
    if not isinstance(result, Unpriced):
        return WorstCase(result.cost)
    return WorstCase(upper_bound(usage, book), result.detail)


def of_prompt(usage: Usage, book: RateBook) -> WorstCase:
    """Of a call of which only the tokens in and out are known.

    What goes in may be written to a cache, for however long: its `input` is taken at the
    dearest of the classes that it can be in and that the rate has a price for.
    """
    return dearest([of_usage(one, book) for one in _cacheable(usage)])


def dearest(cases: Sequence[WorstCase]) -> WorstCase:
    """Return the one that costs most: of those with a price, or else with a bound."""
    priced = [case for case in cases if not case.bound]
    known = [case for case in cases if case.cost is not None]
    return max(priced or known or cases, key=lambda case: case.cost or 0)


def upper_bound(usage: Usage, book: RateBook) -> int | None:
    """What it costs at the highest prices of its provider in the month, class by class.

    Of a provider without any the highest prices of all. None where a class that is used
    has no price on any card.
    """
    month = usage.occurred_at.astimezone(UTC).replace(day=1).date()
    return at_highest(usage.quantities, book, usage.provider, month)


def at_highest(
    quantities: Quantities, book: RateBook, provider: str, month: date
) -> int | None:
    """What so much of each class costs at most in a UTC month, as above."""
    prices = _highest(book, provider, month)
    if not any(price is not None for price in prices):
        prices = _highest(book, None, month)
    amount = 0
    for quantity, price in zip(quantities, prices, strict=True):
        if quantity and price is None:
            return None
        amount += ceil(quantity * (price or 0))
    return amount


@lru_cache(maxsize=256)
def _highest(book: RateBook, provider: str | None, month: date) -> Prices:
    """Every rate of the book is looked at; its answers never change."""
    since, until = (
        datetime(day.year, day.month, day.day, tzinfo=UTC) for day in calendar_month(month)
    )
    return book.highest(provider, since, until)


def _cacheable(usage: Usage) -> Iterator[Usage]:
    """The call with its input uncached, and written to either cache."""
    (step,) = usage.steps
    tokens = step.quantities.input
    for its in (
        Quantities(input=tokens),
        Quantities(cache_write_5m=tokens),
        Quantities(cache_write_1h=tokens),
    ):
        others = step.quantities._replace(input=0)
        yield usage._replace(steps=(Step(step.model, its.plus(others)),))
