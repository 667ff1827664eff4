"""Child processes: started, waited for, ended."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from launch.interrupts import interrupts

# A log that has grown past this is put aside as `.1` when its process starts.
LOG_BYTES = 10_000_000
TAIL_LINES = 15


def open_log(path: Path) -> BinaryIO:
    """Append to a log that only its owner reads; see LOG_BYTES."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def tail(path: Path, since: int = 0) -> list[str]:
    """The last lines of a log, of what was written after byte `since`."""
    try:
        with path.open("rb") as log:
            log.seek(since)
            lines = deque(log, TAIL_LINES)
    except OSError:
        return []
    return [line.decode(errors="replace").rstrip() for line in lines]


def start(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, out of reach of the terminal's Ctrl-C."""
    with open_log(log) as output:
        return subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@dataclass(frozen=True)
class Outcome:
    """How a command ended and the last lines it printed."""

    code: int
    last_lines: tuple[str, ...]


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    on_line: Callable[[str], None],
) -> Outcome:
    """Run a command to its end, handing on its lines as they come.

    `on_line` is also called with "" about ten times a second. A stop that is asked
    for meanwhile ends the command and raises Interrupted.
    """
    last_lines: deque[str] = deque(maxlen=TAIL_LINES)
    process = subprocess.Popen(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with open_log(log) as copy, _ended_on_exit(process):
        for line in _lines(cast("IO[bytes]", process.stdout)):
            if line:
                copy.write(line + b"\n")
                last_lines.append(line.decode(errors="replace").rstrip())
            on_line(last_lines[-1] if line else "")
        return Outcome(process.wait(), tuple(last_lines))


@contextlib.contextmanager
def _ended_on_exit(process: subprocess.Popen[bytes]) -> Iterator[None]:
    with process:
        try:
            yield
        finally:
            if process.poll() is None:
                stop(process.pid, lambda: process.poll() is None, patience=3)


def _lines(output: IO[bytes]) -> Iterator[bytes]:
    """The output line by line, and b"" whenever a tenth of a second brings nothing."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            interrupts.pause(0)
            if not selector.select(timeout=0.1):
                yield b""
                continue
            chunk = os.read(output.fileno(), 65536)
            if not chunk:
                break
            *whole, pending = (pending + chunk).split(b"\n")
            yield from whole
    yield pending


def wait_while(
    condition: Callable[[], bool],
    seconds: float,
    unless: Callable[[], bool] = lambda: False,
) -> bool:
    """Wait until the condition no longer holds; False when the time was not enough.

    For the way down, where a stop that is asked for must not end the waiting: it goes
    on until `unless` says otherwise.
    """
    deadline = time.monotonic() + seconds
    while condition():
        if time.monotonic() > deadline or unless():
            return False
        time.sleep(0.02)
    return True


def send(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def send_to_group(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signum)


def stop(
    pid: int,
    alive: Callable[[], bool],
    patience: float,
    unless: Callable[[], bool] = lambda: False,
) -> None:
    """End a child: SIGTERM, `patience` seconds, then SIGKILL to its whole group.

    The group is swept in any case: a server's own workers may outlive it.
    """
    send(pid, signal.SIGTERM)
    wait_while(alive, patience, unless)
    send_to_group(pid, signal.SIGKILL)
    wait_while(alive, 5)
