"""What a record, its usage and its model's name say of the conditions together."""

import pytest

USAGE = {"input": 1, "output": 1}
OPUS = "claude-opus-5"


@pytest.fixture
def native(reader):
    return reader(usage_format="native")


# --- Bedrock: the endpoint stands in the name


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("global.anthropic.claude-opus-5-v1:0", "global"),
        ("us.anthropic.claude-opus-5-v1:0", "regional"),
        ("eu.anthropic.claude-opus-5", "regional"),
        ("apac.anthropic.claude-opus-5", "regional"),
        ("au.anthropic.claude-opus-5", "regional"),
        ("jp.anthropic.claude-opus-5", "regional"),
        ("ca.anthropic.claude-opus-5", "regional"),
        ("sa.anthropic.claude-opus-5", "regional"),
        ("us-gov.anthropic.claude-opus-5", "us-gov"),
        ("anthropic.claude-opus-5-v1:0", "unstated"),
        (OPUS, "unstated"),
        ("bedrock/eu.anthropic.claude-opus-5", "regional"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-opus-5",
            "global",
        ),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5-v1:0",
            "unstated",
        ),
    ],
)
def test_bedrock_endpoint(native, name, endpoint) -> None:
    usage = native(USAGE, provider="aws", model=name)

    assert (usage.endpoint, usage.geo) == (endpoint, "global")
    assert usage.model == name


@pytest.mark.parametrize("endpoint", ["global", "regional"])
def test_record_says_what_the_name_does_not(native, endpoint) -> None:
    usage = native(
        USAGE, provider="aws", model="anthropic.claude-opus-5-v1:0", endpoint=endpoint
    )

    assert usage.endpoint == endpoint


def test_region_of_the_call_is_no_endpoint(native) -> None:
    usage = native(USAGE, provider="aws", model="anthropic.claude-opus-5", geo="us-east-1")

    assert (usage.endpoint, usage.geo) == ("unstated", "global")


def test_bedrock_name_of_another_provider_is_not_priced_as_its_own(native) -> None:
    regional = native(USAGE, model="us.anthropic.claude-opus-5-v1:0")
    unstated = native(USAGE, model="bedrock/claude-opus-5")

    assert (regional.endpoint, unstated.endpoint) == ("regional", "unstated")


# --- Vertex: the endpoint is the location


@pytest.mark.parametrize(
    ("geo", "endpoint"),
    [
        ("global", "global"),
        ("us-east5", "regional"),
        ("europe-west1", "regional"),
        ("us", "regional"),
        ("eu", "regional"),
        ("not_available", "unstated"),
        (None, "unstated"),
    ],
)
@pytest.mark.parametrize("name", ["claude-opus-5@20260801", "vertex_ai/claude-opus-5"])
def test_vertex_endpoint_of_a_claude_model(native, name, geo, endpoint) -> None:
    usage = native(USAGE, provider="google", model=name, geo=geo)

    assert (usage.endpoint, usage.geo) == (endpoint, "global")


def test_vertex_endpoint_can_be_declared(native) -> None:
    usage = native(USAGE, provider="google", model=OPUS, endpoint="regional")

    assert usage.endpoint == "regional"


def test_geo_that_usage_reports_on_a_cloud_is_kept(reader) -> None:
    # No list has a rate for it: a condition that is not understood is not dropped.
    reads = reader(provider="google", usage_format="vertex_claude", geo="global")
    usage = reads({"input_tokens": 1, "output_tokens": 1, "inference_geo": "us"})

    assert usage.geo == "us"


# --- Elsewhere


@pytest.mark.parametrize("provider", ["anthropic", "openai", "azure", "gateway"])
def test_endpoint_elsewhere_is_global_unless_declared(native, provider) -> None:
    assert native(USAGE, provider=provider).endpoint == "global"
    assert native(USAGE, provider=provider, endpoint="regional").endpoint == "regional"


# --- Names that say how the call was made


def test_batch_in_the_name(native) -> None:
    name = "anthropic/claude-opus-5.5:batch"

    assert native(USAGE, model=name).processing == "batch"
    assert native(USAGE, model=name, processing="batch").processing == "batch"


def test_fast_in_the_name(reader, native) -> None:
    name = "claude-opus-5-fast"
    messages = reader(model=name)

    assert native(USAGE, model=name).speed == "fast"
    assert native(USAGE, model="grok-4-fast", provider="xai").speed == "standard"
    # What was asked for is not always what ran.
    reported = {"input_tokens": 1, "output_tokens": 1, "speed": "standard"}
    assert messages(reported).speed == "standard"


# --- Contradictions


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        (
            {
                "provider": "aws",
                "model": "eu.anthropic.claude-opus-5",
                "endpoint": "global",
            },
            "/endpoint",
        ),
        (
            {
                "provider": "aws",
                "model": "us-gov.anthropic.claude-opus-5",
                "endpoint": "regional",
            },
            "/endpoint",
        ),
        ({"provider": "google", "geo": "us", "endpoint": "global"}, "/endpoint"),
        ({"model": "claude-opus-5:batch", "processing": "standard"}, "/processing"),
        ({"model": "claude-opus-5-fast", "speed": "standard"}, "/speed"),
        ({"product": "managed_agents_api", "processing": "batch"}, "/product"),
        ({"product": "managed_agents_api", "batch_result": "succeeded"}, "/product"),
        ({"product": "managed_agents_api", "model": "claude-opus-5:batch"}, "/product"),
    ],
)
def test_contradiction_is_refused(native, why, changes, pointer) -> None:
    assert why(native, USAGE, **changes) == ("contradiction", pointer)
