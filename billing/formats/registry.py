"""Which module understands which usage format."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from billing.formats import anthropic
from billing.formats.errors import RecordError
from billing.formats.posted import Record
from billing.formats.strict import shown
from billing.pricing.usage import Usage


class Format(NamedTuple):
    """What a format can do with a record whose `usage` is written in it."""

    read: Callable[[Record], Usage]
    # The `usage` object without the members the format does not know.
    known_members: Callable[[Record], bytes]


FORMATS: Mapping[str, Format] = {
    "anthropic": Format(anthropic.read, anthropic.known_members),
}

# What a provider's own API returns, for records that do not name their format.
DEFAULT_FORMAT: Mapping[str, str] = {"anthropic": "anthropic"}


def read(record: Record) -> Usage:
    """Return a record's normalised usage, by the format it names or its provider's.

    Raises RecordError: `unknown_usage_format`, or whatever the format finds wrong.
    """
    return _format(record).read(record)


def verbatim(record: Record, usage: Usage) -> str | None:
    """Return the `usage` object as it has to be kept, or None if the columns suffice.

    It is JSON without the members its format does not know, safe for any column.
    """
    if usage.reproducible:
        return None
    return _format(record).known_members(record).decode()


def _format(record: Record) -> Format:
    name = record.usage_format or DEFAULT_FORMAT.get(record.provider)
    if name is None:
        raise RecordError(
            "unknown_usage_format",
            "/usage_format",
            f"Provider {shown(record.provider)} has no default format: name one of "
            f"{', '.join(FORMATS)}.",
        )
    if name not in FORMATS:
        raise RecordError(
            "unknown_usage_format",
            "/usage_format",
            f"{shown(name)} is not one of {', '.join(FORMATS)}.",
        )
    return FORMATS[name]
