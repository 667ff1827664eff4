"""What planned usage costs, by the rates that will price the actual one."""

from datetime import datetime

from billing.pricing import money
from billing.pricing.engine import Unpriced
from billing.pricing.rates import Prices, Rate, RateBook
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed

_CACHED = (TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_1H, TokenClass.CACHE_READ)
_CLASSES = tuple(TokenClass)


def cost(
    model: str,
    requests: int,
    quantities: Quantities,
    book: RateBook,
    at: datetime,
    processing: Processing = Processing.STANDARD,
) -> int | Unpriced:
    """Return the cost (10⁻¹⁵ units) of so many requests with these tokens in all.

    `model` is a canonical key. The context tier is that of the average request.
    """
    costs = costs_by_class(model, requests, quantities, book, at, processing)
    return costs if isinstance(costs, Unpriced) else sum(costs)


def costs_by_class(
    model: str,
    requests: int,
    quantities: Quantities,
    book: RateBook,
    at: datetime,
    processing: Processing = Processing.STANDARD,
) -> tuple[int, ...] | Unpriced:
    """The same for each token class, in their order."""
    rate = rate_of(model, requests, quantities, book, at, processing)
    if rate is None:
        which = "" if processing is Processing.STANDARD else f"{processing} "
        detail = f"{model} has no {which}rate at {at.isoformat()}."
        return Unpriced("no_rate", detail, model)
    prices = list(zip(quantities, planned_prices(rate), strict=True))
    if any(quantity and unit_price is None for quantity, unit_price in prices):
        return Unpriced("no_price", f"{model} has no price for all it uses.", model)
    return tuple(
        money.nearest(quantity * (unit_price or 0)) for quantity, unit_price in prices
    )


def rate_of(
    model: str,
    requests: int,
    quantities: Quantities,
    book: RateBook,
    at: datetime,
    processing: Processing = Processing.STANDARD,
) -> Rate | None:
    """Return the rate that prices them, if there is one."""
    average_input = -(-quantities.total_input // requests) if requests else 0
    return book.rate(model, processing, Speed.STANDARD, GLOBAL, GLOBAL, average_input, at)


def planned_prices(rate: Rate) -> Prices:
    """What planned tokens cost, one of each class.

    What a model has no cache price for it bills as plain input: several providers cache
    by themselves, and bill nothing for writing.
    """
    plain = rate.prices[_CLASSES.index(TokenClass.INPUT)]
    return tuple(
        plain if price is None and name in _CACHED else price
        for name, price in zip(_CLASSES, rate.prices, strict=True)
    )
