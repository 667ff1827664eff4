"""The disjoint classes a model call is counted in, and how much of each was used."""

from enum import StrEnum
from typing import NamedTuple


class TokenClass(StrEnum):
    """One bucket of usage. No token is in two of them; the order is that of columns."""

    INPUT = "input"  # uncached
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    CACHE_READ = "cache_read"
    OUTPUT = "output"  # reasoning included
    WEB_SEARCH = "web_search"  # a counted tool: requests, not tokens
    # What went in or came out as sound or picture, where that has a price of its own.
    INPUT_AUDIO = "input_audio"  # uncached
    CACHE_READ_AUDIO = "cache_read_audio"
    OUTPUT_AUDIO = "output_audio"
    OUTPUT_IMAGE = "output_image"
    SESSION = "session"  # milliseconds that a managed agent ran


# These cost the same in every processing, speed and geography.
TOOLS = frozenset({TokenClass.WEB_SEARCH, TokenClass.SESSION})

# What is neither text nor searched for: no size of a prompt says how much of it there is.
BESIDE_TEXT = (
    TokenClass.INPUT_AUDIO,
    TokenClass.CACHE_READ_AUDIO,
    TokenClass.OUTPUT_AUDIO,
    TokenClass.OUTPUT_IMAGE,
    TokenClass.SESSION,
)

_MILLION = 1_000_000
_THOUSAND = 1_000
_HOUR = 3_600_000

# A published price is for this many of the class.
UNITS: dict[TokenClass, int] = {
    TokenClass.INPUT: _MILLION,
    TokenClass.CACHE_WRITE_5M: _MILLION,
    TokenClass.CACHE_WRITE_1H: _MILLION,
    TokenClass.CACHE_READ: _MILLION,
    TokenClass.OUTPUT: _MILLION,
    TokenClass.WEB_SEARCH: _THOUSAND,
    TokenClass.INPUT_AUDIO: _MILLION,
    TokenClass.CACHE_READ_AUDIO: _MILLION,
    TokenClass.OUTPUT_AUDIO: _MILLION,
    TokenClass.OUTPUT_IMAGE: _MILLION,
    TokenClass.SESSION: _HOUR,
}


class Quantities(NamedTuple):
    """How much of each token class was used, in the order of `TokenClass`."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    web_search: int = 0
    input_audio: int = 0
    cache_read_audio: int = 0
    output_audio: int = 0
    output_image: int = 0
    session: int = 0

    @property
    def total_input(self) -> int:
        """Tokens that went in, cached or not: what a context tier is measured by."""
        return self[0] + self[1] + self[2] + self[3] + self[6] + self[7]

    @property
    def cached(self) -> int:
        """Tokens of text that were written to a cache or read from one."""
        return self[1] + self[2] + self[3]

    def plus(self, other: "Quantities") -> "Quantities":
        """Return the sum, class by class."""
        return Quantities(*(mine + its for mine, its in zip(self, other, strict=True)))


NOTHING = Quantities()
