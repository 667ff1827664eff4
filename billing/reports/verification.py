"""Does the ledger add up? Each check is one query that finds what does not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import OperationalError, connection, transaction

from billing.models.months import IS_ADJUSTMENT
from billing.models.rates import PRICE_FIELDS
from billing.models.rollups import SPEND_KEY
from billing.pricing import money
from billing.pricing.token_classes import UNITS, TokenClass

_EXAMPLES = 5

_LOCK = "billing verification"
# Of one check. Each reads the whole ledger, and grows with it.
_STATEMENT_TIMEOUT = "20min"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    found: str
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What all checks found, or the `problem` that kept them from their end."""

    started_at: datetime
    finished_at: datetime
    checks: list[Check]
    problem: str = ""


class UnderWay(Exception):
    """Another process verifies right now."""


def verify(*, clock: Callable[[], datetime], alone: bool = False) -> Found:
    """All checks in one snapshot, so that counting can go on meanwhile.

    Raises UnderWay when it is to be `alone` and another such one is at it.
    """
    started_at = clock()
    try:
        with transaction.atomic(durable=True):
            _begin()
            if alone and not _is_alone():
                raise UnderWay
            found = checks()
    except OperationalError as error:
        return Found(started_at, clock(), [], problem=str(error).strip())
    return Found(started_at, clock(), found)


def _begin() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}'")
        # A process that is killed leaves no query behind that nobody waits for.
        cursor.execute("SET LOCAL client_connection_check_interval = '5s'")


def _is_alone() -> bool:
    """Whether nobody else has the lock, which is ours until the snapshot ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [_LOCK])
        return bool(cursor.fetchone()[0])


def checks() -> list[Check]:
    """All checks, in the transaction that is open."""
    return [_run(name, agrees, statement) for name, agrees, statement in _CHECKS]


def _run(name: str, agrees: str, statement: str) -> Check:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) OVER (), f.* FROM ({statement}) f LIMIT {_EXAMPLES}"
        )
        rows = cursor.fetchall()
        columns = [column.name for column in cursor.description][1:]
        if rows:
            return Check(
                name,
                ok=False,
                found=f"{rows[0][0]} differ",
                examples=[
                    ", ".join(
                        f"{column}={value}"
                        for column, value in zip(columns, row[1:], strict=True)
                    )
                    for row in rows
                ],
            )
        cursor.execute(agrees)
        (count,) = cursor.fetchone()
        return Check(name, ok=True, found=f"{count} agree", examples=[])


_QUANTITIES = ", ".join(f"sum({name}) AS {name}" for name in PRICE_FIELDS)


def _rollup_against_charges(table: str, period: str, of_charge: str) -> str:
    """Keys at which the rollup is not the exact sum of its charges."""
    key = ", ".join((*SPEND_KEY, period))
    same = " AND ".join(
        f"kept.{name} = summed.{name}" for name in ("requests", *PRICE_FIELDS, "cost")
    )
    return f"""
        SELECT {key}, kept.cost AS rollup_cost, summed.cost AS charged_cost
        FROM (SELECT {key}, requests, {", ".join(PRICE_FIELDS)}, cost FROM {table}) kept
        FULL JOIN (
            SELECT {", ".join(SPEND_KEY)}, {of_charge} AS {period},
                count(*) FILTER (WHERE leg = 0) - count(*) FILTER (WHERE leg = -1)
                    AS requests,
                {_QUANTITIES}, sum(cost) AS cost
            FROM billing_charge GROUP BY {", ".join(SPEND_KEY)}, {of_charge}
        ) summed USING ({key})
        WHERE ({same}) IS NOT TRUE
    """


_COST_BY_CLASS = " + ".join(f"{name}_cost" for name in PRICE_FIELDS)


def _cost(name: TokenClass) -> str:
    """What a charge's rate makes of one class, exactly: no quotient is left to NUMERIC."""
    amount = f"c.{name} * r.{name}"
    if name is not TokenClass.SESSION:
        return f"coalesce({amount} * {Decimal(1) / UNITS[name]:f}, 0)"
    # An hour's price is divided by its milliseconds and rounded once, half away from
    # zero: in whole numbers of 10⁻¹⁵, twice the dividend plus the divisor, halved.
    hour = UNITS[name]
    nearest = f"div(abs({amount}) * 2e{money.PLACES} + {hour}, {2 * hour})"
    return f"coalesce(sign({amount}) * {nearest} * 1e-{money.PLACES}, 0)"


