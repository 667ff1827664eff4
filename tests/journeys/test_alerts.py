"""Budgets over the API: what is reached is said within seconds, once, and signed."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from standardwebhooks.webhooks import Webhook

from tests.chaos.service import Client, Reply, Service, await_that
from tests.journeys.test_prices import call
from tests.receivers import Receiver, Request

pytestmark = pytest.mark.xdist_group("journeys")

SAID_SECONDS = 5
LEVELS = [50, 80, 100]
AT_ONCE = 16

MAKE = """
from django.utils import timezone
from teams.actions import api_keys, organizations, projects, teams
from teams.models.api_keys import Scope
made = {{"by": "tests", "now": timezone.now()}}
organization = organizations.create(
    name="{slug}", slug="{slug}", time_zone="Europe/Berlin", **made)
for team in {teams!r}:
    owner = teams.create(organization=organization, name=team, slug=team, **made)
    for project in (f"{{team}}-1", f"{{team}}-2"):
        projects.create(team=owner, name=project, slug=project, **made)
_, secret = api_keys.issue(
    organization=organization, name="tests", scopes=list(Scope), **made)
print(secret)
"""

# As many processes as there are ways to come at a posting: half of them take a team's
# batches, as workers do; half take one posting after another, as `Prefer: wait` does.
COUNT_AT_ONCE = """
import os, sys, traceback
from django.db import connection
from django.utils import timezone
from billing.actions import post
with connection.cursor() as cursor:
    cursor.execute("SELECT team_id, uid FROM billing_posting ORDER BY uid")
    postings = cursor.fetchall()
