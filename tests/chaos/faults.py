"""Ways to break a running service. Each is one small function of a service.

A fault that lasts returns how it ends; the director ends it when its time has come.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import psycopg

from tests.chaos import clock
from tests.chaos.proxy import Point, Proxy
from tests.chaos.service import Process, Service, TookTooLong

# How late each question is at most while a network is slow (seconds).
LATE_SECONDS = 0.03
# How long a commit is held up (seconds): beat asks to count more often.
HELD_SECONDS = 2.5
# A process that is told to end gets this long until it is killed (seconds).
RESTART_SECONDS = 30
QUEUES = ("count", "upkeep", "deliver")

Relief = Callable[[], None]
Strike = Callable[[Service], Relief | None]


class Fault(NamedTuple):
    """`strike` breaks something; what it returns, if anything, makes it whole again."""

    name: str
    strike: Strike


# --- Killed --------------------------------------------------------------------------


def kill_web(service: Service) -> None:
    service.web.kill()


def kill_workers(service: Service) -> None:
    for worker in service.workers:
        worker.kill()


def kill_beat(service: Service) -> None:
    service.beat.kill()


def kill_counting_process(service: Service) -> None:
    """One of those that count, and it alone: what the kernel does when memory is short."""
    counting = [
        pid for worker in service.workers for pid in worker.children() or [worker.pid]
    ]
    _send(min(counting, default=0), signal.SIGKILL)  # the oldest: each comes its turn


def kill_postmaster(service: Service) -> None:
    """Its backends notice by themselves that it is gone."""
    if service.postgres.pid is not None and service.postgres.alive():
        _send(service.postgres.pid, signal.SIGKILL)


def kill_postgres(service: Service) -> None:
    """The postmaster and all its backends at once, as when the machine is lost."""
    service.postgres.kill()


# --- Cut off -------------------------------------------------------------------------


def terminate_sessions(service: Service) -> None:
    """Every session but ours ends, whatever it is doing."""
    try:
        service.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
    except psycopg.OperationalError:
        return  # there is no server just now, and so no session


def cut_web(point: Point) -> Callable[[Service], None]:
    """The connection of the next request that comes to this point."""

    def strike(service: Service) -> None:
        service.proxies["web"].arm(point)

    strike.__name__ = f"cut_web_{point.replace(' ', '_').lower()}"
    return strike


def cut_workers(point: Point) -> Callable[[Service], None]:
    """The connection of the next counting that comes to this point."""

    def strike(service: Service) -> None:
        service.proxies["workers"].arm(point)

    strike.__name__ = f"cut_workers_{point.replace(' ', '_').lower()}"
    return strike


def late_commit(service: Service) -> None:
    """The next commit of records arrives when later ones have been counted."""
    service.proxies["web"].arm(Point.BEFORE_COMMIT, hold=HELD_SECONDS)


def slow_web(service: Service) -> Relief:
    """Each question on its way to the server is late, one more than the other."""
    return _slow(service.proxies["web"])


def slow_workers(service: Service) -> Relief:
    return _slow(service.proxies["workers"])


def _slow(proxy: Proxy) -> Relief:
    proxy.delay(LATE_SECONDS)
    return lambda: proxy.delay(-LATE_SECONDS)


def silent_network(service: Service) -> Relief:
    """Nothing arrives and nothing is refused."""
    for proxy in service.proxies.values():
        proxy.swallow(True)

    def relieve() -> None:
        for proxy in service.proxies.values():
            proxy.swallow(False)

    return relieve


# --- The queue -----------------------------------------------------------------------


def lock_queues(service: Service) -> Relief | None:
    """Nobody reads or writes them, as beside a VACUUM FULL."""
    tables = ", ".join(f"pgmq.q_{queue}" for queue in QUEUES)
    held = contextlib.ExitStack()
    try:
        connection = held.enter_context(service.sql())
        connection.execute("BEGIN")
        connection.execute("SET lock_timeout = '2s'")
        connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
    except psycopg.Error:
        _let_go(held)  # no server, or no such table just now
        return None
    return lambda: _let_go(held)


def empty_queues(service: Service) -> None:
    _on_each_queue(service, "TRUNCATE pgmq.q_{}")


def drop_queues(service: Service) -> None:
    """As PGMQ does it, so that it knows nothing of them any more."""
    _on_each_queue(service, "SELECT pgmq.drop_queue('{}')")


def drop_queue_tables(service: Service) -> None:
    """Behind PGMQ's back, which goes on believing in them."""
    _on_each_queue(service, "DROP TABLE pgmq.q_{}")


