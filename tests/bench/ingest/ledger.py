"""What the ledger holds of a load, asked with SQL of its own.

Moments are those of the commits: the server notes them (`track_commit_timestamp`), so
nothing is added to the path that is measured.
"""

from typing import Any, NamedTuple

import psycopg

from tests.chaos.service import Service

Connection = psycopg.Connection[Any]


def note_commits(service: Service) -> None:
    """Have the server note when each transaction committed, from its next start on."""
    with service.sql(service.postgres.url(user="postgres")) as database:
        database.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    service.postgres.stop()
    service.postgres.start()


class Counted(NamedTuple):
    """A phase's records that are charged, and how long after their acceptance."""

    records: int
    last_at: float  # seconds since 1970
    p99_seconds: float
    missing: int  # accepted by the door's word, without a charge
    doubled: int


_COUNTED = """
WITH accepted AS (
    SELECT format('%%s-%%s-', %(phase)s::text, lpad(number::text, 9, '0')) AS name
    FROM unnest(%(accepted)s::bigint[]) number
), record AS (
    SELECT uid, team_id, month, regexp_replace(record_id, '[0-9]+$', '') AS post,
        pg_xact_commit_timestamp(xmin) AS accepted_at
    FROM billing_usage_record WHERE record_id LIKE %(phase)s || '-%%'
), charge AS (
    SELECT c.team_id, c.record_uid, count(*) AS charges,
        max(pg_xact_commit_timestamp(c.xmin)) AS counted_at
    FROM billing_charge c WHERE c.leg = 0 GROUP BY 1, 2
), counted AS (
    SELECT r.post, count(*) AS records, sum(charges) - count(*) AS doubled
    FROM record r JOIN charge c ON c.team_id = r.team_id AND c.record_uid = r.uid
    GROUP BY r.post
), times AS (
    SELECT count(*) AS records, max(counted_at) AS last_at,
        percentile_cont(0.99) WITHIN GROUP (
            ORDER BY extract(epoch FROM counted_at - accepted_at)
        ) AS p99
    FROM record r JOIN charge c ON c.team_id = r.team_id AND c.record_uid = r.uid
)
SELECT times.records, extract(epoch FROM last_at)::float8, p99::float8,
    (SELECT coalesce(
            sum(greatest(%(records)s - coalesce(counted.records, 0), 0)), 0)::bigint
        FROM accepted LEFT JOIN counted ON counted.post = accepted.name),
    (SELECT coalesce(sum(doubled), 0)::bigint FROM counted)
FROM times
"""


def counted(
    connection: Connection, phase: str, accepted: list[int], records: int
) -> Counted:
    """Of posts of so many records, of which these numbers were answered with 202."""
    row = connection.execute(
        _COUNTED, {"phase": phase, "accepted": accepted, "records": records}
    ).fetchone()
    assert row is not None
    return Counted(*row)


# A level was reached with the first record that brought its team's sum there.
_ALERTS = """
WITH spent AS (
    SELECT r.team_id, pg_xact_commit_timestamp(r.xmin) AS accepted_at, sum(c.cost) AS cost
    FROM billing_usage_record r
    JOIN billing_charge c ON c.team_id = r.team_id AND c.record_uid = r.uid
    GROUP BY r.team_id, pg_xact_commit_timestamp(r.xmin)
), running AS (
    SELECT team_id, accepted_at,
        sum(cost) OVER (PARTITION BY team_id ORDER BY accepted_at) AS spent
    FROM spent
), level AS (
    SELECT b.id AS budget_id, b.team_id, threshold, b.amount * threshold / 100 AS amount
    FROM billing_budget b, unnest(b.thresholds) threshold
    WHERE b.team_id IS NOT NULL AND b.project_id IS NULL
), reached AS (
    SELECT budget_id, threshold,
        (SELECT min(accepted_at) FROM running
         WHERE running.team_id = level.team_id AND spent >= level.amount) AS at
    FROM level
)
SELECT count(a.id), count(*) FILTER (WHERE a.id IS NULL),
    (percentile_cont(0.99) WITHIN GROUP (
        ORDER BY extract(epoch FROM pg_xact_commit_timestamp(a.xmin) - reached.at)
    ))::float8
FROM reached
LEFT JOIN billing_alert a
    ON a.budget_id = reached.budget_id AND a.threshold = reached.threshold
WHERE reached.at IS NOT NULL
"""


class Alerted(NamedTuple):
    """Levels that were reached, those that raised no alert, and how late the others."""

    alerts: int
    missing: int
    p99_seconds: float | None  # without any alert


def alerted(connection: Connection) -> Alerted:
    row = connection.execute(_ALERTS).fetchone()
    assert row is not None
    return Alerted(*row)


def waiting(connection: Connection) -> int:
    """Postings that are not counted yet."""
    row = connection.execute("SELECT count(*) FROM billing_posting").fetchone()
    assert row is not None
    return int(row[0])
