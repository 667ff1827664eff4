"""Does the input count what was cached, and the output what was thought? By format.

The numbers are one call told by each format: 100 tokens of fresh input, 30 read from the
cache, 20 written to it, and 50 of output, 40 of them thought.
"""

import pytest

from billing.pricing.token_classes import Quantities

CALL = Quantities(input=100, cache_write_5m=20, cache_read=30, output=50)

# Format, provider and the object.
TOLD = {
    "anthropic_messages": (
        "anthropic",
        "anthropic",
        {
            "input_tokens": 100,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 20,
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 40},
        },
    ),
    "anthropic_batch": (
        "anthropic",
        "anthropic",
        {
            "input_tokens": 100,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 20,
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 40},
            "service_tier": "batch",
        },
    ),
    "bedrock_converse": (
        "bedrock_converse",
        "aws",
        {
            "inputTokens": 100,
            "cacheReadInputTokens": 30,
            "cacheWriteInputTokens": 20,
            "outputTokens": 50,
            "totalTokens": 200,
        },
    ),
    "openai_chat": (
        "openai_chat",
        "openai",
        {
            "prompt_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20},
            "completion_tokens": 50,
            "completion_tokens_details": {"reasoning_tokens": 40},
            "total_tokens": 200,
        },
    ),
    "openai_responses": (
        "openai_responses",
        "openai",
        {
            "input_tokens": 150,
            "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 40},
            "total_tokens": 200,
        },
    ),
}


@pytest.mark.parametrize(("name", "provider", "told"), TOLD.values(), ids=TOLD.keys())
def test_one_call_is_the_same_however_it_is_told(reader, name, provider, told) -> None:
    usage = reader(provider=provider, usage_format=name)(told)

    assert usage.quantities == CALL
    assert usage.thinking == (0 if name == "bedrock_converse" else 40)


def test_gemini_counts_thoughts_beside_the_candidates(reader) -> None:
    # Its cache is stored by the hour and not written by the token.
    usage = reader(provider="google", model="gemini-2.5-pro")(
        {
            "promptTokenCount": 120,
            "cachedContentTokenCount": 30,
            "toolUsePromptTokenCount": 10,
            "candidatesTokenCount": 10,
            "thoughtsTokenCount": 40,
            "totalTokenCount": 180,
        }
    )

    assert usage.quantities == CALL._replace(cache_write_5m=0)
    assert usage.thinking == 40


def test_input_with_all_that_was_cached_is_the_same_call(reader) -> None:
    # langfuse/langfuse#12306: the one form billed the cache twice.
    inclusive = reader(provider="gateway", usage_format="openai_chat")(
        {
            "prompt_tokens": 130_213,
            "prompt_tokens_details": {
                "cached_tokens": 128_955,
                "cache_write_tokens": 1_253,
            },
            "completion_tokens": 400,
        }
    )
    exclusive = reader(provider="gateway", usage_format="anthropic")(
        {
            "input_tokens": 5,
            "cache_read_input_tokens": 128_955,
            "cache_creation_input_tokens": 1_253,
            "output_tokens": 400,
        }
    )

    assert inclusive == exclusive


@pytest.mark.parametrize(
    ("name", "provider", "told", "pointer"),
    [
        (
            "openai_chat",
            "openai",
            {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 11},
            },
            "/usage/prompt_tokens_details/cached_tokens",
        ),
        (
            "openai_responses",
            "openai",
            {
                "input_tokens": 10,
                "output_tokens": 1,
                "input_tokens_details": {"cached_tokens": 11},
            },
            "/usage/input_tokens_details/cached_tokens",
        ),
        (
            "gemini",
            "google",
            {"promptTokenCount": 10, "cachedContentTokenCount": 11},
            "/usage/cachedContentTokenCount",
        ),
    ],
)
def test_more_cached_than_there_was_input_is_refused(
    reader, why, name, provider, told, pointer
) -> None:
    reads = reader(provider=provider, usage_format=name)

    assert why(reads, told) == ("contradiction", pointer)
