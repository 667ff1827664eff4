"""The queue only hints: what happens to it costs no record, and time only while it lasts.

Posting never touches it; counting goes on as soon as there is a worker and a queue.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos import faults
from tests.chaos.service import Client, Service, await_that
from tests.journeys.test_prices import call

pytestmark = pytest.mark.xdist_group("journeys")

# From a commit until it is counted: a beat each second, and what counting takes.
COUNTED_SECONDS = 5
# Who lost the queue ends, and is started again.
RESTARTED_SECONDS = 20
BEATS = 5

# Beat's scheduler, whose sessions end just before it sends what it sends unconditionally.
CUT_BEAT = """
import os
os.environ["PGAPPNAME"] = "cut"
import psycopg
from config.beat import OneTickScheduler
from config.celery import app
scheduler = OneTickScheduler(app=app)
def send(name):
    try:
        scheduler.apply_async(scheduler.schedule[name], scheduler.producer, advance=False)
        return "sent"
    except Exception as error:
        return repr(error)
print(send("count postings"))
with psycopg.connect(os.environ["DATABASE_URL"], options="-c role=none") as owner:
    owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                  "WHERE application_name = 'cut' AND pid <> pg_backend_pid()")
print(send("retry unpriced"))
print(*[send("count postings") for _ in range(5)], sep="\\n")
"""

# What beat would send in ten hours, at once.
BEAT_FOR_LONG = """
from config.beat import OneTickScheduler
from config.celery import app
scheduler = OneTickScheduler(app=app)
for entry in [scheduler.schedule["retry unpriced"]] * 600:
    scheduler.apply_async(entry, scheduler.producer, advance=False)
"""
UPKEEP_KINDS = """
from config.celery import app
routes = app.conf.task_routes
print(sum(entry["task"] not in routes for entry in app.conf.beat_schedule.values()))
"""


def states(demo: Client, record_ids: list[str]) -> set[str]:
    return {demo.get(f"usage/{record_id}").body["state"] for record_id in record_ids}


def post(demo: Client, record_ids: list[str]) -> float:
    """Post them one by one; the longest that an answer took."""
    longest = 0.0
    for record_id in record_ids:
        began = time.monotonic()
        assert demo.post("usage", call(record_id)).status == 202
        longest = max(longest, time.monotonic() - began)
    return longest


def await_counted(
    service: Service,
    demo: Client,
    record_ids: list[str],
    seconds: float = COUNTED_SECONDS,
) -> None:
    service.await_tended(
        lambda: states(demo, record_ids) == {"priced"},
        seconds,
        f"{record_ids} are priced",
    )


@contextmanager
def no_queue(service: Service) -> Iterator[None]:
    """The broker's whole schema is gone for a while."""
    with service.sql() as owner:
        owner.execute("ALTER SCHEMA pgmq RENAME TO pgmq_gone")
        yield
        owner.execute("ALTER SCHEMA pgmq_gone RENAME TO pgmq")


@contextmanager
def locked(service: Service, table: str, mode: str) -> Iterator[None]:
    """A session sits on a lock; it lets go whatever happens."""
    with service.sql() as other, other.transaction():
        other.execute(f"LOCK TABLE {table} IN {mode} MODE")
        yield


def test_one_tick_waits_for_a_stopped_worker(service: Service, demo: Client) -> None:
    for worker in service.workers:
        worker.signal_all(worker.pid, signal.SIGTERM)
    for worker in service.workers:
        worker.stop()
    ids = ["stopped-1", "stopped-2"]
    post(demo, ids)

    ticks = []
    for _ in range(BEATS * 5):  # a window to look at, not a wait for something
        ticks.append(service.ticks_waiting())
        time.sleep(0.2)

    assert max(ticks) == 1
    assert states(demo, ids) == {"pending"}
    service.start_all()
    await_counted(service, demo, ids)


def test_no_more_ticks_of_upkeep_wait_than_there_are_kinds(service: Service) -> None:
    for worker in service.workers:
        worker.stop()

    service.shell(BEAT_FOR_LONG, role="worker")

    waiting = service.query("SELECT queue_length FROM pgmq.metrics('upkeep')")[0][0]
    kinds = int(service.shell(UPKEEP_KINDS, role="worker"))
    assert 0 < waiting <= kinds
    service.start_all()


def test_posting_goes_on_without_a_queue(service: Service, demo: Client) -> None:
    ids = [f"no-queue-{number}" for number in range(40)]

    with no_queue(service):
        longest = post(demo, ids)
        assert "pending" in states(demo, ids)

    assert longest < 1
    await_counted(service, demo, ids, RESTARTED_SECONDS)


