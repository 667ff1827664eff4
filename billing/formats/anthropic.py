"""Usage as the Anthropic Messages API reports it, for single calls and for batches."""

from collections.abc import Mapping

import msgspec

from billing.formats import strict
from billing.formats.anthropic_iterations import INCOMPLETE_SPLIT, billed_steps
from billing.formats.anthropic_payload import (
    ACTIVE_SECONDS,
    MessageUsage,
    cache_writes,
    quantities,
    session,
)
from billing.formats.conditions import MANAGED_AGENTS, REFUSED, Reported, refused, usage_of
from billing.formats.errors import contradiction
from billing.formats.posted import Record
from billing.pricing.token_classes import NOTHING
from billing.pricing.usage import Step, Usage

_DECODER = msgspec.json.Decoder(MessageUsage)


def read(record: Record) -> Usage:
    """Return the normalised usage of a record in this format.

    Raises RecordError when a count is missing, no whole number or out of range, when a
    cache split exceeds its total, when thinking exceeds the output, when its input counts
    what was cached, when a session is not that of a managed agent, or when the record
    contradicts what its usage reports.
    """
    payload = _payload(record)
    _refuse_inclusive(payload)
    steps, flags = _steps(record.model, payload, _session(record, payload))
    return usage_of(
        record,
        steps,
        Reported(tier=payload.service_tier, speed=payload.speed, geo=payload.inference_geo),
        unbilled=REFUSED if refused(record, steps) else "",
        thinking=_thinking(payload),
        flags=flags,
    )


def known_members(record: Record) -> bytes:
    """Return the `usage` object with the members of this format alone, as JSON.

    `read` gives the same usage from it. What it leaves out could be anything: text
    that must not be kept, or numbers that no column can hold.
    """
    return msgspec.json.encode(_payload(record))


def _payload(record: Record) -> MessageUsage:
    return strict.decode(_DECODER, bytes(record.usage), "/usage")


def _refuse_inclusive(payload: MessageUsage) -> None:
    """Refuse the usage of another format with the same names, whose cache is inside."""
    details = payload.input_tokens_details
    if details and (details.cached_tokens or details.cache_write_tokens):
        raise contradiction(
            "/usage/input_tokens_details",
            "The input of this format never counts what was cached; that of "
            "openai_responses does.",
        )


def _session(record: Record, payload: MessageUsage) -> int:
    """Return the milliseconds that a managed agent ran; 0 where there was none."""
    running = session(payload)
    if running and record.product != MANAGED_AGENTS:
        # Read as a plain call the session's fee would be lost.
        raise contradiction(
            ACTIVE_SECONDS, f"Only a record whose product is {MANAGED_AGENTS} has them."
        )
    return running


def _steps(
    model: str, payload: MessageUsage, running: int
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the model calls of the response, and the flags of what was left open."""
    if payload.iterations:
        steps, flags = billed_steps(model, payload)
    else:
        writes = cache_writes(payload, "/usage")
        steps = (Step(model, quantities(payload, writes)),)
        flags = () if writes.complete else (INCOMPLETE_SPLIT,)
    tools = payload.server_tool_use
    searches = (tools.web_search_requests or 0) if tools else 0
    if searches or running:
        steps = _with(steps, model, {"web_search": searches, "session": running})
    return steps, flags


def _with(
    steps: tuple[Step, ...], model: str, counted: Mapping[str, int]
) -> tuple[Step, ...]:
    """Add what is only counted for the whole response.

    It belongs to the record's own model: to its last call, or to one of its own.
    """
    for place in reversed(range(len(steps))):
        if steps[place].model == model:
            with_them = steps[place].quantities._replace(**counted)
            return (*steps[:place], Step(model, with_them), *steps[place + 1 :])
    return (*steps, Step(model, NOTHING._replace(**counted)))


def _thinking(payload: MessageUsage) -> int:
    details = payload.output_tokens_details
    thinking = (details.thinking_tokens or 0) if details else 0
    if thinking > (payload.output_tokens or 0):
        raise contradiction(
            "/usage/output_tokens_details/thinking_tokens",
            f"{thinking} tokens of thinking exceed the output they are a part of.",
        )
    return thinking
