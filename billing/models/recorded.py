"""Usage records read back as the pricing engine takes them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from billing.formats import registry
from billing.formats.conditions import MANAGED_AGENTS
from billing.formats.posted import PostedRecord
from billing.models import arrays, bound
from billing.models.ledger import UsageRecord
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Step, Usage


class Recorded(NamedTuple):
    """The columns of a usage record that its price and its place depend on."""

    uid: str
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
    hold: str | None
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
SELECT uid::text, project_id, record_id, month, occurred_at, provider, model_name,
    usage_format, processing, speed, geo, endpoint, unbilled, verbatim::text,
    hold::text, {", ".join(TokenClass)}
FROM {UsageRecord._meta.db_table}
WHERE team_id = %b::bigint AND month = ANY(%b::date[]) AND uid = ANY(%s::uuid[])
"""


def read(
    team_id: int, uids: Sequence[UUID | str], months: Sequence[date]
) -> list[Recorded]:
    with bound.cursor() as cursor:
        cursor.execute(_SELECT, [team_id, list(months), arrays.literal(uids, "uuid")])
        return list(map(Recorded._make, cursor.fetchall()))


_FIRST_CLASS = Recorded._fields.index(TokenClass.INPUT)


def usage_of(record: Recorded) -> Usage:
    """The usage as it was read at the door, from the columns or the kept object."""
    if record.verbatim is not None:
        return _read_again(record, record.verbatim)
    quantities = Quantities(*record[_FIRST_CLASS:])  # type: ignore[arg-type]
    return Usage(
        provider=record.provider,
        model=record.model_name,
        occurred_at=record.occurred_at,
        processing=record.processing,
        speed=record.speed,
        geo=record.geo,
        endpoint=record.endpoint,
        steps=(Step(record.model_name, quantities),),
        unbilled=record.unbilled,
    )


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
    return usage._replace(
        provider=record.provider,
        model=record.model_name,
        occurred_at=record.occurred_at,
        processing=record.processing,
        speed=record.speed,
        geo=record.geo,
        endpoint=record.endpoint,
        unbilled=record.unbilled,
    )
