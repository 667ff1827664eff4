"""Usage as the responses API of OpenAI reports it."""

import msgspec

from billing.formats import openai_counts, strict
from billing.formats.counts import Count
from billing.formats.openai_counts import InputDetails, OutputDetails, Totals
from billing.formats.posted import Record
from billing.pricing.usage import Usage


class ResponsesUsage(Totals, frozen=True, kw_only=True):
    """The whole object, as far as a price depends on it."""

    input_tokens: Count | None
    output_tokens: Count | None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


_DECODER = msgspec.json.Decoder(ResponsesUsage)


def read(record: Record) -> Usage:
    """Return the normalised usage of a record in this format.

    Raises RecordError when a count is missing, no whole number or out of range, or when
    parts exceed their total.
    """
    payload = _payload(record)
    return openai_counts.usage(
        record,
        payload,
        inputs=("input_tokens", payload.input_tokens, payload.input_tokens_details),
        outputs=("output_tokens", payload.output_tokens, payload.output_tokens_details),
    )


def known_members(record: Record) -> bytes:
    """Return the `usage` object with the members of this format alone, as JSON."""
    return msgspec.json.encode(_payload(record))


def _payload(record: Record) -> ResponsesUsage:
    return strict.decode(_DECODER, bytes(record.usage), "/usage")
