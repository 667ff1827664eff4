"""Proposed list prices of the Claude models: what the package says, then corrected.

`genai-prices` has the prices themselves, their context tiers, the days they changed and
fast mode. `corrections.toml` has what it lacks or has wrong. Out of both comes one
explicit row for every condition that is offered, so that the engine multiplies nothing.
These are proposals; a rate is what a person publishes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from genai_prices.types import ModelInfo

from billing.connectors import package_prices
from billing.connectors.corrections import (
    Corrections,
    Earlier,
    Model,
    Sourced,
    corrections,
)
from billing.connectors.package_prices import SINCE_EVER, midnight
from billing.pricing.model_names import SYNTHETIC
from billing.pricing.token_classes import TOOLS, TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed

PROVIDER = "anthropic"

_FAMILIES = ("Opus", "Sonnet", "Haiku", "Fable", "Mythos")
# Endings of the package's ids that are aliases of the model and not its name.
_ALIAS_ENDINGS = ("-latest", "-0")


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


# A message that a coding tool made up itself. It has no rates, since it is not billed.
LOCAL_MESSAGE = ProposedModel(
    provider=PROVIDER,
    name=SYNTHETIC,
    family="Local",
    display_name="Local message",
    context_window=None,
    aliases=(SYNTHETIC,),
)


def list_rates() -> list[ProposedRate]:
    """Return the rates of every model, under each condition in order of their start."""
    known = corrections()
    rates = {_name(model): _offered(model, known) for model in package_prices.models()}
    for model in known.model:
        if model.same_as is not None:
            rates[model.name] = [
                _derived(rate, model, model=model.name) for rate in rates[model.same_as]
            ]
    return sorted(chain.from_iterable(rates.values()), key=_order)


def list_models() -> list[ProposedModel]:
    """Return every model that `list_rates` has prices of, in the order of their names."""
    entries = {_name(model): model for model in package_prices.models()}
    known = {model.name: model for model in corrections().model}
    return [
        _proposed_model(name, entries, known.get(name))
        for name in sorted({*entries, *known})
    ]


def _order(rate: ProposedRate) -> tuple[object, ...]:
    return (
        rate.model,
        rate.processing,
        rate.speed,
        rate.geo,
        rate.above,
        rate.effective_from,
    )


def _name(model: ModelInfo) -> str:
    for ending in _ALIAS_ENDINGS:
        if model.id.endswith(ending):
            return model.id.removesuffix(ending)
    return model.id


def _proposed_model(
    name: str, entries: Mapping[str, ModelInfo], known: Model | None
) -> ProposedModel:
    """Put together what the package and the corrections say about a model."""
    same_as = known.same_as if known else None
    entry = entries[same_as or name]
    display_name = (known and known.display_name) or entry.name or name
    family = known.family if known else None
    names = [name, *(known.aliases if known else ())]
    if same_as is None:
        names.append(entry.id)
    return ProposedModel(
        provider=PROVIDER,
        name=name,
        family=family or _family(display_name),
        display_name=display_name,
        context_window=entry.context_window,
        aliases=tuple(dict.fromkeys(names)),
    )


def _family(display_name: str) -> str:
    words = display_name.split()
    return next((family for family in _FAMILIES if family in words), display_name)


def _offered(model: ModelInfo, known: Corrections) -> list[ProposedRate]:
    """Return the rates of one model under every condition it is offered in."""
    name = _name(model)
    standard = _from_package(model, {}, known)
    for earlier in known.earlier:
        if earlier.model == name:
            standard = _with_earlier(standard, earlier)
    standard += _missing_tiers(name, known)
    anywhere = [*standard, *_batch(model, standard, known), *_fast(model, known)]
    return [*anywhere, *_in_geo(anywhere, known)]


def _from_package(
    model: ModelInfo, context: Mapping[str, str], known: Corrections
) -> list[ProposedRate]:
    return [
        ProposedRate(
            provider=PROVIDER,
            model=_name(model),
            processing=Processing(context.get("processing", Processing.STANDARD)),
            speed=Speed(context.get("speed", Speed.STANDARD)),
            geo=GLOBAL,
            endpoint=GLOBAL,
            above=row.above,
            effective_from=row.effective_from,
            prices=row.prices or {},
            stop=row.prices is None,
            source=f"genai-prices {known.package.version}",
            observed=known.package.observed,
        )
        for row in package_prices.rows(model, context)
    ]


def _with_earlier(rates: Sequence[ProposedRate], earlier: Earlier) -> list[ProposedRate]:
    """Give the rates before a day other prices, and start the given ones on that day."""
    day = midnight(earlier.until)
    before = [rate for rate in rates if rate.effective_from < day and not rate.stop]
    latest = {rate.above: rate for rate in before}.values()
    return [
        *(
            _derived(rate, earlier, prices={**rate.prices, **earlier.prices})
            if rate in before
            else rate
            for rate in rates
        ),
        *(_derived(rate, earlier, effective_from=day) for rate in latest),
    ]


def _missing_tiers(model: str, known: Corrections) -> list[ProposedRate]:
    return [
        ProposedRate(
            provider=PROVIDER,
            model=model,
            processing=Processing.STANDARD,
            speed=Speed.STANDARD,
            geo=GLOBAL,
            endpoint=GLOBAL,
            above=tier.above,
            effective_from=SINCE_EVER,
            prices=tier.prices,
            stop=False,
            source=tier.source,
            observed=tier.observed,
        )
        for tier in known.tier
        if tier.model == model
    ]


def _batch(
    model: ModelInfo, standard: Iterable[ProposedRate], known: Corrections
) -> list[ProposedRate]:
    """Return the batch rates: the rule, and the package where it says something else.

    The package's own start is the day it learned of the price. Where its price is the
    rule's it adds nothing; where it differs, a person has to see it.
    """
    rule = known.batch
    if _name(model) in rule.without:
        return []
    ruled = [
        _derived(
            rate,
            rule,
            processing=Processing.BATCH,
            prices=_multiplied(rate.prices, rule.factor),
        )
        for rate in standard
    ]
    stated = _variant(model, {"processing": "batch"}, known)
    return [*ruled, *(rate for rate in stated if not _says_the_same(ruled, rate))]


def _says_the_same(rates: Iterable[ProposedRate], stated: ProposedRate) -> bool:
    """Whether the latest of `rates` at that moment already has these prices."""
    started = [
        rate
        for rate in rates
        if rate.above == stated.above and rate.effective_from <= stated.effective_from
    ]
    latest = max(started, key=lambda rate: rate.effective_from, default=None)
    return latest is not None and latest.prices == stated.prices


def _fast(model: ModelInfo, known: Corrections) -> list[ProposedRate]:
    """Return the rates of fast mode as the package states them, up to its end."""
    rates = _variant(model, {"speed": "fast"}, known)
    ends = [
        _derived(rate, end, effective_from=midnight(end.day), prices={}, stop=True)
        for end in known.fast_end
        for rate in rates
        if end.model == rate.model
    ]
    return [*rates, *ends]


def _variant(
    model: ModelInfo, context: Mapping[str, str], known: Corrections
) -> list[ProposedRate]:
    if not package_prices.has_variant(model, context):
        return []
    return _from_package(model, context, known)


def _in_geo(rates: Iterable[ProposedRate], known: Corrections) -> list[ProposedRate]:
    rule = known.geo
    return [
        _derived(rate, rule, geo=rule.name, prices=_multiplied(rate.prices, rule.factor))
        for rate in rates
        if rate.model in rule.models
    ]


def _multiplied(
    prices: Mapping[TokenClass, Decimal], factor: Decimal
) -> Mapping[TokenClass, Decimal]:
    """Multiply the prices of tokens. Counted tools cost the same in every condition."""
    return {
        token_class: price if token_class in TOOLS else price * factor
        for token_class, price in prices.items()
    }


def _derived(rate: ProposedRate, reason: Sourced, **changes: Any) -> ProposedRate:
    """Return `rate` with changes that another source gives the reason for."""
    source = f"{rate.source}; {reason.source}"
    return replace(rate, **changes, source=source, observed=reason.observed)
