"""Which module understands which usage format, and which format a record is in."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import NamedTuple

import msgspec

from billing.formats import (
    anthropic,
    bedrock_converse,
    bedrock_invoke,
    gemini,
    native,
    openai_chat,
    openai_responses,
    strict,
    vertex_claude,
)
from billing.formats.conditions import usage_of
from billing.formats.errors import RecordError
from billing.formats.posted import Record
from billing.formats.strict import shown
from billing.pricing.model_names import SYNTHETIC
from billing.pricing.token_classes import NOTHING, TokenClass
from billing.pricing.usage import Step, Usage


class Format(NamedTuple):
    """What a format can do with a record whose `usage` is written in it."""

    read: Callable[[Record], Usage]
    # The `usage` object without the members the format does not know.
    known_members: Callable[[Record], bytes]


FORMATS: Mapping[str, Format] = {
    "anthropic": Format(anthropic.read, anthropic.known_members),
    "bedrock_converse": Format(bedrock_converse.read, bedrock_converse.known_members),
    "bedrock_invoke": Format(bedrock_invoke.read, bedrock_invoke.known_members),
    "gemini": Format(gemini.read, gemini.known_members),
    "native": Format(native.read, native.known_members),
    "openai_chat": Format(openai_chat.read, openai_chat.known_members),
    "openai_responses": Format(openai_responses.read, openai_responses.known_members),
    "vertex_claude": Format(vertex_claude.read, vertex_claude.known_members),
}

# What a provider's own APIs return, for records that do not name their format. Where
# there are several the members tell them apart.
PROVIDER_FORMATS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("anthropic",),
    "aws": ("bedrock_converse", "bedrock_invoke"),
    "azure": ("openai_chat", "openai_responses", "anthropic"),
    "google": ("gemini", "vertex_claude"),
    "openai": ("openai_chat", "openai_responses"),
}

# For any other provider.
_ANY = (
    "anthropic",
    "bedrock_converse",
    "gemini",
    "native",
    "openai_chat",
    "openai_responses",
)


class _Shape(NamedTuple):
    """How a format is recognised by the members of its object.

    All of `needed` are there, and none of `foreign`, which belong to a format with the
    same names.
    """

    needed: frozenset[str]
    foreign: frozenset[str] = frozenset()


_MESSAGES = _Shape(
    frozenset({"input_tokens", "output_tokens"}),
    frozenset({"input_tokens_details", "total_tokens"}),
)
_SHAPES: Mapping[str, _Shape] = {
    "anthropic": _MESSAGES,
    "bedrock_converse": _Shape(frozenset({"inputTokens", "outputTokens"})),
    "bedrock_invoke": _MESSAGES,
    "gemini": _Shape(frozenset({"promptTokenCount"})),
    "openai_chat": _Shape(frozenset({"prompt_tokens", "completion_tokens"})),
    "openai_responses": _Shape(
        frozenset({"input_tokens", "output_tokens"}),
        frozenset(
            {
                "cache_creation",
                "cache_creation_input_tokens",
                "cache_read_input_tokens",
                "inference_geo",
                "iterations",
                "server_tool_use",
                "speed",
            }
        ),
    ),
    "vertex_claude": _MESSAGES,
}
_NATIVE = frozenset({*TokenClass, "thinking"})

# Why a message that a coding tool made up itself is not billed.
LOCAL_MESSAGE = "synthetic"

# The results of a batch's requests that carry no message, and so no usage.
_FAILED = frozenset({"errored", "canceled", "expired"})

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read(record: Record) -> Usage:
    """Return a record's normalised usage, by the format that `name_of` says.

    Raises RecordError: `unknown_usage_format`, or whatever the format finds wrong.
    """
    its_format = FORMATS[name_of(record)]
    if record.batch_result in _FAILED:
        return usage_of(
            record,
            (Step(record.model, NOTHING),),
            unbilled=f"batch_{record.batch_result}",
        )
    usage = its_format.read(record)
    if record.model == SYNTHETIC:
        return usage._replace(unbilled=LOCAL_MESSAGE)
    return usage


def verbatim(record: Record, usage: Usage) -> str | None:
    """Return the `usage` object as it has to be kept, or None if the columns suffice.

    It is JSON without the members its format does not know, safe for any column.
    """
    if usage.reproducible:
        return None
    return FORMATS[name_of(record)].known_members(record).decode()


def name_of(record: Record) -> str:
    """Return the name of a record's format: the one it names, or the one it is in.

    Of the formats of its provider (of all, for a provider that has none) it is the one
    whose members `usage` has. Raises RecordError `unknown_usage_format` when the record
    names no format, or its usage fits none or more than one; the error says what was
    seen.
    """
    named = record.usage_format
    if named is not None:
        if named not in FORMATS:
            raise _unknown(f"{shown(named)} is not one of {', '.join(FORMATS)}.")
        return named
    possible = PROVIDER_FORMATS.get(record.provider, _ANY)
    if len(possible) == 1 or record.batch_result in _FAILED:
        return possible[0]
    members = strict.decode(_MEMBERS, bytes(record.usage), "/usage").keys()
    fitting = [name for name in possible if _fits(name, members)]
    if len(fitting) != 1:
        raise _unknown(_ambiguity(record.provider, members, fitting))
    return fitting[0]


def only_fitting(members: Iterable[str]) -> str | None:
    """Return the one format that these members of a usage object fit, whoever's it is."""
    fitting = [name for name in _ANY if _fits(name, set(members))]
    return fitting[0] if len(fitting) == 1 else None


def _fits(name: str, members: Set[str]) -> bool:
    if name == "native":
        # Its own names alone, as it is read.
        return bool(members) and members <= _NATIVE
    shape = _SHAPES[name]
    return shape.needed <= members and not shape.foreign & members


def _ambiguity(provider: str, members: Set[str], fitting: Sequence[str]) -> str:
    seen = shown(", ".join(sorted(members)) or "no members")
    fits = " and ".join(fitting) if fitting else "no format that is known for it"
    return (
        f"The usage of provider {shown(provider)} has {seen}, which fits {fits}: name one "
        f"of {', '.join(FORMATS)}."
    )


def _unknown(detail: str) -> RecordError:
    return RecordError("unknown_usage_format", "/usage_format", detail)
