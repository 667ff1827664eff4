"""The clock of Purser's processes, which jumps; that of the machine does not.

Time that only goes forward, by which processes sleep and time out, is left alone, as it
is when somebody sets the clock of a machine. (libfaketime 0.9.10 cannot do that: it
moves both clocks, or breaks `time.sleep` of Python 3.11.)
"""

from pathlib import Path

HOUR = 3_600
# Each process loads it at its start; see tests/chaos/startup.
PLANT = "jumping_clock"


def variables(home: Path) -> dict[str, str]:
    """What a process needs in its environment for its clock to jump."""
    jump(home, 0)
    return {"CHAOS_CLOCK": str(_file(home))}


def jump(home: Path, seconds: int) -> None:
    """From now on the processes are so far ahead of the machine, or behind it."""
    new = _file(home).with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(_file(home))


def _file(home: Path) -> Path:
    return home / "clock"
