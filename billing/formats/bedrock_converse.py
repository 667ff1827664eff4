"""Usage as Bedrock's Converse API reports it.

The classes are exclusive, and the total counts all of them. `inputTokens` counts neither
what was read from the cache nor what was written to it.
"""

from typing import Annotated, Literal

import msgspec

from billing.formats import strict
from billing.formats.anthropic_iterations import INCOMPLETE_SPLIT
from billing.formats.conditions import one_call
from billing.formats.counts import Count, check_total
from billing.formats.errors import contradiction
from billing.formats.posted import Record
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Usage


class CacheDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Cache writes that live equally long. Another time to live would have no price."""

    inputTokens: Count | None = None
    ttl: Literal["5m", "1h"] | None = None


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole object, as far as a price depends on it."""

    inputTokens: Count | None
    outputTokens: Count | None
    totalTokens: Count | None = None
    cacheReadInputTokens: Count | None = None
    cacheWriteInputTokens: Count | None = None
    cacheDetails: Annotated[list[CacheDetail], msgspec.Meta(max_length=100)] | None = None


_DECODER = msgspec.json.Decoder(TokenUsage)


def read(record: Record) -> Usage:
    """Return the normalised usage of a record in this format.

    Raises RecordError when a count is missing, no whole number or out of range, when the
    split of the cache writes exceeds them, or when the total is not the sum.
    """
    payload = _payload(record)
    quantities, complete = _quantities(payload)
    check_total(
        payload.totalTokens,
        quantities.total_input + quantities.output,
        "/usage/totalTokens",
    )
    return one_call(record, quantities, flags=() if complete else (INCOMPLETE_SPLIT,))


def known_members(record: Record) -> bytes:
    """Return the `usage` object with the members of this format alone, as JSON."""
    return msgspec.json.encode(_payload(record))


def _payload(record: Record) -> TokenUsage:
    return strict.decode(_DECODER, bytes(record.usage), "/usage")


def _quantities(payload: TokenUsage) -> tuple[Quantities, bool]:
    """Return the classes, and whether the split covers all that was written.

    Without a split all of it lives 5 minutes; what a split leaves does too.
    """
    split = payload.cacheDetails or []
    told = sum(part.inputTokens or 0 for part in split)
    one_hour = sum(part.inputTokens or 0 for part in split if part.ttl == "1h")
    written = payload.cacheWriteInputTokens
    if written is None:
        written = told
    if told > written:
        raise contradiction(
            "/usage/cacheDetails", f"Its {told} tokens exceed the {written} written."
        )
    quantities = Quantities(
        input=payload.inputTokens or 0,
        cache_write_5m=written - one_hour,
        cache_write_1h=one_hour,
        cache_read=payload.cacheReadInputTokens or 0,
        output=payload.outputTokens or 0,
    )
    return quantities, not split or told == written
