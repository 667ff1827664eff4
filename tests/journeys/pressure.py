"""More than the service can do: it refuses what is too much, loses nothing, stays fair."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Lock
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.chaos.service import Reply, Service, await_that

pytestmark = pytest.mark.xdist_group("pressure")

NOISY, QUIET = "answer-engine", "ticket-triage"  # of two teams
# What a thousand senders would be, and far more than there are connections.
SENDERS = 200
WEB_PROCESSES = 2  # with eight turns each


@pytest.fixture(scope="module")
def pressed() -> Iterator[Service]:
    """A service of its own: the others would feel what happens to this one."""
    with Service() as service:
        yield service


class Answer(NamedTuple):
    status: int
    seconds: float
    retry_after: str | None
    code: str | None
    ids: list[str]


class Sender:
    """Posts batches and keeps what was answered; for any number of threads."""

    def __init__(self, service: Service, name: str, size: int, project: str) -> None:
        self.answers: list[Answer] = []
        self._client = service.client(timeout=60)
        self._name = name
        self._size = size
        self._project = project
        self._sent = 0
        self._lock = Lock()

    def post(self) -> None:
        with self._lock:
            self._sent += 1
            batch = f"{self._name}-{self._sent}"
        ids = [f"{batch}-{number}" for number in range(self._size)]
        body = json.dumps([record(one, self._project) for one in ids]).encode()
        began = time.monotonic()
        reply = self._client.post("usage", body)
        answer = Answer(
            status=reply.status,
            seconds=time.monotonic() - began,
            retry_after=header(reply, "retry-after"),
            code=reply.body.get("code"),
            ids=ids,
        )
        with self._lock:
            self.answers.append(answer)

    def until(self, enough: Event) -> None:
        while not enough.is_set():
            self.post()

    def accepted(self) -> list[str]:
        taken = [answer.ids for answer in self.answers if answer.status == 202]
        return [one for ids in taken for one in ids]


def record(record_id: str, project: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(time.time(), UTC) - timedelta(seconds=1)
    return {
        "id": record_id,
        "project": project,
        "provider": "anthropic",
        "model": "claude-haiku-4-5",
        "occurred_at": at.isoformat(),
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }


def header(reply: Reply, name: str) -> str | None:
    return {key.lower(): value for key, value in reply.headers.items()}.get(name)


def await_counted(service: Service, seconds: float = 120) -> None:
    await_that(
        lambda: not service.query("SELECT FROM billing_posting LIMIT 1"),
        seconds,
        "all is counted",
        pause=0.1,
    )


def percentile(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)]


# --- Twice what it can do -----------------------------------------------------------


def test_twice_as_much_as_it_can_do_is_refused_in_part_and_loses_nothing(
    pressed: Service,
) -> None:
    deadlocks = deadlocks_of(pressed)
    capacity = capacity_of(pressed)
    sender = Sender(pressed, "open", size=100, project=NOISY)

    send_at(sender, rate=2 * capacity, seconds=8)

    said = Counter(answer.status for answer in sender.answers)
    assert set(said) <= {202, 429, 503}
    assert said[202] > 0
    refused = [answer for answer in sender.answers if answer.status != 202]
    assert all(int(answer.retry_after or 0) > 0 for answer in refused)
    # Half a second on a machine of its own: docs/reliability.md.
    taken = [answer.seconds for answer in sender.answers if answer.status == 202]
    assert percentile(taken, 0.99) < 2
    assert max(answer.seconds for answer in sender.answers) < 10
    await_counted(pressed)
    assert counted_once(pressed, "open-") == sorted(sender.accepted())
    assert deadlocks_of(pressed) == deadlocks
    report(capacity, said, taken)


def capacity_of(service: Service) -> float:
    """Requests in a second, of senders who each wait for their answer."""
    sender, enough, seconds = Sender(service, "closed", 100, NOISY), Event(), 4.0
    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(sender.until, enough)
        enough.wait(seconds)
        enough.set()
    assert {answer.status for answer in sender.answers} == {202}
    return len(sender.answers) / seconds


def send_at(sender: Sender, rate: float, seconds: float) -> None:
    """So many in a second, whether or not those before them were answered."""
    with ThreadPoolExecutor(SENDERS) as threads:
        began = time.monotonic()
        futures = []
        for number in range(int(rate * seconds)):
            time.sleep(max(began + number / rate - time.monotonic(), 0))
            futures.append(threads.submit(sender.post))
    for future in futures:
        future.result()  # raises what a thread raised


def counted_once(service: Service, prefix: str) -> list[str]:
    """The ids that have charges, as often as they have them."""
    rows = service.query(
        "SELECT record_id FROM billing_usage_record AS record"
        " JOIN billing_charge AS charge ON charge.record_uid = record.uid"
        " AND charge.team_id = record.team_id AND charge.month = record.month"
        " WHERE starts_with(record_id, %s)",
        prefix,
    )
    return sorted(record_id for (record_id,) in rows)


def deadlocks_of(service: Service) -> int:
    return int(service.query("SELECT sum(deadlocks) FROM pg_stat_database")[0][0])


def report(capacity: float, said: Counter[int], taken: Sequence[float]) -> None:
    half, nearly_all = percentile(taken, 0.5), percentile(taken, 0.99)
    sys.stdout.write(
        f"\noverload: {capacity:.0f} requests/s closed, then twice that: {dict(said)}, "
        f"accepted p50 {half:.2f} s, p99 {nearly_all:.2f} s\n"
    )


# --- One team posts all it can ------------------------------------------------------


def test_a_team_at_full_speed_delays_anothers_counting_by_five_seconds_at_most(
    pressed: Service,
) -> None:
    noise, enough = Sender(pressed, "noise", 1_000, NOISY), Event()
    with ThreadPoolExecutor(3) as threads:
        for _ in range(3):
            threads.submit(noise.until, enough)
        try:
            waits = [seconds_to_counted(pressed, f"quiet-{n}") for n in range(40)]
        finally:
            enough.set()

    assert len(noise.accepted()) > 10_000
    sys.stdout.write(
        f"\nfairness: beside {len(noise.accepted())} records, accepted to counted "
        f"p50 {percentile(waits, 0.5):.2f} s, worst {max(waits):.2f} s\n"
    )
    assert max(waits) <= 5
    await_counted(pressed, 300)


def seconds_to_counted(service: Service, record_id: str) -> float:
    """From its answer on, of one record; 0.2 seconds at least go by."""
    client = service.client(timeout=60)
    reply = client.post("usage", record(record_id, QUIET))
    while reply.status == 503:
        time.sleep(0.1)
        reply = client.post("usage", record(record_id, QUIET))
    assert reply.status == 202
    began = time.monotonic()
    await_that(lambda: counted_once(service, record_id), 30, f"{record_id} is counted")
    waited = time.monotonic() - began
    time.sleep(max(0.2 - waited, 0))
    return waited


# --- Nothing waits without end ------------------------------------------------------


def test_without_a_connection_every_request_is_refused_within_two_seconds(
    pressed: Service,
) -> None:
    with no_connection_left(pressed):
        answers = post_at_once(pressed, "unconnected", 20, size=1)

    assert_refused(answers, seconds=3)
    assert pressed.client().post("usage", record("connected", QUIET)).status == 202


def test_behind_a_lock_no_request_waits_longer_than_for_the_lock(pressed: Service) -> None:
    """Their bodies are long: who is refused must not see the connection break meanwhile."""
    with psycopg.connect(pressed.database) as admin:
        admin.execute("LOCK TABLE billing_posting IN ACCESS EXCLUSIVE MODE")
        answers = post_at_once(pressed, "locked", 40, size=1_000)

    assert_refused(answers, seconds=9)
    # Those that have a turn wait for the lock, the others not even for them.
    waiting = Counter(answer.code for answer in answers)
    assert waiting.keys() == {"unavailable", "overloaded"}
    assert waiting["unavailable"] <= 8 * WEB_PROCESSES
    assert max(one.seconds for one in answers if one.code == "overloaded") < 3
    assert pressed.client().post("usage", record("unlocked", QUIET)).status == 202


def post_at_once(service: Service, name: str, requests: int, *, size: int) -> list[Answer]:
    sender = Sender(service, name, size, QUIET)
    with ThreadPoolExecutor(requests) as threads:
        for future in [threads.submit(sender.post) for _ in range(requests)]:
            future.result()
    return sender.answers


def assert_refused(answers: Sequence[Answer], seconds: float) -> None:
    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.retry_after or 0) > 0 for answer in answers)
    assert max(answer.seconds for answer in answers) < seconds


@contextmanager
def no_connection_left(service: Service) -> Iterator[None]:
    """Hold all that the server gives, after those of the web process are cut."""
    with ExitStack() as held:
        first = held.enter_context(service.sql())
        for _ in range(3):  # while they are cut, others may take their place
            first.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'web'"
            )
            _take_all(service, held)
        yield


def _take_all(service: Service, held: ExitStack) -> None:
    while True:
        try:
            held.enter_context(psycopg.connect(service.database, connect_timeout=5))
        except psycopg.OperationalError:
            return
