"""Exact amounts of money as whole numbers.

Inside the engine an amount is an ``int`` counting 10⁻¹⁵ of the currency unit. A rate
is stored with nine places per million tokens, so the price of one token is a whole
number of these, and so is every product and every sum. The one exception is time: an hour's
price divided by its milliseconds need not be whole, so what a session costs is rounded
once, to the nearest of these.
"""

import re
from decimal import Decimal
from fractions import Fraction

PLACES = 15
ONE: int = 10**PLACES
# The widest money column, NUMERIC(30,15), has this many digits before the point.
WHOLE_DIGITS = 15
# ASCII alone: other digits, groups, spaces and exponents are read differently by people.
_PLAIN = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")


def nearest(amount: int | Fraction) -> int:
    """Round `amount` (10⁻¹⁵ of the unit) to a whole number; a half away from zero.

    Whole amounts stay what they are. PostgreSQL rounds a NUMERIC the same way.
    """
    if isinstance(amount, int):
        return amount
    doubled = abs(amount.numerator) * 2 + amount.denominator
    rounded = doubled // (amount.denominator * 2)
    return rounded if amount > 0 else -rounded


def exact(amount: int) -> Decimal:
    """Return `amount` (10⁻¹⁵ of the unit) as a Decimal, not rounded by any context."""
    # The constructor is exact; `scaleb` would round to the context's 28 digits.
    return Decimal(numeral(amount))


def numeral(amount: int) -> str:
    """Return `amount` (10⁻¹⁵ of the unit) as Decimal and PostgreSQL read it."""
    return f"{amount}E-{PLACES}"


def text(amount: int) -> str:
    """Return `amount` (10⁻¹⁵ of the unit) in plain notation: "0", "-1.5", "0.000003".

    There is no exponent, no sign on zero and no zero at the end of the fraction.
    """
    units, fraction = divmod(abs(amount), ONE)
    sign = "-" if amount < 0 else ""
    if not fraction:
        return f"{sign}{units}"
    return f"{sign}{units}.{fraction:0{PLACES}d}".rstrip("0")


def plain(value: Decimal) -> str:
    """Return `value` (in currency units) in the notation of `text`, at any precision.

    Raises ValueError for NaN and the infinities.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not an amount")
    if not value:
        return "0"
    notation = format(value, "f")
    return notation.rstrip("0").rstrip(".") if "." in notation else notation


def whole(value: Decimal) -> int:
    """Return `value` (in currency units) as a whole number of 10⁻¹⁵ units.

    Raises ValueError when it is not finite, finer than 10⁻¹⁵, or wider than the
    ledger's money columns: it is never rounded.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not an amount")
    if not value:
        return 0
    # Checked first, so that "1E+1000000" is not written out digit by digit.
    if value.adjusted() >= WHOLE_DIGITS:
        raise ValueError(f"{value} has more than {WHOLE_DIGITS} digits before the point")
    if value.adjusted() < -PLACES:
        raise ValueError(f"{value} is finer than {PLACES} places")
    numerator, denominator = value.as_integer_ratio()
    if numerator * ONE % denominator:
        raise ValueError(f"{value} is finer than {PLACES} places")
    return numerator * ONE // denominator


def amount(text: str) -> Decimal:
    """Return the amount of currency units that `text` says, in plain notation: "0.25".

    Raises ValueError for anything else: an exponent, a group, a space, digits that are
    not ASCII.
    """
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an amount in plain notation")
    return Decimal(text)
