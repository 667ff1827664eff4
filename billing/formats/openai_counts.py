"""What the two usage objects of OpenAI have in common: details inside of totals.

The input counts what was read from the cache and written to it, and sound; the output
counts reasoning, sound, pictures and predictions, rejected ones included. OpenAI has one
kind of cache write, which stands in the class `cache_write_5m`.
"""

import msgspec

from billing.formats.conditions import Reported, batched, one_call
from billing.formats.counts import Count, check_total, rest
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
    read = _input(*inputs)
    written = _output(*outputs)
    check_total(
        totals.total_tokens, (inputs[1] or 0) + (outputs[1] or 0), "/usage/total_tokens"
    )
    details = outputs[2] or OutputDetails()
    return one_call(
        record,
        read.plus(written),
        _reported(record, totals.service_tier),
        thinking=details.reasoning_tokens or 0,
    )


def _input(name: str, total: int | None, details: InputDetails | None) -> Quantities:
    parts = details or InputDetails()
    at = f"/usage/{name}_details"
    cached, sound = parts.cached_tokens or 0, parts.audio_tokens or 0
    written = parts.cache_write_tokens or 0
    cached_parts = parts.cached_tokens_details or CachedDetails()
    cached_sound = cached_parts.audio_tokens or 0
    cached_at = f"{at}/cached_tokens_details/audio_tokens"
    fresh_sound = rest(sound, {cached_at: cached_sound}, "sound")
    modalities = {
        f"{at}/audio_tokens": sound,
        f"{at}/image_tokens": parts.image_tokens or 0,
        f"{at}/text_tokens": parts.text_tokens or 0,
    }
    rest(total or 0, modalities, "input")
    return Quantities(
        input=rest(
            total or 0,
            {
                f"{at}/cached_tokens": cached,
                f"{at}/cache_write_tokens": written,
                f"{at}/audio_tokens": fresh_sound,
            },
            "input",
        ),
        cache_write_5m=written,
        cache_read=rest(cached, {cached_at: cached_sound}, "cache reads"),
        input_audio=fresh_sound,
        cache_read_audio=cached_sound,
    )


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
