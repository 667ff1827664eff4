"""Cases that other tools got wrong in public, with the right amount worked out there.

Issue numbers are in the repositories named.
"""

import json

import pytest

from billing.formats import posted, registry
from billing.pricing import money
from billing.pricing.engine import Unpriced, price


@pytest.fixture
def cost(list_book):
    def run(model: str, usage: dict, **more) -> str:
        record = {
            "id": "msg_01",
            "occurred_at": "2026-11-22T12:00:00Z",
            "provider": "anthropic",
            "model": model,
            "usage": usage,
            **more,
        }
        found = posted.decode(json.dumps(record).encode())
        result = price(registry.read(found), list_book)
        return result.reason if isinstance(result, Unpriced) else money.text(result.cost)

    return run


def test_cache_writes_are_not_counted_again_as_input(cost) -> None:
    # BerriAI/litellm#9812 said 0.091311; maximhq/bifrost#3451 said 1.85984625.
    written = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 12304}
    long_write = {
        "input_tokens": 6,
        "output_tokens": 2745,
        "cache_creation_input_tokens": 159217,
        "cache_creation": {"ephemeral_5m_input_tokens": 159217},
    }

    assert cost(
        "claude-3-7-sonnet", {"input_tokens": 3, "output_tokens": 550, **written}
    ) == ("0.054399")
    assert cost("claude-opus-4-7", long_write) == "1.06376125"


def test_writes_outside_of_the_split_are_priced(cost) -> None:
    # BerriAI/litellm#42663: 184,457 tokens written, 31,490 of them in the split.
    usage = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 184_457,
        "cache_creation": {"ephemeral_1h_input_tokens": 31_490},
    }

    # 152,967 at 6.25 and 31,490 at 10 dollars per million.
    assert cost("claude-opus-5", usage) == "1.27094375"


def test_one_hour_writes_cost_more_than_five_minutes(cost) -> None:
    # Owloops/claude-powerline#104, mozilla-ai/otari#357 and others priced both alike.
    def usage(lifetime: str) -> dict:
        return {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_creation": {f"ephemeral_{lifetime}_input_tokens": 1_000_000},
        }

    assert cost("claude-opus-5", usage("5m")) == "6.25"
    assert cost("claude-opus-5", usage("1h")) == "10"
    assert cost("claude-opus-5", usage("1h"), processing="batch") == "5"


def test_compaction_beside_the_totals_is_billed(cost) -> None:
    # The provider's own example: the totals leave out a call of 180,000 tokens.
    usage = {
        "input_tokens": 23_000,
        "output_tokens": 1_000,
        "iterations": [
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        ],
    }

    assert cost("claude-opus-4-8", usage) == "1.1275"


def test_cached_input_is_not_counted_as_uncached(cost) -> None:
    # langfuse/langfuse#12306: 130,213 tokens went in, 5 of them uncached.
    usage = {
        "input_tokens": 5,
        "output_tokens": 0,
        "cache_read_input_tokens": 128_955,
        "cache_creation_input_tokens": 1_253,
    }

    assert cost("claude-sonnet-4-5", usage) == "0.04340025"


def test_unknown_model_is_never_free(cost) -> None:
    # BerriAI/litellm#24770, #36561; Metabuilder-Labs/tokenjam#620.
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}

    assert cost("claude-opus-6", usage) == "unknown_model"
    assert cost("claude-opus-5", usage, geo="eu") == "no_rate"
    assert cost("claude-opus-4-5", usage, geo="us") == "no_rate"
    searched = {**usage, "server_tool_use": {"web_search_requests": 1}}
    assert cost("claude-3-opus", searched) == "no_price"


def test_batch_is_half_and_searches_are_not(cost) -> None:
    # BerriAI/litellm#27944, #32307, #36468.
    usage = {
        "input_tokens": 1_000_000,
        "output_tokens": 1_000_000,
        "service_tier": "batch",
        "server_tool_use": {"web_search_requests": 1},
    }

    assert cost("claude-opus-5", usage) == "15.01"


@pytest.mark.parametrize(
    ("at", "expected"),
    [("2026-10-06T23:59:59.999999Z", "0.2"), ("2026-10-07T00:00:00Z", "0.1")],
)
def test_price_is_the_one_of_that_day(cost, at, expected) -> None:
    # langfuse/langfuse#12184, ccusage/ccusage#1636: a closed week must not change.
    usage = {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 1_000_000}

    assert cost("claude-sonnet-5-5", usage, occurred_at=at) == expected
