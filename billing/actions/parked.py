"""Records that are not counted: no price is known, or pricing failed on them."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from uuid_utils.compat import uuid7

from billing.models import (
    Posting,
    QuarantinedRecord,
    UnpricedRecord,
    bound,
    rate_book,
    unnest,
)
from billing.models.recorded import Recorded
from billing.pricing.engine import Unpriced
from teams import isolation

RETRIED_AT_ONCE = 5_000

_UNPRICED_COLUMNS: unnest.Columns = {
    "record_uid": "uuid",
    "month": "date",
    "project_id": "bigint",
    "record_id": "text",
    "provider": "text",
    "model_name": "text",
    "reason": "text",
    "detail": "text",
    "tried_at": "timestamptz",
    "book": "text",
}


def keep_unpriced(
    team_id: int,
    unpriced: Sequence[tuple[Recorded, Unpriced]],
    book_version: str,
    now: datetime,
) -> None:
    """Keep these apart until their price is known, with what they were tried with."""
    release(team_id, [record for record, _ in unpriced])
    unnest.insert(
        table=UnpricedRecord._meta.db_table,
        columns=_UNPRICED_COLUMNS,
        rows=[
            (
                record.uid,
                record.month,
                record.project_id,
                record.record_id,
                record.provider,
                why.model,
                why.reason,
                why.detail,
                now,
                book_version,
            )
            for record, why in unpriced
        ],
        team_id=team_id,
        order_by=("record_uid",),
        then=(
            "ON CONFLICT (team_id, record_uid, month) DO UPDATE SET "
            "reason = EXCLUDED.reason, detail = EXCLUDED.detail, "
            "tried_at = EXCLUDED.tried_at, book = EXCLUDED.book"
        ),
    )


def quarantine(team_id: int, record: Recorded, error: Exception, now: datetime) -> None:
    """Set one record aside, whatever it was before."""
    release(team_id, [record])
    QuarantinedRecord.objects.update_or_create(
        team_id=team_id,
        record_uid=record.uid,
        month=record.month,
        defaults={
            "project_id": record.project_id,
            "record_id": record.record_id,
            "detail": f"{type(error).__name__}: {error}"[:1000],
            "quarantined_at": now,
        },
    )


def release(team_id: int, records: Sequence[Recorded]) -> None:
    """Forget where these were kept before: each record is in one state."""
    if not records:
        return
    uids = [record.uid for record in records]
    months = sorted({record.month for record in records})
    with bound.cursor() as cursor:
        for model in (UnpricedRecord, QuarantinedRecord):
            cursor.execute(
                f"DELETE FROM {model._meta.db_table} WHERE team_id = %b::bigint "
                "AND month = ANY(%b::date[]) AND record_uid = ANY(%b::uuid[])",
                [team_id, months, uids],
            )


_RETRY = f"""
SELECT record_uid, month FROM {UnpricedRecord._meta.db_table}
WHERE team_id = %s AND book <> %s
ORDER BY record_uid LIMIT %s
"""


def retry(*, team_id: int, now: datetime) -> int:
    """Post a team's unpriced records again if prices have changed since; how many.

    They stay listed as unpriced until they are counted.
    """
    with isolation.visible_teams([team_id]):
        with connection.cursor() as cursor:
            cursor.execute(_RETRY, [team_id, rate_book.version(), RETRIED_AT_ONCE])
            rows = cursor.fetchall()
        if rows:
            Posting.objects.create(
                team_id=team_id,
                uid=uuid7(),
                received_at=now,
                record_uids=[uid for uid, _ in rows],
                records=len(rows),
                months=sorted({month for _, month in rows}),
            )
    return len(rows)


def teams_with_unpriced() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT team_id FROM {UnpricedRecord._meta.db_table}")
        return [team_id for (team_id,) in cursor.fetchall()]
