"""The harness can fail: what is planted into a ledger is found.

A real service makes the ledger once; each plant gets a copy, in which the owner's SQL
does what the product must never do to the records of one project. The oracle has to
notice all of it, and so has `verify_ledger`, which knows only what the ledger itself says.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

import psycopg
import pytest

from tests.chaos import oracle
from tests.chaos.load import Author, Sent
from tests.chaos.service import Service, await_that

pytestmark = pytest.mark.xdist_group("chaos")

RECORDS = 60

_MINE = "project_id = (SELECT id FROM teams_project WHERE slug = 'ticket-triage')"
_MEASURES = (
    "requests", "input", "cache_write_5m", "cache_write_1h", "cache_read", "output",
    "web_search", "input_cost", "cache_write_5m_cost", "cache_write_1h_cost",
    "cache_read_cost", "output_cost", "web_search_cost", "cost",
)  # fmt: skip
_DOUBLED = ", ".join(f"{name} = 2 * {name}" for name in _MEASURES)
_CHARGES_AGAIN = f"INSERT INTO billing_charge SELECT * FROM billing_charge WHERE {_MINE}"
_ONE_CHARGE = f"(SELECT min(record_uid::text)::uuid FROM billing_charge WHERE {_MINE})"
_FORGET = [
    f"DELETE FROM billing_{table} WHERE {_MINE}"
    for table in ("charge", "daily_spend", "hourly_spend")
]
_RECORDED_LAST_YEAR = f"""
CREATE TEMPORARY TABLE copied AS SELECT * FROM billing_usage_record WHERE {_MINE};
UPDATE copied SET uid = gen_random_uuid(), occurred_at = occurred_at - interval '1 year';
UPDATE copied SET month = date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date;
INSERT INTO billing_usage_record SELECT * FROM copied
"""


@dataclass(frozen=True)
class Plant:
    """Statements that spoil a ledger, so that it contradicts itself."""

    name: str
    statements: list[str]


PLANTS = [
    Plant(
        "one-charge-gone",
        [f"DELETE FROM billing_charge WHERE record_uid = {_ONE_CHARGE}"],
    ),
    Plant("charges-and-sums-gone", _FORGET),
    Plant(
        "gone-without-a-trace",
        [
            *_FORGET,
            f"DELETE FROM billing_usage_record WHERE {_MINE}",
            f"DELETE FROM billing_unpriced_record WHERE {_MINE}",
        ],
    ),
    Plant(
        "records-gone-that-had-no-price",
        [*_FORGET, f"DELETE FROM billing_usage_record WHERE {_MINE}"],
    ),
    Plant(
        "counted-twice-without-a-key",
        [
            "ALTER TABLE billing_charge DROP CONSTRAINT billing_charge_pkey",
            _CHARGES_AGAIN,
            f"UPDATE billing_daily_spend SET {_DOUBLED} WHERE {_MINE}",
            f"UPDATE billing_hourly_spend SET {_DOUBLED} WHERE {_MINE}",
        ],
    ),
    Plant(
        "charged-twice-summed-once",
        [
            "ALTER TABLE billing_charge DROP CONSTRAINT billing_charge_pkey",
            _CHARGES_AGAIN,
        ],
    ),
    Plant("recorded-in-two-months", [_RECORDED_LAST_YEAR]),
    Plant(
        "costs-a-little-more",
        [f"UPDATE billing_charge SET cost = cost + 1e-15 WHERE {_MINE}"],
    ),
    Plant(
        "sum-off-by-the-smallest-unit",
        [f"UPDATE billing_daily_spend SET cost = cost + 1e-15 WHERE {_MINE}"],
    ),
]


@dataclass(frozen=True)
class Ledger:
    """A ledger at rest, and what was posted into it."""

    service: Service
    sent: list[Sent]

    def copy(self, name: str) -> str:
        """Another database with the same content; its URL."""
        with self.service.sql(self.service.postgres.url("postgres")) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE purser")
        return self.service.postgres.url(name)

    def oracle_finds(self, database: str) -> list[str]:
        expected = {sent.id: sent.cost for sent in self.sent}
        verdict = oracle.judge(database, expected, expected.keys())
        with psycopg.connect(database, autocommit=True) as connection:
            snapshot = oracle.look(connection, expected.keys())
        return [*verdict.lost, *verdict.doubled, *verdict.wrong, *snapshot.faults]

    def verified(self, database: str) -> bool:
        done = self.service.manage("verify_ledger", database=database, check=False)
        return done.returncode == 0


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with Service() as service:
        now = datetime.fromtimestamp(time.time(), UTC)
        author = Author("planted", Random(1), now)  # noqa: S311 - always the same
        sent = [author.valid() for _ in range(RECORDS)]
        reply = service.client().post("usage", [one.record for one in sent])
        assert reply.body["accepted"] == RECORDS, reply
        await_that(lambda: at_rest(service), 20, "all are counted")
        for process in service.all:  # a database with sessions cannot be copied
            process.stop()
        yield Ledger(service, sent)


def at_rest(service: Service) -> bool:
    return service.query("SELECT count(*) FROM billing_posting") == [(0,)]


def test_a_sound_ledger_pleases_both_judges(ledger: Ledger) -> None:
    database = ledger.copy("sound")

    assert ledger.oracle_finds(database) == []
    assert ledger.verified(database)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_what_is_planted_is_found(ledger: Ledger, plant: Plant) -> None:
    database = ledger.copy("planted")
    with ledger.service.sql(database) as owner:
        for statement in plant.statements:
            owner.execute(statement)

    assert ledger.oracle_finds(database)
    assert not ledger.verified(database)
