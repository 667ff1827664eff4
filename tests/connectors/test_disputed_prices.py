"""Where two well-known price tables disagree, or both are wrong: what is right.

genai-prices 0.2.3 and litellm 1.106.2 were read side by side on 2026-11-22. Amounts were
worked out by hand from the published prices.
"""

import json
from typing import Any

import pytest

from billing.formats import posted, registry
from billing.pricing import money
from billing.pricing.engine import Unpriced, price

MILLION = 1_000_000


@pytest.fixture
def cost(list_book):
    """What a record costs, or the reason why it has no price."""

    def run(
        model: str, usage: dict[str, Any], provider: str = "anthropic", **more: Any
    ) -> str:
        record = {
            "occurred_at": "2026-11-22T12:00:00Z",
            "provider": provider,
            "model": model,
            "usage": usage,
            **more,
        }
        found = posted.decode_quote(json.dumps(record).encode())
        result = price(registry.read(found), list_book)
        return result.reason if isinstance(result, Unpriced) else money.text(result.cost)

    return run


def used(**counts: int) -> dict[str, Any]:
    """A `usage` object of Anthropic's that has what it has to have."""
    return {"input_tokens": 0, "output_tokens": 0, **counts}


def written(lifetime: str, tokens: int = MILLION) -> dict[str, Any]:
    return used() | {"cache_creation": {f"ephemeral_{lifetime}_input_tokens": tokens}}


def converse(**counts: int) -> dict[str, Any]:
    usage = {"inputTokens": 0, "outputTokens": 0, **counts}
    return {**usage, "totalTokens": sum(usage.values())}


# --- What the two tables say differently


@pytest.mark.parametrize("at", ["2026-04-29", "2026-04-30", "2026-11-22"])
def test_sonnet_4_5_has_a_tier_without_an_end(cost, at) -> None:
    # One table dropped it.
    at = f"{at}T00:00:00Z"
    below, above = used(input_tokens=200_000), used(input_tokens=200_001)

    assert cost("claude-sonnet-4-5", below, occurred_at=at) == "0.6"
    assert cost("claude-sonnet-4-5", above, occurred_at=at) == "1.200006"


def test_batched_write_of_one_hour_is_half_of_one_hour(cost) -> None:
    # One table bills it at the price of five minutes.
    assert cost("claude-opus-5", written("1h"), processing="batch") == "5"
    assert cost("claude-opus-5", written("5m"), processing="batch") == "3.125"


def test_batch_and_geography_multiply(cost) -> None:
    # One table has no geography, the other leaves it out in batches.
    usage = used(input_tokens=MILLION)

    assert cost("claude-opus-5", usage, geo="us", processing="batch") == "2.75"


def test_haiku_4_5_searches_are_not_free(cost) -> None:
    usage = used() | {"server_tool_use": {"web_search_requests": 3}}

    assert cost("claude-haiku-4-5", usage) == "0.03"


def test_each_iteration_has_its_own_model(cost) -> None:
    # One table prices the totals alone, the other everything at one model.
    usage = used(input_tokens=MILLION) | {
        "iterations": [
            {"type": "message", "input_tokens": MILLION, "output_tokens": 0},
            {
                "type": "advisor_message",
                "model": "claude-opus-5",
                "input_tokens": MILLION,
                "output_tokens": 0,
            },
        ]
    }

    # 1 dollar for Haiku 4.5 and 5 dollars for Opus 5.
    assert cost("claude-haiku-4-5", usage) == "6"


def test_refusal_before_any_output_costs_nothing(cost) -> None:
    # Both tables bill it.
    refused = {"stop_reason": "refusal", "content_empty": True}

    assert cost("claude-opus-5", used(input_tokens=MILLION), **refused) == "0"


def test_bedrock_name_without_an_endpoint_has_no_price(cost) -> None:
    # One table takes it for regional, the other for global: 10% apart.
    usage = converse(inputTokens=MILLION)

    assert cost("anthropic.claude-opus-5", usage, "aws") == "no_rate"
    assert cost("global.anthropic.claude-opus-5", usage, "aws") == "5"
    assert cost("eu.anthropic.claude-opus-5", usage, "aws") == "5.5"


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("claude-mythos-preview", "1"),
        ("claude-mythos-5", "1"),
        ("claude-mythos-5-1", "0.25"),
    ],
)
def test_mythos_costs_what_fable_of_its_number_does(cost, name, read) -> None:
    # Missing from one table.
    assert cost(name, used(input_tokens=MILLION)) == "10"
    assert cost(name, used(cache_read_input_tokens=MILLION)) == read


