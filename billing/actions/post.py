"""Counting: postings become charges and rollups.

Everything about one batch of one team happens in one transaction: the claim, the
charges, the sums, and the end of the postings. A process that dies anywhere in it has
changed nothing, and the postings can be claimed again at once.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from django.db import (
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from billing.actions import (
    alerts,
    budget_totals,
    budgets,
    charges,
    holds,
    parked,
    voids,
)
from billing.actions.batch import Batch
from billing.models import Budget, Posting, Receipt, recorded
from billing.models.recorded import Recorded
from billing.pricing import engine
from billing.pricing.engine import Charges, Unpriced
from teams import isolation

logger = logging.getLogger(__name__)

# How much one transaction counts: enough to make the sums cheap, little enough that a
# noisy team keeps no other waiting and that a crash repeats little.
POSTINGS_AT_ONCE = 500
RECORDS_AT_ONCE = 5_000
# Each transaction costs the same few milliseconds besides what it counts.
MANY_TEAMS = 10
WORTH_A_TRANSACTION = 500

_LOOK_AGAIN_SECONDS = 0.05

# Of the database, its connection or its statements: the transaction is tried again.
_NO_RECORDS_FAULT = (
    OperationalError,
    InterfaceError,
    ProgrammingError,
    NotSupportedError,
    InternalError,
    MemoryError,
)

_TABLE = Posting._meta.db_table

# Of the server's clock alone: those of web processes may differ.
_BATCHES_WAITING = f"""
SELECT team_id, greatest(
    ceil(count(*)::numeric / {POSTINGS_AT_ONCE}),
    ceil(sum(records)::numeric / {RECORDS_AT_ONCE})
)::int,
min(received_at) BETWEEN now() - interval '1 second' AND now()
    AND sum(records) < {WORTH_A_TRANSACTION}
FROM {_TABLE} GROUP BY team_id ORDER BY min(uid::text)
"""

# The oldest postings up to RECORDS_AT_ONCE, and always one. What another process counts
# right now is left out, so that two of them share a backlog by teams.
_CLAIM = f"""
SELECT uid, array_to_string(record_uids, ','), months FROM {_TABLE}
WHERE team_id = %(team)s AND uid IN (
    SELECT uid FROM (
        SELECT uid, sum(records) OVER (ORDER BY uid) - records AS before
        FROM {_TABLE}
        WHERE team_id = %(team)s AND (%(only)s::uuid IS NULL OR uid = %(only)s)
        ORDER BY uid LIMIT %(postings)s
    ) AS oldest
    WHERE before < %(records)s
)
ORDER BY uid FOR UPDATE SKIP LOCKED
"""

_TALLIES = ("received", "accepted", "duplicates", "conflicts", "rejected")
# What was received is added to the receipts as its postings end.
_FINISH = f"""
WITH done AS (
    DELETE FROM {_TABLE} WHERE team_id = %(team)s AND uid = ANY(%(postings)s) RETURNING *
)
INSERT INTO {Receipt._meta.db_table} AS kept
    (team_id, hour, api_key, route, {", ".join(_TALLIES)})
SELECT %(team)s::bigint, date_trunc('hour', received_at, 'UTC'), api_key, route,
    sum(coalesce(received, records)), sum(coalesce(accepted, records)),
    sum(duplicates), sum(conflicts), sum(rejected)
FROM done WHERE coalesce(received, records) > 0
GROUP BY 2, 3, 4 ORDER BY 2, 3, 4
ON CONFLICT (team_id, hour, api_key, route) DO UPDATE SET
    {", ".join(f"{name} = kept.{name} + EXCLUDED.{name}" for name in _TALLIES)}
"""


class _Claim(NamedTuple):
    posting_uids: list[UUID]
    record_uids: list[str]
    months: list[date]


def batches_waiting() -> dict[int, int]:
    """Teams with postings, the one that has waited longest first; in how many batches.

    Where many teams wait, one whose few postings have only just come is left out: so
    that a transaction counts more of them at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BATCHES_WAITING)
        rows = cursor.fetchall()
    many = len(rows) > MANY_TEAMS
    return {team_id: batches for team_id, batches, is_new in rows if not (many and is_new)}