_COST_BY_RATE = " + ".join(map(_cost, TokenClass))
_HOUR = "date_trunc('hour', occurred_at, 'UTC')"
_DAILY = "SELECT count(*) FROM billing_daily_spend"
_CHARGES = "SELECT count(*) FROM billing_charge"
_RECORDS = "SELECT count(*) FROM billing_usage_record"

# What each record was used for, against what it was charged for: over all revisions, as
# each takes back the one before. An unbilled record is charged for nothing.
_RECORDED_QUANTITIES = ", ".join(
    f"CASE WHEN r.unbilled = '' THEN r.{name} ELSE 0 END AS {name}" for name in PRICE_FIELDS
)
_SAME_QUANTITIES = " AND ".join(f"u.{name} = c.{name}" for name in PRICE_FIELDS)

# Charge against charge: leg -1 - n of a revision is the opposite of leg n of the one
# before, at the same rate and under the same conditions.
_OF_CHARGE = (
    *("project_id", "model_id", "processing", "speed", "geo", "endpoint"),
    *("context_tier", "occurred_at", "reason"),
)
_IS_OPPOSITE = " AND ".join(
    (
        "later.rate_id IS NOT DISTINCT FROM earlier.rate_id",
        *(f"later.{name} = earlier.{name}" for name in _OF_CHARGE),
        *(f"later.{name} = -earlier.{name}" for name in (*PRICE_FIELDS, "cost")),
    )
)
_RERATED = """
    SELECT DISTINCT team_id, month, record_uid, revision FROM billing_charge
    WHERE revision > 0
"""

_NOT_COUNTED = """
    SELECT p.team_id, waiting.uid AS record_uid, 'posting' AS place
    FROM billing_posting p, unnest(p.record_uids) AS waiting(uid)
    UNION ALL SELECT team_id, record_uid, 'unpriced' FROM billing_unpriced_record
    UNION ALL SELECT team_id, record_uid, 'quarantine' FROM billing_quarantined_record
"""

# Of the others a posting says that they are still to be counted.
_COUNTED_VOIDS = """
    SELECT v.team_id, v.month, v.record_uid, v.record_id FROM billing_void v
    LEFT JOIN (
        SELECT p.team_id, unnest(p.record_uids) AS record_uid FROM billing_posting p
    ) w ON w.team_id = v.team_id AND w.record_uid = v.record_uid
    WHERE w.record_uid IS NULL
"""

# What the receipts say, and the postings that are not in them yet.
_TALLIED = """
SELECT team_id, hour, api_key, route,
    received, accepted, duplicates, conflicts, rejected FROM billing_receipt
UNION ALL
SELECT team_id, date_trunc('hour', received_at, 'UTC'), api_key, route,
    coalesce(received, records), coalesce(accepted, records),
    duplicates, conflicts, rejected
FROM billing_posting WHERE coalesce(received, records) > 0
"""


def _budget_covers(spent: str) -> str:
    """Whether a row of spend of team `o` counts against budget `b`, its tag aside."""
    return f"""b.organization_id = o.organization_id AND b.archived_at IS NULL
        AND coalesce(b.team_id, {spent}.team_id) = {spent}.team_id
        AND coalesce(b.project_id, {spent}.project_id) = {spent}.project_id
        AND (cardinality(b.model_ids) = 0 OR {spent}.model_id = ANY (b.model_ids))
        AND (cardinality(b.processing) = 0 OR {spent}.processing = ANY (b.processing))"""


# From these records to their charges: the other way round each is looked for in all.
_TAGGED = """
WITH tagged AS MATERIALIZED (
    SELECT b.id AS budget_id, u.team_id, u.month, u.uid
    FROM billing_usage_record u
    JOIN teams_team o ON o.id = u.team_id
    JOIN billing_budget b ON b.organization_id = o.organization_id
        AND b.archived_at IS NULL AND b.tag_key <> ''
        AND u.tags ->> b.tag_key = ANY (b.tag_values)
)
"""

