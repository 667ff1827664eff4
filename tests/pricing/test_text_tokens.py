"""Words and characters in tokens: the published figures, and which way round they go."""

from fractions import Fraction
from itertools import pairwise, product

import pytest

from billing.connectors import list_prices
from billing.pricing import text_tokens
from billing.pricing.text_tokens import Kind, Range, Tokenizer, Unit

OLDER, NEWER = Tokenizer.CLAUDE_BEFORE_OPUS_4_7, Tokenizer.CLAUDE_FROM_OPUS_4_7
# Not said of it which tokenizer it has.
UNSAID = {"claude-mythos-preview"}


def of_words(tokenizer: Tokenizer, kind: Kind = Kind.PROSE) -> Range:
    return text_tokens.tokens(1_000, Unit.WORDS, kind, tokenizer)


@pytest.mark.parametrize(("tokenizer", "expected"), [(OLDER, 1_333), (NEWER, 1_800)])
def test_a_thousand_words_are_more_than_a_thousand_tokens(
    tokenizer: Tokenizer, expected: int
):
    assert of_words(tokenizer).mid == expected


def test_a_thousand_characters_are_about_a_quarter_as_many_tokens():
    its = text_tokens.tokens(1_000, Unit.CHARACTERS, Kind.PROSE, OLDER)

    # 4 characters to a token, and 3.5.
    assert its == Range(225, 250, 286)


def test_the_range_of_prose_holds_what_is_published_otherwise():
    newer, older = of_words(NEWER), of_words(OLDER)

    assert newer.low <= older.mid * 13 // 10 <= newer.high


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        (Kind.CODE, (129, 136)),
        (Kind.STRUCTURED, (158, 184)),
        (Kind.NOT_ENGLISH, (113, 280)),
    ],
)
def test_ranges_hold_what_users_measured_beside_prose(kind: Kind, times: tuple[int, int]):
    """In percent of the tokens of prose."""
    least, most = times
    its, prose = of_words(OLDER, kind), of_words(OLDER)

    assert its.low * 100 <= prose.mid * least
    assert its.high * 100 >= prose.mid * most


@pytest.mark.parametrize(
    ("unit", "times", "length"),
    [
        (Unit.CHARACTERS, 240, 33),  # Chinese
        (Unit.CHARACTERS, 240, 40),  # Japanese
        (Unit.CHARACTERS, 280, 50),  # Korean
        (Unit.WORDS, 280, 62),  # Korean
    ],
)
def test_the_range_holds_languages_that_say_more_in_less(
    unit: Unit, times: int, length: int
):
    """In percent of the tokens, and of the length, of the same text in English."""
    english = text_tokens.tokens(100_000, unit, Kind.PROSE, OLDER)
    its = text_tokens.tokens(length * 1_000, unit, Kind.NOT_ENGLISH, OLDER)

    assert its.low * 100 <= english.mid * times <= its.high * 100


def test_an_unknown_tokenizer_reaches_over_all_that_are_known():
    unknown = of_words(Tokenizer.UNKNOWN)

    assert unknown.low <= of_words(OLDER).low
    assert unknown.high >= of_words(NEWER).high


@pytest.mark.parametrize(
    ("kind", "tokenizer", "unit"), list(product(Kind, Tokenizer, Unit))
)
def test_a_range_is_in_order(kind: Kind, tokenizer: Tokenizer, unit: Unit):
    its = text_tokens.tokens(123_456, unit, kind, tokenizer)

    assert all(one < other for one, other in pairwise(its))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("anthropic/claude-opus-4-6", OLDER),
        ("anthropic/claude-opus-4-7", NEWER),
        ("claude-sonnet-4-5-20250929", OLDER),
        ("us.anthropic.claude-opus-5-5-v1:0", NEWER),
        ("openai/gpt-5", Tokenizer.UNKNOWN),
        ("claude-opus-9", Tokenizer.UNKNOWN),
    ],
)
def test_tokenizer_is_found_by_any_name_of_the_model(model: str, expected: Tokenizer):
    assert text_tokens.tokenizer_of(model) is expected


def test_every_claude_model_with_a_list_price_has_its_tokenizer():
    names = {model.name for model in list_prices.list_models() if "claude" in model.name}

    unknown = {
        name for name in names if text_tokens.tokenizer_of(name) is Tokenizer.UNKNOWN
    }

    assert unknown == UNSAID


def test_nothing_is_no_token():
    assert text_tokens.tokens(0, Unit.WORDS, Kind.CODE, NEWER) == Range(0, 0, 0)


@pytest.mark.parametrize(
    ("model", "to", "low", "mid", "high"),
    [
        ("claude-opus-4-6", "claude-opus-5-5", "1.2", "1.35", "1.5"),
        ("anthropic/claude-sonnet-4-5", "aws/claude-opus-4-5", "1", "1", "1"),
        ("claude-opus-5", "claude-haiku-5-5", "1", "1", "1"),
        ("openai/gpt-5", "azure/gpt-5", "1", "1", "1"),
        ("openai/gpt-5", "openai/gpt-5-mini", "2/3", "1", "1.5"),
        ("claude-opus-5-5", "openai/gpt-5", "2/3", "1", "1.5"),
    ],
)
def test_another_tokenizer_makes_more_or_fewer_tokens(
    model: str, to: str, low: str, mid: str, high: str
):
    expected = (Fraction(low), Fraction(mid), Fraction(high))
    assert text_tokens.factor(model, to) == expected


def test_there_and_back_is_the_same_number_of_tokens():
    older, newer = "claude-opus-4-6", "claude-opus-5-5"
    there, back = text_tokens.factor(older, newer), text_tokens.factor(newer, older)
    assert [one * other for one, other in zip(there, reversed(back), strict=True)] == [
        1
    ] * 3