@pytest.mark.parametrize("name", ["claude-fable-5-2", "claude-mythos-5-2"])
def test_fable_and_mythos_5_2(cost, name) -> None:
    # Missing from the other.
    assert cost(name, used(input_tokens=MILLION)) == "8"
    assert cost(name, written("5m")) == "10"
    assert cost(name, written("1h")) == "16"
    assert cost(name, used(cache_read_input_tokens=MILLION)) == "0.2"
    assert cost(name, used(output_tokens=MILLION)) == "40"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-opus-4-1", "15"),
        ("claude-sonnet-4", "6"),
        ("claude-3-7-sonnet-20250219", "3"),
        ("claude-3-5-haiku-20241022", "0.8"),
        ("claude-3-opus-20240229", "15"),
        ("claude-3-haiku-20240307", "0.25"),
    ],
)
def test_retired_model_keeps_its_price(cost, name, expected) -> None:
    # One table has forgotten them. A million tokens are above the tier of Sonnet 4.
    assert cost(name, used(input_tokens=MILLION)) == expected


def test_batch_of_opus_5_5_on_vertex(cost) -> None:
    # One table says 2.5 and 12.5.
    batch = {"processing": "batch", "geo": "global", "usage_format": "anthropic"}

    assert cost("claude-opus-5-5", used(input_tokens=MILLION), "google", **batch) == "2"
    assert cost("claude-opus-5-5", used(output_tokens=MILLION), "google", **batch) == "10"


def test_batched_write_of_sonnet_on_vertex_is_not_rounded(cost) -> None:
    # One table says 1.88.
    batch = {"processing": "batch", "geo": "global", "usage_format": "anthropic"}
    usage = written("5m", 100_000)

    assert cost("claude-sonnet-4-6", usage, "google", **batch) == "0.1875"


def test_haiku_3_5_on_vertex(cost) -> None:
    # One table says 1 and 5.
    here = {"geo": "global", "usage_format": "anthropic"}
    name = "claude-3-5-haiku@20241022"

    assert cost(name, used(input_tokens=MILLION), "google", **here) == "0.8"
    assert cost(name, used(output_tokens=MILLION), "google", **here) == "4"


def test_foundry_has_no_prices_rather_than_stale_ones(cost) -> None:
    # One table still has 0.20 for reads of Sonnet 5.5; the list price is 0.10.
    usage = used(cache_read_input_tokens=MILLION)
    here = {"usage_format": "anthropic"}

    assert cost("claude-sonnet-5-5", usage, "azure", **here) == "unknown_model"
    assert cost("claude-sonnet-5-5", usage) == "0.1"


def test_mythos_preview_on_bedrock_is_left_unpriced(cost) -> None:
    # The only table that has it says 27.5 and 137.5, which nothing else supports.
    usage = converse(inputTokens=MILLION)

    for prefix in ("global.", "us."):
        name = f"{prefix}anthropic.claude-mythos-preview"
        assert cost(name, usage, "aws") == "unknown_model"


def test_gemini_3_pro_preview_is_not_free(cost) -> None:
    # One table says nothing, and so nothing is charged.
    usage = {"promptTokenCount": 100_000, "candidatesTokenCount": 0}

    assert cost("gemini-3-pro-preview", usage, "google") == "0.2"


# --- What changes a price


@pytest.mark.parametrize(
    ("name", "geo", "expected"),
    [
        ("claude-opus-4-6", "us", "5.5"),
        ("claude-haiku-5-5", "us", "0.55"),
        ("claude-opus-5", "global", "5"),
        ("claude-opus-5", "not_available", "5"),
        ("claude-opus-4-5", "us", "no_rate"),
        ("claude-opus-4-5", "not_available", "5"),
    ],
)
def test_us_only_inference(cost, name, geo, expected) -> None:
    usage = used(input_tokens=MILLION) | {"inference_geo": geo}

    assert cost(name, usage) == expected


def test_us_only_inference_is_for_caches_and_not_for_searches(cost) -> None:
    there = {"inference_geo": "us"}
    searched = {"server_tool_use": {"web_search_requests": 1}}

    assert cost("claude-opus-5", written("1h") | there) == "11"
    assert cost("claude-opus-5", used(cache_read_input_tokens=MILLION) | there) == "0.55"
    assert cost("claude-opus-5", used() | there | searched) == "0.01"


def test_batch_is_half_of_tokens_and_not_of_searches(cost) -> None:
    batch = {"service_tier": "batch"}
    searched = {"server_tool_use": {"web_search_requests": 1}}

    assert cost("claude-opus-5", used(output_tokens=MILLION) | batch) == "12.5"
    assert cost("claude-opus-5", used() | batch | searched) == "0.01"


