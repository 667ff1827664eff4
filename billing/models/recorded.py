"""Usage records read back as the pricing engine takes them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import isqrt
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from billing.formats import registry
from billing.formats.conditions import MANAGED_AGENTS
from billing.formats.posted import PostedRecord
from billing.models import arrays, bound
from billing.models.ledger import UsageRecord, Void
from billing.pricing.budget_periods import calendar_month
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Step, Usage

_ONE_DAY = timedelta(days=1)


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


_POSITIVE = 2**63 - 1
# Chosen by the hash of the id: the same ones each time, and none more than others for the
# time of day they come at.
_OF_PROJECT = f"""
SELECT uid::text, project_id, record_id, month, occurred_at, provider, model_name,
    usage_format, processing, speed, geo, endpoint, unbilled, verbatim::text,
    hold::text, {", ".join(TokenClass)}, thinking
FROM {UsageRecord._meta.db_table} AS record
WHERE team_id = %b::bigint AND project_id = %b::bigint AND month = ANY(%b::date[])
    AND occurred_at >= %b::timestamptz AND occurred_at < %b::timestamptz
    AND NOT EXISTS (
        SELECT FROM {Void._meta.db_table} AS void
        WHERE void.team_id = record.team_id AND void.month = record.month
            AND void.record_uid = record.uid)
    AND (hashtextextended(record_id, 0) & {_POSITIVE}) %% %b::bigint < %b::bigint
"""
_COUNT = "SELECT count(*) FROM ({}) AS found"


class Sampled(NamedTuple):
    """Some of a project's records, and how many there are."""

    usages: list[Usage]
    of: int


def sampled(
    *, team_id: int, project_id: int, since: datetime, until: datetime, most: int
) -> Sampled:
    """A project's records of [since, until) that are not void, or `most` of them."""
    where: list[Any] = [team_id, project_id, _months(since, until), since, until]
    with bound.cursor() as cursor:
        cursor.execute(_COUNT.format(_OF_PROJECT), [*where, 1, 1])
        (of,) = cursor.fetchone()
        # Of so many a hash chooses a few more or less than it should.
        chosen = [1, 1] if of <= most else [of, most - 3 * isqrt(most)]
        cursor.execute(f"{_OF_PROJECT} LIMIT {most}", [*where, *chosen])
        rows = cursor.fetchall()
    return Sampled([_with_thinking(row) for row in rows], of)


def _months(since: datetime, until: datetime) -> list[date]:
    """The UTC months of [since, until)."""
    found = []
    month = calendar_month(since.astimezone(UTC).date())
    while month.first < until.astimezone(UTC).date() + _ONE_DAY:
        found.append(month.first)
        month = calendar_month(month.until)
    return found


def _with_thinking(row: Sequence[Any]) -> Usage:
    *columns, thinking = row
    return usage_of(Recorded._make(columns))._replace(thinking=thinking)


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
