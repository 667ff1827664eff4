from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.formats import openai_chat, posted
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Speed, Step
from tests.formats.conftest import RECORD

MODEL = "gpt-5-2025-08-07"
PROMPT = "/usage/prompt_tokens_details"
COMPLETION = "/usage/completion_tokens_details"


@pytest.fixture
def chat(reader):
    return reader(provider="openai", model=MODEL, usage_format="openai_chat")


def usage_object(
    prompt: int = 100,
    completion: int = 50,
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": inputs,
        "completion_tokens_details": outputs,
        **more,
    }


# --- Classes


def test_fullest_object_is_made_disjoint(chat) -> None:
    usage = chat(
        usage_object(
            1000,
            500,
            {
                "cached_tokens": 300,
                "cache_write_tokens": 200,
                "audio_tokens": 150,
                "text_tokens": 850,
                "image_tokens": 0,
                "cached_tokens_details": {"audio_tokens": 100, "text_tokens": 200},
            },
            {
                "reasoning_tokens": 40,
                "audio_tokens": 60,
                "image_tokens": 7,
                "text_tokens": 433,
                "accepted_prediction_tokens": 20,
                "rejected_prediction_tokens": 30,
            },
            total_tokens=1500,
        )
    )

    assert usage.steps == (
        Step(
            MODEL,
            Quantities(
                input=450,
                cache_write_5m=200,
                cache_read=200,
                output=433,
                input_audio=50,
                cache_read_audio=100,
                output_audio=60,
                output_image=7,
            ),
        ),
    )
    assert usage.thinking == 40
    assert usage.reproducible
    assert (usage.unbilled, usage.flags) == ("", ())


def test_plain_object(chat) -> None:
    usage = chat({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15})

    assert usage.quantities == Quantities(12, output=3)


def test_null_is_zero(chat) -> None:
    names = ["cached_tokens", "cache_write_tokens", "audio_tokens", "cached_tokens_details"]
    inputs: dict[str, Any] = dict.fromkeys(names)
    outputs: dict[str, Any] = dict.fromkeys(["reasoning_tokens", "audio_tokens"])

    assert chat(usage_object(12, 3, inputs, outputs)).quantities == Quantities(12, output=3)
    assert chat(usage_object(12, 3, total_tokens=None)).quantities.total_input == 12


def test_unknown_members_are_ignored(chat) -> None:
    inputs = {"cached_tokens": 1, "video_tokens": {"deep": [1.5]}}
    usage = chat(usage_object(12, 3, inputs, cost=0.1, queue_time=0.3))

    assert usage.quantities == Quantities(11, cache_read=1, output=3)


def test_cached_sound_that_is_not_told_is_text(chat) -> None:
    usage = chat(usage_object(100, 1, {"cached_tokens": 30, "audio_tokens": 60}))

    assert usage.quantities == Quantities(10, cache_read=30, output=1, input_audio=60)


SHARES = st.lists(st.integers(0, 10**6), min_size=9, max_size=9)


@given(SHARES)
def test_disjoint_parts_add_up_to_the_totals(shares) -> None:
    text, written, read, read_sound, sound, reply, spoken, drawn, thought = shares
    prompt = text + written + read + read_sound + sound
    completion = reply + spoken + drawn + thought
    posted_usage = usage_object(
        prompt,
        completion,
        {
            "cached_tokens": read + read_sound,
            "cache_write_tokens": written,
            "audio_tokens": sound + read_sound,
            "cached_tokens_details": {"audio_tokens": read_sound},
        },
        {"audio_tokens": spoken, "image_tokens": drawn, "reasoning_tokens": thought},
        total_tokens=prompt + completion,
    )
    record = {**RECORD, "provider": "openai", "usage": posted_usage}

    usage = openai_chat.read(posted.decode(msgspec.json.encode(record)))

    quantities = usage.quantities
    assert quantities == Quantities(
        text, written, 0, read, reply + thought, 0, sound, read_sound, spoken, drawn
    )
    assert quantities.total_input == prompt
    assert quantities.output + spoken + drawn == completion


