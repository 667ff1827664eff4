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
    charges = []
    for step in usage.steps:
        charge = _charge(step, usage, book)
        if isinstance(charge, Unpriced):
            return charge
        charges.append(charge)
    if len(charges) == 1:
        return Charges((charges[0],), charges[0].cost, "")
    return Charges(_merged(charges), sum(charge.cost for charge in charges), "")


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


def _charge(step: Step, usage: Usage, book: RateBook) -> Charge | Unpriced:
    model = book.model(usage.provider, step.model)
    if model is None:
        return _unknown_model(usage.provider, step.model)
    quantities = step.quantities
    rate = book.rate(
        model,
        usage.processing,
        usage.speed,
        usage.geo,
        usage.endpoint,
        quantities.total_input,
        usage.occurred_at,
    )
    if rate is None:
        return _no_rate(model, step, usage)
    cost: int | Fraction = 0
    for quantity, unit_price in zip(quantities, rate.prices, strict=True):
        if quantity:
            if unit_price is None:
                return _no_price(rate, quantities)
            cost += quantity * unit_price
    # At most one class has no whole unit price, so the parts still add up to the whole.
    return Charge(model, rate, quantities, money.nearest(cost))


def _merged(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """Add up the charges that were priced by one rate, in the order of the steps."""
    merged: dict[Rate | None, Charge] = {}
    for charge in charges:
        known = merged.get(charge.rate)
        if known is not None:
            charge = charge._replace(
                quantities=known.quantities.plus(charge.quantities),
                cost=known.cost + charge.cost,
            )
        merged[charge.rate] = charge
    return tuple(merged.values())


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
