"""Under which conditions a call ran: by its usage, by the record, by the model's name.

Where two of them speak of different calls the record is refused. Where only the provider
decides (which tier, which speed) its report alone counts.
"""

from functools import lru_cache
from typing import NamedTuple

from billing.formats.errors import contradiction
from billing.formats.posted import Record
from billing.formats.strict import shown
from billing.pricing.model_names import GOVERNMENT, Marks, marks
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import (
    GLOBAL,
    REGIONAL,
    UNSTATED,
    Processing,
    Speed,
    Step,
    Usage,
)

MANAGED_AGENTS = "managed_agents_api"
REFUSED = "refused_before_output"

# What a provider reports of a model that offers no choice of geography.
_NO_GEO = "not_available"


class Reported(NamedTuple):
    """What a usage object reports of the conditions; None where it says nothing.

    `tier_at` points to the member that the tier stands in.
    """

    tier: str | None = None
    tier_at: str = "/usage/service_tier"
    speed: str | None = None
    geo: str | None = None


NOTHING_REPORTED = Reported()


class Declared(NamedTuple):
    """What a record itself says that its conditions depend on: its members' values."""

    provider: str
    model: str
    processing: Processing | None
    speed: Speed | None
    geo: str | None
    endpoint: str | None
    product: str | None
    batch_result: str | None


def usage_of(
    record: Record,
    steps: tuple[Step, ...],
    reported: Reported = NOTHING_REPORTED,
    *,
    unbilled: str = "",
    thinking: int = 0,
    flags: tuple[str, ...] = (),
) -> Usage:
    """Return the usage of a record that ran in these steps, under its conditions.

    Raises RecordError when the record contradicts its usage or its model's name.
    """
    declared = Declared(
        record.provider,
        record.model,
        record.processing,
        record.speed,
        record.geo,
        record.endpoint,
        record.product,
        record.batch_result,
    )
    return Usage(
        record.provider,
        record.model,
        record.occurred_at,
        steps,
        *_conditions(declared, reported),
        unbilled,
        thinking,
        flags,
    )


# Most records of a service say the same here: it is worked out once for them.
@lru_cache(maxsize=4096)
def _conditions(declared: Declared, reported: Reported) -> tuple[str, str, str, str]:
    """Return processing, speed, geo and endpoint, or raise RecordError."""
    said = marks(declared.model)
    return (
        _processing(declared, said, reported),
        _speed(declared, said, reported.speed),
        _geo(declared, said, reported.geo),
        _endpoint(declared, said),
    )


def one_call(
    record: Record,
    quantities: Quantities,
    reported: Reported = NOTHING_REPORTED,
    *,
    thinking: int = 0,
    flags: tuple[str, ...] = (),
) -> Usage:
    """Return the usage of a record that is one call of its own model."""
    steps = (Step(record.model, quantities),)
    unbilled = REFUSED if marks(record.model).claude and refused(record, steps) else ""
    return usage_of(
        record, steps, reported, unbilled=unbilled, thinking=thinking, flags=flags
    )


def refused(record: Record, steps: tuple[Step, ...]) -> bool:
    """Whether a response was refused before any output. Anthropic bills nothing then.

    A session is more than one response: it is billed whatever its last answer was.
    """
    if record.stop_reason != "refusal" or any(step.quantities.session for step in steps):
        return False
    return record.content_empty or not any(step.quantities.output for step in steps)


def batched(record: Record) -> bool:
    """Whether the record, or its model's name, says that it was part of a batch."""
    return _declared_processing(record, marks(record.model)) == Processing.BATCH


def _processing(record: Record | Declared, said: Marks, reported: Reported) -> str:
    processing = _of_both(_declared_processing(record, said), reported)
    if record.product == MANAGED_AGENTS and processing == Processing.BATCH:
        raise contradiction("/product", "A managed agent's session cannot be batched.")
    return processing


def _declared_processing(record: Record | Declared, said: Marks) -> Processing | None:
    """Return what the record says, its batch result and its model's name included."""
    declared = record.processing
    if declared in (None, Processing.BATCH):
        batch = record.batch_result is not None or said.batch
        return Processing.BATCH if batch else declared
    if record.batch_result is not None:
        raise contradiction(
            "/batch_result", f"{declared.capitalize()} processing has no batch result."
        )
    if said.batch:
        raise contradiction(
            "/processing",
            f"The record declares {declared} processing, its model's name says batch.",
        )
    return declared


def _of_both(declared: Processing | None, reported: Reported) -> str:
    tier = reported.tier
    if declared is None or tier is None:
        return declared or tier or Processing.STANDARD
    # A batch is another endpoint, so one of the two speaks of another call. Between
    # the other tiers the provider chooses: there the report alone decides.
    if (declared == Processing.BATCH) != (tier == Processing.BATCH):
        raise contradiction(
            reported.tier_at,
            f"The record declares {declared} processing, its usage reports {shown(tier)}.",
        )
    return tier


def _speed(record: Record | Declared, said: Marks, reported: str | None) -> str:
    if said.fast and record.speed not in (None, Speed.FAST):
        raise contradiction(
            "/speed",
            f"The record declares {record.speed} speed, its model's name says fast.",
        )
    # What was asked for is not always what ran: the report alone decides.
    return reported or record.speed or (Speed.FAST if said.fast else Speed.STANDARD)


def _geo(record: Record | Declared, said: Marks, reported: str | None) -> str:
    """Return the geography that has a price of its own.

    On a cloud it is the endpoint that has one.
    """
    reported = GLOBAL if reported == _NO_GEO else reported
    if _on_bedrock(record, said) or _on_google(record, said):
        return reported or GLOBAL
    declared = GLOBAL if record.geo == _NO_GEO else record.geo
    if declared and reported and declared != reported:
        raise contradiction(
            "/usage/inference_geo",
            f"The record declares geo {shown(declared)}, its usage reports "
            f"{shown(reported)}.",
        )
    return reported or declared or GLOBAL


def _endpoint(record: Record | Declared, said: Marks) -> str:
    """Return which kind of endpoint was called.

    Bedrock says it in the name of the model, Vertex in the location; what neither says
    and the record does not is unstated. Only Claude models cost more in a region.
    """
    if _on_bedrock(record, said):
        found = _of_profile(said.profile)
    elif _on_google(record, said):
        if not said.claude:
            return GLOBAL
        found = _of_location(record.geo)
    else:
        return record.endpoint or GLOBAL
    if found and record.endpoint and found != record.endpoint:
        raise contradiction(
            "/endpoint",
            f"The record declares the {record.endpoint} endpoint, its model or geo says "
            f"{found}.",
        )
    return found or record.endpoint or UNSTATED


def _of_profile(place: str) -> str:
    # The government's regions are billed apart.
    return place if place in ("", GLOBAL, GOVERNMENT) else REGIONAL


def _of_location(geo: str | None) -> str:
    if geo is None or geo == _NO_GEO:
        return ""
    return GLOBAL if geo == GLOBAL else REGIONAL


def _on_bedrock(record: Record | Declared, said: Marks) -> bool:
    return record.provider == "aws" or said.bedrock


def _on_google(record: Record | Declared, said: Marks) -> bool:
    return record.provider == "google" or said.vertex


def required_provider(record: Record, provider: str) -> None:
    """Raise RecordError when a format that only one provider has names another."""
    if record.provider != provider:
        raise contradiction(
            "/provider", f"Usage in this format comes from provider {provider} alone."
        )
