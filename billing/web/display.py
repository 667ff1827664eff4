"""Filters and tags of the pages. What is shown rounded keeps its exact value in `title`."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.models import Alert, Budget, Delivery, RaiseRequest
from billing.pricing import cache_economics, figures, money
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.cache_economics import BreakEven, Lifetime
from billing.pricing.figures import NOTHING, THIN, percent, rate
from billing.pricing.standing import Standing
from billing.pricing.token_classes import TokenClass
from billing.reports import alerts, raises
from billing.web import links
from teams.web.visitors import Visitor

register = template.Library()

register.filter("percent", percent)
register.filter("rate", rate)
register.filter("span", figures.span)
register.filter("from_to", figures.from_to)
register.filter("plain", money.plain)


@register.filter
def factor(value: Decimal) -> str:
    """How many tokens for one, to two places, with the exact one as its title."""
    return _exact(value, money.plain(round(value, 2)))


@register.filter(name="times")
def times_tag(value: Fraction | None) -> str:
    """How often, with the exact ratio as its title."""
    if not isinstance(value, Fraction):
        return NOTHING
    shown = cache_economics.times(value)
    return format_html('<data value="{}" title="{}">{}</data>', shown, value, shown)


@register.filter
def pays(break_even: dict[Lifetime, BreakEven], lifetime: str) -> str:
    """From how many reads on, and from which request on, a cache pays."""
    its = break_even.get(Lifetime(lifetime))
    if its is None:
        return NOTHING
    return format_html(
        '{} reads<span class="sub">request {}</span>', times_tag(its.reads), its.request
    )


@register.filter(name="amount")
def amount_tag(value: Decimal | None) -> str:
    if not isinstance(value, Decimal):
        return NOTHING
    return _exact(value, figures.amount(value))


@register.filter(name="money")
def money_tag(value: Decimal | None, currency: str) -> str:
    if not isinstance(value, Decimal):
        return NOTHING
    return _exact(value, figures.with_currency(value, currency), currency)


@register.filter
def unbroken(sentence: str) -> str:
    """No line ends between a minus and its amount."""
    return sentence.replace("−", "−\N{WORD JOINER}")


@register.filter
def difference(value: Decimal | None) -> str:
    """An amount with its sign, for what is over or under."""
    if not isinstance(value, Decimal):
        return NOTHING
    sign = "+" if value > 0 else ""
    return _exact(value, sign + figures.amount(value))


def _exact(value: Decimal, shown: str, currency: str = "") -> SafeString:
    # Figures and currency codes hold nothing to escape but this; a page has hundreds of
    # them, and `format_html` would take five times as long.
    exact = money.plain(value)
    title = f"{exact} {currency}" if currency else exact
    written = shown.replace("<", "&lt;")
    return SafeString(f'<data value="{exact}" title="{title}">{written}</data>')


@register.filter
def period(kind: str) -> str:
    """What a budget's period is called in a sentence."""
    return "period" if kind == PeriodKind.CUSTOM else kind


@register.filter
def per(budget: Budget) -> str:
    """After an amount: per month; of a custom period from 1 to 14 Nov 2026."""
    its = budget.window
    return figures.from_to(its.custom) if its.custom else f"per {figures.window(its)}"


@register.filter
def window(budget: Budget) -> str:
    return figures.window(budget.window)


@register.filter
def cap(budget: Budget, now: datetime) -> Decimal:
    return budget.cap(now)


@register.filter(name="of")
def of_tag(values: Mapping[str, Any], name: str) -> Any:
    """What stands under a name; nothing where there is none."""
    return values.get(name)


@register.filter
def negated(value: Decimal) -> Decimal:
    return -value


_STEPS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


@register.filter
def count(value: int) -> str:
    """A number of things, shortened from 100,000 on."""
    if abs(value) < 100_000:
        return f"{value:,}"
    size, letter = next(step for step in _STEPS if abs(value) >= step[0])
    shown = Decimal(value) / size
    places = 2 if shown < 10 else 1 if shown < 100 else 0
    return format_html(
        '<data value="{}" title="{}">{}</data>',
        value,
        f"{value:,}",
        f"{shown:.{places}f}{THIN}{letter}",
    )


@register.filter
def context_size(tokens: int) -> SafeString:
    """200 k, 1 M: the sizes that providers name are round."""
    size, letter = next(step for step in _STEPS if tokens >= step[0])
    shown = f"{Decimal(tokens) / size:g}{THIN}{letter}"
    return format_html(
        '<data value="{}" title="{} tokens">{}</data>', tokens, f"{tokens:,}", shown
    )


_CLASSES = {
    TokenClass.INPUT: ("Input", "not from a cache"),
    TokenClass.CACHE_WRITE_5M: ("Cache write, 5 min", ""),
    TokenClass.CACHE_WRITE_1H: ("Cache write, 1 hour", ""),
    TokenClass.CACHE_READ: ("Cache read", ""),
    TokenClass.OUTPUT: ("Output", "reasoning included"),
    TokenClass.WEB_SEARCH: ("Web search", "requests, not tokens"),
    TokenClass.INPUT_AUDIO: ("Input, audio", "not from a cache"),
    TokenClass.CACHE_READ_AUDIO: ("Cache read, audio", ""),
    TokenClass.OUTPUT_AUDIO: ("Output, audio", ""),
    TokenClass.OUTPUT_IMAGE: ("Output, images", ""),
    TokenClass.SESSION: ("Agent sessions", "milliseconds of running time"),
}

