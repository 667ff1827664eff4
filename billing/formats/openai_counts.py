"""What the two usage objects of OpenAI have in common: details inside of totals.

The input counts what was read from the cache and written to it, and sound; the output
counts reasoning, sound, pictures and predictions, rejected ones included. OpenAI has one
kind of cache write, which stands in the class `cache_write_5m`. LiteLLM tells of any
provider in these objects: with a name of its own for cache writes, their split, and both
counts once more beside the totals.
"""

from collections.abc import Mapping

import msgspec

from billing.formats.anthropic_iterations import INCOMPLETE_SPLIT
from billing.formats.anthropic_payload import CacheCreation, Writes, divided
from billing.formats.conditions import Reported, batched, one_call
from billing.formats.counts import Count, check_total, rest
from billing.formats.errors import contradiction
from billing.formats.posted import Place, Record
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Speed, Usage

# No tier was paid for. A batch reports the same.
_NO_TIER = frozenset({"auto", "default"})


class CachedDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much of what was read from the cache was sound."""

    audio_tokens: Count | None = None


class InputDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """Parts of the input. Those that are read, written and sound have other prices."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_creation_tokens: Count | None = None  # the same
    cache_creation_token_details: CacheCreation | None = None
    audio_tokens: Count | None = None
    text_tokens: Count | None = None
    image_tokens: Count | None = None
    cached_tokens_details: CachedDetails | None = None


class OutputDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """Parts of the output. Reasoning and predictions cost what other output costs."""

    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    text_tokens: Count | None = None
    image_tokens: Count | None = None
    accepted_prediction_tokens: Count | None = None
    rejected_prediction_tokens: Count | None = None


class Totals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members that have one name in both objects."""

    total_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    service_tier: Place | None = None


def usage(
    record: Record,
    totals: Totals,
    *,
    inputs: tuple[str, int | None, InputDetails | None],
    outputs: tuple[str, int | None, OutputDetails | None],
) -> Usage:
    """Return the usage of a record whose `inputs` and `outputs` are given.

    Each is the name of its member, the count, and the details beside it.
    Raises RecordError when a part exceeds its total, or the total is not their sum.
    """
    name, total, parts = inputs
    read, complete = _input(f"/usage/{name}_details", total or 0, parts, totals)
    written = _output(*outputs)
    check_total(
        totals.total_tokens, (total or 0) + (outputs[1] or 0), "/usage/total_tokens"
    )
    details = outputs[2] or OutputDetails()
    return one_call(
        record,
        read.plus(written),
        _reported(record, totals.service_tier),
        thinking=details.reasoning_tokens or 0,
        flags=() if complete else (INCOMPLETE_SPLIT,),
    )


def _input(
    at: str, total: int, details: InputDetails | None, totals: Totals
) -> tuple[Quantities, bool]:
    """Return the classes of the input, and whether the split covers all cache writes."""
    parts = details or InputDetails()
    cached = _said_alike(
        {
            f"{at}/cached_tokens": parts.cached_tokens,
            "/usage/cache_read_input_tokens": totals.cache_read_input_tokens,
        }
    )
    writes = _writes(at, parts, totals)
    sound = parts.audio_tokens or 0
    cached_parts = parts.cached_tokens_details or CachedDetails()
    cached_sound = cached_parts.audio_tokens or 0
    cached_at = f"{at}/cached_tokens_details/audio_tokens"
    fresh_sound = rest(sound, {cached_at: cached_sound}, "sound")
    modalities = {
        f"{at}/audio_tokens": sound,
        f"{at}/image_tokens": parts.image_tokens or 0,
        f"{at}/text_tokens": parts.text_tokens or 0,
    }
    rest(total, modalities, "input")
    quantities = Quantities(
        input=rest(
            total,
            {
                f"{at}/cached_tokens": cached or 0,
                f"{at}/cache_write_tokens": writes.five_minutes + writes.one_hour,
                f"{at}/audio_tokens": fresh_sound,
            },
            "input",
        ),
        cache_write_5m=writes.five_minutes,
        cache_write_1h=writes.one_hour,
        cache_read=rest(cached or 0, {cached_at: cached_sound}, "cache reads"),
        input_audio=fresh_sound,
        cache_read_audio=cached_sound,
    )
    return quantities, writes.complete


def _writes(at: str, parts: InputDetails, totals: Totals) -> Writes:
    written = _said_alike(
        {
            f"{at}/cache_write_tokens": parts.cache_write_tokens,
            f"{at}/cache_creation_tokens": parts.cache_creation_tokens,
            "/usage/cache_creation_input_tokens": totals.cache_creation_input_tokens,
        }
    )
    split = parts.cache_creation_token_details
    return divided(written, split, f"{at}/cache_creation_token_details")


def _said_alike(counts: Mapping[str, int | None]) -> int | None:
    """Return a count that stands in several members, given by pointer; None if in none.

    Raises RecordError when two of them differ.
    """
    said = {pointer: count for pointer, count in counts.items() if count is not None}
    first = next(iter(said.values()), None)
    for pointer, count in said.items():
        if count != first:
            raise contradiction(pointer, f"It says {count}, another member says {first}.")
    return first


def _output(name: str, total: int | None, details: OutputDetails | None) -> Quantities:
    parts = details or OutputDetails()
    at = f"/usage/{name}_details"
    sound, pictures = parts.audio_tokens or 0, parts.image_tokens or 0
    predicted = {
        f"{at}/accepted_prediction_tokens": parts.accepted_prediction_tokens or 0,
        f"{at}/rejected_prediction_tokens": parts.rejected_prediction_tokens or 0,
    }
    rest(total or 0, predicted, "output")
    rest(total or 0, {f"{at}/reasoning_tokens": parts.reasoning_tokens or 0}, "output")
    priced_apart = {f"{at}/audio_tokens": sound, f"{at}/image_tokens": pictures}
    text = {f"{at}/text_tokens": parts.text_tokens or 0}
    rest(total or 0, priced_apart | text, "output")
    return Quantities(
        output=rest(total or 0, priced_apart, "output"),
        output_audio=sound,
        output_image=pictures,
    )


def _reported(record: Record, tier: str | None) -> Reported:
    if tier == Speed.FAST:
        return Reported(speed=tier)
    if tier not in _NO_TIER:
        return Reported(tier)
    return Reported(None if batched(record) else Processing.STANDARD)
