"""What planned usage costs, by the rates that will price the actual one."""

from datetime import datetime

from billing.pricing import money
from billing.pricing.engine import Unpriced
from billing.pricing.rates import Rate, RateBook
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import GLOBAL, Processing, Speed


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
    its = rate(model, requests, quantities, book, at, processing)
    if its is None:
        which = "" if processing is Processing.STANDARD else f"{processing} "
        detail = f"{model} has no {which}rate at {at.isoformat()}."
        return Unpriced("no_rate", detail, model)
    total = 0
    for quantity, unit_price in zip(quantities, its.prices, strict=True):
        if quantity and unit_price is None:
            return Unpriced("no_price", f"{model} has no price for all it uses.", model)
        total += money.nearest(quantity * (unit_price or 0))
    return total


def rate(
    model: str,
    requests: int,
    quantities: Quantities,
    book: RateBook,
    at: datetime,
    processing: Processing = Processing.STANDARD,
) -> Rate | None:
    """Return the rate that prices them at a moment: that of the average request."""
    average_input = -(-quantities.total_input // requests) if requests else 0
    return book.rate(model, processing, Speed.STANDARD, GLOBAL, GLOBAL, average_input, at)