connection.close()
connection.close_pool()  # what is open in it cannot be shared
gate, keeper = os.pipe()
def count(number):
    os.close(keeper)
    os.read(gate, 1)  # until all are there
    if number % 2:
        for team_id, uid in postings[number // 2 :: {at_once} // 2]:
            post.count(team_id=team_id, only=uid, now=timezone.now())
    while waiting := post.batches_waiting():
        for team_id in waiting:
            post.count(team_id=team_id, now=timezone.now())
def begin(number):
    child = os.fork()
    if child:
        return child
    try:
        count(number)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
children = [begin(number) for number in range({at_once})]
os.close(keeper)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


class Finance(NamedTuple):
    """An organization of its own, by a key that covers all of it."""

    client: Client
    secret: str  # of the webhook that gets all its alerts
    hook: Receiver
    before: int

    def budget(self, **terms: Any) -> dict[str, Any]:
        made = self.client.post("budgets", terms)
        assert made.status == 201, made
        return made.body

    def firing(self, budget: dict[str, Any]) -> list[int]:
        return self.client.get(f"budgets/{budget['id']}").body["firing"]

    def alerts(self, budget: dict[str, Any]) -> list[dict[str, Any]]:
        return self.client.get(f"alerts?budget={budget['id']}").body["data"]

    def spend(self, record_id: str, **micros: int) -> None:
        """Post, per project, so many millionths of a dollar, in one request."""
        records = [
            spent(f"{record_id}-{project}", project.replace("_", "-"), amount)
            for project, amount in micros.items()
        ]
        assert self.client.post("usage", records).status == 202

    def delivered(self, budget: dict[str, Any]) -> list[tuple[int, int]]:
        """Revision and threshold of all that came for it, each signature checked."""
        contents = [self._checked(one) for one in self.hook.requests[self.before :]]
        return sorted(
            (content["budget"]["revision"], content["threshold"])
            for content in contents
            if content["budget"]["id"] == budget["id"]
        )

    def _checked(self, request: Request) -> dict[str, Any]:
        return Webhook(self.secret).verify(request.body, request.headers)["data"]


def spent(record_id: str, project: str, micros: int) -> dict[str, Any]:
    """Claude Haiku 4.5 costs a millionth of a dollar for each token in."""
    usage = {"input_tokens": micros, "output_tokens": 0}
    return call(record_id, project=project, usage=usage)


def finance_of(service: Service, hook: Receiver, slug: str, *teams: str) -> Finance:
    key = service.shell(MAKE.format(slug=slug, teams=teams)).strip()
    client = service.client(key, timeout=20)
    channel = client.post("channels", {"kind": "webhook", "target": hook.url})
    assert channel.status == 201, channel
    return Finance(client, channel.body["secret"], hook, len(hook.requests))


def await_levels(finance: Finance, budget: dict[str, Any], levels: list[int]) -> None:
    await_that(
        lambda: finance.firing(budget) == levels,
        SAID_SECONDS,
        f"{levels} % of {budget['amount']} are alerts",
        pause=0.1,
    )


def await_spent(finance: Finance, budget: dict[str, Any], amount: str) -> None:
    await_that(
        lambda: finance.client.get(f"budgets/{budget['id']}").body["spent"] == amount,
        SAID_SECONDS,
        f"{amount} is spent",
        pause=0.1,
    )


def await_delivered(
    finance: Finance, budget: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    await_that(
        lambda: len(finance.delivered(budget)) >= len(expected),
        SAID_SECONDS,
        f"{expected} are delivered",
    )
    assert finance.delivered(budget) == expected


def of_revision(revision: int, *levels: int) -> list[tuple[int, int]]:
    return [(revision, level) for level in levels]


def test_each_level_is_said_once_of_the_team_and_of_the_organization(
    service: Service, hook: Receiver
) -> None:
    finance = finance_of(service, hook, "levels", "alpha", "beta")
    of_team = finance.budget(team="alpha", amount="0.01")
    of_all = finance.budget(amount="0.02")
    assert (of_team["spent"], of_all["spent"]) == ("0", "0")

    for number, (micros, levels) in enumerate(
        [(4_999, []), (1, [50]), (3_000, [50, 80]), (2_000, LEVELS), (1, LEVELS)]
    ):
        finance.spend(f"levels-{number}", alpha_1=micros, beta_1=micros)
        await_levels(finance, of_team, levels)
        await_levels(finance, of_all, levels)
        for budget in (of_team, of_all):
            await_delivered(finance, budget, of_revision(1, *levels))

    for budget, total in ((of_team, "0.010001"), (of_all, "0.020002")):
        await_spent(finance, budget, total)
        alerts = finance.alerts(budget)
        assert [alert["threshold"] for alert in alerts] == LEVELS[::-1]
        states = {one["state"] for alert in alerts for one in alert["deliveries"]}
        assert states == {"sent"}


def test_one_posting_may_cross_all_of_them(service: Service, hook: Receiver) -> None:
    finance = finance_of(service, hook, "at-a-stroke", "alpha")
    of_team = finance.budget(team="alpha", amount="0.01")
    of_all = finance.budget(amount="0.0123")

    finance.spend("at-a-stroke", alpha_1=12_300)

    for budget in (of_team, of_all):
        await_levels(finance, budget, LEVELS)
    for budget in (of_team, of_all):
        await_delivered(finance, budget, of_revision(1, *LEVELS))


def test_a_lower_cap_says_what_is_now_reached_and_nothing_twice(
    service: Service, hook: Receiver
) -> None:
    finance = finance_of(service, hook, "caps", "alpha")
    budget = finance.budget(team="alpha", amount="1")
    finance.spend("caps-1", alpha_1=9_000)
    await_spent(finance, budget, "0.009")
    path = f"budgets/{budget['id']}"

    lowered = finance.client.patch(path, {"amount": "0.01", "reason": "Lower."}).body
    assert (lowered["revision"], lowered["firing"]) == (2, [50, 80])
    await_delivered(finance, budget, of_revision(2, 50, 80))

    raised = finance.client.patch(path, {"amount": "0.02"}).body
    assert (raised["revision"], raised["firing"]) == (3, [])

    finance.spend("caps-2", alpha_1=2_000)  # 55 % of it
    await_levels(finance, budget, [50])
    expected = [*of_revision(2, 50, 80), (3, 50)]
    await_delivered(finance, budget, expected)

    with total_of(service, budget, "0.001"):
        service.shell(SWEEP, role="worker")
        assert finance.firing(budget) == []
    finance.spend("caps-3", alpha_1=1)  # and above it again
    await_levels(finance, budget, [50])

    (alert,) = (one for one in finance.alerts(budget) if one["revision"] == 3)
    assert (alert["state"], alert["resolved_at"]) == ("firing", None)
    assert len(alert["deliveries"]) == 1
    assert finance.delivered(budget) == expected


SWEEP = "from billing import tasks; tasks.evaluate_budgets()"


@contextmanager
def total_of(service: Service, budget: dict[str, Any], spent: str) -> Iterator[None]:
    """For a while less is spent than was: nothing in the API takes anything back yet."""
    change = "UPDATE billing_budget_total SET spent = %s WHERE budget_id = %s"
    with service.sql() as owner:
        (kept,) = owner.execute(
            "SELECT spent FROM billing_budget_total WHERE budget_id = %s", [budget["id"]]
        ).fetchone()
        owner.execute(change, [spent, budget["id"]])
        yield
        owner.execute(change, [kept, budget["id"]])


# --- Many at once -------------------------------------------------------------------

TEAMS = ("alpha", "beta", "gamma")
PROJECTS = [f"{team}-{number}" for team in TEAMS for number in (1, 2)]
POSTINGS = 50


def test_sixteen_that_count_at_once_say_each_level_once(
    service: Service, hook: Receiver
) -> None:
    """The caps are what is spent: the last of them falls with the very last record."""
    finance = finance_of(service, hook, "sixteen", *TEAMS)
    records = [
        [
            spent(f"sixteen-{posting}-{project}", project, 7 * posting + 11 * place + 1)
            for place, project in enumerate(PROJECTS)
        ]
        for posting in range(POSTINGS)
    ]
    sums: Counter[str] = Counter()
    for record in (one for posting in records for one in posting):
        micros = record["usage"]["input_tokens"]
        sums.update({record["project"]: micros, record["project"][:-2]: micros, "": micros})
    budgets = {
        scope: finance.budget(
            amount=str(Decimal(micros).scaleb(-6)),
            thresholds=[20, 40, 60, 80],
            **({"project" if "-" in scope else "team": scope} if scope else {}),
        )
        for scope, micros in sums.items()
        if scope in {"", "alpha", "beta", "alpha-1"}
    }
    for worker in service.workers:
        worker.stop()
    for posting in records:
        assert finance.client.post("usage", posting).status == 202

    service.shell(COUNT_AT_ONCE.format(at_once=AT_ONCE), role="worker")

    every = [20, 40, 60, 80, 100]
    for scope, budget in budgets.items():
        shown = finance.client.get(f"budgets/{budget['id']}").body
        assert Decimal(shown["spent"]) == Decimal(sums[scope]).scaleb(-6)
        assert sorted(alert["threshold"] for alert in finance.alerts(budget)) == every
    for budget in budgets.values():
        await_delivered(finance, budget, of_revision(1, *every))
    service.manage("verify_ledger")


def test_a_cap_is_changed_while_many_wait_for_their_prices(
    service: Service, hook: Receiver
) -> None:
    """Counting without a pause, side by side, must let the change in."""
    finance = finance_of(service, hook, "busy", "alpha")
    budget = finance.budget(team="alpha", amount="1000")

    with many_that_wait(finance):
        changed = [
            finance.client.patch(f"budgets/{budget['id']}", {"amount": amount})
            for amount in ("2000", "3000", "0.000001")
        ]

    assert [reply.status for reply in changed] == [200] * 3
    assert changed[-1].body["firing"] == LEVELS
    service.manage("verify_ledger")


@contextmanager
def many_that_wait(finance: Finance) -> Iterator[None]:
    """Eight services that post one record after another and wait for each price."""
    over = threading.Event()
    begun = threading.Barrier(9)
    failed: list[Reply] = []

    def post(number: int) -> None:
        sent = 0
        while not over.is_set():
            record = spent(f"busy-{number}-{sent}", "alpha-1", 1)
            reply = finance.client.post("usage", record, Prefer="wait=5")
            if reply.status != 202:
                failed.append(reply)
            if not sent:
                begun.wait(20)
            sent += 1

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        begun.wait(20)
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failed, json.dumps(failed[0].body)


def test_a_cap_and_an_alert_that_meet_do_not_lock_each_other_out(
    service: Service, hook: Receiver
) -> None:
    """Counting has the ledger and wants to name the budget, the change the other way."""
    finance = finance_of(service, hook, "meeting", "alpha")
    budget = finance.budget(team="alpha", amount="0.01")
    changed: list[Reply] = []

    def change() -> None:
        path = f"budgets/{budget['id']}"
        changed.append(finance.client.patch(path, {"amount": "0.02"}))

    changing = threading.Thread(target=change)
    with service.sql() as other, other.transaction():
        other.execute("LOCK TABLE billing_alert IN SHARE MODE")
        finance.spend("meeting-1", alpha_1=20_000)
        await_that(lambda: waits(service, "worker"), SAID_SECONDS, "a worker waits")
        put_off = service.logs_of("worker").count("is put off")
        changing.start()
        await_that(lambda: waits(service, "web"), SAID_SECONDS, "the change waits")
    changing.join()

    assert changed[0].status == 200, changed
    await_levels(finance, budget, LEVELS)
    assert service.logs_of("worker").count("is put off") == put_off


def waits(service: Service, name: str) -> bool:
    return bool(
        service.query(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE application_name ^@ %s AND wait_event_type = 'Lock'",
            name,
        )
    )
