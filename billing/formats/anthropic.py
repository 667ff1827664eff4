"""Usage as the Anthropic Messages API reports it, for single calls and for batches."""

import msgspec

from billing.formats import strict
from billing.formats.anthropic_iterations import INCOMPLETE_SPLIT, billed_steps
from billing.formats.anthropic_payload import (
    MessageUsage,
    cache_writes,
    contradiction,
    quantities,
)
from billing.formats.posted import Record
from billing.pricing.token_classes import NOTHING
from billing.pricing.usage import GLOBAL, Processing, Speed, Step, Usage

REFUSED = "refused_before_output"

# What the API reports of a model that offers no choice of geography.
_NO_GEO = "not_available"

_DECODER = msgspec.json.Decoder(MessageUsage)


def read(record: Record) -> Usage:
    """Return the normalised usage of a record in this format.

    Raises RecordError when a count is missing, no whole number or out of range, when a
    cache split exceeds its total, when thinking exceeds the output, or when the record
    contradicts what its usage reports.
    """
    if record.batch_result not in (None, "succeeded"):
        return _without_result(record)
    payload = _payload(record)
    steps, flags = _steps(record.model, payload)
    return Usage(
        provider=record.provider,
        model=record.model,
        occurred_at=record.occurred_at,
        processing=_processing(record, payload.service_tier),
        # What was asked for is not always what ran: the report alone decides.
        speed=payload.speed or record.speed or Speed.STANDARD,
        geo=_geo(record.geo, payload.inference_geo),
        steps=steps,
        unbilled=REFUSED if _refused(record, steps) else "",
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


def _without_result(record: Record) -> Usage:
    """Read a batch request that failed: there is no message that could report usage."""
    return Usage(
        provider=record.provider,
        model=record.model,
        occurred_at=record.occurred_at,
        processing=_processing(record, None),
        speed=record.speed or Speed.STANDARD,
        geo=_geo(record.geo, None),
        steps=(Step(record.model, NOTHING),),
        unbilled=f"batch_{record.batch_result}",
    )


def _refused(record: Record, steps: tuple[Step, ...]) -> bool:
    """Whether the response was refused before any output: then nothing is billed."""
    if record.stop_reason != "refusal":
        return False
    return record.content_empty or not any(step.quantities.output for step in steps)


def _steps(model: str, payload: MessageUsage) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the model calls of the response, and the flags of what was left open."""
    if payload.iterations:
        steps, flags = billed_steps(model, payload)
    else:
        writes = cache_writes(payload, "/usage")
        steps = (Step(model, quantities(payload, writes)),)
        flags = () if writes.complete else (INCOMPLETE_SPLIT,)
    return _with_searches(steps, model, payload), flags


def _with_searches(
    steps: tuple[Step, ...], model: str, payload: MessageUsage
) -> tuple[Step, ...]:
    """Add the web searches, which are only counted for the whole response.

    They belong to the record's own model: to its last call, or to one of their own.
    """
    tools = payload.server_tool_use
    searches = (tools.web_search_requests or 0) if tools else 0
    if not searches:
        return steps
    for place in reversed(range(len(steps))):
        if steps[place].model == model:
            with_them = steps[place].quantities._replace(web_search=searches)
            return (*steps[:place], Step(model, with_them), *steps[place + 1 :])
    return (*steps, Step(model, NOTHING._replace(web_search=searches)))


def _processing(record: Record, reported: str | None) -> str:
    declared = record.processing
    if record.batch_result is not None:
        if declared not in (None, Processing.BATCH):
            raise contradiction(
                "/batch_result",
                f"{declared.capitalize()} processing has no batch result.",
            )
        declared = Processing.BATCH
    if declared is None or reported is None:
        return declared or reported or Processing.STANDARD
    # A batch is another endpoint, so one of the two speaks of another call. Between
    # the other tiers the provider chooses: there the report alone decides.
    if (declared == Processing.BATCH) != (reported == Processing.BATCH):
        raise contradiction(
            "/usage/service_tier",
            f"The record declares {declared} processing, its usage reports {reported}.",
        )
    return reported


def _geo(declared: str | None, reported: str | None) -> str:
    declared = GLOBAL if declared == _NO_GEO else declared
    reported = GLOBAL if reported == _NO_GEO else reported
    if declared and reported and declared != reported:
        raise contradiction(
            "/usage/inference_geo",
            f"The record declares geo {strict.shown(declared)}, its usage reports "
            f"{strict.shown(reported)}.",
        )
    return reported or declared or GLOBAL


def _thinking(payload: MessageUsage) -> int:
    details = payload.output_tokens_details
    thinking = (details.thinking_tokens or 0) if details else 0
    if thinking > (payload.output_tokens or 0):
        raise contradiction(
            "/usage/output_tokens_details/thinking_tokens",
            f"{thinking} tokens of thinking exceed the output they are a part of.",
        )
    return thinking
