"""What should have come of the posted records, and whether it did.

Nothing here is taken from the product: prices are typed by hand, and what the ledger
holds is read with SQL of its own.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg

# --- What a record costs -------------------------------------------------------------

# US dollars per million tokens: input, 5-minute and 1-hour cache write, cache read, output.
PRICES = {
    "claude-haiku-4-5": ("1", "1.25", "2", "0.10", "5"),
    "claude-opus-4-5": ("5", "6.25", "10", "0.50", "25"),
    "claude-sonnet-4-5": ("3", "3.75", "6", "0.30", "15"),
}
# A Sonnet request with more input than this costs these prices, all of it.
LONG = 200_000
LONG_PRICES = {"claude-sonnet-4-5": ("6", "7.50", "12", "0.60", "22.50")}
SEARCH = Decimal("0.01")


def expected_cost(record: Mapping[str, Any]) -> Decimal | None:
    """The exact cost of a posted record; None when nobody published a price."""
    usage = record["usage"]
    prices = PRICES.get(record["model"])
    if prices is None:
        return None
    writes = usage.get("cache_creation", {})
    tokens = (
        usage["input_tokens"],
        writes.get("ephemeral_5m_input_tokens", 0),
        writes.get("ephemeral_1h_input_tokens", 0),
        usage.get("cache_read_input_tokens", 0),
        usage["output_tokens"],
    )
    if sum(tokens[:4]) > LONG:
        prices = LONG_PRICES.get(record["model"], prices)
    cost = sum(
        (count * Decimal(price) for count, price in zip(tokens, prices, strict=True)),
        Decimal(),
    ).scaleb(-6)
    if usage.get("service_tier") == "batch":
        cost /= 2
    searches = usage.get("server_tool_use", {}).get("web_search_requests", 0)
    return cost + searches * SEARCH


# --- What must hold at every moment --------------------------------------------------


class Snapshot(NamedTuple):
    """One moment of the ledger."""

    charges: int
    waiting: int  # postings that are not counted yet
    faults: list[str]


_SUMS = {
    "charges": "SELECT team_id, sum(cost) FROM billing_charge GROUP BY team_id",
    "daily": "SELECT team_id, sum(cost) FROM billing_daily_spend GROUP BY team_id",
    "hourly": "SELECT team_id, sum(cost) FROM billing_hourly_spend GROUP BY team_id",
}
_COUNTS = """
SELECT (SELECT count(*) FROM billing_charge), (SELECT count(*) FROM billing_posting)
"""
_MISSING = """
SELECT id FROM unnest(%s::text[]) AS acked(id)
WHERE NOT EXISTS (SELECT FROM billing_usage_record r WHERE r.record_id = acked.id)
"""


def look(connection: psycopg.Connection[Any], acked: Collection[str]) -> Snapshot:
    """Whether the sums agree and what was acknowledged is there, in one snapshot."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        sums = {name: _dict(connection, query) for name, query in _SUMS.items()}
        charges, waiting = connection.execute(_COUNTS).fetchall()[0]
        missing = connection.execute(_MISSING, [list(acked)]).fetchall()
    faults = [
        f"Σ {name} {sums[name]} is not Σ charges {sums['charges']}"
        for name in ("daily", "hourly")
        if sums[name] != sums["charges"]
    ]
    faults += [f"{record_id} was acknowledged and is not there" for (record_id,) in missing]
    return Snapshot(charges, waiting, faults)


def _dict(connection: psycopg.Connection[Any], query: str) -> dict[int, Decimal]:
    return dict(connection.execute(query).fetchall())


# --- What must hold at the end --------------------------------------------------------


class Held(NamedTuple):
    """What the ledger holds under one record id."""

    record_id: str
    records: int  # facts with this id: one
    requests: int  # charges that stand for a request: one, if it has a price
    cost: Decimal | None
    unpriced: bool
    quarantined: bool


_HELD = """
SELECT r.record_id, count(*), coalesce(sum(c.requests), 0)::int, sum(c.cost),
    bool_or(u.record_uid IS NOT NULL), bool_or(q.record_uid IS NOT NULL)
FROM billing_usage_record r
LEFT JOIN (
    SELECT team_id, record_uid, count(*) FILTER (WHERE leg = 0) AS requests,
        sum(cost) AS cost
    FROM billing_charge GROUP BY team_id, record_uid
) c ON c.team_id = r.team_id AND c.record_uid = r.uid
LEFT JOIN billing_unpriced_record u ON u.team_id = r.team_id AND u.record_uid = r.uid
LEFT JOIN billing_quarantined_record q ON q.team_id = r.team_id AND q.record_uid = r.uid
GROUP BY r.record_id
"""
_TOTALS = """
SELECT (SELECT coalesce(sum(cost), 0) FROM billing_charge),
    (SELECT count(*) FROM billing_posting)
"""


@dataclass
class Verdict:
    """What became of the acknowledged records, and of the others that are there."""

    acked: int = 0
    unacked: int = 0  # in the ledger although no answer to them arrived
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    charged: Decimal = Decimal()
    expected: Decimal = Decimal()

    @property
    def ok(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


def judge(
    database: str,
    expected: Mapping[str, Decimal | None],
    acked: Collection[str],
) -> Verdict:
    """Hold a ledger at rest against the log of the clients.

    `expected` has every record that was ever sent, acknowledged or not.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        held = {row[0]: Held(*row) for row in connection.execute(_HELD).fetchall()}
        charged, waiting = connection.execute(_TOTALS).fetchall()[0]
    verdict = Verdict(acked=len(acked), unacked=len(held.keys() - acked), charged=charged)
    verdict.lost = sorted(set(acked) - held.keys())
    for record_id, one in held.items():
        _judge(verdict, one, record_id in expected, expected.get(record_id))
    verdict.expected = _total(expected, held)
    if verdict.charged != verdict.expected:
        verdict.wrong.append(f"Σ charges {charged}, expected {verdict.expected}")
    if waiting:
        verdict.wrong.append(f"{waiting} postings are not counted")
    return verdict


def _judge(verdict: Verdict, held: Held, known: bool, cost: Decimal | None) -> None:
    """Put one record where it belongs, if anything is wrong with it."""
    if not known:
        verdict.wrong.append(f"{held.record_id} was never sent")
    elif held.records > 1 or held.requests > 1:
        verdict.doubled.append(held.record_id)
    elif cost is None:
        if not held.unpriced or held.quarantined or held.requests:
            verdict.wrong.append(f"{held.record_id} has no price and is not unpriced")
    elif not held.requests:
        verdict.lost.append(held.record_id)
    elif held.cost != cost or held.unpriced or held.quarantined:
        verdict.wrong.append(f"{held} should cost {cost}")


def _total(expected: Mapping[str, Decimal | None], record_ids: Iterable[str]) -> Decimal:
    costs = (expected.get(record_id) for record_id in record_ids)
    return sum((cost for cost in costs if cost is not None), Decimal())
