"""Records that are taken back: the note that they are void, and what counting makes of it.

A void is written in one transaction with a posting that names its record. Whatever is
counted of the record after that, in whatever order, its charges come to nothing: what is
in force is taken back, and where nothing is, nothing is charged.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from billing.actions import holds, parked, revisions
from billing.actions.batch import Batch
from billing.models import Charge, Posting, UsageRecord, Void, arrays, bound, unnest
from billing.models.recorded import Recorded
from teams import isolation
from teams.actions import audit
from teams.models import Team

# In one transaction, so in one posting and one event of the audit.
VOIDED_AT_ONCE = 500
LONGEST_REASON = 1_000

# Voids of a month, among which a batch is looked for without naming its records.
_FEW = 1_000


class Voided(NamedTuple):
    """One row of voids, in the order of its columns below."""

    record_uid: str
    month: date
    project_id: int
    record_id: str
    voided_at: datetime
    voided_by: str
    reason: str
    corrected_by: str | None = None
    correction_id: str = ""


_COLUMNS: unnest.Columns = {
    "record_uid": "uuid",
    "month": "date",
    "project_id": "bigint",
    "record_id": "text",
    "voided_at": "timestamptz",
    "voided_by": "text",
    "reason": "text",
    "corrected_by": "uuid",
    "correction_id": "text",
}


def insert(team_id: int, rows: Sequence[Voided]) -> set[str]:
    """Note these; the records that were not void before.

    The caller posts them in the same transaction, so that they are counted.
    """
    returned = unnest.insert(
        table=Void._meta.db_table,
        columns=_COLUMNS,
        rows=rows,
        team_id=team_id,
        order_by=("record_uid", "month"),
        then=(
            "ON CONFLICT (team_id, record_uid, month) DO NOTHING "
            "RETURNING kept.record_uid::text"
        ),
    )
    return {uid for (uid,) in returned}


def void(
    *, team: Team, uids: Iterable[UUID], reason: str, by: str, now: datetime
) -> list[str]:
    """Take back records of a team; the ids of those that were not void before."""
    with isolation.visible_teams([team.pk]):
        records = UsageRecord.objects.filter(team_id=team.pk, uid__in=list(uids))
        rows = [
            Voided(str(uid), month, project_id, record_id, now, by, reason)
            for uid, month, project_id, record_id in records.values_list(
                "uid", "month", "project_id", "record_id"
            )
        ]
        new = insert(team.pk, rows)
        taken = sorted(
            (row for row in rows if row.record_uid in new), key=lambda row: row.record_id
        )
        if taken:
            post(team.pk, taken, now)
            audit.record(
                action="usage.void",
                subject=f"team {team.slug}",
                organization=team.organization.slug,
                after={"void": [row.record_id for row in taken]},
                reason=reason,
                by=by,
                now=now,
            )
    return [row.record_id for row in taken]


def post(team_id: int, rows: Sequence[Voided], now: datetime) -> None:
    """Write the note that these records have to be counted, if there are any."""
    if not rows:
        return
    Posting.objects.create(
        team_id=team_id,
        uid=uuid7(),
        received_at=now,
        record_uids=[row.record_uid for row in rows],
        records=len(rows),
        months=sorted({row.month for row in rows}),
    )


# --- Counted ------------------------------------------------------------------------

# All of the months, or more than are worth to be sent.
_OF_MONTHS = f"""
SELECT record_uid::text FROM {Void._meta.db_table}
WHERE team_id = %b::bigint AND month = ANY(%b::date[]) LIMIT %b::bigint
"""
_AMONG = f"""
SELECT record_uid::text FROM {Void._meta.db_table}
WHERE team_id = %b::bigint AND month = ANY(%b::date[]) AND record_uid = ANY(%s::uuid[])
"""

# The last pricing of each record, if it charged anything: else it is taken back already.
_IN_FORCE = f"""
SELECT record_uid::text, month, max(revision) FROM {Charge._meta.db_table}
WHERE team_id = %b::bigint AND month = ANY(%b::date[]) AND record_uid = ANY(%s::uuid[])
GROUP BY record_uid, month
HAVING max(revision) = max(revision) FILTER (WHERE leg >= 0)
ORDER BY record_uid
"""


def take_back(batch: Batch, records: Sequence[Recorded]) -> Sequence[Recorded]:
    """Take back those of these records that are void; the others.

    The caller has the team's ledger: whoever charged one of them has committed, and
    whoever is about to will see that it is void.
    """
    void = _void(batch.team_id, records)
    ended = [record for record in records if record.uid in void]
    if not ended:
        return records
    parked.release(batch.team_id, ended)
    holds.settle(ended)
    in_force: dict[date, dict[str, int]] = defaultdict(dict)
    with bound.cursor() as cursor:
        cursor.execute(_IN_FORCE, _named(batch.team_id, ended))
        for uid, month, revision in cursor.fetchall():
            in_force[month][uid] = revision
    for month, its in sorted(in_force.items()):
        revisions.take_back(batch, month, list(its), list(its.values()))
    return [record for record in records if record.uid not in void]


def _void(team_id: int, records: Sequence[Recorded]) -> set[str]:
    """Seldom any: naming every record of a batch costs more than reading a month's."""
    with bound.cursor() as cursor:
        cursor.execute(_OF_MONTHS, [team_id, _months(records), _FEW + 1])
        rows = cursor.fetchall()
        if len(rows) > _FEW:
            cursor.execute(_AMONG, _named(team_id, records))
            rows = cursor.fetchall()
    return {uid for (uid,) in rows}


def _named(team_id: int, records: Sequence[Recorded]) -> list[Any]:
    uids = arrays.literal([record.uid for record in records], "uuid")
    return [team_id, _months(records), uids]


def _months(records: Sequence[Recorded]) -> list[date]:
    return sorted({record.month for record in records})
