"""Usage records read back as the pricing engine takes them."""

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from billing.formats import registry
from billing.formats.conditions import MANAGED_AGENTS
from billing.formats.posted import PostedRecord
from billing.models import bound
from billing.models.ledger import UsageRecord
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Step, Usage


class Recorded(NamedTuple):
    """The columns of a usage record that its price and its place depend on."""

    uid: UUID
    project_id: int
    record_id: str
    month: date
    occurred_at: datetime
    provider: str
    model_name: str
    usage_format: str
    processing: str
    speed: str
    geo: str
    endpoint: str
    unbilled: str
    verbatim: str | None
    input: int
    cache_write_5m: int
    cache_write_1h: int
    cache_read: int
    output: int
    web_search: int
    input_audio: int
    cache_read_audio: int
    output_audio: int
    output_image: int
    session: int


_SELECT = f"""
SELECT uid, project_id, record_id, month, occurred_at, provider, model_name,
    usage_format, processing, speed, geo, endpoint, unbilled, verbatim::text,
    {", ".join(TokenClass)}
FROM {UsageRecord._meta.db_table}
WHERE team_id = %b::bigint AND month = ANY(%b::date[]) AND uid = ANY(%b::uuid[])
"""


def read(team_id: int, uids: Sequence[UUID], months: Sequence[date]) -> list[Recorded]:
    with bound.cursor() as cursor:
        cursor.execute(_SELECT, [team_id, list(months), list(uids)])
        return list(map(Recorded._make, cursor.fetchall()))


def usage_of(record: Recorded) -> Usage:
    """The usage as it was read at the door, from the columns or the kept object."""
    if record.verbatim is not None:
        return _read_again(record, record.verbatim)
    quantities = Quantities(
        record.input,
        record.cache_write_5m,
        record.cache_write_1h,
        record.cache_read,
        record.output,
        record.web_search,
        record.input_audio,
        record.cache_read_audio,
        record.output_audio,
        record.output_image,
        record.session,
    )
    return Usage(
        steps=(Step(record.model_name, quantities),),
        unbilled=record.unbilled,
        **_conditions(record),
    )


def _conditions(record: Recorded) -> dict[str, Any]:
    return {
        "provider": record.provider,
        "model": record.model_name,
        "occurred_at": record.occurred_at,
        "processing": record.processing,
        "speed": record.speed,
        "geo": record.geo,
        "endpoint": record.endpoint,
    }


def _read_again(record: Recorded, verbatim: str) -> Usage:
    posted = PostedRecord(
        id=record.record_id,
        occurred_at=record.occurred_at,
        provider=record.provider,
        model=record.model_name,
        usage=msgspec.Raw(verbatim.encode()),
        usage_format=record.usage_format,
        # Not kept, and the usage would be refused without: only it has sessions.
        product=MANAGED_AGENTS if record.session else None,
    )
    usage = registry.read(posted)
    return dataclasses.replace(usage, unbilled=record.unbilled, **_conditions(record))
