from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.formats import openai_responses, posted
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Step
from tests.formats.conftest import RECORD

MODEL = "gpt-5.2"


@pytest.fixture
def responses(reader):
    return reader(provider="openai", model=MODEL, usage_format="openai_responses")


def usage_object(cached: int = 0, reasoning: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "input_tokens": 100,
        "output_tokens": 50,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens_details": {"reasoning_tokens": reasoning},
        **more,
    }


def test_input_counts_what_was_cached(responses) -> None:
    details = {"cached_tokens": 30, "cache_write_tokens": 20}
    usage = responses(
        usage_object(input_tokens_details=details, reasoning=40, total_tokens=150)
    )

    assert usage.steps == (Step(MODEL, Quantities(50, 20, 0, 30, 50)),)
    assert usage.thinking == 40


@given(st.lists(st.integers(0, 10**6), min_size=4, max_size=4))
def test_disjoint_parts_add_up_to_the_totals(shares) -> None:
    text, written, read, output = shares
    total = text + written + read
    made = {
        "input_tokens": total,
        "output_tokens": output,
        "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "total_tokens": total + output,
    }
    record = {**RECORD, "provider": "openai", "usage": made}

    usage = openai_responses.read(posted.decode(msgspec.json.encode(record)))

    assert usage.quantities == Quantities(text, written, 0, read, output)
    assert usage.quantities.total_input == total


@pytest.mark.parametrize(
    ("usage", "pointer"),
    [
        (usage_object(cached=101), "/usage/input_tokens_details/cached_tokens"),
        (usage_object(reasoning=51), "/usage/output_tokens_details/reasoning_tokens"),
        (usage_object(total_tokens=149), "/usage/total_tokens"),
        (
            usage_object(
                input_tokens_details={"cached_tokens": 99, "cache_write_tokens": 2}
            ),
            "/usage/input_tokens_details/cache_write_tokens",
        ),
    ],
)
def test_contradiction_is_refused(responses, why, usage, pointer) -> None:
    assert why(responses, usage) == ("contradiction", pointer)


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens"])
def test_counts_are_always_reported(responses, why, name) -> None:
    usage = usage_object()
    del usage[name]

    assert why(responses, usage) == ("missing_field", f"/usage/{name}")


def test_wrong_type_has_a_pointer(responses, why) -> None:
    assert why(responses, usage_object(cached=1.5)) == (
        "wrong_type",
        "/usage/input_tokens_details/cached_tokens",
    )


def test_tier_is_that_of_chat(responses) -> None:
    assert responses(usage_object(service_tier="flex")).processing == Processing.FLEX
    assert responses(usage_object(service_tier="default")).processing == "standard"


def test_known_members_give_the_same_usage_again(responses) -> None:
    made = usage_object(cached=4, reasoning=5, text="secret")
    record = {**RECORD, "provider": "openai", "usage": made}

    kept = openai_responses.known_members(posted.decode(msgspec.json.encode(record)))

    assert b"secret" not in kept
    assert responses(kept) == responses(made)
