"""The `usage` object of the Anthropic Messages API, as far as a price depends on it.

The classes are exclusive: `input_tokens` counts neither cache reads nor writes, and
thinking is a part of the output. Members that are not named here are ignored: new ones
appear without notice and mean nothing for the price until a person says so.
Source: the provider's SDK types and its pages on compaction, advisors and fallbacks.
"""

import re
from typing import Annotated, NamedTuple

import msgspec

from billing.formats.counts import Count
from billing.formats.errors import RecordError, contradiction
from billing.formats.posted import Name, Place
from billing.pricing.token_classes import Quantities

ACTIVE_SECONDS = "/usage/active_seconds"


class CacheCreation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Cache writes by how long they live."""

    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class ServerToolUse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counted tools. Failed searches are not in it, and fetching a page is free."""

    web_search_requests: Count | None = None


class InputDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """Members of a format whose input counts what was cached. This one's never does."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class OutputDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """Parts of the output, for information."""

    thinking_tokens: Count | None = None


class Counts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The counts of one model call. A null is 0."""

    # These two are always reported. Were they optional, the usage object of another
    # provider would be read as a call that used nothing.
    input_tokens: Count | None
    output_tokens: Count | None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation: CacheCreation | None = None


class Iteration(Counts, frozen=True, kw_only=True):
    """One model call of several that made the response."""

    type: Name | None = None
    model: Name | None = None


class MessageUsage(Counts, frozen=True, kw_only=True):
    """The whole object."""

    server_tool_use: ServerToolUse | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    # A tier or a speed that we do not know yet has no rate: unpriced, not refused.
    service_tier: Place | None = None
    speed: Place | None = None
    inference_geo: Place | None = None
    iterations: Annotated[list[Iteration], msgspec.Meta(max_length=1000)] | None = None

    # Seconds that a managed agent ran, as it was written: see `session`.
    active_seconds: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Writes(NamedTuple):
    """Tokens written to the cache; `complete` says that a split covered all of them."""

    five_minutes: int
    one_hour: int
    complete: bool = True


def cache_writes(counts: Counts, pointer: str) -> Writes:
    """Return the cache writes of the counts that stand at `pointer`.

    Old responses have no split: then all lives 5 minutes. Some have one that is smaller
    than the total: the rest counts as 5 minutes and the split as incomplete.
    Raises RecordError when the split exceeds the total.
    """
    return divided(
        counts.cache_creation_input_tokens,
        counts.cache_creation,
        f"{pointer}/cache_creation",
    )


def divided(total: int | None, split: CacheCreation | None, pointer: str) -> Writes:
    """Return a total of cache writes as the split that stands at `pointer` says.

    Raises RecordError when the split exceeds the total.
    """
    if split is None:
        return Writes(total or 0, 0)
    five_minutes = split.ephemeral_5m_input_tokens or 0
    one_hour = split.ephemeral_1h_input_tokens or 0
    rest = 0 if total is None else total - five_minutes - one_hour
    if rest < 0:
        raise contradiction(
            pointer,
            f"Its {five_minutes} + {one_hour} tokens exceed the {total} written.",
        )
    return Writes(five_minutes + rest, one_hour, complete=not rest)


def quantities(counts: Counts, writes: Writes) -> Quantities:
    """Return the counts of one call by token class, with its writes as divided."""
    return Quantities(
        counts.input_tokens or 0,
        writes.five_minutes,
        writes.one_hour,
        counts.cache_read_input_tokens or 0,
        counts.output_tokens or 0,
    )


# Read from the text: a binary fraction has no exact milliseconds.
_SECONDS = re.compile(rb"(?P<whole>0|[1-9]\d{0,8})(?:\.(?P<part>\d{1,3})0*)?", re.ASCII)


def session(payload: MessageUsage) -> int:
    """Return the milliseconds that a managed agent ran; 0 if there was none.

    Raises RecordError unless it is a number of seconds with at most three places.
    """
    if payload.active_seconds is msgspec.UNSET:
        return 0
    written = bytes(payload.active_seconds)
    if written == b"null":
        return 0
    seconds = _SECONDS.fullmatch(written)
    if seconds is None:
        raise _no_seconds(written)
    return int(seconds["whole"]) * 1000 + int((seconds["part"] or b"").ljust(3, b"0"))


def _no_seconds(written: bytes) -> RecordError:
    if not re.match(rb"-?\d", written):
        return RecordError("wrong_type", ACTIVE_SECONDS, "Expected `number`.")
    return RecordError(
        "out_of_range",
        ACTIVE_SECONDS,
        "Expected seconds from 0 to 999999999 with at most 3 decimal places.",
    )
