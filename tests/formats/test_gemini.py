from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.formats import gemini, posted
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Step
from tests.formats.conftest import RECORD

MODEL = "gemini-2.5-pro"


@pytest.fixture
def reads(reader):
    return reader(provider="google", model=MODEL, usage_format="gemini")


def details(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in tokens.items()]


# --- Classes


def test_fullest_object_is_made_disjoint(reads) -> None:
    usage = reads(
        {
            "promptTokenCount": 1000,
            "promptTokensDetails": details(TEXT=600, AUDIO=300, VIDEO=100),
            "cachedContentTokenCount": 400,
            "cacheTokensDetails": details(TEXT=300, AUDIO=100),
            "toolUsePromptTokenCount": 50,
            "toolUsePromptTokensDetails": details(TEXT=40, AUDIO=10),
            "candidatesTokenCount": 200,
            "candidatesTokensDetails": details(TEXT=120, AUDIO=50, IMAGE=30),
            "thoughtsTokenCount": 70,
            "totalTokenCount": 1320,
        }
    )

    assert usage.steps == (
        Step(
            MODEL,
            Quantities(
                input=440,
                cache_read=300,
                output=190,
                input_audio=210,
                cache_read_audio=100,
                output_audio=50,
                output_image=30,
            ),
        ),
    )
    assert usage.thinking == 70
    assert usage.reproducible


def test_zeros_are_left_out(reads) -> None:
    assert reads({"promptTokenCount": 7}).quantities == Quantities(7)


def test_detail_without_a_count_is_zero(reads) -> None:
    prompt = [{"modality": "AUDIO"}, *details(TEXT=10, VIDEO=258)]
    usage = reads({"promptTokenCount": 268, "promptTokensDetails": prompt})

    assert usage.quantities == Quantities(268)


def test_what_the_details_leave_is_text(reads) -> None:
    usage = reads(
        {
            "promptTokenCount": 17,
            "candidatesTokenCount": 1336,
            "candidatesTokensDetails": details(IMAGE=1290),
        }
    )

    assert usage.quantities == Quantities(17, output=46, output_image=1290)


@pytest.mark.parametrize("modality", ["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "NEW"])
def test_other_modalities_are_plain_input(reads, modality) -> None:
    prompt = details(**{modality: 9})

    assert reads(
        {"promptTokenCount": 9, "promptTokensDetails": prompt}
    ).quantities == Quantities(9)


@pytest.mark.parametrize(
    ("modality", "flags"),
    [("TEXT", ()), ("DOCUMENT", ()), ("video", ()), ("NEW", ("unknown_modality",))],
)
@pytest.mark.parametrize("name", ["promptTokensDetails", "cacheTokensDetails"])
def test_modality_that_is_new_is_flagged(reads, modality, flags, name) -> None:
    usage = {"promptTokenCount": 9, "cachedContentTokenCount": 9}

    assert reads({**usage, name: details(**{modality: 9})}).flags == flags


def test_modality_may_be_written_in_small_letters(reads) -> None:
    assert reads(
        {"promptTokenCount": 9, "promptTokensDetails": details(audio=9)}
    ).quantities == Quantities(input_audio=9)


def test_unknown_members_are_ignored(reads) -> None:
    assert reads({"promptTokenCount": 7, "newTokenCount": {"x": 1.5}}) == reads(
        {"promptTokenCount": 7}
    )


@given(st.lists(st.integers(0, 10**6), min_size=11, max_size=11))
def test_disjoint_parts_add_up_to_the_totals(shares) -> None:
    (
        text,
        sound,
        read,
        read_sound,
        tool,
        tool_sound,
        reply,
        spoken,
        drawn,
        thought,
        left,
    ) = shares
    prompt = text + sound + read + read_sound + left
    candidates = reply + spoken + drawn
    made = {
        "promptTokenCount": prompt,
        "promptTokensDetails": details(TEXT=text + read, AUDIO=sound + read_sound),
        "cachedContentTokenCount": read + read_sound,
        "cacheTokensDetails": details(AUDIO=read_sound),
        "toolUsePromptTokenCount": tool + tool_sound,
        "toolUsePromptTokensDetails": details(AUDIO=tool_sound, TEXT=tool),
        "candidatesTokenCount": candidates,
        "candidatesTokensDetails": details(IMAGE=drawn, AUDIO=spoken),
        "thoughtsTokenCount": thought,
        "totalTokenCount": prompt + tool + tool_sound + candidates + thought,
    }
    record = {**RECORD, "provider": "google", "model": MODEL, "usage": made}

    usage = gemini.read(posted.decode(msgspec.json.encode(record)))

    assert usage.quantities == Quantities(
        input=text + left + tool,
        cache_read=read,
        output=reply + thought,
        input_audio=sound + tool_sound,
        cache_read_audio=read_sound,
        output_audio=spoken,
        output_image=drawn,
    )
    assert sum(usage.quantities) == made["totalTokenCount"]


# --- Contradictions


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"cachedContentTokenCount": 101}, "/usage/cachedContentTokenCount"),
        (
            {"promptTokensDetails": details(TEXT=60, AUDIO=41)},
            "/usage/promptTokensDetails/1/tokenCount",
        ),
        (
            {"candidatesTokensDetails": details(IMAGE=51)},
            "/usage/candidatesTokensDetails/0/tokenCount",
        ),
        (
            {"cacheTokensDetails": details(AUDIO=1)},
            "/usage/cacheTokensDetails/0/tokenCount",
        ),
        (
            {"toolUsePromptTokensDetails": details(TEXT=1)},
            "/usage/toolUsePromptTokensDetails/0/tokenCount",
        ),
        (
            {"cachedContentTokenCount": 5, "cacheTokensDetails": details(AUDIO=5)},
            "/usage/cacheTokensDetails",
        ),
        # Some of the sound was cached, and nobody says how much.
        (
            {"cachedContentTokenCount": 60, "promptTokensDetails": details(AUDIO=60)},
            "/usage/promptTokensDetails",
        ),
        ({"totalTokenCount": 149}, "/usage/totalTokenCount"),
        ({"totalTokenCount": 151}, "/usage/totalTokenCount"),
        ({"totalTokenCount": 150, "thoughtsTokenCount": 1}, "/usage/totalTokenCount"),
        ({"totalTokenCount": 150, "toolUsePromptTokenCount": 1}, "/usage/totalTokenCount"),
    ],
)
def test_contradiction_is_refused(reads, why, changes, pointer) -> None:
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 50, **changes}

    assert why(reads, usage) == ("contradiction", pointer)


