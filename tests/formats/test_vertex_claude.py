import pytest

from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step

MODEL = "claude-opus-4-8@20260801"
USAGE = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 5}


@pytest.fixture
def vertex(reader):
    return reader(provider="google", model=MODEL, usage_format="vertex_claude")


def test_usage_is_anthropics_own(vertex) -> None:
    usage = vertex(USAGE, geo="us-east5")

    assert usage.steps == (Step(MODEL, Quantities(1, cache_read=5, output=2)),)
    assert (usage.geo, usage.endpoint) == ("global", "regional")


def test_another_provider_is_refused(vertex, why) -> None:
    assert why(vertex, USAGE, provider="anthropic") == ("contradiction", "/provider")
