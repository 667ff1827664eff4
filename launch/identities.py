"""Who a process is.

A process is known by its pid *and* the time of its birth, because the kernel gives a
pid to someone else once its process is gone. `/proc` answers where there is one,
`ps` elsewhere.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "stat").exists()


@dataclass(frozen=True)
class Entry:
    """One line of the process table."""

    pid: int
    parent: int
    group: int
    zombie: bool
    born: str


@dataclass(frozen=True)
class Identity:
    """A process, not to be mistaken for a later one with the same pid."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        entry = look_up(pid)
        return Identity(pid, entry.born) if entry else None

    def alive(self) -> bool:
        entry = look_up(self.pid)
        return entry is not None and entry.born == self.born and not entry.zombie


def look_up(pid: int) -> Entry | None:
    if HAS_PROC:
        return _from_proc(PROC / str(pid))
    return next(from_ps("-p", str(pid)), None)


def table() -> Iterator[Entry]:
    """Every process we may see."""
    if not HAS_PROC:
        yield from from_ps("-ax")
        return
    for directory in PROC.iterdir():
        if directory.name.isdigit() and (entry := _from_proc(directory)):
            yield entry


def _from_proc(directory: Path) -> Entry | None:
    try:
        text = (directory / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return Entry(
        pid=int(directory.name),
        parent=int(fields[1]),
        group=int(fields[2]),
        zombie=fields[0] in "ZX",
        born=f"{_boot()} {fields[19]}",
    )


def _boot() -> str:
    """Ticks since boot come again after the next boot, the boot's own id does not."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def from_ps(*which: str) -> Iterator[Entry]:
    listing = subprocess.run(
        ["ps", *which, "-o", "pid=,ppid=,pgid=,stat=,lstart="],  # noqa: S607 - on PATH
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listing.stdout.splitlines():
        pid, parent, group, state, born = line.split(maxsplit=4)
        yield Entry(int(pid), int(parent), int(group), state.startswith("Z"), born)


def carries(pid: int, variable: str) -> bool:
    """Whether the process was started with `NAME=value`; False if one cannot tell."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return os.fsencode(variable) in environment.split(b"\0")