@pytest.mark.parametrize(
    ("usage", "code", "pointer"),
    [
        ({}, "missing_field", "/usage/promptTokenCount"),
        ({"candidatesTokenCount": 5}, "missing_field", "/usage/promptTokenCount"),
        ({"promptTokenCount": 1.0}, "wrong_type", "/usage/promptTokenCount"),
        ({"promptTokenCount": True}, "wrong_type", "/usage/promptTokenCount"),
        ({"promptTokenCount": -1}, "out_of_range", "/usage/promptTokenCount"),
        (
            {"promptTokenCount": 1, "promptTokensDetails": [{"tokenCount": -1}]},
            "out_of_range",
            "/usage/promptTokensDetails/0/tokenCount",
        ),
        (
            {"promptTokenCount": 1, "promptTokensDetails": {}},
            "wrong_type",
            "/usage/promptTokensDetails",
        ),
    ],
)
def test_what_is_malformed_has_a_pointer(reads, why, usage, code, pointer) -> None:
    assert why(reads, usage) == (code, pointer)


# --- Conditions


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({}, Processing.STANDARD),
        ({"trafficType": "ON_DEMAND"}, Processing.STANDARD),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, Processing.PRIORITY),
        ({"trafficType": "ON_DEMAND_FLEX"}, Processing.FLEX),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, Processing.STANDARD),
        ({"serviceTier": "standard"}, Processing.STANDARD),
        ({"serviceTier": "flex"}, Processing.FLEX),
        ({"serviceTier": "PRIORITY"}, Processing.PRIORITY),
        ({"serviceTier": "flex", "trafficType": "ON_DEMAND"}, Processing.FLEX),
        ({"serviceTier": "standard", "trafficType": "ON_DEMAND_FLEX"}, Processing.FLEX),
        ({"serviceTier": "flex", "trafficType": "ON_DEMAND_FLEX"}, Processing.FLEX),
    ],
)
def test_tier(reads, reported, expected) -> None:
    assert reads({"promptTokenCount": 7, **reported}).processing == expected


@pytest.mark.parametrize(
    ("reported", "declared", "pointer"),
    [
        (
            {"serviceTier": "flex", "trafficType": "ON_DEMAND_PRIORITY"},
            {},
            "/usage/serviceTier",
        ),
        ({"serviceTier": "flex"}, {"processing": "batch"}, "/usage/serviceTier"),
        (
            {"trafficType": "PROVISIONED_THROUGHPUT"},
            {"processing": "batch"},
            "/usage/trafficType",
        ),
    ],
)
def test_contradicting_tiers_are_refused(reads, why, reported, declared, pointer) -> None:
    usage = {"promptTokenCount": 7, **reported}

    assert why(reads, usage, **declared) == ("contradiction", pointer)


@pytest.mark.parametrize("geo", [None, "global", "us-central1", "eu"])
def test_location_does_not_change_the_price(reads, geo) -> None:
    usage = reads({"promptTokenCount": 7}, geo=geo)

    assert (usage.geo, usage.endpoint) == ("global", "global")


@pytest.mark.parametrize(
    "reported", [{}, {"trafficType": "ON_DEMAND"}, {"serviceTier": "standard"}]
)
def test_batch_is_declared(reads, reported) -> None:
    usage = reads({"promptTokenCount": 7, **reported}, processing="batch")

    assert usage.processing == Processing.BATCH


def test_known_members_give_the_same_usage_again(reads) -> None:
    made = {
        "promptTokenCount": 9,
        "promptTokensDetails": details(AUDIO=4),
        "x": "secret",
    }
    record = {**RECORD, "provider": "google", "usage": made}

    kept = gemini.known_members(posted.decode(msgspec.json.encode(record)))

    assert b"secret" not in kept
    assert reads(kept) == reads(made)