# --- What LiteLLM says in the same object


def litellm(**changes: Any) -> dict[str, Any]:
    """1,000 tokens of prompt: 900 read from the cache, 50 written to it, 30 for 1 hour."""
    details = {
        "cached_tokens": 900,
        "cache_creation_tokens": 50,
        "cache_creation_token_details": {
            "ephemeral_5m_input_tokens": 20,
            "ephemeral_1h_input_tokens": 30,
        },
    }
    return usage_object(
        1000,
        10,
        {**details, **changes},
        cache_read_input_tokens=900,
        cache_creation_input_tokens=50,
    )


@pytest.fixture
def gateway(reader):
    return reader(provider="anthropic", usage_format="openai_chat")


def test_cache_writes_of_a_gateway_are_taken_out_and_divided(gateway) -> None:
    usage = gateway(litellm())

    assert usage.quantities == Quantities(50, 20, 30, 900, 10)
    assert usage.flags == ()


def test_cached_tokens_may_stand_beside_the_totals_alone(gateway) -> None:
    usage = gateway(
        usage_object(1000, 10, cache_read_input_tokens=900, cache_creation_input_tokens=50)
    )

    assert usage.quantities == Quantities(50, 50, 0, 900, 10)


def test_rest_of_a_gateways_split_lives_five_minutes(gateway) -> None:
    split = {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 30}
    usage = gateway(litellm(cache_creation_token_details=split))

    assert usage.quantities == Quantities(50, 20, 30, 900, 10)
    assert usage.flags == ("cache_split_incomplete",)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"cached_tokens": 899}, "/usage/cache_read_input_tokens"),
        ({"cache_write_tokens": 49}, f"{PROMPT}/cache_creation_tokens"),
        ({"cache_creation_tokens": 49}, "/usage/cache_creation_input_tokens"),
        (
            {"cache_creation_token_details": {"ephemeral_1h_input_tokens": 51}},
            f"{PROMPT}/cache_creation_token_details",
        ),
    ],
)
def test_gateway_that_contradicts_itself_is_refused(gateway, why, changes, pointer) -> None:
    assert why(gateway, litellm(**changes)) == ("contradiction", pointer)


# --- Contradictions


@pytest.mark.parametrize(
    ("inputs", "pointer"),
    [
        ({"cached_tokens": 101}, f"{PROMPT}/cached_tokens"),
        ({"cache_write_tokens": 101}, f"{PROMPT}/cache_write_tokens"),
        ({"cached_tokens": 60, "cache_write_tokens": 41}, f"{PROMPT}/cache_write_tokens"),
        ({"audio_tokens": 101}, f"{PROMPT}/audio_tokens"),
        ({"image_tokens": 101}, f"{PROMPT}/image_tokens"),
        ({"text_tokens": 101}, f"{PROMPT}/text_tokens"),
        ({"audio_tokens": 50, "text_tokens": 51}, f"{PROMPT}/text_tokens"),
        # Some of the sound was cached, and nobody says how much.
        ({"cached_tokens": 60, "audio_tokens": 60}, f"{PROMPT}/audio_tokens"),
        (
            {"cached_tokens": 5, "cached_tokens_details": {"audio_tokens": 1}},
            f"{PROMPT}/cached_tokens_details/audio_tokens",
        ),
        (
            {
                "cached_tokens": 5,
                "audio_tokens": 9,
                "cached_tokens_details": {"audio_tokens": 6},
            },
            f"{PROMPT}/cached_tokens_details/audio_tokens",
        ),
    ],
)
def test_parts_beyond_the_prompt_are_refused(chat, why, inputs, pointer) -> None:
    assert why(chat, usage_object(inputs=inputs)) == ("contradiction", pointer)


