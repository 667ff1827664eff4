from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.formats import bedrock_converse, posted
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step
from tests.formats.conftest import RECORD

MODEL = "global.anthropic.claude-opus-4-6-v1"


@pytest.fixture
def converse(reader):
    return reader(provider="aws", model=MODEL, usage_format="bedrock_converse")


def usage_object(**changes: Any) -> dict[str, Any]:
    return {
        "inputTokens": 37,
        "outputTokens": 211,
        "cacheReadInputTokens": 20_000,
        "cacheWriteInputTokens": 4_000,
        **changes,
    }


def split(one_hour: int, five_minutes: int) -> list[dict[str, Any]]:
    return [
        {"ttl": "1h", "inputTokens": one_hour},
        {"ttl": "5m", "inputTokens": five_minutes},
    ]


def test_classes_are_exclusive(converse) -> None:
    usage = converse(usage_object(totalTokens=24_248, cacheDetails=split(3_000, 1_000)))

    assert usage.steps == (Step(MODEL, Quantities(37, 1_000, 3_000, 20_000, 211)),)
    assert usage.reproducible
    assert usage.flags == ()


def test_writes_without_split_live_five_minutes(converse) -> None:
    for none in ({}, {"cacheDetails": None}, {"cacheDetails": []}):
        usage = converse(usage_object(**none))

        assert usage.quantities == Quantities(37, 4_000, 0, 20_000, 211)
        assert usage.flags == ()


def test_detail_without_a_time_to_live_is_five_minutes(converse) -> None:
    usage = converse(usage_object(cacheDetails=[{"inputTokens": 4_000}]))

    assert usage.quantities.cache_write_5m == 4_000


def test_rest_of_an_incomplete_split_lives_five_minutes(converse) -> None:
    usage = converse(usage_object(cacheDetails=split(3_000, 500)))

    assert usage.quantities == Quantities(37, 1_000, 3_000, 20_000, 211)
    assert usage.flags == ("cache_split_incomplete",)


def test_split_without_total_is_the_total(converse) -> None:
    usage = converse(
        usage_object(cacheWriteInputTokens=None, cacheDetails=split(3_000, 500))
    )

    assert usage.quantities == Quantities(37, 500, 3_000, 20_000, 211)
    assert usage.flags == ()


def test_object_without_cache(converse) -> None:
    usage = converse({"inputTokens": 3, "outputTokens": 4, "totalTokens": 7})

    assert usage.quantities == Quantities(3, output=4)


@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=5))
def test_classes_add_up_to_the_total(shares) -> None:
    fresh, five_minutes, one_hour, read, output = shares
    made = {
        "inputTokens": fresh,
        "outputTokens": output,
        "totalTokens": sum(shares),
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": five_minutes + one_hour,
        "cacheDetails": split(one_hour, five_minutes),
    }
    record = {**RECORD, "provider": "aws", "usage": made}

    usage = bedrock_converse.read(posted.decode(msgspec.json.encode(record)))

    assert usage.quantities == Quantities(fresh, five_minutes, one_hour, read, output)
    assert usage.flags == ()


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"cacheDetails": split(3_000, 1_001)}, "/usage/cacheDetails"),
        ({"cacheWriteInputTokens": 0, "cacheDetails": split(0, 1)}, "/usage/cacheDetails"),
        ({"totalTokens": 24_247}, "/usage/totalTokens"),
        # What it would be if the cache were not counted in it, or the input counted it.
        ({"totalTokens": 248}, "/usage/totalTokens"),
    ],
)
def test_contradiction_is_refused(converse, why, changes, pointer) -> None:
    assert why(converse, usage_object(**changes)) == ("contradiction", pointer)


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"inputTokens": 1.5}, "wrong_type", "/usage/inputTokens"),
        ({"outputTokens": -1}, "out_of_range", "/usage/outputTokens"),
        (
            {"cacheDetails": [{"ttl": "24h", "inputTokens": 1}]},
            "bad_value",
            "/usage/cacheDetails/0/ttl",
        ),
    ],
)
def test_what_is_malformed_has_a_pointer(converse, why, changes, code, pointer) -> None:
    assert why(converse, usage_object(**changes)) == (code, pointer)


@pytest.mark.parametrize("name", ["inputTokens", "outputTokens"])
def test_counts_are_always_reported(converse, why, name) -> None:
    usage = usage_object()
    del usage[name]

    assert why(converse, usage) == ("missing_field", f"/usage/{name}")


def test_refusal_before_output_of_a_claude_model_is_not_billed(converse) -> None:
    usage = converse(usage_object(outputTokens=0), stop_reason="refusal")

    assert usage.unbilled == "refused_before_output"
    assert converse(usage_object(), stop_reason="refusal").unbilled == ""


def test_known_members_give_the_same_usage_again(converse) -> None:
    made = usage_object(cacheDetails=split(3_000, 500), text="secret")
    record = {**RECORD, "provider": "aws", "model": MODEL, "usage": made}

    kept = bedrock_converse.known_members(posted.decode(msgspec.json.encode(record)))

    assert b"secret" not in kept
    assert converse(kept) == converse(made)
