from collections import Counter

import pytest

from billing.connectors import list_prices


@pytest.mark.parametrize(
    ("name", "family", "display_name", "context_window"),
    [
        ("claude-v1", "Claude 1", "Claude 1", None),
        ("claude-2", "Claude 2", "Claude 2.0 / 2.1", 200_000),
        ("claude-3-haiku", "Haiku", "Claude Haiku 3", 200_000),
        ("claude-3-sonnet", "Sonnet", "Claude Sonnet 3", 200_000),
        ("claude-opus-4", "Opus", "Claude Opus 4", 200_000),
        ("claude-opus-5-5", "Opus", "Claude Opus 5.5", 1_000_000),
        ("claude-fable-5-2", "Fable", "Claude Fable 5.2", 1_000_000),
        ("claude-mythos-preview", "Mythos", "Claude Mythos Preview", 1_000_000),
        ("claude-mythos-5-1", "Mythos", "Claude Mythos 5.1", 1_000_000),
    ],
)
def test_model_is_described(name, family, display_name, context_window) -> None:
    models = {model.name: model for model in list_prices.list_models("anthropic")}
    model = models[name]

    assert model.provider == "anthropic"
    assert (model.family, model.display_name) == (family, display_name)
    assert model.context_window == context_window


@pytest.mark.parametrize(
    ("alias", "model"),
    [
        ("claude-3-haiku-20240307", "claude-3-haiku"),
        ("claude-3-5-haiku-20241022", "claude-3-5-haiku"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
        ("claude-3-7-sonnet-latest", "claude-3-7-sonnet"),
        ("claude-3-opus-20240229", "claude-3-opus"),
        ("claude-3-sonnet-20240229", "claude-3-sonnet"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-sonnet-4-6[1m]", "claude-sonnet-4-6"),
        ("claude-opus-5", "claude-opus-5"),
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-opus-5.5", "claude-opus-5-5"),
        ("claude-fable-5", "claude-fable-5"),
        ("claude-fable-5-1", "claude-fable-5-1"),
        ("claude-opus-5-latest", "claude-opus-5"),
        ("claude-2.1", "claude-2"),
        ("anthropic/claude-opus-5", "claude-opus-5"),
    ],
)
def test_name_as_seen_finds_its_model(list_book, alias, model) -> None:
    assert list_book.model("anthropic", alias) == f"anthropic/{model}"


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-6",
        "claude-opus-5-6",
        "claude-opus",
        "claude-3-5",
        "claude-sonnet-4-7",
        "claude-sonnet-4-2025",
        "claude-fable-5-3",
        "gpt-5",
        "<synthetic>",
        "gateway/claude-opus-5",
    ],
)
def test_unknown_name_finds_nothing(list_book, name) -> None:
    assert list_book.model("anthropic", name) is None


@pytest.mark.parametrize(
    ("provider", "name", "family", "display_name", "context_window"),
    [
        ("openai", "gpt-5.6-sol", "GPT-5.6", "GPT-5.6 Sol", 1_050_000),
        ("openai", "gpt-4o", "GPT-4o", "gpt 4o", 128_000),
        ("openai", "o3-mini", "o3", "o3 Mini", 200_000),
        ("openai", "davinci-002", "davinci-002", "davinci-002", None),
        ("google", "gemini-2.5-flash", "Gemini 2.5", "Gemini 2.5 Flash", 1_048_576),
        ("google", "claude-opus-4-8", "Opus", "Claude Opus 4.8", 1_000_000),
        ("aws", "claude-haiku-4-5", "Haiku", "Claude Haiku 4.5", 200_000),
    ],
)
def test_model_of_another_provider_is_described(
    provider, name, family, display_name, context_window
) -> None:
    models = {model.name: model for model in list_prices.list_models(provider)}
    model = models[name]

    assert (model.family, model.display_name) == (family, display_name)
    assert model.context_window == context_window


@pytest.mark.parametrize(
    ("provider", "alias", "model"),
    [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "o4-mini-high", "o4-mini"),
        ("openai", "gpt-5.6", "gpt-5.6-sol"),
        ("openai", "gpt-4o-audio-preview-2024-12-17", "gpt-4o-audio-preview"),
        ("google", "gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
        ("google", "gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("google", "gemini-1.5-flash-8b", "gemini-flash-1.5-8b"),
        ("google", "gemini-1.5-flash", "gemini-1.5-flash"),
        ("google", "claude-opus-4-8", "claude-opus-4-8"),
        ("google", "claude-opus-4-8@default", "claude-opus-4-8"),
        ("google", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("google", "claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("aws", "claude-opus-5", "claude-opus-5"),
        ("aws", "anthropic.claude-opus-5", "claude-opus-5"),
        ("aws", "anthropic.claude-opus-5-5", "claude-opus-5-5"),
        ("aws", "anthropic.claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("aws", "anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("aws", "global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("aws", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
    ],
)
def test_name_at_another_provider_finds_its_model(
    list_book, provider, alias, model
) -> None:
    assert list_book.model(provider, alias) == f"{provider}/{model}"


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        # Priced by pictures that go in, by hours or by characters.
        ("openai", "gpt-image-2"),
        ("openai", "gpt-realtime"),
        ("openai", "whisper-1"),
        ("openai", "tts-1"),
        ("google", "gemini-3.8-live"),
        ("google", "gemini-embedding-2"),
        # No price is stated at all.
        ("openai", "omni-moderation"),
        ("google", "gemma-3"),
        # A fine-tuned model's own name.
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc"),
        ("openai", "ft:gpt-4o"),
        # Alike at the beginning.
        ("openai", "gpt-5.6-solar"),
        ("openai", "gpt-5-nano-special"),
        ("google", "gemini-2.5-pro-tts-2"),
        ("google", "gemini-1.5-flash-unknown"),
        # Its price is not known for sure.
        ("aws", "anthropic.claude-mythos-preview"),
        ("google", "claude-mythos-5"),
        # Another provider's name.
        ("openai", "claude-opus-5"),
        ("aws", "gpt-5"),
        ("azure", "gpt-5"),
    ],
)
def test_name_without_a_known_price_finds_nothing(list_book, provider, name) -> None:
    assert list_book.model(provider, name) is None


@pytest.mark.parametrize("provider", ["anthropic", "openai", "google", "aws"])
def test_own_name_comes_first_and_no_alias_twice(provider) -> None:
    models = list_prices.list_models(provider)
    names = [name for model in models for name in model.aliases]

    assert all(model.aliases[0] == model.name for model in models)
    assert Counter(names).most_common(1)[0][1] == 1