@pytest.mark.parametrize(
    ("outputs", "pointer"),
    [
        ({"reasoning_tokens": 51}, f"{COMPLETION}/reasoning_tokens"),
        ({"audio_tokens": 51}, f"{COMPLETION}/audio_tokens"),
        ({"audio_tokens": 25, "image_tokens": 26}, f"{COMPLETION}/image_tokens"),
        ({"audio_tokens": 25, "text_tokens": 26}, f"{COMPLETION}/text_tokens"),
        ({"accepted_prediction_tokens": 51}, f"{COMPLETION}/accepted_prediction_tokens"),
        (
            {"accepted_prediction_tokens": 25, "rejected_prediction_tokens": 26},
            f"{COMPLETION}/rejected_prediction_tokens",
        ),
    ],
)
def test_parts_beyond_the_completion_are_refused(chat, why, outputs, pointer) -> None:
    assert why(chat, usage_object(outputs=outputs)) == ("contradiction", pointer)


@pytest.mark.parametrize("total", [0, 149, 151, 190])
def test_total_that_is_not_the_sum_is_refused(chat, why, total) -> None:
    # Where reasoning comes on top of the completion it is such a total that shows it.
    assert why(chat, usage_object(total_tokens=total)) == (
        "contradiction",
        "/usage/total_tokens",
    )


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_counts_are_always_reported(chat, why, name) -> None:
    usage = usage_object()
    del usage[name]

    assert why(chat, usage) == ("missing_field", f"/usage/{name}")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (b"-1", "out_of_range"),
        (b"1000000000001", "out_of_range"),
        (b"1e999", "out_of_range"),
        (b"1.5", "wrong_type"),
        (b'"7"', "wrong_type"),
        (b"true", "wrong_type"),
    ],
)
def test_count_is_strictly_a_whole_number(chat, why, number, code) -> None:
    written = b'{"prompt_tokens":9,"completion_tokens":9,"prompt_tokens_details":'
    written += b'{"cached_tokens":' + number + b"}}"

    assert why(chat, written) == (code, f"{PROMPT}/cached_tokens")


# --- Conditions


@pytest.mark.parametrize(
    ("tier", "declared", "expected"),
    [
        (None, {}, Processing.STANDARD),
        ("auto", {}, Processing.STANDARD),
        ("default", {}, Processing.STANDARD),
        ("default", {"processing": "priority"}, Processing.STANDARD),
        ("flex", {}, Processing.FLEX),
        ("flex", {"processing": "standard"}, Processing.FLEX),
        ("priority", {}, Processing.PRIORITY),
        ("scale", {}, "scale"),
        # A batch's responses report the default tier.
        ("default", {"processing": "batch"}, Processing.BATCH),
        ("default", {"batch_result": "succeeded"}, Processing.BATCH),
        ("default", {"model": "openai/gpt-5:batch"}, Processing.BATCH),
        (None, {"processing": "batch"}, Processing.BATCH),
    ],
)
def test_tier(chat, tier, declared, expected) -> None:
    usage = chat(usage_object(service_tier=tier), **declared)

    assert (usage.processing, usage.speed) == (expected, Speed.STANDARD)


def test_fast_tier_is_a_speed(chat) -> None:
    usage = chat(usage_object(service_tier="fast"))

    assert (usage.processing, usage.speed) == (Processing.STANDARD, Speed.FAST)


def test_paid_tier_of_a_batch_is_refused(chat, why) -> None:
    assert why(chat, usage_object(service_tier="flex"), processing="batch") == (
        "contradiction",
        "/usage/service_tier",
    )


def test_residency_is_declared(chat) -> None:
    assert chat(usage_object(), geo="eu").geo == "eu"
    assert chat(usage_object()).geo == "global"
    assert chat(usage_object()).endpoint == "global"


def test_known_members_give_the_same_usage_again(chat) -> None:
    given = usage_object(
        100, 50, {"cached_tokens": 4}, {"reasoning_tokens": 5}, text="secret"
    )
    record = {**RECORD, "provider": "openai", "usage": given}

    kept = openai_chat.known_members(posted.decode(msgspec.json.encode(record)))

    assert b"secret" not in kept
    assert chat(kept) == chat(given)
