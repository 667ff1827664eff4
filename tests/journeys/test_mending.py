"""Sums that were damaged and records that broke are mended while records keep coming."""

import subprocess
import sys
from typing import Any

import pytest

from tests.chaos.service import CHECKOUT, Client, Service, await_that
from tests.journeys.test_prices import call
from tests.journeys.test_rerate import Posting

pytestmark = pytest.mark.xdist_group("journeys")

SECONDS = 30
AT_ONCE = 4
POISONED = [f"poisoned-{number}" for number in range(20)]

_DAMAGE = (
    "UPDATE billing_daily_spend SET cost = cost * 3, input_cost = 7 RETURNING 1",
    "DELETE FROM billing_hourly_spend WHERE team_id % 2 = 0 RETURNING 1",
    "UPDATE billing_budget_total SET spent = spent + 1 RETURNING 1",
)
_LAST = "SELECT id, ok FROM billing_verification ORDER BY id DESC LIMIT 1"
_QUARANTINED = (
    "SELECT count(*) FROM billing_quarantined_record WHERE record_id LIKE 'poisoned-%'"
)
# As beat asks for it: a message to the workers.
_ASK = "from config.celery import app; app.send_task('billing.tasks.verify_ledger')"
_VERIFY_ALONE = """
from django.utils import timezone
from billing.reports import verification
try:
    verification.verify(clock=timezone.now, alone=True)
    print("verified")
except verification.UnderWay:
    print("another one is at it")
"""


def state(demo: Client, record_id: str) -> Any:
    return demo.get(f"usage/{record_id}").body.get("state")


def verify(service: Service) -> int:
    return service.manage("verify_ledger", check=False).returncode


def test_damaged_rollups_are_rebuilt_while_records_are_counted(
    service: Service, demo: Client
) -> None:
    assert demo.post("usage", call("before-the-damage")).status == 202
    await_that(lambda: state(demo, "before-the-damage") == "priced", SECONDS, "counted")
    posting = Posting(service)
    posting.start()
    try:
        for statement in _DAMAGE:
            service.query(statement)
        assert verify(service) == 1
        for _ in range(2):
            service.manage("rebuild_rollups")
    finally:
        posting.end()

    assert posting.acknowledged
    last = posting.acknowledged[-1]
    await_that(lambda: state(demo, last) == "priced", SECONDS, "what came is counted")
    service.manage("verify_ledger")
    assert service.query(_LAST)[0][1] is True


def test_a_worker_verifies_and_goes_on_counting(service: Service, demo: Client) -> None:
    service.manage("verify_ledger")
    before = service.query(_LAST)[0][0]

    service.shell(_ASK)

    await_that(lambda: service.query(_LAST)[0][0] > before, SECONDS, "a verification")
    assert service.query(_LAST)[0][1] is True
    assert demo.post("usage", call("after-a-verification")).status == 202
    await_that(lambda: state(demo, "after-a-verification") == "priced", SECONDS, "counted")


def test_of_two_that_are_to_be_alone_one_verifies(service: Service) -> None:
    with service.sql() as database:
        database.execute("SELECT pg_advisory_lock(hashtext('billing verification'))")
        assert service.shell(_VERIFY_ALONE, role="worker").strip() == "another one is at it"

    assert service.shell(_VERIFY_ALONE, role="worker").strip() == "verified"


def test_one_that_cannot_end_is_kept_as_such(service: Service) -> None:
    """A worker's wait for a lock ends after five seconds."""
    with service.sql() as database, database.transaction():
        database.execute("LOCK TABLE billing_charge IN ACCESS EXCLUSIVE MODE")
        said = service.manage("verify_ledger", role="worker", check=False)

    assert said.returncode == 1
    assert "lock timeout" in said.stderr
    last = "SELECT ok, problem FROM billing_verification ORDER BY id DESC LIMIT 1"
    [(ok, problem)] = service.query(last)
    assert not ok
    assert "lock timeout" in problem
    service.manage("verify_ledger")


def redrive(service: Service) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "redrive_quarantine"],
        cwd=CHECKOUT,
        env=service.variables() | {"DATABASE_ROLE": "owner"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_redriven_by_several_at_once_a_record_counts_once(
    service: Service, demo: Client
) -> None:
    # Their input is that of no other record here; NOT VALID looks at new charges alone.
    odd = {"input_tokens": 987_001, "output_tokens": 1}
    with service.sql() as database:
        database.execute(
            "ALTER TABLE billing_charge"
            " ADD CONSTRAINT poison CHECK (input <> 987001) NOT VALID"
        )
        try:
            demo.post("usage", [call(one, usage=odd) for one in POISONED])
            await_that(
                lambda: service.query(_QUARANTINED)[0][0] == len(POISONED),
                SECONDS,
                "all are set aside",
            )
        finally:
            database.execute("ALTER TABLE billing_charge DROP CONSTRAINT poison")
    assert state(demo, POISONED[0]) == "quarantined"

    processes = [redrive(service) for _ in range(AT_ONCE)]
    for process in processes:
        said, _ = process.communicate(timeout=SECONDS * 2)
        assert process.returncode == 0, said

    await_that(
        lambda: {state(demo, one) for one in POISONED} == {"priced"}, SECONDS, "counted"
    )
    charged = service.query("SELECT count(*) FROM billing_charge WHERE input = 987001")
    assert charged == [(len(POISONED),)]
    posted = service.query(
        "SELECT sum((after->>'posted')::int) FROM teams_auditevent"
        " WHERE action = 'quarantine.redrive'"
    )
    assert posted == [(len(POISONED),)]
    assert verify(service) == 0