def test_posting_goes_on_beside_a_hung_queue(service: Service, demo: Client) -> None:
    ids = [f"hung-{number}" for number in range(40)]

    with locked(service, "pgmq.q_count", "ACCESS EXCLUSIVE"):
        longest = post(demo, ids)

    assert longest < 1
    await_counted(service, demo, ids)


def test_counting_goes_on_while_a_dump_reads_the_queue(
    service: Service, demo: Client
) -> None:
    """`pg_dump` holds this lock from its first to its last moment."""
    with locked(service, "pgmq.q_count", "ACCESS SHARE"):
        post(demo, ["dumped-1"])
        await_counted(service, demo, ["dumped-1"])


def test_a_tick_that_died_with_its_worker_keeps_nobody_waiting(
    service: Service, demo: Client
) -> None:
    """All that count are busy, so the next tick is not acknowledged when they die."""
    covers_both_teams = service.client()
    with locked(service, "billing_daily_spend", "SHARE"):
        covers_both_teams.post("usage", call("busy-1", project="playground"))
        covers_both_teams.post("usage", call("busy-2", project="ticket-triage"))
        await_that(lambda: service.counting() == 2, 10, "each team is being counted")
        await_that(service.ticks_waiting, 10, "a further tick is in the queue")
        faults.kill_workers(service)
    post(demo, ["after-1"])

    service.start_all()

    await_counted(service, demo, ["busy-1", "after-1"])


@contextmanager
def frozen_workers(service: Service) -> Iterator[None]:
    """Between two looks at their queue: in the middle of one they hold it up, and beat
    with it, until the server ends their transaction."""
    while True:
        relieve = faults.freeze_workers(service)
        if not service.query(_IN_A_TRANSACTION)[0][0]:
            break
        relieve()
    try:
        yield
    finally:
        relieve()


_IN_A_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name ~ '^worker' AND state <> 'idle'
"""


def test_a_frozen_worker_delays_and_loses_nothing(service: Service, demo: Client) -> None:
    with frozen_workers(service):
        post(demo, ["frozen-1"])
        await_that(service.ticks_waiting, 10, "a tick waits for the workers")
        assert states(demo, ["frozen-1"]) == {"pending"}

    await_counted(service, demo, ["frozen-1"])


def grown_old(service: Service, name: str) -> Path:
    """Its heartbeat, as if it had not been touched for long."""
    file = service.heartbeat(name)
    os.utime(file, (0, 0))
    return file


def is_touched(file: Path) -> bool:
    return file.stat().st_mtime > 0


@pytest.mark.parametrize("name", ["worker-1", "worker-2", "sender", "beat"])
def test_who_works_has_a_heartbeat(service: Service, name: str) -> None:
    for _ in range(2):
        file = grown_old(service, name)
        await_that(lambda: is_touched(file), 10, f"{name} touches its file")  # noqa: B023


def test_who_hangs_has_no_heartbeat(service: Service, demo: Client) -> None:
    with frozen_workers(service):
        files = [grown_old(service, worker.name) for worker in service.workers]
        await_that(service.ticks_waiting, 10, "a tick waits for the workers")
        post(demo, ["hanging-1"])

        assert not any(is_touched(file) for file in files)
    for file in files:
        await_that(lambda: is_touched(file), 10, "a worker goes on")  # noqa: B023


def test_beat_has_no_heartbeat_while_it_reaches_no_queue(service: Service) -> None:
    with no_queue(service):
        await_that(lambda: "ERROR" in service.beat.log.read_text(), 10, "beat fails")
        file = grown_old(service, "beat")
        touched = []
        for _ in range(BEATS * 5):  # a window to look at, not a wait for something
            touched.append(is_touched(file))
            time.sleep(0.2)

    assert not any(touched)
    service.await_tended(lambda: is_touched(file), 20, "beat reaches its queue")


def test_counting_goes_on_when_one_of_its_processes_is_killed(
    service: Service, demo: Client
) -> None:
    """Each in turn, while it has nothing to do: as the kernel kills for want of memory."""
    for number in range(4):
        faults.kill_counting_process(service)
        post(demo, [f"short-of-memory-{number}"])
        await_counted(service, demo, [f"short-of-memory-{number}"])
        service.start_all()


def test_beat_goes_on_after_its_connections_were_cut(service: Service) -> None:
    """One or another publication may fail by it, the one after it must not."""
    said = service.shell(CUT_BEAT, role="worker").splitlines()

    assert said[0] == "sent"
    assert said[-1] == "sent", said
