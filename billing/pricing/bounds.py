"""Whether a price can be meant: slips between per token, per thousand and per million.

A bound refuses nothing for good: who gives a reason may publish any price.
"""

from decimal import Decimal

from billing.pricing import money
from billing.pricing.token_classes import UNITS, TokenClass

# This many times more or less than before is a slip in the unit, not a new price.
FACTOR = 1_000

_MILLION = 1_000_000

# Per million tokens. The cheapest price that is known is 0.0055, the dearest 600.
LEAST_OF_TOKENS = Decimal("0.0005")
MOST_OF_TOKENS = Decimal(10_000)
# Per `UNITS` of anything that is counted.
LEAST_COUNTED = Decimal("0.0005")
MOST_COUNTED = Decimal(100_000)


def complaint(token_class: TokenClass, price: Decimal, current: Decimal | None) -> str:
    """Return why `price` is hardly meant, or "".

    Both prices are per `UNITS` of the class; `current` is None where there is none. A
    price of 0 is far from every other one; alone it only says that the class is free.
    """
    said = f"{token_class} {money.plain(price)} {unit(token_class)}"
    if current and not _near(price, current):
        return (
            f"{said} is {FACTOR:,} times or more away from {money.plain(current)}, "
            "which is in force: is it for another unit?"
        )
    least, most = _sane(token_class)
    if price and not least <= price <= most:
        return (
            f"{said} lies outside of {money.plain(least)} to {money.plain(most)}: "
            "is it for another unit?"
        )
    return ""


def unit(token_class: TokenClass) -> str:
    """Return what a published price is for, in words."""
    words = {TokenClass.WEB_SEARCH: "per 1,000 searches", TokenClass.SESSION: "per hour"}
    return words.get(token_class, "per 1,000,000 tokens")


def _near(price: Decimal, current: Decimal) -> bool:
    return current < price * FACTOR and price < current * FACTOR


def _sane(token_class: TokenClass) -> tuple[Decimal, Decimal]:
    if UNITS[token_class] == _MILLION:
        return LEAST_OF_TOKENS, MOST_OF_TOKENS
    return LEAST_COUNTED, MOST_COUNTED
