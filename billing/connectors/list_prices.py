"""Proposed list prices of each provider: what the package says, then corrected.

`genai-prices` has the prices; `corrections.toml` has what it lacks or has wrong. Out of
both comes one explicit row for every condition that is offered, so that the engine
multiplies nothing. These are proposals; a rate is what a person publishes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain

from billing.connectors import anthropic_prices, hosted_claude_prices, stated_prices
from billing.connectors.hosted_claude_prices import AWS, GOOGLE
from billing.connectors.proposals import ProposedModel, ProposedRate
from billing.pricing.model_names import SYNTHETIC

__all__ = [
    "LOCAL_MESSAGE",
    "PROVIDERS",
    "ProposedModel",
    "ProposedRate",
    "list_models",
    "list_rates",
]

ANTHROPIC = anthropic_prices.PROVIDER
OPENAI = "openai"

# Those that prices are proposed for, with their names on rate cards.
PROVIDERS: Mapping[str, str] = {
    ANTHROPIC: "Anthropic",
    OPENAI: "OpenAI",
    GOOGLE: "Google",
    AWS: "Amazon Bedrock",
}

# A message that a coding tool made up itself. It has no rates, since it is not billed.
LOCAL_MESSAGE = ProposedModel(
    provider=ANTHROPIC,
    name=SYNTHETIC,
    family="Local",
    display_name="Local message",
    context_window=None,
    aliases=(SYNTHETIC,),
)

_RATES: Mapping[str, Sequence[Callable[[], list[ProposedRate]]]] = {
    ANTHROPIC: [anthropic_prices.rates],
    OPENAI: [partial(stated_prices.rates, OPENAI)],
    GOOGLE: [
        partial(stated_prices.rates, GOOGLE),
        partial(hosted_claude_prices.rates, GOOGLE),
    ],
    AWS: [partial(hosted_claude_prices.rates, AWS)],
}
_MODELS: Mapping[str, Sequence[Callable[[], list[ProposedModel]]]] = {
    ANTHROPIC: [anthropic_prices.models],
    OPENAI: [partial(stated_prices.models, OPENAI)],
    GOOGLE: [
        partial(stated_prices.models, GOOGLE),
        partial(hosted_claude_prices.models, GOOGLE),
    ],
    AWS: [partial(hosted_claude_prices.models, AWS)],
}


def list_rates(provider: str | None = None) -> list[ProposedRate]:
    """Return the rates of a provider's models, or of all providers'.

    They come by model, under each condition in order of their start.
    """
    if provider is None:
        return list(chain.from_iterable(map(list_rates, PROVIDERS)))
    return sorted(chain.from_iterable(part() for part in _RATES[provider]), key=_order)


def list_models(provider: str | None = None) -> list[ProposedModel]:
    """Return every model that `list_rates` has prices of, in the order of their names."""
    if provider is None:
        return list(chain.from_iterable(map(list_models, PROVIDERS)))
    models = chain.from_iterable(part() for part in _MODELS[provider])
    return sorted(models, key=lambda model: model.name)


def _order(rate: ProposedRate) -> tuple[object, ...]:
    return (
        rate.model,
        rate.processing,
        rate.speed,
        rate.geo,
        rate.endpoint,
        rate.above,
        rate.effective_from,
    )