def count(*, team_id: int, now: datetime, only: UUID | None = None) -> int:
    """Count a team's next batch, or one posting; the number of postings done with.

    Raises OperationalError when the database cannot: nothing has changed then.
    """
    this = Round()
    counted = this.count(team_id=team_id, now=now, only=only)
    this.end(now=now)
    return counted


class Round:
    """Counts one team after the other, and at its end says what they reached together.

    No counting transaction can hold the sum of several teams still, and what many of
    them count against would be looked at after each of them.
    """

    def __init__(self) -> None:
        self._wide: dict[int, Budget] = {}

    def count(self, *, team_id: int, now: datetime, only: UUID | None = None) -> int:
        """Like `count` above, but for the budgets over several teams."""
        with isolation.visible_teams([team_id]):
            claim = _claim(team_id, only)
            if not claim.posting_uids:
                return 0
            records = recorded.read(team_id, claim.record_uids, claim.months)
            budget_totals.take_ledger(team_id)
            its = Batch.of_team(team_id, now)
            if records:  # there are postings that only say what was received
                _count_or_quarantine(its, records)
            _finish(team_id, claim.posting_uids)
            narrow = [budget for budget in its.budgets if not budget.is_wide]
            for budget in alerts.unsettled(narrow, days=its.days, now=now):
                alerts.evaluate(budget, now=now)
        self._wide |= {budget.pk: budget for budget in its.budgets if budget.is_wide}
        return len(claim.posting_uids)

    def end(self, *, now: datetime) -> None:
        for budget in self._wide.values():
            budgets.evaluate(budget, now=now)
        self._wide = {}


def count_within(
    *, team_id: int, posting: UUID, seconds: float, clock: Callable[[], datetime]
) -> bool:
    """Count one posting now, or wait for the process that holds it; whether it is done."""
    deadline = time.monotonic() + seconds
    while not count(team_id=team_id, now=clock(), only=posting):
        if not _is_waiting(team_id, posting):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
    return True


def _is_waiting(team_id: int, posting: UUID) -> bool:
    with isolation.visible_teams([team_id]):
        return Posting.objects.filter(team_id=team_id, uid=posting).exists()


def _claim(team_id: int, only: UUID | None) -> _Claim:
    limits = {"postings": POSTINGS_AT_ONCE, "records": RECORDS_AT_ONCE}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"team": team_id, "only": only, **limits})
        rows = cursor.fetchall()
    return _Claim(
        posting_uids=[uid for uid, _, _ in rows],
        record_uids=[uid for _, uids, _ in rows for uid in filter(None, uids.split(","))],
        months=sorted({month for _, _, months in rows for month in months}),
    )


def _finish(team_id: int, posting_uids: list[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, {"team": team_id, "postings": posting_uids})


def _count_or_quarantine(batch: Batch, records: Sequence[Recorded]) -> None:
    """Count all; if that fails, each half alone, down to the record that fails."""
    try:
        with transaction.atomic():
            _count(batch, records)
    except _NO_RECORDS_FAULT:
        raise  # not a record's fault: the whole transaction is tried again later
    except Exception as error:  # whatever a record broke, the others go on
        if len(records) == 1:
            logger.exception("record %s cannot be counted", records[0].uid)
            parked.quarantine(batch.team_id, records[0], error, batch.now)
            return
        middle = len(records) // 2
        _count_or_quarantine(batch, records[:middle])
        _count_or_quarantine(batch, records[middle:])


def _count(batch: Batch, records: Sequence[Recorded]) -> None:
    priced: list[tuple[Recorded, Charges]] = []
    unpriced: list[tuple[Recorded, Unpriced]] = []
    for record in voids.take_back(batch, records):
        result = engine.price(recorded.usage_of(record), batch.book.rates)
        if isinstance(result, Charges):
            priced.append((record, result))
        else:
            unpriced.append((record, result))
    charges.write(batch, priced)
    parked.keep_unpriced(batch.team_id, unpriced, batch.book.version, batch.now)
    counted = [record for record, _ in priced]
    parked.release(batch.team_id, counted)
    holds.settle(counted)
