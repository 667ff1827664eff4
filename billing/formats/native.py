"""Usage in the terms of the ledger: one count for each token class, none in two.

Unlike a provider's object it has no members that mean nothing to a price: one that is
no class is refused, since what it counts would never be billed.
"""

import msgspec

from billing.formats import strict
from billing.formats.conditions import one_call
from billing.formats.counts import Count, rest
from billing.formats.errors import RecordError
from billing.formats.posted import Record
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Usage


class Classes(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The whole object. `session` is milliseconds; `thinking` is a part of `output`."""

    input: Count = 0
    cache_write_5m: Count = 0
    cache_write_1h: Count = 0
    cache_read: Count = 0
    output: Count = 0
    web_search: Count = 0
    input_audio: Count = 0
    cache_read_audio: Count = 0
    output_audio: Count = 0
    output_image: Count = 0
    session: Count = 0
    thinking: Count = 0


_DECODER = msgspec.json.Decoder(Classes)


def read(record: Record) -> Usage:
    """Return the usage of a record in this format.

    Raises RecordError when a count is no whole number or out of range, for a member that
    is no token class, and when there is none at all.
    """
    payload = _payload(record)
    rest(payload.output, {"/usage/thinking": payload.thinking}, "output")
    quantities = Quantities(
        **{token_class: getattr(payload, token_class) for token_class in TokenClass}
    )
    return one_call(record, quantities, thinking=payload.thinking)


def known_members(record: Record) -> bytes:
    """Return the `usage` object as JSON."""
    return msgspec.json.encode(_payload(record))


def _payload(record: Record) -> Classes:
    written = bytes(record.usage)
    if not written[1:-1].strip():
        raise RecordError("missing_field", "/usage", "It counts no token class.")
    return strict.decode(_DECODER, written, "/usage")