# What a price is for where it is not for a million tokens.
_UNITS = {TokenClass.WEB_SEARCH: "per 1,000", TokenClass.SESSION: "per hour"}


@register.filter
def class_name(token_class: TokenClass) -> str:
    return _CLASSES[token_class][0]


@register.filter
def class_hint(token_class: TokenClass) -> str:
    return _CLASSES[token_class][1]


@register.filter
def class_unit(token_class: TokenClass) -> str:
    return _UNITS.get(token_class, "")


@register.filter
def share(value: Decimal) -> str:
    """A part of a whole in whole percent: all of it only when nothing is missing."""
    if 0 < value < 1:
        return percent(value)
    rounded = value.quantize(Decimal(1), ROUND_HALF_EVEN)
    return f">99{THIN}%" if rounded == 100 > value else f"{rounded}{THIN}%"


@register.filter
def width(value: Decimal | None) -> str:
    """A share as the length of a bar: 0 to 100, and never quite nothing."""
    if not value or value < 0:
        return "0"
    return f"{min(max(value, Decimal('0.5')), Decimal(100)):.2f}"


@register.filter
def clock(value: datetime, zone: str) -> str:
    return f"{value.astimezone(ZoneInfo(zone)):%H:%M}"


@register.filter
def moment(value: datetime, zone: str) -> str:
    local = value.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b}, {local:%H:%M}"


# The word, the icon and the colour by which a standing is told.
_STANDINGS = {
    Standing.OVER: ("Over cap", "over"),
    Standing.AT_RISK: ("At risk", "risk"),
    Standing.ON_TRACK: ("On track", "ok"),
    Standing.NO_BUDGET: ("No budget", "idle"),
    Standing.NO_DATA: ("No usage yet", "idle"),
}
_WHEN_OVER = {Standing.ON_TRACK: "Under the cap", Standing.NO_DATA: "No usage"}


@register.filter
def kind(standing: Standing) -> str:
    """The class that gives something the colour of a standing."""
    return _STANDINGS[standing][1]


@register.inclusion_tag("components/status.html")
def status(standing: Standing, running: bool = True) -> dict[str, str]:
    """A period that is over is not on its way any more."""
    word, its_kind = _STANDINGS[standing]
    if not running:
        word = _WHEN_OVER.get(standing, word)
    return {"word": word, "kind": its_kind}


@register.simple_tag
def alerts_firing(visitor: Visitor) -> int:
    """How many alerts fire that nobody has seen to."""
    now = timezone.now()
    seen = alerts.of_visitor(
        organization=visitor.organization,
        teams=visitor.teams,
        whole=visitor.sees_organization,
        now=now,
    )
    return alerts.firing(seen, now).count()


@register.inclusion_tag("components/status.html")
def alert_state(alert: Alert, now: datetime) -> dict[str, str]:
    if alert.is_snoozed(now):
        return {"word": "Snoozed", "kind": "idle"}
    state = Alert.State(alert.state)
    return {"word": state.label, "kind": _ALERTS[state]}


_ALERTS = {
    Alert.State.FIRING: "over",
    Alert.State.ACKNOWLEDGED: "risk",
    Alert.State.RESOLVED: "ok",
}


@register.inclusion_tag("components/status.html")
def delivery_state(delivery: Delivery) -> dict[str, str]:
    state = Delivery.State(delivery.state)
    return {"word": state.label, "kind": _DELIVERIES[state]}


_DELIVERIES = {
    Delivery.State.WAITING: "idle",
    Delivery.State.SENDING: "idle",
    Delivery.State.SENT: "ok",
    Delivery.State.DEAD: "over",
}


@register.simple_tag
def raises_to_decide(visitor: Visitor) -> int:
    """How many requests for a higher cap wait for this person."""
    organization, now = visitor.organization, timezone.now()
    return len(raises.to_decide(visitor.user, organization=organization, now=now))


@register.filter
def last_day(end: datetime, zone: str) -> str:
    """The last day of what ends at this moment; the moment where it is not midnight."""
    local = end.astimezone(ZoneInfo(zone))
    if local.time() != time():
        return f"{moment(end, zone)}"
    day = local.date() - timedelta(days=1)
    return f"{day.day} {day:%b %Y}"


@register.inclusion_tag("components/status.html")
def raise_state(state: str) -> dict[str, str]:
    its = RaiseRequest.State(state)
    return {"word": its.label, "kind": _RAISES[its]}


_RAISES = {
    RaiseRequest.State.PENDING: "risk",
    RaiseRequest.State.APPROVED: "ok",
    RaiseRequest.State.DECLINED: "over",
    RaiseRequest.State.WITHDRAWN: "idle",
    RaiseRequest.State.EXPIRED: "idle",
}


@register.simple_tag(takes_context=True)
def here(context: Context, **changes: str | None) -> str:
    """The address of this view with these parameters changed; empty ones are left out."""
    return links.changed(
        context["request"].GET,
        {name.removesuffix("_"): value for name, value in changes.items()},
    )


@register.simple_tag(takes_context=True)
def same_range(context: Context) -> str:
    """The range of this view, for the address of another page."""
    asked = links.changed(context["request"].GET, dict.fromkeys(links.ONLY_HERE))
    return asked if len(asked) > 1 else ""
