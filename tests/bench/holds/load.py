"""`python -m tests.bench.holds.load`: services that ask before they spend.

A process of its own, like the load of ingest. Requests are begun at a fixed pace whatever
became of those before; one that has to wait for the answer before it took that long
longer. What is granted is settled by a record, or released, by others.
"""

import json
import queue
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from random import Random
from typing import Any, NamedTuple

from tests.bench.ingest.load import Connection

# Each has a connection and asks a verdict or a hold in turn.
ASKERS = 16
ENDERS = 4


@dataclass(frozen=True)
class Plan:
    """Whom to ask for how long; `teams` are API keys with the slugs of their projects."""

    port: int
    seconds: float
    requests_per_second: float
    models: list[str]
    teams: list[tuple[str, list[str]]]


@dataclass
class Answers:
    """What all were answered, and how long it took, in seconds."""

    verdicts: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    refused: int = 0
    others: list[str] = field(default_factory=list)
    began: float = 0
    ended: float = 0


class Held(NamedTuple):
    key: str
    project: str
    model: str
    hold: str


def main() -> None:
    plan = Plan(**json.load(sys.stdin))
    answers, granted = Answers(), queue.SimpleQueue[Held | None]()
    enders = [
        threading.Thread(target=_end, args=(plan, granted, answers)) for _ in range(ENDERS)
    ]
    start = time.monotonic() + 0.1
    askers = [
        threading.Thread(target=_ask, args=(plan, number, start, granted, answers))
        for number in range(ASKERS)
    ]
    answers.began = time.monotonic()
    for thread in (*enders, *askers):
        thread.start()
    for thread in askers:
        thread.join()
    answers.ended = time.monotonic()
    for _ in enders:
        granted.put(None)
    for thread in enders:
        thread.join()
    json.dump(asdict(answers), sys.stdout)


def _ask(
    plan: Plan,
    number: int,
    start: float,
    granted: "queue.SimpleQueue[Held | None]",
    answers: Answers,
) -> None:
    calls = _calls(plan, number)
    pace = ASKERS / plan.requests_per_second
    due = start + number / plan.requests_per_second
    with Connection(plan.port) as connection:
        while due < start + plan.seconds:
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            # Its own timer is late by itself; the answer before is the server's doing.
            began = time.monotonic() if wait > 0 else due
            due += pace
            call, is_hold = next(calls)
            if is_hold:
                status, body = connection.ask("POST", "holds", call.key, _wanted(call))
            else:
                address = f"budgets/verdict?project={call.project}&model={call.model}"
                status, body = connection.ask("GET", f"{address}&estimate=0.01", call.key)
            took = time.monotonic() - began
            (answers.holds if is_hold else answers.verdicts).append(took)
            if status == 201:
                granted.put(call._replace(hold=json.loads(body)["id"]))
            elif status != 200:
                answers.others.append(f"{status} {body[:200]!r}")
            elif is_hold:
                answers.refused += 1


def _calls(plan: Plan, number: int) -> Iterator[tuple[Held, bool]]:
    """Of all teams in an order of its own; every other one is a hold."""
    chance = Random(number)  # noqa: S311 - always the same load
    teams = chance.sample(plan.teams, len(plan.teams))
    for turn, (key, projects) in enumerate(cycle(teams)):
        model = plan.models[turn % len(plan.models)]
        yield Held(key, chance.choice(projects), model, ""), (turn + number) % 2 == 0


def _wanted(call: Held) -> dict[str, Any]:
    return {
        "project": call.project,
        "model": call.model,
        "provider": "anthropic",
        "prompt_tokens": 2_000,
        "max_tokens": 1_000,
    }


def _end(plan: Plan, granted: "queue.SimpleQueue[Held | None]", answers: Answers) -> None:
    """Every other hold is settled by a record, the others are released."""
    with Connection(plan.port) as connection:
        turn = 0
        while held := granted.get():
            turn += 1
            began = time.monotonic()
            if turn % 2:
                record = _record(held)
                status, body = connection.ask("POST", "usage", held.key, record)
            else:
                path = f"holds/{held.hold}"
                status, body = connection.ask("DELETE", path, held.key)
            answers.ends.append(time.monotonic() - began)
            if status not in (202, 204) or b"hold_not_settled" in body:
                answers.others.append(f"{status} {body[:200]!r}")


def _record(held: Held) -> dict[str, Any]:
    return {
        "id": f"held-{held.hold}",
        "occurred_at": datetime.fromtimestamp(time.time(), UTC).isoformat(),
        "project": held.project,
        "provider": "anthropic",
        "model": held.model,
        "usage": {"input_tokens": 1_500, "output_tokens": 400},
        "hold": held.hold,
    }


if __name__ == "__main__":
    main()
