"""Prices of Claude on Bedrock (`aws`) and Vertex (`google`), by endpoint.

A hosted model has the name it has at Anthropic. The package has an entry per endpoint on
Bedrock and one for both on Vertex; un-prefixed Bedrock names do not say which endpoint
was called, so no rate is proposed for them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain

from genai_prices.types import ModelInfo

from billing.connectors import anthropic_prices, package_prices
from billing.connectors.corrections import Corrections, Missing, OneHour, corrections
from billing.connectors.proposals import (
    ProposedModel,
    ProposedRate,
    corrected,
    derived,
    from_package,
    multiplied,
    stated,
)
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import GLOBAL, REGIONAL

AWS = "aws"
GOOGLE = "google"

# How the package names an endpoint's entry: global.anthropic.claude-…-v1:0
_ON_BEDROCK = re.compile(
    r"(?P<endpoint>global|regional)\.anthropic\.(?P<name>claude-.+?)(?:-v\d+:\d+)?\Z"
)

# The package's entries of a model by endpoint; one for both stands under the global one.
_Entries = Mapping[str, ModelInfo]


def rates(provider: str) -> list[ProposedRate]:
    """Return the rates of every Claude model that a provider hosts, at its endpoints."""
    known = corrections()
    hosted = {
        name: _hosted(provider, name, entries, known)
        for name, entries in _by_name(provider).items()
    }
    for missing in _missing(provider, known):
        standard = [stated(provider, missing.name, missing.prices, missing)]
        hosted[missing.name] = _at_endpoints(standard, (GLOBAL, REGIONAL), known)
    for model in known.model:
        if provider in model.providers and model.same_as is not None:
            hosted[model.name] = [
                derived(rate, model, model=model.name) for rate in hosted[model.same_as]
            ]
    return list(chain.from_iterable(hosted.values()))


def models(provider: str) -> list[ProposedModel]:
    """Return every model that `rates` has prices of."""
    hosted = {rate.model for rate in rates(provider)}
    return [
        ProposedModel(
            provider=provider,
            name=model.name,
            family=model.family,
            display_name=model.display_name,
            context_window=model.context_window,
            aliases=_aliases(provider, model),
        )
        for model in anthropic_prices.models()
        if model.name in hosted
    ]


def is_claude(entry: ModelInfo) -> bool:
    """Whether an entry of a hosting provider is of a Claude model."""
    return entry.id.startswith("claude-") or _ON_BEDROCK.match(entry.id) is not None


def _aliases(provider: str, model: ProposedModel) -> tuple[str, ...]:
    if provider == AWS:
        return (*model.aliases, *(f"anthropic.{name}" for name in model.aliases))
    return model.aliases


def _by_name(provider: str) -> dict[str, dict[str, ModelInfo]]:
    """Sort the package's entries by the name that the model has at Anthropic."""
    names = {
        alias: model.name for model in anthropic_prices.models() for alias in model.aliases
    }
    found: defaultdict[str, dict[str, ModelInfo]] = defaultdict(dict)
    for entry in filter(is_claude, package_prices.models(provider)):
        on_bedrock = _ON_BEDROCK.match(entry.id)
        endpoint, name = on_bedrock.groups() if on_bedrock else (GLOBAL, entry.id)
        found[names[name]][endpoint] = entry
    return found


def _missing(provider: str, known: Corrections) -> Iterable[Missing]:
    return (missing for missing in known.missing if missing.provider == provider)


def _hosted(
    provider: str, name: str, entries: _Entries, known: Corrections
) -> list[ProposedRate]:
    """Return a model's rates at each endpoint, from the price that both start from.

    Where the regional endpoint costs more, the rule says by how much; the package's own
    regional entry says the same, but knows fewer days and tiers.
    """
    entry = entries.get(GLOBAL) or entries[REGIONAL]
    package = from_package(provider, name, entry, known)
    standard = list(_news(_with_one_hour(package, known.one_hour)))
    endpoints = (GLOBAL, REGIONAL) if provider == GOOGLE else tuple(entries)
    return _at_endpoints(corrected(standard, provider, name, known), endpoints, known)


def _with_one_hour(rates: Iterable[ProposedRate], rule: OneHour) -> list[ProposedRate]:
    """Price writes of one hour where those of five minutes have a price alone."""
    return [
        derived(
            rate,
            rule,
            prices={
                **rate.prices,
                TokenClass.CACHE_WRITE_1H: rate.prices[TokenClass.INPUT] * rule.factor,
            },
        )
        if TokenClass.CACHE_WRITE_5M in rate.prices
        and TokenClass.CACHE_WRITE_1H not in rate.prices
        else rate
        for rate in rates
    ]


def _news(rates: Iterable[ProposedRate]) -> Iterator[ProposedRate]:
    """Leave out a rate that the one before it in its series says already."""
    said: dict[int, Mapping[TokenClass, Decimal]] = {}
    for rate in rates:
        if said.get(rate.above) != rate.prices:
            yield rate
        said[rate.above] = rate.prices


def _at_endpoints(
    standard: Sequence[ProposedRate], endpoints: Sequence[str], known: Corrections
) -> list[ProposedRate]:
    """Return standard and batch rates at each endpoint that is offered."""
    provider = standard[0].provider
    rates = [*standard, *anthropic_prices.in_batches(standard, provider, known)]
    return [_at(endpoint, rate, known) for endpoint in endpoints for rate in rates]


def _at(endpoint: str, rate: ProposedRate, known: Corrections) -> ProposedRate:
    if endpoint == GLOBAL:
        return rate
    rule = known.regional
    factor = rule.factor if rate.model in rule.models else Decimal(1)
    prices = multiplied(rate.prices, factor)
    return derived(rate, rule, endpoint=endpoint, prices=prices)
