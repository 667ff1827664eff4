"""How figures are rounded where they are shown: the same everywhere."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

MINUS = "−"
THIN = "\N{NARROW NO-BREAK SPACE}"

_ONE = Decimal(1)
_CENT = Decimal("0.01")
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


def amount(value: Decimal) -> str:
    """An amount without its currency.

    From 1 on two decimals and thousands separators, below that up to three significant
    digits, and less than a cent says so: something is never shown as nothing.
    """
    size = abs(value)
    sign = MINUS if value < 0 else ""
    if not size or size >= _ONE - Decimal("0.0005"):
        return f"{sign}{size.quantize(_CENT, ROUND_HALF_EVEN):,}"
    if size < _CENT:
        return f"{sign}<0.01"
    digits = 2 - size.adjusted()
    shown = f"{round(size, digits):f}".rstrip("0")
    return sign + (shown if len(shown) >= len("0.00") else f"{Decimal(shown):.2f}")


def symbol(currency: str) -> str:
    return _SYMBOLS.get(currency, f"{currency}{THIN}")


def with_currency(value: Decimal, currency: str) -> str:
    """`amount` with the currency's sign in front: $4,210.00, −$0.03, <$0.01."""
    written = amount(value)
    sign = ""
    for prefix in (MINUS, "<"):
        if written.startswith(prefix):
            sign, written = sign + prefix, written[1:]
    return f"{sign}{symbol(currency)}{written}"


def percent(value: Decimal) -> str:
    """Whole percent, never rounded up to a level that is not reached."""
    if 0 < abs(value) < 1:
        return f"<1{THIN}%"
    return f"{value.quantize(_ONE, ROUND_DOWN):,}{THIN}%".replace("-", MINUS)
