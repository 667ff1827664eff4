import pytest

from billing.pricing.model_names import same_model, spellings


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
    ],
)
def test_known_endings_are_taken_off(name: str, expected: list[str]) -> None:
    assert list(spellings(name)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-5-5",
        "claude-opus-5-fast",
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