def test_fast_is_twice_the_price_and_stacks(cost) -> None:
    fast = {"speed": "fast"}

    assert cost("claude-opus-5", used(input_tokens=MILLION) | fast) == "10"
    assert cost("claude-opus-5", written("1h") | fast) == "20"
    assert cost("claude-opus-5", written("1h") | fast | {"inference_geo": "us"}) == "22"


def test_fast_is_not_sold_in_a_batch(cost) -> None:
    usage = used(input_tokens=MILLION) | {"service_tier": "batch", "speed": "fast"}

    assert cost("claude-opus-5", usage) == "no_rate"


@pytest.mark.parametrize(
    ("name", "location", "expected"),
    [
        ("claude-opus-5", "global", "5"),
        ("claude-opus-5", "us-east5", "5.5"),
        ("claude-opus-5", "europe-west1", "5.5"),
        ("claude-opus-4-1", "global", "15"),
        ("claude-opus-4-1", "us-east5", "15"),
    ],
)
def test_regional_endpoint_on_vertex(cost, name, location, expected) -> None:
    there = {"geo": location, "usage_format": "anthropic"}

    assert cost(name, used(input_tokens=MILLION), "google", **there) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "0.3"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "0.33"),
        ("apac.anthropic.claude-sonnet-4-5-20250929-v1:0", "0.33"),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "0.3"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "no_rate"),
    ],
)
def test_regional_endpoint_on_bedrock(cost, name, expected) -> None:
    assert cost(name, converse(inputTokens=100_000), "aws") == expected


def test_priority_tier_has_no_list_price(cost) -> None:
    # It was sold by commitment, and is sold no longer.
    usage = used(input_tokens=MILLION) | {"service_tier": "priority"}

    assert cost("claude-opus-5", usage) == "no_rate"


# --- The days that matter


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        # 4.6 loses its tier.
        ("claude-opus-4-6", "2026-03-12T23:59:59.999999Z", "10"),
        ("claude-opus-4-6", "2026-03-13T00:00:00Z", "5"),
        ("claude-sonnet-4-6", "2026-03-12T23:59:59.999999Z", "6"),
        ("claude-sonnet-4-6", "2026-03-13T00:00:00Z", "3"),
        # The beta of long contexts ends, the tier does not.
        ("claude-sonnet-4", "2026-05-01T00:00:00Z", "6"),
        # The rise that was called off.
        ("claude-sonnet-5", "2026-08-31T23:59:59.999999Z", "2"),
        ("claude-sonnet-5", "2026-09-01T00:00:00Z", "2"),
        # Retirement.
        ("claude-opus-4-5", "2026-11-24T00:00:00Z", "5"),
        ("claude-sonnet-4-5", "2026-11-30T00:00:00Z", "6"),
    ],
)
def test_million_tokens_on_the_day(cost, name, at, expected) -> None:
    assert cost(name, used(input_tokens=MILLION), occurred_at=at) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [("2026-10-06T23:59:59.999999Z", "0.2"), ("2026-10-07T00:00:00Z", "0.1")],
)
def test_reads_of_sonnet_5_5_become_cheaper(cost, at, expected) -> None:
    usage = used(cache_read_input_tokens=MILLION)

    assert cost("claude-sonnet-5-5", usage, occurred_at=at) == expected


@pytest.mark.parametrize("at", ["2026-10-13T23:59:59Z", "2026-10-14T00:00:00Z"])
@pytest.mark.parametrize(
    ("provider", "name", "usage", "expected"),
    [
        ("anthropic", "claude-opus-5", used(input_tokens=MILLION), "2.5"),
        ("openai", "gpt-5", {"prompt_tokens": MILLION, "completion_tokens": 0}, "0.625"),
        (
            "google",
            "gemini-2.5-flash",
            {"promptTokenCount": MILLION, "candidatesTokenCount": 0},
            "0.15",
        ),
    ],
)
def test_batch_was_half_before_a_table_had_it(
    cost, provider, name, usage, expected, at
) -> None:
    found = cost(name, usage, provider, processing="batch", occurred_at=at)

    assert found == expected


# --- Sessions of managed agents


def test_hours_of_a_session_are_billed_beside_its_tokens(cost) -> None:
    session = {"product": "managed_agents_api"}
    half_an_hour = used(input_tokens=MILLION) | {"active_seconds": 1_800}

    assert cost("claude-opus-5", half_an_hour, **session) == "5.04"
    assert cost("claude-opus-5", half_an_hour | {"inference_geo": "us"}, **session) == (
        "5.54"
    )
