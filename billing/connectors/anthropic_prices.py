"""Anthropic's own prices of Claude: what the package says, then corrected.

`genai-prices` has the prices themselves, their context tiers, the days they changed and
fast mode. `corrections.toml` has what it lacks or has wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain

from genai_prices.types import ModelInfo

from billing.connectors import package_prices
from billing.connectors.corrections import Batch, Corrections, Model, corrections
from billing.connectors.proposals import (
    ProposedModel,
    ProposedRate,
    corrected,
    derived,
    from_package,
    in_force,
    in_geographies,
    multiplied,
    stopped,
)
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing

PROVIDER = "anthropic"

_FAMILIES = ("Opus", "Sonnet", "Haiku", "Fable", "Mythos")
# Endings of the package's ids that are aliases of the model and not its name.
_ALIAS_ENDINGS = ("-latest", "-0")


def rates() -> list[ProposedRate]:
    """Return the rates of every model under every condition it is offered in."""
    known = corrections()
    offered = {name: _offered(name, entry, known) for name, entry in _entries().items()}
    for model in _models(known).values():
        if model.same_as is not None:
            offered[model.name] = [
                derived(rate, model, model=model.name) for rate in offered[model.same_as]
            ]
    return list(chain.from_iterable(offered.values()))


def models() -> list[ProposedModel]:
    """Return every model that `rates` has prices of."""
    entries = _entries()
    known = _models(corrections())
    return [
        _proposed_model(name, entries, known.get(name)) for name in {**entries, **known}
    ]


def _entries() -> dict[str, ModelInfo]:
    return {_name(entry): entry for entry in package_prices.models(PROVIDER)}


def _models(known: Corrections) -> dict[str, Model]:
    return {model.name: model for model in known.model if PROVIDER in model.providers}


def _name(entry: ModelInfo) -> str:
    for ending in _ALIAS_ENDINGS:
        if entry.id.endswith(ending):
            return entry.id.removesuffix(ending)
    return entry.id


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


def _offered(name: str, entry: ModelInfo, known: Corrections) -> list[ProposedRate]:
    """Return the rates of one model under every condition it is offered in."""
    standard = corrected(from_package(PROVIDER, name, entry, known), PROVIDER, name, known)
    at_once = [*standard, *_fast(name, entry, known)]
    anywhere = [
        *_with_session(at_once, known),
        *_batch(name, entry, standard, known),
    ]
    return [*anywhere, *in_geographies(anywhere, PROVIDER, known)]


def _batch(
    name: str, entry: ModelInfo, standard: Sequence[ProposedRate], known: Corrections
) -> list[ProposedRate]:
    """Return the batch rates: the rule, and the package where it says something else.

    The package's own start is the day it learned of the price. Where its price is the
    rule's it adds nothing; where it differs, a person has to see it.
    """
    ruled = in_batches(standard, PROVIDER, known)
    if not ruled:
        return []
    said = from_package(PROVIDER, name, entry, known, ("processing", "batch"))
    return [*ruled, *(rate for rate in said if not _says_the_same(ruled, rate))]


def in_batches(
    standard: Sequence[ProposedRate], provider: str, known: Corrections
) -> list[ProposedRate]:
    """Return what standard rates become in a batch, by the provider's rule."""
    return [
        derived(
            rate, rule, processing=Processing.BATCH, prices=_in_batch(rate.prices, rule)
        )
        for rule in known.batch
        if rule.provider == provider
        for rate in standard
        if rate.model not in rule.without
        and (rule.models is None or rate.model in rule.models)
    ]


def _in_batch(
    prices: Mapping[TokenClass, Decimal], rule: Batch
) -> Mapping[TokenClass, Decimal]:
    return {
        token_class: price
        for token_class, price in multiplied(prices, rule.factor).items()
        if rule.classes is None or token_class in rule.classes
    }


def _says_the_same(rates: Iterable[ProposedRate], said: ProposedRate) -> bool:
    """Whether the latest of `rates` at that moment already has these prices."""
    latest = in_force(rates, said.above, said.effective_from)
    return latest is not None and latest.prices == said.prices


def _fast(name: str, entry: ModelInfo, known: Corrections) -> list[ProposedRate]:
    """Return the rates of fast mode as the package states them, up to its end."""
    fast = from_package(PROVIDER, name, entry, known, ("speed", "fast"))
    ends = [
        stopped(rate, end, end.day)
        for end in known.fast_end
        for rate in fast
        if end.model == name
    ]
    return [*fast, *ends]


def _with_session(rates: Iterable[ProposedRate], known: Corrections) -> list[ProposedRate]:
    """Add the price of a managed agent's running time, which tokens are not part of."""
    rule = known.session
    return [
        rate
        if rate.stop or rate.model in rule.without
        else derived(rate, rule, prices={**rate.prices, TokenClass.SESSION: rule.price})
        for rate in rates
    ]
