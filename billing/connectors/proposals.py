"""What is proposed: rates and models, and how one rate is made out of another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from genai_prices.types import ModelInfo

from billing.connectors import package_prices
from billing.connectors.corrections import Corrections, Earlier, Sourced
from billing.connectors.package_prices import SINCE_EVER, midnight
from billing.pricing.token_classes import TOOLS, TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed


@dataclass(frozen=True, slots=True)
class ProposedRate:
    """A rate as it is published: US dollars per `UNITS` of each token class.

    `model` is the name without the provider. A `stop` has no prices.
    """

    provider: str
    model: str
    processing: Processing
    speed: Speed
    geo: str
    endpoint: str
    above: int
    effective_from: datetime
    prices: Mapping[TokenClass, Decimal]
    stop: bool
    source: str
    observed: date


@dataclass(frozen=True, slots=True)
class ProposedModel:
    """A model, and every exact name it is seen under; its own name comes first."""

    provider: str
    name: str
    family: str
    display_name: str
    context_window: int | None
    aliases: tuple[str, ...]


# The package's words for conditions, and ours.
_CONDITIONS: Mapping[tuple[str, str], tuple[Processing, Speed]] = {
    ("processing", "batch"): (Processing.BATCH, Speed.STANDARD),
    ("speed", "fast"): (Processing.STANDARD, Speed.FAST),
    ("service_tier", "flex"): (Processing.FLEX, Speed.STANDARD),
    ("service_tier", "priority"): (Processing.PRIORITY, Speed.STANDARD),
    ("service_tier", "fast"): (Processing.STANDARD, Speed.FAST),
}


def from_package(
    provider: str,
    name: str,
    entry: ModelInfo,
    known: Corrections,
    context: tuple[str, str] | None = None,
) -> list[ProposedRate]:
    """Return what the package states for a model under one condition, or in standard.

    Nothing where it has no price of its own for the condition.
    """
    stated = dict([context] if context else [])
    if context and not package_prices.has_variant(entry, stated):
        return []
    processing, speed = (
        _CONDITIONS[context] if context else (Processing.STANDARD, Speed.STANDARD)
    )
    return [
        ProposedRate(
            provider=provider,
            model=name,
            processing=processing,
            speed=speed,
            geo=GLOBAL,
            endpoint=GLOBAL,
            above=row.above,
            effective_from=row.effective_from,
            prices=row.prices or {},
            stop=row.prices is None,
            source=f"genai-prices {known.package.version}",
            observed=known.package.observed,
        )
        for row in package_prices.rows(entry, stated)
    ]


def stated(
    provider: str,
    name: str,
    prices: Mapping[TokenClass, Decimal],
    reason: Sourced,
    above: int = 0,
) -> ProposedRate:
    """Return a standard rate that a correction states, for as long as can be."""
    return ProposedRate(
        provider=provider,
        model=name,
        processing=Processing.STANDARD,
        speed=Speed.STANDARD,
        geo=GLOBAL,
        endpoint=GLOBAL,
        above=above,
        effective_from=SINCE_EVER,
        prices=prices,
        stop=False,
        source=reason.source,
        observed=reason.observed,
    )


def corrected(
    standard: Sequence[ProposedRate], provider: str, name: str, known: Corrections
) -> list[ProposedRate]:
    """Return a model's standard rates with the days and tiers the package left out."""
    rates = list(standard)
    for earlier in known.earlier:
        if earlier.model == name and provider in earlier.providers:
            rates = _with_earlier(rates, earlier)
    for tier in known.tier:
        if tier.model == name and provider in tier.providers:
            rate = stated(provider, name, tier.prices, tier, tier.above)
            rates.append(rate)
            if tier.until is not None:
                rates.append(stopped(rate, tier, tier.until))
    return rates


def _with_earlier(rates: Sequence[ProposedRate], earlier: Earlier) -> list[ProposedRate]:
    """Give the rates before a day other prices, and start the given ones on that day."""
    day = midnight(earlier.until)
    before = [rate for rate in rates if rate.effective_from < day and not rate.stop]
    latest = {rate.above: rate for rate in before}.values()
    return [
        *(
            derived(rate, earlier, prices={**rate.prices, **earlier.prices})
            if rate in before
            else rate
            for rate in rates
        ),
        *(derived(rate, earlier, effective_from=day) for rate in latest),
    ]


def in_geographies(
    rates: Iterable[ProposedRate], provider: str, known: Corrections
) -> list[ProposedRate]:
    """Return what the rates become where a geography is asked for."""
    return [
        derived(rate, rule, geo=geo, prices=multiplied(rate.prices, rule.factor))
        for rule in known.geo
        if rule.provider == provider
        for rate in rates
        if rate.model in rule.models
        for geo in rule.names
    ]


def in_force(
    rates: Iterable[ProposedRate], above: int, at: datetime
) -> ProposedRate | None:
    """Return which of the rates of one condition applies above a bound at an instant."""
    started = [rate for rate in rates if rate.above == above and rate.effective_from <= at]
    return max(started, key=lambda rate: rate.effective_from, default=None)


def stopped(rate: ProposedRate, reason: Sourced, day: date) -> ProposedRate:
    """Return the end of a rate's series on a day."""
    return derived(rate, reason, effective_from=midnight(day), prices={}, stop=True)


def multiplied(
    prices: Mapping[TokenClass, Decimal], factor: Decimal
) -> Mapping[TokenClass, Decimal]:
    """Multiply the prices of tokens. Counted tools cost the same in every condition."""
    return {
        token_class: price if token_class in TOOLS else price * factor
        for token_class, price in prices.items()
    }


def derived(rate: ProposedRate, reason: Sourced, **changes: Any) -> ProposedRate:
    """Return `rate` with changes that another source gives the reason for."""
    source = rate.source
    if reason.source not in source:
        source = f"{source}; {reason.source}"
    return replace(rate, **changes, source=source, observed=reason.observed)
