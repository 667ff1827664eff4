"""A re-rate of many records while whoever is at it is killed, and records keep coming."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from threading import Event, Thread

import pytest

from tests.bench.rerate import FIRST, MODELS, PUBLISH, fill
from tests.chaos import faults
from tests.chaos.service import CHECKOUT, Service, await_that
from tests.journeys.test_prices import call

pytestmark = pytest.mark.xdist_group("rerate")

RECORDS = 40_000
KILLS = 4
FINISH_SECONDS = 120

_SEEN = "SELECT coalesce(sum(records), 0) FROM billing_reratetotal WHERE executed"
_SPENT = """
SELECT team_id, project_id, model_id, day, requests, cost FROM billing_daily_spend
WHERE requests <> 0 OR cost <> 0 ORDER BY 1, 2, 3, 4
"""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        fill(running, RECORDS)
        yield running


class Posting(Thread):
    """A client that posts one record after the other until it is told to end."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._client = service.client(service.demo_key)
        self._enough = Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._enough.is_set():
            number += 1
            record_id = f"meanwhile-{number}"
            if self._client.post("usage", call(record_id)).status == 202:
                self.acknowledged.append(record_id)

    def end(self) -> None:
        self._enough.set()
        self.join()


def start_again(service: Service, number: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "rerate", "--resume", str(number), "--yes"],
        cwd=CHECKOUT,
        env=service.variables() | {"DATABASE_ROLE": "owner"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_amid(service: Service, number: int) -> None:
    """Both who might be at it, as soon as they have done some more."""
    seen = service.query(_SEEN)[0][0]
    process = start_again(service, number)
    await_that(
        lambda: service.query(_SEEN)[0][0] > seen or process.poll() is not None,
        FINISH_SECONDS,
        "some more records are re-rated",
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    faults.kill_workers(service)
    service.start_all()


def state(service: Service, number: int) -> str:
    query = "SELECT state FROM billing_rerate WHERE id = %s"
    return str(service.query(query, number)[0][0])


def differences(service: Service, *, executed: bool) -> dict[int, Decimal]:
    rows = service.query(
        "SELECT team_id, difference FROM billing_reratetotal WHERE executed = %s"
        " AND rerate_id = 1",
        executed,
    )
    return dict(rows)


def test_killed_over_and_over_it_ends_with_the_totals_of_its_dry_run(
    service: Service,
) -> None:
    before = service.query(_SPENT)
    service.shell(PUBLISH.format(models=list(MODELS)))
    service.manage(
        *("rerate", "--organization", "acme", "--from", FIRST, "--until", "2030-01-01"),
        *("--reason", "corrected list price", "--dry-run"),
    )
    assert service.query(_SPENT) == before
    posting = Posting(service)
    posting.start()
    try:
        for _ in range(KILLS):
            kill_amid(service, 1)
        last = start_again(service, 1)
        said, _ = last.communicate(timeout=FINISH_SECONDS)
        assert last.returncode == 0, said
    finally:
        posting.end()

    assert state(service, 1) == "done"
    assert differences(service, executed=True) == differences(service, executed=False)
    assert posting.acknowledged
    demo = service.client(service.demo_key)
    await_that(
        lambda: demo.get(f"usage/{posting.acknowledged[-1]}").body["state"] == "priced",
        10,
        "what was posted meanwhile is counted",
    )
    service.manage("verify_ledger")

    service.manage("rerate", "--reverse", "1", "--yes")

    assert state(service, 1) == "reversed"
    service.manage("verify_ledger")
    after = service.query(
        """
        SELECT sum(cost) - (
            SELECT sum(c.cost) FROM billing_charge c JOIN billing_usage_record u
            ON u.team_id = c.team_id AND u.month = c.month AND u.uid = c.record_uid
            WHERE u.record_id LIKE 'meanwhile-%%'
        ) FROM billing_charge
        """
    )
    assert after[0][0] == sum((row[-1] for row in before), Decimal())
