"""Clients that post usage, send again what was not answered, and note what was.

The log of acknowledgements is a file that each client syncs before it goes on: it is
what Purser's ledger is held against.
"""

import http.client
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.chaos import oracle
from tests.chaos.service import Client, Reply, Service

PROJECTS = ("playground", "answer-engine", "ticket-triage")  # of two teams
UNHEARD_OF = "claude-nobody-published"
# Days in the past, at most: records fall into several months, days and hours.
DAYS_BACK = 34
# How long one post is sent again until the harness gives up on the service.
PATIENCE_SECONDS = 60
TIMEOUT_SECONDS = 5


class Sent(NamedTuple):
    """One record as it is posted, and what should come of it."""

    record: dict[str, Any]
    cost: Decimal | None
    valid: bool

    @property
    def id(self) -> str:
        return str(self.record["id"])


class AckLog:
    """Which records were sent, and which of them were acknowledged: on disk first."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.expected: dict[str, Decimal | None] = {}
        self.acked: dict[str, str] = {}
        self.complaints: list[str] = []
        self.answers: Counter[str] = Counter()
        self.posts = 0

    def note_sent(self, records: Sequence[Sent]) -> None:
        with self._lock:
            self.expected |= {sent.id: sent.cost for sent in records if sent.valid}

    def note_acked(self, answers: Sequence[tuple[Sent, str]]) -> None:
        """Remember that these were answered with success. Returns when it is on disk."""
        with self._lock:
            for sent, status in answers:
                cost = None if sent.cost is None else str(sent.cost)
                line = {"id": sent.id, "cost": cost, "status": status}
                self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.acked |= {sent.id: status for sent, status in answers}
            self.posts += 1

    def count(self, answer: str) -> None:
        with self._lock:
            self.answers[answer] += 1

    def complain(self, complaint: str) -> None:
        with self._lock:
            self.complaints.append(complaint)

    def latest(self, number: int) -> list[str]:
        with self._lock:
            return list(self.acked)[-number:]

    def close(self) -> None:
        self._file.close()


# --- Records -------------------------------------------------------------------------


class Author:
    """Writes records; the same seed writes the same ones."""

    def __init__(self, name: str, chance: Random, now: datetime) -> None:
        self._name = name
        self._chance = chance
        self._now = now
        self._written = 0

    def valid(self) -> Sent:
        chance = self._chance
        priced = chance.random() > 0.03
        model = chance.choice(sorted(oracle.PRICES)) if priced else UNHEARD_OF
        record = self._record(model, self._usage())
        return Sent(record, oracle.expected_cost(record), valid=True)

    def invalid(self) -> Sent:
        """A record that has to be refused, whatever stands around it."""
        record = self._record("claude-haiku-4-5", self._usage())
        spoil = self._chance.choice((_negative, _naive_time, _unknown_project, _no_usage))
        return Sent(spoil(record), None, valid=False)

    def _record(self, model: str, usage: dict[str, Any]) -> dict[str, Any]:
        self._written += 1
        back = timedelta(seconds=self._chance.randrange(60, DAYS_BACK * 86_400))
        return {
            "id": f"{self._name}-{self._written}",
            "provider": "anthropic",
            "model": model,
            "project": self._chance.choice(PROJECTS),
            "occurred_at": (self._now - back).isoformat(),
            "usage": usage,
        }

    def _usage(self) -> dict[str, Any]:
        chance = self._chance
        long = chance.random() < 0.1
        short_writes, long_writes = chance.randrange(9_000), chance.randrange(9_000)
        return {
            "input_tokens": chance.randrange(200_001, 900_000)
            if long
            else chance.randrange(20_000),
            "cache_creation_input_tokens": short_writes + long_writes,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short_writes,
                "ephemeral_1h_input_tokens": long_writes,
            },
            "cache_read_input_tokens": chance.randrange(90_000),
            "output_tokens": chance.randrange(1, 8_000),
            "server_tool_use": {"web_search_requests": chance.choice((0, 0, 0, 3))},
            "service_tier": chance.choice(("standard", "standard", "batch")),
        }


def _negative(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "usage": {**record["usage"], "output_tokens": -1}}


def _naive_time(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "occurred_at": "2026-01-01T00:00:00"}


def _unknown_project(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "project": "nobodys"}


def _no_usage(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "usage"}


# --- Posting -------------------------------------------------------------------------


@dataclass(frozen=True)
class Mix:
    """How clients post: shares of all posts, and how long a batch gets."""

    batches: float = 0.35
    waits: float = 0.15
    repeats: float = 0.10
    invalid: float = 0.05
    slow: float = 0.05
    longest_batch: int = 20
    pause_seconds: float = 0.0


class Poster(threading.Thread):
    """One client: posts until told to stop, one post after the other."""

    def __init__(
        self,
        name: str,
        client: Client,
        log: AckLog,
        mix: Mix,
        chance: Random,
        now: datetime,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._client = client
        self._log = log
        self._mix = mix
        self._chance = chance
        self._author = Author(name, chance, now)
        self._done: list[Sent] = []
        self._stop_asked = threading.Event()

    def stop(self) -> None:
        """Finish the post that is under way, and no further one."""
        self._stop_asked.set()

    def run(self) -> None:
        try:
            while not self._stop_asked.wait(self._mix.pause_seconds):
                self._post(self._compose())
        except Exception as error:  # a thread's error must fail the run, not vanish
            self._log.complain(f"{self.name} gave up: {error!r}")
            raise

    def _compose(self) -> list[Sent]:
        chance, mix = self._chance, self._mix
        if chance.random() < mix.repeats and self._done:
            return chance.sample(self._done, min(len(self._done), chance.randint(1, 5)))
        size = chance.randint(2, mix.longest_batch) if chance.random() < mix.batches else 1
        return [
            self._author.invalid()
            if chance.random() < mix.invalid
            else self._author.valid()
            for _ in range(size)
        ]

    def _post(self, batch: Sequence[Sent]) -> None:
        """Send until each record has its final answer."""
        self._log.note_sent(batch)
        headers, body = self._form(batch)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while batch:
            if time.monotonic() > deadline:
                self._log.complain(f"{self.name}: no answer for {PATIENCE_SECONDS} s")
                return
            reply = self._send(body, headers)
            if reply is None:
                time.sleep(self._chance.uniform(0.02, 0.2))
                continue
            batch = self._take(batch, reply)
            headers, body = self._form(batch)

    def _form(self, batch: Sequence[Sent]) -> tuple[dict[str, str], bytes]:
        """One of the forms that a body may have, and whether we wait for the price."""
        chance = self._chance
        headers = {"Prefer": "wait=5"} if chance.random() < self._mix.waits else {}
        records = [sent.record for sent in batch]
        form = chance.choice(("array", "lines", "envelope")) if len(records) > 1 else "one"
        if form == "lines":
            lines = "\n".join(map(json.dumps, records))
            return headers | {"Content-Type": "application/x-ndjson"}, lines.encode()
        value = {"one": records[:1], "array": records, "envelope": {"records": records}}
        return headers, json.dumps(value[form]).encode()

    def _send(self, body: bytes, headers: dict[str, str]) -> Reply | None:
        """An answer that settles something; None when the post has to be sent again."""
        try:
            slow = self._dawdle if self._chance.random() < self._mix.slow else None
            reply = self._client.post(
                "usage?verbose=1", body, before_last_byte=slow, **headers
            )
        except (OSError, http.client.HTTPException) as error:
            self._log.count(type(error).__name__)
            return None
        self._log.count(str(reply.status))
        if reply.status in (202, 207, 422):
            return reply
        later = reply.status in (429, 503)
        if not later or "retry-after" not in map(str.lower, reply.headers):
            self._log.complain(f"{self.name}: unexpected answer {reply}")
        return None

    def _dawdle(self) -> None:
        """Keep the last byte back: so much can happen to the server meanwhile."""
        time.sleep(self._chance.uniform(0.2, 1.5))

    def _take(self, batch: Sequence[Sent], reply: Reply) -> list[Sent]:
        """Note what was answered; what has to be sent again."""
        results = reply.body["results"]
        if [result["index"] for result in results] != list(range(len(batch))):
            self._log.complain(f"{self.name}: not one result for each record: {reply}")
            return []
        acked, again = [], []
        for sent, result in zip(batch, results, strict=True):
            status = result["status"]
            self._log.count(status)
            if complaint := self._complaint(sent, result):
                self._log.complain(f"{self.name}: {complaint}")
            elif status == "try_again":
                again.append(sent)
            elif sent.valid:
                acked.append((sent, status))
        self._log.note_acked(acked)
        self._done += [sent for sent, _ in acked]
        return again

    def _complaint(self, sent: Sent, result: dict[str, Any]) -> str | None:
        """What is wrong with an answer, whatever happened before it."""
        status = result["status"]
        if not sent.valid:
            return None if status == "rejected" else f"{status}, not rejected: {sent}"
        if status not in ("accepted", "duplicate", "try_again"):
            return f"{status}: {result}"
        if status == "accepted" and sent.id in self._log.acked:
            return f"accepted a second time: {sent.id}"
        state, cost = result.get("state"), result.get("cost")
        if state == "priced" and (sent.cost is None or Decimal(cost) != sent.cost):
            return f"costs {cost}, not {sent.cost}: {sent.record}"
        if state == "unpriced" and sent.cost is not None:
            return f"unpriced, should cost {sent.cost}: {sent.record}"
        return None


class Load:
    """Several clients at once, and their common log."""

    def __init__(
        self, service: Service, *, seed: int, clients: int = 4, mix: Mix | None = None
    ) -> None:
        now = datetime.fromtimestamp(time.time(), UTC)
        self.log = AckLog(service.home.path / "acknowledged.jsonl")
        self._posters = [
            Poster(
                name=f"chaos{seed}-{number}",
                client=service.client(timeout=TIMEOUT_SECONDS),
                log=self.log,
                mix=mix or Mix(),
                chance=Random(f"{seed}/{number}"),  # noqa: S311 - the seed is the point
                now=now,
            )
            for number in range(clients)
        ]

    def start(self) -> None:
        for poster in self._posters:
            poster.start()

    def stop(self) -> None:
        """Ask all to stop; `finished` tells when they have."""
        for poster in self._posters:
            poster.stop()

    def finished(self) -> bool:
        return not any(poster.is_alive() for poster in self._posters)

    def close(self) -> None:
        for poster in self._posters:
            poster.join(PATIENCE_SECONDS)
        self.log.close()
