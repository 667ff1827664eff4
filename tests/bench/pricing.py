"""`python -m tests.bench.pricing`: how many records a second the engine prices.

One core, a book of at least 2,000 rates, and records of Anthropic as they come: caches,
context tiers, batches, US-only inference, several models, ten months. genai-prices and
LiteLLM price the same records in the same run, each from its own usage object made
beforehand. The last line is JSON; the exit code is 1 below `FLOOR`.

A second is one of the processor's, so that other processes do not count; the rounds take
turns and the best one of each counts. LiteLLM has no dates, and genai-prices no geography:
they do less.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

# Before the import: LiteLLM fetches its prices otherwise.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import genai_prices
import litellm
from litellm.types.utils import (
    CacheCreationTokenDetails,
    PromptTokensDetailsWrapper,
)
from litellm.types.utils import (
    Usage as LiteLLMUsage,
)

from billing.connectors import list_prices
from billing.connectors.proposals import ProposedRate
from billing.pricing import engine
from billing.pricing.engine import Charges
from billing.pricing.rates import Rate, RateBook, prices_per_unit
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step, Usage

FLOOR = 300_000  # records per second
RATES = 2_000
RECORDS = 20_000
# Of the slower two, in a round.
FEWER = 1_000
ROUNDS = 9
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

MODELS = (
    "claude-opus-5",
    "claude-opus-5-5",
    "claude-sonnet-4-5-20250929",
    "claude-sonnet-5-5",
    "claude-haiku-4-5",
    "claude-haiku-5-5",
)
WITH_GEO = frozenset({"claude-opus-5", "claude-opus-5-5", "claude-sonnet-5-5"})


class Call(NamedTuple):
    """One record, before it takes anybody's form."""

    model: str
    at: datetime
    batch: bool
    geo: str
    quantities: Quantities


def calls(count: int) -> list[Call]:
    chance = Random(5)  # noqa: S311 - the same mix each time
    return [_call(chance) for _ in range(count)]


def _call(chance: Random) -> Call:
    model = chance.choice(MODELS)
    cached = chance.random() < 0.6
    long = chance.random() < 0.05
    return Call(
        model=model,
        at=NOW - timedelta(seconds=chance.randrange(300 * 24 * 3600)),
        batch=chance.random() < 0.2,
        geo="us" if model in WITH_GEO and chance.random() < 0.3 else "global",
        quantities=Quantities(
            input=chance.randrange(1, 4_000),
            cache_write_5m=chance.randrange(8_000) if cached else 0,
            cache_write_1h=chance.randrange(8_000) if cached and long else 0,
            cache_read=chance.randrange(250_000 if long else 40_000) if cached else 0,
            output=chance.randrange(1, 3_000),
        ),
    )


# --- Ours


def book() -> RateBook:
    """A contract for everything, once replaced, over the list prices of all providers."""
    proposed = list_prices.list_rates()
    cards = [_card(proposed), _card(proposed)]
    contract = [rate for card in cards for rate in card]
    listed = _card(proposed)
    if len(contract) + len(listed) < RATES:
        raise SystemExit(f"{len(contract) + len(listed)} rates are too few")
    aliases = {
        (model.provider, name): f"{model.provider}/{model.name}"
        for model in list_prices.list_models()
        for name in model.aliases
    }
    return RateBook([contract, listed], aliases)


def _card(proposed: Iterable[ProposedRate]) -> list[Rate]:
    return [
        Rate(
            id=number,
            model=f"{rate.provider}/{rate.model}",
            processing=rate.processing,
            speed=rate.speed,
            geo=rate.geo,
            endpoint=rate.endpoint,
            above=rate.above,
            effective_from=rate.effective_from,
            prices=prices_per_unit(rate.prices),
            stop=rate.stop,
        )
        for number, rate in enumerate(proposed, start=1)
    ]


