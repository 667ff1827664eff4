"""Keeps a set of services running until a stop is asked for, and runs errands once.

Each child has a session of its own and is remembered in a state file, so that the
next supervisor finds what one that was killed has left behind.
"""

import math
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from launch import identities, processes
from launch.failures import CannotStart
from launch.home import read_json, write_json
from launch.identities import Identity
from launch.interrupts import interrupts

# Seconds until a service that ended is started again; longer if it keeps ending.
BACK_OFF = (0.2, 1, 2, 5, 10, 20)
# A service that has run this long (seconds) ended by accident, not from the start.
STEADY_SECONDS = 30
LOOK_SECONDS = 0.1
# What a killed supervisor left is not waited for longer: no child loses by a SIGKILL.
LEFTOVER_PATIENCE = 2
# Deaths in a row after which a start is given up.
HOPELESS = 3


class Service(Protocol):
    """What can be kept running: a child process, or the embedded server."""

    @property
    def name(self) -> str: ...

    @property
    def log(self) -> Path: ...

    @property
    def log_start(self) -> int: ...

    @property
    def pid(self) -> int | None: ...

    def launch(self) -> None: ...

    def alive(self) -> bool: ...

    def stop(self, unless: Callable[[], bool]) -> None: ...


@dataclass(frozen=True)
class Child:
    """A command to keep running; `patience` is seconds from SIGTERM to SIGKILL."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    patience: float = 10


class ChildService:
    """A child process as a service; `pid` is None while there is none.

    `code` is how the last one ended, -n after signal n.
    """

    def __init__(self, child: Child, *, cwd: Path, log: Path) -> None:
        self.name = child.name
        self.log = log
        self.log_start = 0
        self.code: int | None = None
        self._child = child
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def launch(self) -> None:
        self.log_start = self.log.stat().st_size if self.log.exists() else 0
        child = self._child
        self._process = processes.start(
            child.argv, env=child.env, cwd=self._cwd, log=self.log
        )

    def alive(self) -> bool:
        if self._process is None or self._process.poll() is None:
            return self._process is not None
        # A server's own workers can outlive it and hold its port.
        processes.send_to_group(self._process.pid, signal.SIGKILL)
        self.code = self._process.returncode
        self._process = None
        return False

    def stop(self, unless: Callable[[], bool]) -> None:
        if self._process is not None and self.alive():
            pid, patience = self._process.pid, self._child.patience
            processes.stop(pid, self.alive, patience, unless)


class Errand(Protocol):
    """What is done once beside the services, and is not started again."""

    @property
    def child(self) -> ChildService: ...

    def look(self) -> None:
        """Called all the time while it runs."""

    def ended(self, code: int | None) -> None:
        """Called when it has ended by itself."""


@dataclass
class _Post:
    """A service and what became of it; `due` is when to start it, None if it runs."""

    service: Service
    errand: Errand | None = None
    launched: float = 0
    deaths: int = 0
    due: float | None = 0


class Supervisor:
    """Starts services in their order and stops them in the reverse one."""

    def __init__(
        self, services: Sequence[Service], *, state: Path, say: Callable[[str], None]
    ) -> None:
        self._posts = [_Post(service) for service in services]
        self._state = state
        self._say = say

    def tend(self) -> None:
        """Start what is due and notice what has ended; to be called all the time."""
        for post in self._posts:
            if post.due is None:
                self._look_at(post)
            elif time.monotonic() >= post.due:
                self._launch(post)

    def run_once(self, errand: Errand) -> None:
        """Start it with the next look at everything; a stop ends it first of all."""
        self._posts.append(_Post(errand.child, errand))

    def watch(self) -> None:
        """Tend the services until a stop is asked for."""
        while not interrupts.count:
            self.tend()
            time.sleep(LOOK_SECONDS)

    def require_hope(self) -> None:
        """Raise CannotStart when a service has ended again and again."""
        for post in self._posts:
            if post.deaths >= HOPELESS:
                service = post.service
                raise CannotStart(
                    f"{service.name} ends each time it is started; all that it said is"
                    f" in {service.log}.",
                    processes.tail(service.log, since=service.log_start),
                )

    def stop(self) -> None:
        for post in reversed(self._posts):
            post.service.stop(interrupts.hastened)
        self._state.unlink(missing_ok=True)

    def _look_at(self, post: _Post) -> None:
        alive = post.service.alive()
        if post.errand is None:
            if not alive:
                self._note_death(post, "ended")
        elif alive:
            post.errand.look()
        else:
            post.due = math.inf
            self._remember()
            post.errand.ended(post.errand.child.code)

    def _launch(self, post: _Post) -> None:
        post.launched = time.monotonic()
        try:
            post.service.launch()
        except CannotStart as refusal:
            self._note_death(post, f"could not be started ({refusal.sentence})")
        else:
            post.due = None
            self._remember()

    def _note_death(self, post: _Post, what: str) -> None:
        now = time.monotonic()
        steady = now - post.launched > STEADY_SECONDS
        post.deaths = 1 if steady else post.deaths + 1
        delay = BACK_OFF[min(post.deaths, len(BACK_OFF)) - 1]
        post.due = now + delay
        name, log = post.service.name, post.service.log
        self._say(f"{name} {what}; starting it again in {delay:g} s (log: {log})")

    def _remember(self) -> None:
        """Write down who the children are; the embedded server keeps its own note."""
        children = [post.service for post in self._posts]
        pids = [child.pid for child in children if isinstance(child, ChildService)]
        found = [Identity.of(pid) for pid in pids if pid is not None]
        write_json(self._state, {"children": [asdict(one) for one in found if one]})


def stop_leftovers(state: Path, marker: str) -> None:
    """End the children of a supervisor that was killed, before starting afresh.

    A child is known by its pid and birth. Where it has ended but processes of its
    group have not (a web server's workers), those are known by `marker`, the
    NAME=value that every child was started with.
    """
    for child in reversed(read_json(state).get("children", [])):
        left = Identity(child["pid"], child["born"])
        if left.alive():
            processes.stop(left.pid, left.alive, LEFTOVER_PATIENCE)
        for entry in identities.table():
            if entry.group == left.pid and identities.carries(entry.pid, marker):
                processes.send(entry.pid, signal.SIGKILL)
                # Until it has really gone it holds its port.
                its = Identity(entry.pid, entry.born)
                processes.wait_while(its.alive, LEFTOVER_PATIENCE)
    state.unlink(missing_ok=True)
