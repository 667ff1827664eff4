"""How figures are written for people: on pages, in the admin, in sentences and charts."""

import calendar
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from billing.pricing import money
from billing.pricing.budget_periods import FISCAL, Period, PeriodKind, Window

_ONE = Decimal(1)
_CENT = Decimal("0.01")
_MINUS = "−"
NOTHING = "–"  # where there is no such figure: a template passes None, or "" unfound
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}
THIN = "\N{NARROW NO-BREAK SPACE}"


def amount(value: Decimal) -> str:
    """An amount without its currency.

    From 1 on two decimals and thousands separators, below that up to three significant
    digits, and less than a cent says so: something is never shown as nothing.
    """
    size = abs(value)
    sign = _MINUS if value < 0 else ""
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
    for prefix in (_MINUS, "<"):
        if written.startswith(prefix):
            sign, written = sign + prefix, written[1:]
    return f"{sign}{symbol(currency)}{written}"


def percent(value: Decimal | None) -> str:
    """Whole percent, never rounded up to a level that is not reached."""
    if not isinstance(value, Decimal):
        return NOTHING
    if 0 < abs(value) < 1:
        return f"<1{THIN}%"
    return f"{value.quantize(_ONE, ROUND_DOWN):,}{THIN}%".replace("-", _MINUS)


def rate(value: Decimal | None) -> str:
    """A published price: exact, with two decimals at least."""
    if not isinstance(value, Decimal):
        return NOTHING
    written = money.plain(value)
    places = len(written.partition(".")[2])
    return f"{Decimal(written):,f}" if places >= 2 else f"{value:,.2f}"


def window(its: Window) -> str:
    """Week from Sunday; quarter of the year from April; 1–14 Nov 2026."""
    if its.custom:
        return span(its.custom)
    if its.kind is PeriodKind.WEEK:
        return f"week from {calendar.day_name[its.week_starts_on]}"
    if its.kind in FISCAL and its.fiscal_starts_in != 1:
        of = "" if its.kind is PeriodKind.YEAR else "quarter of the "
        return f"{of}year from {calendar.month_name[its.fiscal_starts_in]}"
    return its.kind.value


def span(its: Period) -> str:
    """1–30 Nov 2026, or with as much of the first day as differs."""
    last = its.last
    if its.first == last:
        return f"{last.day} {last:%b %Y}"
    if (its.first.year, its.first.month) == (last.year, last.month):
        return f"{its.first.day}–{last.day} {last:%b %Y}"
    year = "" if its.first.year == last.year else f" {its.first.year}"
    return f"{its.first.day} {its.first:%b}{year} – {last.day} {last:%b %Y}"


def from_to(its: Period) -> str:
    """The same in a sentence: from 1 to 30 Nov 2026."""
    first, _, last = span(its).partition("–")
    return f"from {first.strip()} to {last.strip()}" if last else f"on {first}"