def our_usage(call: Call) -> Usage:
    return Usage(
        provider="anthropic",
        model=call.model,
        occurred_at=call.at,
        processing="batch" if call.batch else "standard",
        geo=call.geo,
        steps=(Step(call.model, call.quantities),),
    )


def ours(records: Sequence[Usage], rates: RateBook) -> Callable[[], None]:
    def run() -> None:
        for record in records:
            engine.price(record, rates)

    return run


# --- Theirs


def genai(given: Sequence[Call]) -> Callable[[], None]:
    records = [
        (
            genai_prices.Usage(
                input_tokens=call.quantities.total_input,
                cache_write_tokens=call.quantities[1] + call.quantities[2],
                cache_write_1h_tokens=call.quantities.cache_write_1h,
                cache_read_tokens=call.quantities.cache_read,
                output_tokens=call.quantities.output,
            ),
            call.model,
            call.at,
            {"processing": "batch"} if call.batch else None,
        )
        for call in given
    ]

    def run() -> None:
        for usage, model, at, context in records:
            genai_prices.calc_price(
                usage,
                model,
                provider_id="anthropic",
                genai_request_timestamp=at,
                price_context=context,
            )

    return run


def lite(given: Sequence[Call]) -> Callable[[], None]:
    records = [
        (call.model, _lite_usage(call.quantities), "batch" if call.batch else None)
        for call in given
    ]

    def run() -> None:
        for model, usage, tier in records:
            litellm.cost_per_token(
                model=model,
                usage_object=usage,
                custom_llm_provider="anthropic",
                service_tier=tier,
            )

    return run


def _lite_usage(quantities: Quantities) -> Any:
    written = quantities.cache_write_5m + quantities.cache_write_1h
    return LiteLLMUsage(
        prompt_tokens=quantities.total_input,
        completion_tokens=quantities.output,
        total_tokens=quantities.total_input + quantities.output,
        cache_read_input_tokens=quantities.cache_read,
        cache_creation_input_tokens=written,
        prompt_tokens_details=PromptTokensDetailsWrapper(
            cached_tokens=quantities.cache_read,
            cache_creation_tokens=written,
            cache_creation_token_details=CacheCreationTokenDetails(
                ephemeral_5m_input_tokens=quantities.cache_write_5m,
                ephemeral_1h_input_tokens=quantities.cache_write_1h,
            ),
        ),
    )


# --- The run


def main() -> int:
    _on_one_core()
    given = calls(RECORDS)
    rates = book()
    records = [our_usage(call) for call in given]
    unpriced = [one for one in records if not isinstance(engine.price(one, rates), Charges)]
    if unpriced:
        raise SystemExit(f"{len(unpriced)} records have no price, such as {unpriced[0]}")
    speeds = measured(
        {
            "purser": (RECORDS, ours(records, rates)),
            "genai-prices": (FEWER, genai(given[:FEWER])),
            "LiteLLM": (FEWER, lite(given[:FEWER])),
        }
    )
    for name, speed in speeds.items():
        sys.stdout.write(f"{name:14} {speed:>10,.0f} records/s\n")
    ours_per_s = speeds["purser"]
    found = {
        "records_per_s": round(ours_per_s),
        "vs_genai_prices": round(ours_per_s / speeds["genai-prices"], 1),
        "vs_litellm": round(ours_per_s / speeds["LiteLLM"], 1),
    }
    sys.stdout.write(f"{json.dumps(found)}\n")
    return 0 if ours_per_s >= FLOOR else 1


def measured(runs: dict[str, tuple[int, Callable[[], None]]]) -> dict[str, float]:
    """Records per second of the processor of each, in its best round."""
    best = dict.fromkeys(runs, 0.0)
    for _ in range(ROUNDS):
        for name, (count, run) in runs.items():
            started = time.process_time()
            run()
            best[name] = max(best[name], count / (time.process_time() - started))
    return best


def _on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    sys.exit(main())