def _on_each_queue(service: Service, statement: str) -> None:
    for queue in QUEUES:
        try:
            with service.sql() as connection:
                connection.execute("SET lock_timeout = '2s'")
                connection.execute(statement.format(queue))
        except psycopg.Error:
            continue  # no server, or no such table just now


def _let_go(held: contextlib.ExitStack) -> None:
    with contextlib.suppress(psycopg.Error):
        held.close()


# --- The clock -----------------------------------------------------------------------


def clock_ahead(service: Service) -> None:
    """It stays so: that of all processes at once, as on one machine."""
    clock.jump(service.home.path, clock.HOUR)


def clock_behind(service: Service) -> None:
    clock.jump(service.home.path, -clock.HOUR)


def clock_right(service: Service) -> None:
    clock.jump(service.home.path, 0)


# --- Deploys -------------------------------------------------------------------------


def rolling_restart(service: Service) -> None:
    """One process after the other: SIGTERM, its time to finish, a new one."""
    for process in service.all:
        starts, pid = process.starts, process.pid
        if not process.alive():
            continue  # it was killed and is being started again
        process.signal_all(pid, signal.SIGCONT)  # in case it is frozen
        _send(pid, signal.SIGTERM)
        try:
            service.await_tended(
                lambda process=process, starts=starts: process.starts > starts,
                RESTART_SECONDS,
                f"{process.name} ends after SIGTERM",
            )
        except TookTooLong:
            process.kill()  # as every supervisor does


def migrate(service: Service) -> None:
    """Beside everything else; other faults may end it, and it can be repeated."""
    service.begin_to_manage("migrate", "--verbosity", "0")


def prepare(service: Service) -> None:
    """All that a new version needs; also beside everything else."""
    service.begin_to_manage("prepare")


# --- Frozen --------------------------------------------------------------------------


def freeze_web(service: Service) -> Relief:
    return _freeze(service.web)


def freeze_workers(service: Service) -> Relief:
    return _freeze(*service.workers)


def freeze_beat(service: Service) -> Relief:
    return _freeze(service.beat)


def freeze_postmaster(service: Service) -> Relief:
    """Sessions go on, but nobody gets a new one."""
    pid = service.postgres.pid or 0
    _send(pid, signal.SIGSTOP)

    def relieve() -> None:
        if pid == service.postgres.pid:
            _send(pid, signal.SIGCONT)

    return relieve


def _freeze(*processes: Process) -> Relief:
    frozen = [(process, process.pid) for process in processes]
    for process, pid in frozen:
        process.signal_all(pid, signal.SIGSTOP)

    def relieve() -> None:
        for process, pid in frozen:
            process.signal_all(pid, signal.SIGCONT)

    return relieve


def _send(pid: int, signum: int) -> None:
    if pid > 0:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            return  # it was quicker


def named(*strikes: Strike) -> tuple[Fault, ...]:
    """Each under the name of its function."""
    return tuple(Fault(strike.__name__, strike) for strike in strikes)


KILLS = named(
    kill_web,
    kill_workers,
    kill_beat,
    kill_counting_process,
    kill_postmaster,
    kill_postgres,
)
FREEZES = named(freeze_web, freeze_workers, freeze_beat, freeze_postmaster)
CUTS = named(
    terminate_sessions,
    *map(cut_web, Point),
    cut_workers(Point.BEFORE_COMMIT),
    cut_workers(Point.AFTER_COMMIT),
    late_commit,
    slow_web,
    slow_workers,
    silent_network,
)
QUEUE = named(lock_queues, empty_queues, drop_queues, drop_queue_tables)
CLOCK = named(clock_ahead, clock_behind, clock_right)
DEPLOYS = named(rolling_restart, migrate, prepare)
ALL = (*KILLS, *CUTS, *FREEZES, *QUEUE, *CLOCK, *DEPLOYS)
