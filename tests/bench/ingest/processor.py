"""How much of the processor each part of a Purser takes."""

import os
from pathlib import Path

from tests.chaos.service import Process, Service


def seconds(service: Service) -> dict[str, float]:
    """What each part has used since its start."""
    parts = {
        "web": [service.web],
        "workers": service.workers,
        "sender, beat": [service.processes["sender"], service.beat],
    }
    used = {name: sum(map(_of_group, processes)) for name, processes in parts.items()}
    return used | {"postgres": _of_tree(service.postgres.pid or 0)}


def _of_group(process: Process) -> float:
    return sum(map(_of_process, [process.pid, *process.children()]))


def _of_tree(postmaster: int) -> float:
    """Of a postmaster and its children, also those that have ended."""
    return _of_process(postmaster) + sum(
        _of_process(int(stat.parent.name))
        for stat in Path("/proc").glob("[0-9]*/stat")
        if _fields(stat)[1:2] == [str(postmaster)]
    )


def _of_process(pid: int) -> float:
    """User and system time, its ended children's included."""
    times = _fields(Path(f"/proc/{pid}/stat"))[11:15]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def _fields(stat: Path) -> list[str]:
    """What follows the name of the program; nothing once the process is gone."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []
