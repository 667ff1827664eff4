"""Brings service, load, faults and oracle together.

One thread breaks and tends the service; the clients have theirs, and a watcher looks at
the ledger all the while. Nothing is awaited by sleeping: the director goes on when what
it waits for has come to pass, and gives up with a sentence when it has not in its time.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.chaos import oracle
from tests.chaos.faults import Fault, Relief
from tests.chaos.load import Load
from tests.chaos.oracle import Snapshot, Verdict
from tests.chaos.service import Service, TookTooLong

LOOK_SECONDS = 0.1
# How long after the last fault everything that was acknowledged must be counted.
QUIET_SECONDS = 30
NEWEST_ACKS = 1_000


class Watcher(threading.Thread):
    """Looks at the ledger in one snapshot after the other, also while all breaks."""

    def __init__(self, service: Service, load: Load) -> None:
        super().__init__(name="watcher", daemon=True)
        self._service = service
        self._load = load
        self._end = threading.Event()
        self.looks = 0
        self.last = Snapshot(charges=0, waiting=0, faults=[])
        self.faults: list[str] = []

    def end(self) -> None:
        self._end.set()
        self.join(20)

    def run(self) -> None:
        while not self._end.is_set():
            try:
                with self._service.sql() as connection:
                    self._look_on(connection)
            except psycopg.Error:
                self._end.wait(LOOK_SECONDS)  # no server just now

    def _look_on(self, connection: psycopg.Connection[Any]) -> None:
        while not self._end.wait(LOOK_SECONDS):
            # Read before the snapshot, so that each of them has to be in it.
            acked = self._load.log.latest(NEWEST_ACKS)
            self.last = oracle.look(connection, acked)
            self.looks += 1
            self.faults += self.last.faults


@dataclass
class Outcome:
    """A finished run."""

    verdict: Verdict
    verified: bool
    verification: str
    struck: Counter[str]
    looks: int
    faults_seen: list[str]
    complaints: list[str]
    answers: Counter[str]
    posts: int
    seconds_to_rest: float
    deadlocks: list[str]

    @property
    def ok(self) -> bool:
        seen = self.faults_seen or self.complaints or self.deadlocks
        return self.verdict.ok and self.verified and not seen


class Director:
    """For one run over a service that has been started."""

    def __init__(
        self, service: Service, load: Load, *, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        self._service = service
        self._quiet_seconds = quiet_seconds
        self.load = load
        self.watcher = Watcher(service, load)
        self.struck: Counter[str] = Counter()
        self._reliefs: list[tuple[float, Relief]] = []

    def begin(self) -> None:
        self._service.while_waiting = self._relieve
        self.watcher.start()
        self.load.start()

    def strike(self, fault: Fault, lasting: float = 0) -> None:
        """Break something; a fault that lasts is ended after `lasting` seconds."""
        self.struck[fault.name] += 1
        relief = fault.strike(self._service)
        if relief is not None:
            self._reliefs.append((time.monotonic() + lasting, relief))

    @property
    def lasting(self) -> bool:
        """Whether something is broken that has not been relieved."""
        return bool(self._reliefs)

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Tend the service until it is so. Raises TookTooLong."""
        self._service.await_tended(condition, seconds, what)

    def finish(self) -> Outcome:
        """Let everything come to rest, and judge it."""
        self._relieve(everything=True)
        self.load.stop()
        began = time.monotonic()
        problems = self._rest()
        rested = time.monotonic() - began
        self.watcher.end()
        self.load.close()
        log = self.load.log
        verdict = oracle.judge(self._service.database, log.expected, log.acked)
        verification = self._service.manage("verify_ledger", check=False)
        return Outcome(
            verdict=verdict,
            verified=verification.returncode == 0,
            verification=verification.stdout + verification.stderr,
            struck=self.struck,
            looks=self.watcher.looks,
            faults_seen=self.watcher.faults,
            complaints=problems + log.complaints,
            answers=log.answers,
            posts=log.posts,
            seconds_to_rest=rested,
            deadlocks=self._deadlocks(),
        )

    def _deadlocks(self) -> list[str]:
        """As PostgreSQL logged them: a kill makes it forget how many it has counted."""
        log = self._service.logs_of("postgres").splitlines()
        return [line for line in log if "deadlock detected" in line]

    def _rest(self) -> list[str]:
        """Wait until the clients are done and all is counted; what did not happen."""
        try:
            self.until(
                self.load.finished, self._quiet_seconds, "the clients get their answers"
            )
            looks = self.watcher.looks
            self.until(
                lambda: self.watcher.looks > looks + 1 and not self.watcher.last.waiting,
                self._quiet_seconds,
                "all postings are counted",
            )
            self.until(
                lambda: not self._service.manages(), self._quiet_seconds, "all commands end"
            )
        except TookTooLong as problem:
            return [str(problem)]
        return []

    def _relieve(self, *, everything: bool = False) -> None:
        now = time.monotonic()
        due = [one for one in self._reliefs if everything or one[0] <= now]
        self._reliefs = [one for one in self._reliefs if one not in due]
        for _, relief in due:
            relief()


def report(outcome: Outcome) -> str:
    """For people: what was done, what was answered, what is wrong."""
    verdict = outcome.verdict
    lines = [
        f"faults      {_counts(outcome.struck)}",
        f"answers     {_counts(outcome.answers)}",
        f"records     {verdict.acked} acknowledged in {outcome.posts} posts",
        f"unanswered  {verdict.unacked} records are there without an acknowledgement",
        f"money       {verdict.charged} charged, {verdict.expected} expected",
        f"snapshots   {outcome.looks}, {len(outcome.faults_seen)} faults in them",
        f"at rest     {outcome.seconds_to_rest:.1f} s after the last fault",
        f"ledger      {'verified' if outcome.verified else 'NOT VERIFIED'}",
    ]
    for title, found in (
        ("LOST", verdict.lost),
        ("DOUBLED", verdict.doubled),
        ("WRONG", verdict.wrong),
        ("DEADLOCK", outcome.deadlocks),
        ("SEEN", outcome.faults_seen),
        ("COMPLAINT", outcome.complaints),
    ):
        lines += [f"{title}  {one}" for one in found[:10]]
    if not outcome.verified:
        lines.append(outcome.verification)
    return "\n".join(lines)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counted.items()))
