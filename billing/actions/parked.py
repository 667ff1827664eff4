"""Records that are not counted: no price is known, or pricing failed on them."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from django.db import connection
from uuid_utils.compat import uuid7

from billing.models import (
    Posting,
    QuarantinedRecord,
    UnpricedRecord,
    arrays,
    bound,
    rate_book,
    unnest,
)
from billing.models.recorded import Recorded
from billing.pricing.engine import Unpriced
from teams import isolation
from teams.actions import audit
from teams.models import Team

RETRIED_AT_ONCE = 5_000
# In one posting: each that fails again halves its batch once more, down to itself.
REDRIVEN_AT_ONCE = 500

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
    if not records or not _has_any(team_id):
        return
    uids = arrays.literal([record.uid for record in records], "uuid")
    months = sorted({record.month for record in records})
    with bound.cursor() as cursor:
        for model in (UnpricedRecord, QuarantinedRecord):
            cursor.execute(
                f"DELETE FROM {model._meta.db_table} WHERE team_id = %b::bigint "
                "AND month = ANY(%b::date[]) AND record_uid = ANY(%s::uuid[])",
                [team_id, months, uids],
            )


_HAS_ANY = f"""
SELECT EXISTS (SELECT FROM {UnpricedRecord._meta.db_table} WHERE team_id = %(team)s)
    OR EXISTS (SELECT FROM {QuarantinedRecord._meta.db_table} WHERE team_id = %(team)s)
"""


def _has_any(team_id: int) -> bool:
    """Mostly a team has none, and a look at that is less than to name a thousand."""
    with connection.cursor() as cursor:
        cursor.execute(_HAS_ANY, {"team": team_id})
        return bool(cursor.fetchone()[0])


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
        _post_again(team_id, rows, now)
    return len(rows)


def _post_again(team_id: int, rows: Sequence[tuple[UUID, date]], now: datetime) -> None:
    """Write the note that these records, by uid and month, have to be counted."""
    if rows:
        Posting.objects.create(
            team_id=team_id,
            uid=uuid7(),
            received_at=now,
            record_uids=[uid for uid, _ in rows],
            records=len(rows),
            months=sorted({month for _, month in rows}),
        )


def teams_with_unpriced() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT team_id FROM {UnpricedRecord._meta.db_table}")
        return [team_id for (team_id,) in cursor.fetchall()]


# --- Out of quarantine --------------------------------------------------------------

# What another process is re-driving right now is left to it.
_LEAVE = f"""
DELETE FROM {QuarantinedRecord._meta.db_table}
WHERE team_id = %(team)s AND (record_uid, month) IN (
    SELECT record_uid, month FROM {QuarantinedRecord._meta.db_table}
    WHERE team_id = %(team)s AND quarantined_at <= %(until)s
        AND (%(uids)s::uuid[] IS NULL OR record_uid = ANY(%(uids)s))
    ORDER BY record_uid LIMIT %(records)s FOR UPDATE SKIP LOCKED
)
RETURNING record_uid, month, record_id, detail
"""


def redrive(
    *,
    team: Team,
    by: str,
    now: datetime,
    until: datetime | None = None,
    uids: Sequence[UUID] | None = None,
) -> int:
    """Post quarantined records of a team again; how many, REDRIVEN_AT_ONCE at most.

    Of those set aside `until` then (until now), all or these uids. They leave the
    quarantine in the transaction that posts them: they are pending, whoever asks at the
    same time finds them gone, and one that fails again comes back with its new reason.
    """
    with isolation.visible_teams([team.pk]):
        with connection.cursor() as cursor:
            cursor.execute(
                _LEAVE,
                {
                    "team": team.pk,
                    "until": until or now,
                    "uids": None if uids is None else list(uids),
                    "records": REDRIVEN_AT_ONCE,
                },
            )
            rows = sorted(cursor.fetchall())
        if rows:
            _post_again(team.pk, [(uid, month) for uid, month, _, _ in rows], now)
            audit.record(
                action="quarantine.redrive",
                subject=f"team {team.slug}",
                organization=team.organization.slug,
                before={"quarantined": _by_detail(rows)},
                after={"posted": len(rows)},
                by=by,
                now=now,
            )
    return len(rows)


def _by_detail(rows: Sequence[tuple[UUID, date, str, str]]) -> dict[str, list[str]]:
    """The ids of records by what went wrong with them."""
    ids: dict[str, list[str]] = {}
    for _, _, record_id, detail in rows:
        ids.setdefault(detail, []).append(record_id)
    return ids
