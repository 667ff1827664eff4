"""How many tokens a text is, by its words or characters: a range, never a number alone.

What the provider publishes is about English prose. Older Claude models: a token is about
4 characters or 0.75 words (pricing page), 3.5 characters (glossary); so a word with its
space is 5⅓ characters, and 1,000 words are 1,333 tokens, or up to 1,524. Claude Opus 4.7
and every model after it have another tokenizer: 1M tokens hold 555,000 words instead of
750,000 (overview of models), so 1,000 words are 1,800 tokens, and what was counted on an
older model is about 30 % more. The low end of prose is a tenth below what is published:
our allowance for short, plain words.

Of other texts the provider publishes nothing. Users have measured, beside prose of the
same length: Python 1.3 to 1.4 times as many tokens, JSON 1.6 to 1.7, HTML 1.8; beside the
same text in English: French, Spanish, German 1.1 to 1.2 times, Chinese and Japanese 2.1 to
2.4, Korean 2.6 to 2.8. That text is shorter there: in Chinese it has about a third of the
characters, in Japanese two fifths, in Korean half of them and three fifths of the words.
So beside prose of as many characters it has up to 7 times the tokens, of as many words up
to 4.5 times. The ranges below hold those, and are ours. Counting the text itself
(`connectors/count_tokens.py`), or a sample of real calls, is better than any of this.
"""

from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from billing.pricing.model_names import spellings


class Tokenizer(StrEnum):
    """Models that cut a text into the same tokens."""

    CLAUDE_BEFORE_OPUS_4_7 = "claude_before_opus_4_7"
    CLAUDE_FROM_OPUS_4_7 = "claude_from_opus_4_7"
    UNKNOWN = "unknown"  # no figure of it is known: the range reaches over all others


class Unit(StrEnum):
    WORDS = "words"
    CHARACTERS = "characters"


class Kind(StrEnum):
    PROSE = "prose"  # English
    CODE = "code"
    NOT_ENGLISH = "not_english"
    STRUCTURED = "structured"  # JSON, tables, markup


class Range(NamedTuple):
    """A count of tokens: the least, the likely, the most."""

    low: int
    mid: int
    high: int


class Times(NamedTuple):
    """How many times as many: the least, the likely, the most."""

    low: Fraction
    mid: Fraction
    high: Fraction

    @property
    def is_certain(self) -> bool:
        return self.low == self.high


# The models of a tokenizer, by the name without its provider. One that stands in neither
# list is of an unknown one: a new model is added here when its provider has said so.
_OLDER = frozenset(
    {
        *("claude-v1", "claude-2", "claude-3-haiku", "claude-3-sonnet", "claude-3-opus"),
        *("claude-3-5-haiku", "claude-3-5-sonnet", "claude-3-7-sonnet"),
        *("claude-haiku-4-5", "claude-sonnet-4", "claude-sonnet-4-5", "claude-sonnet-4-6"),
        *("claude-opus-4", "claude-opus-4-1", "claude-opus-4-5", "claude-opus-4-6"),
    }
)
_NEWER = frozenset(
    {
        *("claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-opus-5-5"),
        *("claude-sonnet-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
        *("claude-fable-5", "claude-fable-5-1", "claude-fable-5-2"),
        *("claude-mythos-5", "claude-mythos-5-1", "claude-mythos-5-2"),
    }
)

# Of 1,000 words of English prose.
_PROSE: dict[Tokenizer, Range] = {
    Tokenizer.CLAUDE_BEFORE_OPUS_4_7: Range(1_200, 1_333, 1_524),
    Tokenizer.CLAUDE_FROM_OPUS_4_7: Range(1_620, 1_800, 2_057),
    # Others publish 0.75 words to a token too.
    Tokenizer.UNKNOWN: Range(1_200, 1_333, 2_057),
}
_WORDS_OF_A_CHARACTER = Fraction(3, 16)

# So many times the tokens of English prose of the same length.
_BESIDE_PROSE: dict[Kind, Times] = {
    Kind.PROSE: Times(Fraction(1), Fraction(1), Fraction(1)),
    Kind.CODE: Times(Fraction(11, 10), Fraction(27, 20), Fraction(17, 10)),
    Kind.NOT_ENGLISH: Times(Fraction(11, 10), Fraction(3, 2), Fraction(4)),
    Kind.STRUCTURED: Times(Fraction(13, 10), Fraction(33, 20), Fraction(21, 10)),
}
# Of as many characters: one of Chinese says as much as three of English.
_BESIDE_CHARACTERS: dict[Kind, Times] = {
    **_BESIDE_PROSE,
    Kind.NOT_ENGLISH: Times(Fraction(11, 10), Fraction(3, 2), Fraction(7)),
}

# So many tokens of the one tokenizer are one of the other: of Claude's two, each way.
_TO_NEWER = Times(Fraction(6, 5), Fraction(27, 20), Fraction(3, 2))
_TO_OLDER = Times(Fraction(2, 3), Fraction(20, 27), Fraction(5, 6))
_TO_UNKNOWN = Times(Fraction(2, 3), Fraction(1), Fraction(3, 2))
SAME = Times(Fraction(1), Fraction(1), Fraction(1))


def tokenizer_of(model: str) -> Tokenizer:
    """Return the tokenizer of a model, by any name that it is seen under."""
    for name in spellings(model.rpartition("/")[2]):
        if name in _OLDER:
            return Tokenizer.CLAUDE_BEFORE_OPUS_4_7
        if name in _NEWER:
            return Tokenizer.CLAUDE_FROM_OPUS_4_7
    return Tokenizer.UNKNOWN


def factor(model: str, to: str) -> Times:
    """Return how many tokens of another model one token of a model is, of the same text.

    From Claude before Opus 4.7 to Claude since then 1.35 by the words that are published
    for both, about 1.3 by what is said of the change; the range is ours. Where a tokenizer
    is not known the range reaches from there to its reverse.
    """
    before, after = tokenizer_of(model), tokenizer_of(to)
    if _name(model) == _name(to) or (before is after and before is not Tokenizer.UNKNOWN):
        return SAME
    if Tokenizer.UNKNOWN in (before, after):
        return _TO_UNKNOWN
    return _TO_NEWER if after is Tokenizer.CLAUDE_FROM_OPUS_4_7 else _TO_OLDER


def _name(model: str) -> str:
    return model.rpartition("/")[2]


def tokens(count: int, unit: Unit, kind: Kind, tokenizer: Tokenizer) -> Range:
    """Return how many tokens so many words or characters are."""
    words, beside = Fraction(count, 1_000), _BESIDE_PROSE[kind]
    if unit is Unit.CHARACTERS:
        words, beside = words * _WORDS_OF_A_CHARACTER, _BESIDE_CHARACTERS[kind]
    ends = zip(_PROSE[tokenizer], beside, strict=True)
    return Range(*(round(words * prose * times) for prose, times in ends))
