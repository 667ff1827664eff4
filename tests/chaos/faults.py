"""Ways to break a running service. Each is one small function of a service.

A fault that lasts returns how it ends; the director ends it when its time has come.
"""

import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import psycopg

from tests.chaos.service import Process, Service

Relief = Callable[[], None]


class Fault(NamedTuple):
    """`strike` breaks something; what it returns, if anything, makes it whole again."""

    name: str
    strike: Callable[[Service], Relief | None]


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


def _named(*strikes: Callable[[Service], Relief | None]) -> tuple[Fault, ...]:
    return tuple(Fault(strike.__name__, strike) for strike in strikes)


KILLS = _named(
    kill_web,
    kill_workers,
    kill_beat,
    kill_counting_process,
    kill_postmaster,
    kill_postgres,
)
FREEZES = _named(freeze_web, freeze_workers, freeze_beat, freeze_postmaster)
ALL = (*KILLS, *_named(terminate_sessions), *FREEZES)
