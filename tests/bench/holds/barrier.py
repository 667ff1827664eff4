"""Many clients that ask for a hold at one moment, again and again."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from typing import NamedTuple

from tests.bench.ingest.load import Connection

CLIENTS, ROUNDS = 64, 20
_AMOUNT = Decimal("0.01")
# There is room for so many of them.
_FITTING = 40
CAP = _AMOUNT * _FITTING


class Rounds(NamedTuple):
    """What was granted above the cap in all rounds, and how much less than fits."""

    overshoot: Decimal
    left_over: Decimal


def rounds(port: int, key: str, project: str) -> Rounds:
    """Against a cap of `CAP`, of which nothing else is spent or held."""
    wanted = {"project": project, "model": "any", "estimate": str(_AMOUNT)}
    barrier = threading.Barrier(CLIENTS)

    def ask(connection: Connection) -> str | None:
        """The id of the hold, if one was granted."""
        barrier.wait(60)
        status, body = connection.ask("POST", "holds", key, wanted)
        if status not in (200, 201):
            raise AssertionError(f"{status} {body!r}")
        hold: str | None = json.loads(body)["id"]
        return hold

    def release(connection: Connection, hold: str | None) -> None:
        if hold is not None:
            connection.ask("DELETE", f"holds/{hold}", key)

    overshoot, left_over = Decimal(), Decimal()
    with ExitStack() as stack, ThreadPoolExecutor(CLIENTS) as threads:
        connections = [stack.enter_context(Connection(port)) for _ in range(CLIENTS)]
        for _ in range(ROUNDS):
            holds = list(threads.map(ask, connections))
            granted = _AMOUNT * sum(hold is not None for hold in holds)
            overshoot += max(granted - CAP, Decimal())
            left_over += max(CAP - granted, Decimal())
            list(threads.map(release, connections, holds))
    return Rounds(overshoot, left_over)
