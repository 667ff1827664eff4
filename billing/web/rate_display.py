"""Filters for rates and what changes in them: on pages and in the admin."""

from datetime import UTC, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal

from django import template

from billing.models import Rate
from billing.pricing import money
from billing.pricing.figures import NOTHING, THIN
from billing.pricing.token_classes import TokenClass
from billing.reports import prices
from billing.reports.rate_changes import PriceChange, RateChange

register = template.Library()

# Prices without a stated beginning start in this year.
_SINCE_EVER = 2020
_TENTH = Decimal("0.1")


@register.filter
def price_of(rate: Rate, token_class: TokenClass) -> Decimal | None:
    """The published price that a rate has for a class."""
    price: Decimal | None = getattr(rate, token_class)
    return price


@register.filter
def rate_conditions(rate: Rate) -> tuple[str, ...]:
    return prices.conditions(rate)


@register.filter
def rate_start(value: datetime) -> str:
    """The day a rate starts, in UTC as announced; the time where it is not midnight."""
    start = value.astimezone(UTC)
    if start.year <= _SINCE_EVER:
        return NOTHING
    clock = "" if start.time() == time() else f", {start:%H:%M}"
    return f"{start.day} {start:%b %Y}{clock}"


@register.filter
def change_of(change: RateChange, token_class: TokenClass) -> PriceChange | None:
    return next((one for one in change.prices if one.token_class is token_class), None)


@register.filter
def signed_percent(value: Decimal | None) -> str:
    """A change, with its sign: at most one decimal, and never rounded to nothing."""
    if not isinstance(value, Decimal):
        return NOTHING
    shown = value.quantize(_TENTH, ROUND_HALF_EVEN)
    sign = "+" if value > 0 else "−" if value < 0 else ""
    if value and not shown:
        return f"{sign}<0.1{THIN}%"
    return f"{sign}{money.plain(abs(shown))}{THIN}%"
