import pytest

from billing.pricing.model_names import Marks, marks, same_model, spellings
from billing.pricing.rates import RateBook


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-opus-5", ["claude-opus-5"]),
        ("claude-opus-5-20260801", ["claude-opus-5-20260801", "claude-opus-5"]),
        ("claude-opus-5@20260801", ["claude-opus-5@20260801", "claude-opus-5"]),
        ("claude-opus-5@default", ["claude-opus-5@default", "claude-opus-5"]),
        ("claude-opus-5-latest", ["claude-opus-5-latest", "claude-opus-5"]),
        ("claude-sonnet-4-6[1m]", ["claude-sonnet-4-6[1m]", "claude-sonnet-4-6"]),
        (
            "claude-sonnet-4-5-20250929[1m]",
            [
                "claude-sonnet-4-5-20250929[1m]",
                "claude-sonnet-4-5-20250929",
                "claude-sonnet-4-5",
            ],
        ),
        ("gpt-5-2025-08-07", ["gpt-5-2025-08-07", "gpt-5"]),
        ("claude-opus-5:batch", ["claude-opus-5:batch", "claude-opus-5"]),
        ("claude-opus-5-fast", ["claude-opus-5-fast", "claude-opus-5"]),
        (
            "openrouter/anthropic/claude-opus-5.5:batch",
            [
                "openrouter/anthropic/claude-opus-5.5:batch",
                "claude-opus-5.5:batch",
                "claude-opus-5.5",
            ],
        ),
        (
            "us.anthropic.claude-opus-5-20260801-v1:0",
            [
                "us.anthropic.claude-opus-5-20260801-v1:0",
                "anthropic.claude-opus-5-20260801-v1:0",
                "anthropic.claude-opus-5-20260801",
                "anthropic.claude-opus-5",
                "claude-opus-5-20260801",
                "claude-opus-5",
            ],
        ),
    ],
)
def test_known_endings_are_taken_off(name: str, expected: list[str]) -> None:
    assert list(spellings(name)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-5-5",
        "claude-opus-5-faster",
        "grok-4-fast",
        "claude-opus-5-v1:0",
        "claude-opus-5:batched",
        "my/claude-opus-5",
        "anthropic/",
        "anthropic.",
        "eu-claude.opus-5",
        "mars.anthropic.claude-opus-5",
        "gpt-5-2025-13-07",
        "gpt-5-2025-0807",
        "claude-opus-5-2026",
        "claude-opus-5-20261301",
        "claude-opus-5-20260832",
        "claude-opus-5-19991231",
        "claude-opus-5-20260801-v1:0",
        "claude-opus-5-20260801\n",
        "claude-opus-5-20２６0801",
        "claude-opus-5[2m]",
        "claude-opus-5 ",
        "Claude-Opus-5",
    ],
)
def test_any_other_ending_is_part_of_the_name(name: str) -> None:
    assert list(spellings(name)) == [name]


def test_only_one_version_is_taken_off() -> None:
    assert list(spellings("claude-opus-5-latest-latest"))[-1] == "claude-opus-5-latest"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("claude-opus-5", "claude-opus-5", True),
        ("claude-opus-5-20260801", "claude-opus-5", True),
        ("claude-opus-5[1m]", "claude-opus-5-latest", True),
        ("claude-opus-5", "claude-opus-5-5", False),
        ("claude-fable-5", "claude-fable-5-1", False),
    ],
)
def test_same_model(one: str, other: str, same: bool) -> None:
    assert same_model(one, other) is same
    assert same_model(other, one) is same


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-5-5",
        "claude-opus-5-5-20260801",
        "claude-opus-5-5-latest",
        "claude-opus-5-5@20260801",
        "claude-opus-5-5@default",
        "claude-opus-5-5[1m]",
        "claude-opus-5-5:batch",
        "claude-opus-5-5-fast",
        "anthropic.claude-opus-5-5-v1:0",
        "anthropic.claude-opus-5-5-v1",
        "global.anthropic.claude-opus-5-5",
        "us-gov.anthropic.claude-opus-5-5-20260801-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5-5-v1:0",
        "bedrock/us.anthropic.claude-opus-5-5-v1:0",
        "bedrock/converse/us.anthropic.claude-opus-5-5-v1:0",
        "bedrock/arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-opus-5-5",
        "vertex_ai/claude-opus-5-5@20260801",
        "azure_ai/claude-opus-5-5",
        "anthropic/claude-opus-5-5",
        "openrouter/anthropic/claude-opus-5-5",
    ],
)
def test_every_way_to_write_a_name_finds_its_model_and_no_other(name: str) -> None:
    # The shorter name is an alias too, of a model that costs more.
    aliases = {("any", short): short for short in ("claude-opus-5", "claude-opus-5-5")}

    assert RateBook([], aliases).model("any", name) == "claude-opus-5-5"
    assert name.replace("-5-5", "-5-6") == name or (
        RateBook([], aliases).model("any", name.replace("-5-5", "-5-6")) is None
    )


def test_exact_name_stands_before_its_shorter_forms() -> None:
    aliases = {
        ("openai", "gpt-4o"): "openai/gpt-4o",
        ("openai", "gpt-4o-2024-05-13"): "openai/gpt-4o-first",
    }
    book = RateBook([], aliases)

    assert book.model("openai", "gpt-4o-2024-05-13") == "openai/gpt-4o-first"
    assert book.model("openai", "gpt-4o-2024-08-06") == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-5", Marks()),
        ("claude-opus-5", Marks(claude=True)),
        ("claude-opus-5[1m]", Marks(claude=True)),
        ("claude-opus-5-fast", Marks(fast=True, claude=True)),
        ("anthropic/claude-opus-5.5:batch", Marks(batch=True, claude=True)),
        ("openai/gpt-5:batch", Marks(batch=True)),
        ("grok-4-fast", Marks()),
        ("vertex_ai/claude-opus-5", Marks(vertex=True, claude=True)),
        ("vertex_ai/gemini-2.5-pro", Marks(vertex=True)),
        ("anthropic.claude-opus-5-v1:0", Marks(bedrock=True, claude=True)),
        (
            "global.anthropic.claude-opus-5",
            Marks(bedrock=True, profile="global", claude=True),
        ),
        ("eu.amazon.nova-pro-v1:0", Marks(bedrock=True, profile="eu")),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/jp.anthropic.claude-opus-5",
            Marks(bedrock=True, profile="jp", claude=True),
        ),
        (
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-opus-5",
            Marks(bedrock=True, profile="us-gov", claude=True),
        ),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2c3",
            Marks(bedrock=True),
        ),
        ("bedrock/my-deployment", Marks(bedrock=True)),
        ("gpt-5.anthropic", Marks()),
    ],
)
def test_what_a_name_says_of_the_call(name: str, expected: Marks) -> None:
    assert marks(name) == expected
