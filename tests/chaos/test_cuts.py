"""A connection cut at each point of the transaction that stores records.

Whatever the point, the answer is true (202 only for what is in the ledger) and the same
request sent again ends in one record and one charge.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.chaos import oracle
from tests.chaos.proxy import Point
from tests.chaos.service import Client, Reply, Service, await_that
from tests.journeys.test_prices import call

pytestmark = pytest.mark.xdist_group("broken")

COUNTED_SECONDS = 30


@dataclass(frozen=True)
class Ledger:
    """What became of one record id."""

    records: int
    charges: int
    waiting: int


def held(service: Service, record_id: str) -> Ledger:
    ((records, charges),) = service.query(
        "SELECT count(DISTINCT r.uid), count(c.record_uid) FROM billing_usage_record r "
        "LEFT JOIN billing_charge c ON c.team_id = r.team_id AND c.record_uid = r.uid "
        "WHERE r.record_id = %s",
        record_id,
    )
    ((waiting,),) = service.query("SELECT count(*) FROM billing_posting")
    return Ledger(records, charges, waiting)


def await_counted(service: Service, record_id: str) -> Ledger:
    def rested() -> Ledger | None:
        ledger = held(service, record_id)
        return ledger if ledger.charges and not ledger.waiting else None

    ledger: Ledger = await_that(rested, COUNTED_SECONDS, f"{record_id} is counted")
    return ledger


def cut_at(service: Service, proxy: str, point: Point, skip: int = 0) -> int:
    """Arm it; how often it has cut until now."""
    service.proxies[proxy].arm(point, skip=skip)
    return service.proxies[proxy].cuts


def result(reply: Reply) -> str:
    status: Any = reply.body["results"][0]["status"]
    return str(status)


# A trip is one message: once the server has its beginning, it may have its end as well.
_STORED_AT = {
    Point.AFTER_BEGIN: {0, 1},
    Point.AFTER_INSERT: {0, 1},
    Point.AFTER_COMMIT: {1},
}


@pytest.mark.parametrize("point", Point, ids=lambda point: point.replace(" ", "-"))
def test_a_cut_while_storing(service: Service, demo: Client, point: Point) -> None:
    record = call(f"stored-{point.replace(' ', '-')}")
    before = cut_at(service, "web", point)

    first = demo.post("usage?verbose=1", record)
    stored = held(service, record["id"]).records
    again = demo.post("usage?verbose=1", record)

    assert service.proxies["web"].cuts == before + 1
    assert first.status == 503
    assert int(first.headers["retry-after"]) > 0
    assert stored in _STORED_AT.get(point, {0})
    assert (again.status, result(again)) == (202, "duplicate" if stored else "accepted")
    assert await_counted(service, record["id"]) == Ledger(records=1, charges=1, waiting=0)


@pytest.mark.parametrize(
    "point",
    [Point.BEFORE_INSERT, Point.BEFORE_COMMIT, Point.AFTER_COMMIT],
    ids=lambda point: point.replace(" ", "-"),
)
def test_a_cut_while_counting(service: Service, demo: Client, point: Point) -> None:
    record = call(f"counted-{point.replace(' ', '-')}")
    before = cut_at(service, "workers", point)

    reply = demo.post("usage?verbose=1", record)

    assert (reply.status, result(reply)) == (202, "accepted")
    assert await_counted(service, record["id"]) == Ledger(records=1, charges=1, waiting=0)
    assert service.proxies["workers"].cuts == before + 1


def test_a_cut_between_two_teams(service: Service) -> None:
    """One team's records are committed, the other's are not: each is told so."""
    client = service.client()
    records = [
        call("both-1", project="playground"),
        call("both-2", project="ticket-triage"),
    ]
    cut_at(service, "web", Point.BEFORE_COMMIT, skip=1)

    first = client.post("usage?verbose=1", records)
    stored = {one["id"]: held(service, one["id"]).records for one in records}
    again = client.post("usage?verbose=1", records)

    said = {one["id"]: one["status"] for one in first.body["results"]}
    assert first.status == 207
    assert sorted(said.values()) == ["accepted", "try_again"]
    assert stored == {name: int(status == "accepted") for name, status in said.items()}
    assert again.status == 202
    for name in said:
        assert await_counted(service, name) == Ledger(records=1, charges=1, waiting=0)


def test_sums_agree_after_all_cuts(service: Service) -> None:
    with service.sql() as connection:
        assert oracle.look(connection, []).faults == []
    assert service.manage("verify_ledger").returncode == 0
