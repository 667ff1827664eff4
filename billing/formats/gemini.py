"""Usage as Gemini reports it: `usageMetadata` of the Gemini API and of Vertex.

The prompt counts what was read from the cache. What tools put into the prompt comes on
top of it, and thoughts on top of the candidates. Zeros are left out. The details divide
a count by modality, often not all of it: what they leave is text.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from billing.formats import strict
from billing.formats.conditions import Reported, batched, one_call
from billing.formats.counts import Count, check_total, rest
from billing.formats.errors import contradiction
from billing.formats.posted import Place, Record
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Usage


class Modality(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much of a count is of one kind. Without a count it is none."""

    modality: Place | None = None
    tokenCount: Count | None = None


Modalities = Annotated[list[Modality], msgspec.Meta(max_length=100)] | None


class UsageMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole object, as far as a price depends on it."""

    # Always reported. Were it optional, the usage object of another provider would be
    # read as a call that used nothing.
    promptTokenCount: Count | None
    cachedContentTokenCount: Count | None = None
    toolUsePromptTokenCount: Count | None = None
    candidatesTokenCount: Count | None = None
    thoughtsTokenCount: Count | None = None
    totalTokenCount: Count | None = None
    promptTokensDetails: Modalities = None
    cacheTokensDetails: Modalities = None
    toolUsePromptTokensDetails: Modalities = None
    candidatesTokensDetails: Modalities = None
    trafficType: Place | None = None
    serviceTier: Place | None = None


_DECODER = msgspec.json.Decoder(UsageMetadata)

_TRAFFIC = {
    "ON_DEMAND": Processing.STANDARD,
    "ON_DEMAND_PRIORITY": Processing.PRIORITY,
    "ON_DEMAND_FLEX": Processing.FLEX,
}
# What modalities there are. One that is not among them is billed as text, and flagged.
_MODALITIES = frozenset(
    {"MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"}
)
UNKNOWN_MODALITY = "unknown_modality"

_UNSPECIFIED = frozenset({"traffic_type_unspecified", "unspecified"})


def read(record: Record) -> Usage:
    """Return the normalised usage of a record in this format.

    Raises RecordError when the prompt's count is missing, a count is no whole number or
    out of range, when parts exceed their total or the total is not their sum.
    """
    payload = _payload(record)
    quantities = _input(payload).plus(_output(payload))
    _check_total(payload)
    return one_call(
        record,
        quantities,
        _reported(record, payload),
        thinking=payload.thoughtsTokenCount or 0,
        flags=() if _modalities(payload) <= _MODALITIES else (UNKNOWN_MODALITY,),
    )


def known_members(record: Record) -> bytes:
    """Return the `usage` object with the members of this format alone, as JSON."""
    return msgspec.json.encode(_payload(record))


def _payload(record: Record) -> UsageMetadata:
    return strict.decode(_DECODER, bytes(record.usage), "/usage")


def _input(payload: UsageMetadata) -> Quantities:
    prompt = payload.promptTokenCount or 0
    cached = payload.cachedContentTokenCount or 0
    tools = payload.toolUsePromptTokenCount or 0
    sound = _of("AUDIO", payload.promptTokensDetails, prompt, "promptTokensDetails")
    cached_sound = _of("AUDIO", payload.cacheTokensDetails, cached, "cacheTokensDetails")
    tool_sound = _of(
        "AUDIO", payload.toolUsePromptTokensDetails, tools, "toolUsePromptTokensDetails"
    )
    fresh_sound = rest(
        sound, {"/usage/cacheTokensDetails": cached_sound}, "sound in the prompt"
    )
    text = rest(
        prompt,
        {
            "/usage/cachedContentTokenCount": cached,
            "/usage/promptTokensDetails": fresh_sound,
        },
        "the prompt",
    )
    return Quantities(
        input=text + tools - tool_sound,
        cache_read=cached - cached_sound,
        input_audio=fresh_sound + tool_sound,
        cache_read_audio=cached_sound,
    )


def _output(payload: UsageMetadata) -> Quantities:
    candidates, details = payload.candidatesTokenCount or 0, payload.candidatesTokensDetails
    sound = _of("AUDIO", details, candidates, "candidatesTokensDetails")
    pictures = _of("IMAGE", details, candidates, "candidatesTokensDetails")
    return Quantities(
        output=candidates - sound - pictures + (payload.thoughtsTokenCount or 0),
        output_audio=sound,
        output_image=pictures,
    )


def _of(modality: str, details: Sequence[Modality] | None, total: int, name: str) -> int:
    """Return the tokens of one modality. Raises RecordError if all exceed `total`."""
    entries = details or ()
    told = {
        f"/usage/{name}/{place}/tokenCount": entry.tokenCount or 0
        for place, entry in enumerate(entries)
    }
    rest(total, told, "what the details divide")
    return sum(entry.tokenCount or 0 for entry in entries if _modality(entry) == modality)


def _modality(entry: Modality) -> str:
    return (entry.modality or "TEXT").upper()


def _modalities(payload: UsageMetadata) -> set[str]:
    """Return the modalities that something is counted of."""
    details = (
        payload.promptTokensDetails,
        payload.cacheTokensDetails,
        payload.toolUsePromptTokensDetails,
        payload.candidatesTokensDetails,
    )
    return {
        _modality(entry)
        for entries in details
        for entry in entries or ()
        if entry.tokenCount
    }


def _check_total(payload: UsageMetadata) -> None:
    counted = (
        (payload.promptTokenCount or 0)
        + (payload.toolUsePromptTokenCount or 0)
        + (payload.candidatesTokenCount or 0)
        + (payload.thoughtsTokenCount or 0)
    )
    check_total(payload.totalTokenCount, counted, "/usage/totalTokenCount")


def _reported(record: Record, payload: UsageMetadata) -> Reported:
    """Return the tier that is reported. Two members may do so, by which API it was.

    Standard in one of them leaves room for the other to be more exact, and for a batch,
    which neither has a word for.
    """
    traffic = _word(payload.trafficType)
    tier = _word(payload.serviceTier)
    if traffic in (None, tier, Processing.STANDARD):
        traffic, member = tier or traffic, "serviceTier" if tier else "trafficType"
    elif tier in (None, Processing.STANDARD):
        member = "trafficType"
    else:
        raise contradiction(
            "/usage/serviceTier",
            f"The traffic type says {strict.shown(traffic or '')}, the service tier "
            f"{strict.shown(tier)}.",
        )
    if traffic == Processing.STANDARD and batched(record):
        return Reported()
    return Reported(traffic, f"/usage/{member}")


def _word(reported: str | None) -> str | None:
    """Return the processing that a reported word stands for, or the word itself."""
    if reported is None or reported.lower() in _UNSPECIFIED:
        return None
    return _TRAFFIC.get(reported, reported.lower())
