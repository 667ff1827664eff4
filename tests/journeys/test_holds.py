"""Holds over HTTP: however many ask at once, no cap is passed; as much as fits is held."""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from tests.chaos.service import Client, Reply, Service, await_that
from tests.journeys.test_alerts import MAKE, spent

pytestmark = pytest.mark.xdist_group("journeys")

AT_ONCE = 64
SECONDS = 10
MODEL = "claude-haiku-4-5"

# What an independent reader of the tables finds spent and reserved of one budget.
USED = """
SELECT coalesce((SELECT sum(cost) FROM billing_charge WHERE team_id IN (
        SELECT id FROM teams_team WHERE organization_id = b.organization_id)
        AND (b.team_id IS NULL OR team_id = b.team_id)
        AND (b.project_id IS NULL OR project_id = b.project_id)), 0),
    coalesce((SELECT sum(h.amount) FROM billing_hold h
        JOIN teams_project p ON p.id = h.project_id
        WHERE p.organization_id = b.organization_id
        AND (b.team_id IS NULL OR h.team_id = b.team_id)
        AND (b.project_id IS NULL OR h.project_id = b.project_id)
        AND (h.state = 'settling' OR h.state = 'held' AND h.expires_at > now())), 0)
FROM billing_budget b WHERE b.id = %s
"""


class Company(NamedTuple):
    """An organization with a team `alpha` and projects `alpha-1` and `alpha-2`."""

    client: Client
    service: Service

    def budget(self, amount: str, **scope: str) -> int:
        terms = {"amount": amount, "hard": True, "thresholds": [], **scope}
        made = self.client.post("budgets", terms)
        assert made.status == 201, made
        return int(made.body["id"])

    def hold(self, micros: int, project: str = "alpha-1", **headers: str) -> Reply:
        wanted = {"project": project, "model": MODEL, "estimate": dollars(micros)}
        return self.client.post("holds", wanted, **headers)

    def used(self, budget: int) -> tuple[int, int]:
        """Millionths of a dollar that are spent, and reserved."""
        ((its_spent, reserved),) = self.service.query(USED, budget)
        return int(its_spent * 1_000_000), int(reserved * 1_000_000)


def dollars(micros: int) -> str:
    return f"{Decimal(micros) / 1_000_000:f}"


@pytest.fixture
def company(service: Service, request: pytest.FixtureRequest) -> Company:
    slug = re.sub("[^a-z]+", "-", request.node.name).strip("-")[:40]
    key = service.shell(MAKE.format(slug=slug, teams=("alpha", "beta"))).strip()
    return Company(service.client(key, timeout=20), service)