# The first day of the period of budget `b` that a day of `d` lies in.
_FISCAL = "make_interval(months => b.fiscal_starts_in - 1)"
_PERIOD_START = f"""CASE b.period
    WHEN 'custom' THEN b.custom_first
    WHEN 'day' THEN d.day
    WHEN 'week' THEN
        d.day - (extract(isodow FROM d.day)::int + 6 - b.week_starts_on) % 7
    WHEN 'month' THEN date_trunc('month', d.day::timestamp)::date
    ELSE (date_trunc(b.period, d.day::timestamp - {_FISCAL}) + {_FISCAL})::date
END"""

# name, query for how many agree, query for what does not
_CHECKS = (
    (
        "daily rollups = Σ charges",
        _DAILY,
        _rollup_against_charges("billing_daily_spend", "day", "day"),
    ),
    (
        "hourly rollups = Σ charges",
        "SELECT count(*) FROM billing_hourly_spend",
        _rollup_against_charges("billing_hourly_spend", "hour", _HOUR),
    ),
    (
        "adjustments of a day = Σ charges for closed months",
        _DAILY,
        f"""
        SELECT {", ".join(SPEND_KEY)}, day, kept.adjustment, summed.charged
        FROM (SELECT {", ".join(SPEND_KEY)}, day, adjustment FROM billing_daily_spend) kept
        FULL JOIN (
            SELECT {", ".join(SPEND_KEY)}, day, sum(cost) AS charged
            FROM billing_charge WHERE {IS_ADJUSTMENT}
            GROUP BY {", ".join(SPEND_KEY)}, day
        ) summed USING ({", ".join(SPEND_KEY)}, day)
        WHERE coalesce(kept.adjustment, 0) <> coalesce(summed.charged, 0)
        """,
    ),
    (
        "cost of a day = Σ of its token classes",
        _DAILY,
        f"""
        SELECT team_id, project_id, model_id, day, cost FROM billing_daily_spend
        WHERE cost <> {_COST_BY_CLASS}
        """,
    ),
    (
        "tagged spend = Σ charges of the tagged records",
        "SELECT count(*) FROM billing_tagged_spend",
        f"""
        {_TAGGED}
        SELECT team_id, budget_id, day, kept.cost AS tagged_cost, summed.cost
        FROM (
            SELECT t.team_id, t.budget_id, t.day, t.cost FROM billing_tagged_spend t
            JOIN billing_budget b ON b.id = t.budget_id AND b.archived_at IS NULL
        ) kept
        FULL JOIN (
            SELECT c.team_id, b.id AS budget_id, c.day, sum(c.cost) AS cost
            FROM tagged r
            JOIN billing_charge c
            ON c.team_id = r.team_id AND c.record_uid = r.uid AND c.month = r.month
            JOIN teams_team o ON o.id = c.team_id
            JOIN billing_budget b ON b.id = r.budget_id AND {_budget_covers("c")}
            GROUP BY c.team_id, b.id, c.day
        ) summed USING (team_id, budget_id, day)
        WHERE coalesce(kept.cost, 0) <> coalesce(summed.cost, 0)
        """,
    ),
    (
        "budget totals = Σ daily rollups",
        "SELECT count(*) FROM billing_budget_total",
        f"""
        SELECT team_id, budget_id, period_start, kept.spent AS total, summed.spent
        FROM (
            SELECT t.team_id, t.budget_id, t.period_start, t.spent
            FROM billing_budget_total t
            JOIN billing_budget b ON b.id = t.budget_id AND b.archived_at IS NULL
        ) kept
        FULL JOIN (
            SELECT d.team_id, d.budget_id, {_PERIOD_START} AS period_start,
                sum(d.cost) AS spent
            FROM (
                SELECT r.team_id, b.id AS budget_id, r.day, r.cost
                FROM billing_daily_spend r
                JOIN teams_team o ON o.id = r.team_id
                JOIN billing_budget b ON {_budget_covers("r")} AND b.tag_key = ''
                UNION ALL
                SELECT t.team_id, t.budget_id, t.day, t.cost FROM billing_tagged_spend t
            ) d
            JOIN billing_budget b ON b.id = d.budget_id AND b.archived_at IS NULL
            WHERE b.custom_first IS NULL OR d.day >= b.custom_first
                AND d.day < b.custom_until
            GROUP BY d.team_id, d.budget_id, period_start
        ) summed USING (team_id, budget_id, period_start)
        WHERE coalesce(kept.spent, 0) <> coalesce(summed.spent, 0)
        """,
    ),
    (
        "charge = Σ quantity × rate",
        _CHARGES,
        f"""
        SELECT c.team_id, c.record_uid, c.cost FROM billing_charge c
        LEFT JOIN billing_rate r ON r.id = c.rate_id
        WHERE c.cost <> CASE WHEN r.id IS NULL THEN 0 ELSE {_COST_BY_RATE} END
        """,
    ),
    (
        "Σ charges of a record = its usage",
        "SELECT count(DISTINCT (team_id, record_uid)) FROM billing_charge",
        f"""
        SELECT u.team_id, u.uid, u.record_id
        FROM (SELECT team_id, month, uid, record_id, {_RECORDED_QUANTITIES}
              FROM billing_usage_record r) u
        JOIN (SELECT team_id, month, record_uid, {_QUANTITIES} FROM billing_charge
              GROUP BY team_id, month, record_uid) c
        ON c.team_id = u.team_id AND c.month = u.month AND c.record_uid = u.uid
        LEFT JOIN billing_void v
        ON v.team_id = u.team_id AND v.month = u.month AND v.record_uid = u.uid
        WHERE v.record_uid IS NULL AND NOT ({_SAME_QUANTITIES})
        """,
    ),
    (
        "a void record's charges come to nothing",
        f"SELECT count(*) FROM ({_COUNTED_VOIDS}) v",
        f"""
        SELECT v.team_id, v.record_uid, v.record_id, c.cost
        FROM ({_COUNTED_VOIDS}) v
        LEFT JOIN (
            SELECT team_id, month, record_uid, {_QUANTITIES}, sum(cost) AS cost
            FROM billing_charge GROUP BY team_id, month, record_uid
        ) c ON c.team_id = v.team_id AND c.month = v.month AND c.record_uid = v.record_uid
        LEFT JOIN (
            SELECT team_id, month, record_uid FROM billing_unpriced_record
            UNION SELECT team_id, month, record_uid FROM billing_quarantined_record
        ) n ON n.team_id = v.team_id AND n.month = v.month AND n.record_uid = v.record_uid
        WHERE n.record_uid IS NOT NULL
            OR {" OR ".join(f"c.{name} <> 0" for name in (*PRICE_FIELDS, "cost"))}
        """,
    ),
    (
        "each void and each correction names its record",
        "SELECT count(*) FROM billing_void",
        """
        SELECT v.team_id, v.record_uid, v.record_id, v.corrected_by, v.correction_id
        FROM billing_void v
        LEFT JOIN billing_usage_record u
        ON u.team_id = v.team_id AND u.month = v.month AND u.uid = v.record_uid
        LEFT JOIN billing_usage_record n
        ON n.team_id = v.team_id AND n.uid = v.corrected_by
        WHERE (v.record_id, v.project_id) IS DISTINCT FROM (u.record_id, u.project_id)
            OR v.corrected_by IS NOT NULL AND (v.correction_id, v.project_id)
                IS DISTINCT FROM (n.record_id, n.project_id)
        """,
    ),
    (
        "each pricing takes back the one before",
        f"SELECT count(*) FROM ({_RERATED}) rerated",
        f"""
        SELECT team_id, record_uid, revision, leg, earlier.cost AS earlier_cost,
            later.cost AS later_cost
        FROM (
            SELECT * FROM billing_charge WHERE revision > 0 AND leg < 0
        ) later
        FULL JOIN (
            SELECT c.team_id, c.month, c.record_uid, r.revision, -1 - c.leg AS leg,
                {", ".join(f"c.{name}" for name in (*_OF_CHARGE, *PRICE_FIELDS))},
                c.rate_id, c.cost
            FROM billing_charge c
            JOIN ({_RERATED}) r ON r.team_id = c.team_id AND r.month = c.month
                AND r.record_uid = c.record_uid AND r.revision = c.revision + 1
            WHERE c.leg >= 0
        ) earlier USING (team_id, month, record_uid, revision, leg)
        WHERE ({_IS_OPPOSITE}) IS NOT TRUE
        """,
    ),
    (
        "a re-rate added what it says",
        "SELECT count(*) FROM billing_reratetotal WHERE executed",
        """
        SELECT rerate_id, team_id, t.difference, c.added
        FROM (
            SELECT rerate_id, team_id, difference FROM billing_reratetotal WHERE executed
        ) t
        FULL JOIN (
            SELECT rerate_id, team_id, sum(cost) AS added FROM billing_charge
            WHERE rerate_id IS NOT NULL GROUP BY rerate_id, team_id
        ) c USING (rerate_id, team_id)
        WHERE coalesce(t.difference, 0) <> coalesce(c.added, 0)
        """,
    ),
    (
        "received = accepted + duplicates + conflicts + rejected",
        f"SELECT coalesce(sum(received), 0) FROM ({_TALLIED}) tallied",
        f"""
        SELECT * FROM ({_TALLIED}) tallied
        WHERE received <> accepted + duplicates + conflicts + rejected
        """,
    ),
    (
        "what was accepted is recorded, and nothing else",
        _RECORDS,
        f"""
        SELECT team_id, hour, said.accepted, kept.recorded
        FROM (
            SELECT team_id, hour, sum(accepted) AS accepted
            FROM ({_TALLIED}) tallied GROUP BY team_id, hour
        ) said
        FULL JOIN (
            SELECT team_id, date_trunc('hour', received_at, 'UTC') AS hour,
                count(*) AS recorded
            FROM billing_usage_record GROUP BY 1, 2
        ) kept USING (team_id, hour)
        WHERE coalesce(said.accepted, 0) <> coalesce(kept.recorded, 0)
        """,
    ),
    (
        "each record is pending, priced, unpriced, quarantined or void",
        _RECORDS,
        """
        SELECT u.team_id, u.uid, u.record_id, count(state) AS states
        FROM billing_usage_record u
        LEFT JOIN billing_void v
        ON v.team_id = u.team_id AND v.month = u.month AND v.record_uid = u.uid
        LEFT JOIN (
            SELECT team_id, record_uid, 'priced' AS state FROM billing_charge
            GROUP BY team_id, record_uid
            UNION ALL SELECT team_id, record_uid, 'unpriced' FROM billing_unpriced_record
            UNION ALL
            SELECT team_id, record_uid, 'quarantined' FROM billing_quarantined_record
            UNION ALL
            SELECT p.team_id, waiting.uid, 'pending'
            FROM billing_posting p, unnest(p.record_uids) AS waiting(uid)
            WHERE NOT EXISTS (SELECT FROM billing_unpriced_record n
                WHERE n.team_id = p.team_id AND n.record_uid = waiting.uid)
            GROUP BY p.team_id, waiting.uid
        ) s ON s.team_id = u.team_id AND s.record_uid = u.uid
        WHERE v.record_uid IS NULL
        GROUP BY u.team_id, u.uid, u.record_id
        HAVING count(state) <> 1
        """,
    ),
    (
        "no charge without its record",
        _CHARGES,
        """
        SELECT c.team_id, c.record_uid, c.cost FROM billing_charge c
        LEFT JOIN billing_usage_record u
        ON u.team_id = c.team_id AND u.month = c.month AND u.uid = c.record_uid
        WHERE u.uid IS NULL
        """,
    ),
    (
        "nothing waits or is set aside without its record",
        f"SELECT count(*) FROM ({_NOT_COUNTED}) waiting",
        f"""
        SELECT w.team_id, w.record_uid, w.place
        FROM ({_NOT_COUNTED}) w
        LEFT JOIN billing_usage_record u
        ON u.team_id = w.team_id AND u.uid = w.record_uid
        WHERE u.uid IS NULL
        """,
    ),
    (
        "no id twice: in two months, or under two owners",
        _RECORDS,
        """
        SELECT u.project_id, u.record_id, count(*) AS records
        FROM billing_usage_record u
        LEFT JOIN billing_void v
        ON v.team_id = u.team_id AND v.month = u.month AND v.record_uid = u.uid
        WHERE v.record_uid IS NULL
        GROUP BY u.project_id, u.record_id HAVING count(*) > 1
        """,
    ),
)
