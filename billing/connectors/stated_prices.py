"""Prices of OpenAI's and Google's own models, as the package states them.

The package has every condition's price. Two things are added: batch prices from before
the day it first read them, and geographies.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import chain

from genai_prices.types import ModelInfo

from billing.connectors import hosted_claude_prices, package_prices
from billing.connectors.corrections import BatchHistory, Corrections, corrections
from billing.connectors.package_prices import SINCE_EVER
from billing.connectors.proposals import (
    ProposedModel,
    ProposedRate,
    derived,
    from_package,
    in_force,
    in_geographies,
)
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing

# The class that a sound or a picture belongs to where it has no price of its own.
_PARENTS: Mapping[TokenClass, TokenClass] = {
    TokenClass.INPUT_AUDIO: TokenClass.INPUT,
    TokenClass.CACHE_READ_AUDIO: TokenClass.CACHE_READ,
    TokenClass.OUTPUT_AUDIO: TokenClass.OUTPUT,
    TokenClass.OUTPUT_IMAGE: TokenClass.OUTPUT,
}

_TIERS = ("flex", "priority", "fast")

# What a share of the standard price may be to hold for older prices too; others are
# rounded in print, and what they were of another price is not known.
_SHARES = (Decimal("0.5"), Decimal(1))

# A family is the name up to the first number: gpt-5.6-sol, o3-mini, gemini-2.5-flash.
_FAMILY = re.compile(r"(?P<word>gpt|o|gemini|gemma)-?(?P<number>\d+(?:\.\d+)?o?)")
_FAMILY_WORDS = {"gpt": "GPT-", "o": "o", "gemini": "Gemini ", "gemma": "Gemma "}


def rates(provider: str) -> list[ProposedRate]:
    """Return the rates of every model under every condition it is offered in."""
    known = corrections()
    return list(
        chain.from_iterable(
            _offered(provider, entry, known) for entry in _entries(provider, known)
        )
    )


def models(provider: str) -> list[ProposedModel]:
    """Return every model that `rates` has prices of."""
    known = corrections()
    aliases = {
        model.name: model.aliases for model in known.model if provider in model.providers
    }
    return [
        ProposedModel(
            provider=provider,
            name=entry.id,
            family=_family(entry),
            display_name=entry.name or entry.id,
            context_window=entry.context_window,
            aliases=tuple(
                dict.fromkeys(
                    (
                        entry.id,
                        *package_prices.exact_names(entry),
                        *aliases.get(entry.id, ()),
                    )
                )
            ),
        )
        for entry in _entries(provider, known)
    ]


def _entries(provider: str, known: Corrections) -> Iterator[ModelInfo]:
    """Yield the entries that are a model's, and whose price a rate can express."""
    unnamed = {
        entry for one in known.unnamed if one.provider == provider for entry in one.entries
    }
    for entry in package_prices.models(provider):
        claude = hosted_claude_prices.is_claude(entry)
        if entry.id not in unnamed and not claude and package_prices.expressible(entry):
            yield entry


def _family(entry: ModelInfo) -> str:
    found = _FAMILY.match(entry.id)
    if found is None:
        return entry.name or entry.id
    return _FAMILY_WORDS[found["word"]] + found["number"]


def _offered(provider: str, entry: ModelInfo, known: Corrections) -> list[ProposedRate]:
    """Return the rates of one model under every condition it is offered in."""

    def stated(context: tuple[str, str] | None = None) -> list[ProposedRate]:
        said = from_package(provider, entry.id, entry, known, context)
        return [_with_parents(rate) for rate in said]

    history = next((one for one in known.batch_history if one.provider == provider), None)
    standard = stated()
    anywhere = [
        *standard,
        *_batch(stated(("processing", "batch")), standard, history),
        *chain.from_iterable(stated(("service_tier", tier)) for tier in _TIERS),
    ]
    return [*anywhere, *in_geographies(anywhere, provider, known)]


def _with_parents(rate: ProposedRate) -> ProposedRate:
    """Write out what sounds and pictures cost where only text is told a price.

    Cached sound has no such price where uncached sound has its own: it is not text.
    """
    prices = dict(rate.prices)
    own_audio = TokenClass.INPUT_AUDIO in prices
    for token_class, parent in _PARENTS.items():
        heard_apart = own_audio and token_class is TokenClass.CACHE_READ_AUDIO
        if parent in prices and not heard_apart:
            prices.setdefault(token_class, prices[parent])
    return replace(rate, prices=prices)


def _batch(
    said: Sequence[ProposedRate],
    standard: Sequence[ProposedRate],
    history: BatchHistory | None,
) -> list[ProposedRate]:
    """Return batch rates from the start of the standard prices they are a share of."""
    learned = min((rate.effective_from for rate in said), default=SINCE_EVER)
    if history is None or learned == SINCE_EVER:
        return list(said)
    rates = [rate for rate in said if rate.effective_from > learned]
    for first in said:
        if first.effective_from == learned:
            rates += _backwards(first, standard, history)
    return rates


def _backwards(
    first: ProposedRate, standard: Sequence[ProposedRate], history: BatchHistory
) -> Iterator[ProposedRate]:
    """Yield the first known batch rate from its true start, and the ones before it."""
    learned = first.effective_from
    beside = in_force(standard, first.above, learned) or in_force(standard, 0, learned)
    if beside is None:
        raise ValueError(f"a batch price of {first.model} has no standard price beside it")
    yield derived(first, history, effective_from=beside.effective_from)
    for older in standard:
        if older.above == beside.above and older.effective_from < beside.effective_from:
            yield derived(
                older,
                history,
                processing=Processing.BATCH,
                prices=_in_proportion(older.prices, first.prices, beside.prices),
            )


def _in_proportion(
    older: Mapping[TokenClass, Decimal],
    batch: Mapping[TokenClass, Decimal],
    beside: Mapping[TokenClass, Decimal],
) -> Mapping[TokenClass, Decimal]:
    """Price in a batch what is the half or the whole of its price there today."""
    return {
        token_class: older[token_class] * share
        for token_class in older.keys() & batch.keys() & beside.keys()
        for share in _SHARES
        if beside[token_class] * share == batch[token_class]
    }