def at_once(calls: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """All of them from one moment on."""
    barrier = threading.Barrier(len(calls))

    def call(one: Callable[[], Reply]) -> Reply:
        barrier.wait(SECONDS)
        return one()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


def granted(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    assert {reply.status for reply in replies} <= {200, 201}, replies
    return [reply.body for reply in replies if reply.body["granted"]]


@pytest.mark.parametrize(
    "scope", [{"project": "alpha-1"}, {"team": "alpha"}, {}], ids=["project", "team", "all"]
)
def test_many_at_once_pass_no_cap(company: Company, scope: dict[str, str]) -> None:
    budget = company.budget(dollars(100), **scope)

    for _ in range(3):
        replies = at_once([lambda: company.hold(7)] * AT_ONCE)

        holds = granted(replies)
        assert len(holds) == 14  # 14 × 7 = 98 of 100
        assert company.used(budget) == (0, 98)
        gone = at_once(
            [
                lambda hold=hold: company.client.delete(f"holds/{hold['id']}")
                for hold in holds
            ]
        )
        assert {reply.status for reply in gone} == {204}


def test_three_levels_at_once(company: Company) -> None:
    """Callers of two projects meet at the team, and at the organization, in one order."""
    of_one = company.budget(dollars(8), project="alpha-1")
    of_team = company.budget(dollars(20), team="alpha")
    of_all = company.budget(dollars(40))
    projects = ["alpha-1", "alpha-2", "beta-1", "beta-2"] * (AT_ONCE // 4)

    replies = at_once(
        [lambda project=project: company.hold(1, project) for project in projects]
    )

    granted(replies)
    used = [company.used(budget)[1] for budget in (of_one, of_team, of_all)]
    assert (used[0] <= 8, used[1] <= 20) == (True, True)
    assert used[2] == 40  # of 64, whoever comes first


def test_retries_at_once_are_one_hold(company: Company) -> None:
    budget = company.budget(dollars(100))

    replies = at_once([lambda: company.hold(7, Idempotency_Key="call-1")] * 16)

    assert len({hold["id"] for hold in granted(replies)}) == 1
    assert company.used(budget) == (0, 7)


def test_retries_at_once_without_any_budget_are_one_hold(company: Company) -> None:
    replies = at_once([lambda: company.hold(7, Idempotency_Key="call-1")] * 16)

    assert len({hold["id"] for hold in granted(replies)}) == 1


def test_holding_while_settling_passes_no_cap(company: Company) -> None:
    """Each holds, posts what it used, and holds again; nothing but the cap ends it."""
    budget = company.budget(dollars(300))
    over = threading.Event()
    highest: list[int] = []

    def watch() -> None:
        while not over.is_set():
            highest.append(sum(company.used(budget)))

    def spend(number: int) -> int:
        """Until nothing fits any more; what was used."""
        used = 0
        while True:
            holds = granted([company.hold(10)])
            if not holds:
                return used
            record = spent(f"{number}-{used}", "alpha-1", 9) | {"hold": holds[0]["id"]}
            posted = company.client.post("usage", record)
            assert posted.status == 202, posted
            assert posted.body["results"] == []
            used += 9

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(8) as threads:
            used = sum(threads.map(spend, range(8)))
    finally:
        over.set()
        watching.join()

    await_that(lambda: company.used(budget) == (used, 0), SECONDS, "all is counted")
    assert max(highest) <= 300
    assert used >= 9 * (300 // 10)
    company.service.manage("verify_ledger")


def test_the_way_of_one_call(company: Company) -> None:
    """Ask, hold, call, post; and the verdict follows."""
    company.budget(dollars(1000), project="alpha-1")
    question = "budgets/verdict?project=alpha-1&estimate=0.0008"
    assert company.client.get(question).body["verdict"] == "allow"
    wanted = {"project": "alpha-1", "model": MODEL, "prompt_tokens": 100, "max_tokens": 20}

    held = company.client.post("holds", wanted)
    verdict = company.client.get(question).body
    record = spent("one-call", "alpha-1", 500) | {"hold": held.body["id"]}
    assert company.client.post("usage?verbose=1", record, Prefer="wait=5").status == 202

    # 100 in at 2 a million (written for an hour), 20 out at 5: 300 millionths.
    assert (held.status, held.body["amount"]) == (201, dollars(300))
    assert verdict["verdict"] == "deny"
    hold = company.client.get(f"holds/{held.body['id']}").body
    assert (hold["state"], hold["bound"]) == ("settled", None)
    after = company.client.get(question).body
    assert (after["verdict"], after["remaining"]) == ("deny", dollars(500))


def test_who_waits_too_long_for_a_lock_is_told_to_come_back(company: Company) -> None:
    budget = company.budget(dollars(100))
    lock = "hashtext('billing hold'), %s"
    with company.service.sql() as other:
        other.execute(f"SELECT pg_advisory_lock({lock})", [budget])
        refused = company.hold(7)
        other.execute(f"SELECT pg_advisory_unlock({lock})", [budget])

    assert (refused.status, refused.body["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert company.hold(7).status == 201
    assert company.used(budget) == (0, 7)
