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
    models = {model.name: model for model in list_prices.list_models()}
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


def test_own_name_comes_first_and_no_alias_twice() -> None:
    names = [name for model in list_prices.list_models() for name in model.aliases]

    assert all(model.aliases[0] == model.name for model in list_prices.list_models())
    assert Counter(names).most_common(1)[0][1] == 1
