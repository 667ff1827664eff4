import pytest

from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step

MODEL = "us.anthropic.claude-opus-5-v1:0"


@pytest.fixture
def invoke(reader):
    return reader(provider="aws", model=MODEL, usage_format="bedrock_invoke")


def test_usage_is_anthropics_own(invoke) -> None:
    usage = invoke(
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_1h_input_tokens": 4},
            "cache_read_input_tokens": 5,
            "inference_geo": "not_available",
        }
    )

    assert usage.steps == (Step(MODEL, Quantities(1, 3, 4, 5, 2)),)
    assert usage.flags == ("cache_split_incomplete",)
    assert (usage.geo, usage.endpoint) == ("global", "regional")


def test_iteration_at_the_own_model_has_anthropics_name_for_it(invoke) -> None:
    entry = {"type": "message", "input_tokens": 3, "output_tokens": 4}
    usage = invoke(
        {
            "input_tokens": 0,
            "output_tokens": 0,
            "iterations": [{**entry, "model": "claude-opus-5"}],
        }
    )

    assert usage.steps == (Step(MODEL, Quantities(3, output=4)),)


def test_another_provider_is_refused(invoke, why) -> None:
    usage = {"input_tokens": 1, "output_tokens": 2}

    assert why(invoke, usage, provider="anthropic") == ("contradiction", "/provider")
