"""What of a planned cost falls to each token class."""

from fractions import Fraction

from billing.pricing.rates import Prices
from billing.pricing.token_classes import Quantities
from billing.pricing.variance import Number


def class_costs(
    cost: int, quantities: Quantities, prices: Prices | None
) -> tuple[Fraction, ...]:
    """Divide the cost of planned tokens among their classes; the parts add up to it.

    `prices` are those of one unit of each class; only how they compare counts. Without
    them (None) each unit of any class has the same part.
    """
    weights: list[Number] = list(quantities)
    if prices is not None:
        priced = zip(quantities, prices, strict=True)
        weights = [quantity * (price or 0) for quantity, price in priced]
    whole = sum(weights)
    if not whole and prices is not None:
        return class_costs(cost, quantities, None)
    return tuple(Fraction(cost * weight, whole or 1) for weight in weights)
