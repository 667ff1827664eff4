"""What a usage record costs. Pure: the same record and book give the same answer."""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from billing.pricing import money
from billing.pricing.rates import Rate, RateBook
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass
from billing.pricing.usage import UNSTATED, Step, Usage


class Charge(NamedTuple):
    """What was used by one rate, and what that costs (10⁻¹⁵ of the currency unit).

    `rate` is None only for a record the provider does not bill.
    """

    model: str  # the canonical key
    rate: Rate | None
    quantities: Quantities
    cost: int


class Charges(NamedTuple):
    """The price of a record: one charge per distinct rate, never none.

    `reason` is the code of the reason why nothing is billed, or "".
    """

    charges: tuple[Charge, ...]
    cost: int
    reason: str


class Unpriced(NamedTuple):
    """Why a record has no price (yet). It is kept and priced when the rate comes.

    `reason` is unknown_model, no_rate or no_price; `model` is the canonical key, or
    the name as seen when it is unknown.
    """

    reason: str
    detail: str
    model: str


class Line(NamedTuple):
    """One token class of a charge; prices and costs in 10⁻¹⁵ of the currency unit."""

    token_class: TokenClass
    quantity: int
    unit_price: int | Fraction
    cost: int
    model: str


def price(usage: Usage, book: RateBook) -> Charges | Unpriced:
    """Price every step of a record at its own model, or say why that cannot be done.

    One step without a price leaves the whole record unpriced: a part of the cost
    would look like the cost.
    """
    if usage.unbilled:
        return _unbilled(usage, book)
    used: list[tuple[Rate, Quantities]] = []
    for step in usage.steps:
        rate = _rate(step, usage, book)
        if isinstance(rate, Unpriced):
            return rate
        used.append((rate, step.quantities))
    charges: list[Charge] = []
    for rate, quantities in used if len(used) == 1 else _merged(used):
        charge = at_rate(rate, quantities)
        if isinstance(charge, Unpriced):
            return charge
        charges.append(charge)
    cost = charges[0].cost if len(charges) == 1 else sum(one.cost for one in charges)
    return Charges(tuple(charges), cost, "")


def lines(charges: Charges) -> list[Line]:
    """Break charges down by token class; a class that was not used has no line."""
    return [
        Line(
            token_class,
            quantity,
            unit_price,
            money.nearest(quantity * unit_price),
            charge.model,
        )
        for charge in charges.charges
        if charge.rate is not None
        for token_class, quantity, unit_price in zip(
            TokenClass, charge.quantities, charge.rate.prices, strict=True
        )
        if quantity and unit_price is not None
    ]


def _unbilled(usage: Usage, book: RateBook) -> Charges | Unpriced:
    model = book.model(usage.provider, usage.model)
    if model is None:
        return _unknown_model(usage.provider, usage.model)
    return Charges((Charge(model, None, NOTHING, 0),), 0, usage.unbilled)


def _rate(step: Step, usage: Usage, book: RateBook) -> Rate | Unpriced:
    model = book.model(usage.provider, step.model)
    if model is None:
        return _unknown_model(usage.provider, step.model)
    rate = book.rate(
        model,
        usage.processing,
        usage.speed,
        usage.geo,
        usage.endpoint,
        step.quantities.total_input,
        usage.occurred_at,
    )
    return _no_rate(model, step, usage) if rate is None else rate


def _merged(used: Iterable[tuple[Rate, Quantities]]) -> Iterable[tuple[Rate, Quantities]]:
    """Add up what was used at one rate, in the order of the steps.

    It is added up before it is priced: time is rounded once, as in the lines of a charge.
    """
    merged: dict[Rate, Quantities] = {}
    for rate, quantities in used:
        known = merged.get(rate)
        merged[rate] = quantities if known is None else known.plus(quantities)
    return merged.items()


def at_rate(rate: Rate, quantities: Quantities) -> Charge | Unpriced:
    """Price what was used at one rate."""
    cost: int | Fraction = 0
    prices = rate.prices
    for place, quantity in enumerate(quantities):
        if quantity:
            unit_price = prices[place]
            if unit_price is None:
                return _no_price(rate, quantities)
            cost += quantity * unit_price
    # At most one class has no whole unit price, so the parts still add up to the whole.
    return Charge(rate.model, rate, quantities, money.nearest(cost))


def _unknown_model(provider: str, name: str) -> Unpriced:
    return Unpriced(
        "unknown_model",
        f"No model of {provider} is known under the name {name!r}.",
        name,
    )


def _no_rate(model: str, step: Step, usage: Usage) -> Unpriced:
    unsaid = " The record does not say which endpoint was called."
    return Unpriced(
        "no_rate",
        f"{model} has no rate at {usage.occurred_at.isoformat()} for processing "
        f"{usage.processing}, speed {usage.speed}, geo {usage.geo}, endpoint "
        f"{usage.endpoint} and {step.quantities.total_input} tokens of input."
        f"{unsaid if usage.endpoint == UNSTATED else ''}",
        model,
    )


def _no_price(rate: Rate, quantities: Quantities) -> Unpriced:
    missing = [
        token_class
        for token_class, quantity, unit_price in zip(
            TokenClass, quantities, rate.prices, strict=True
        )
        if quantity and unit_price is None
    ]
    return Unpriced(
        "no_price",
        f"The rate of {rate.model} for processing {rate.processing}, speed "
        f"{rate.speed}, geo {rate.geo}, endpoint {rate.endpoint} has no price for "
        f"{', '.join(missing)}.",
        rate.model,
    )
