"""A process whose clock is ahead of the machine's by what the file CHAOS_CLOCK says.

Everything in Python that asks for the time is answered by this, and so is the maker of
UUIDs, which asks the machine itself.
"""

import gc
import os
import time
from ctypes import py_object, pythonapi
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any

TARGET = "uuid_utils"
LOOK_SECONDS = 0.05

_FILE = Path(os.environ["CHAOS_CLOCK"])
_true_time = time.time


class _Ahead:
    """Seconds as the file says them, read anew now and then."""

    def __init__(self) -> None:
        self._seconds = 0
        self._due = 0.0

    def seconds(self) -> int:
        if time.monotonic() >= self._due:
            self._seconds = int(_FILE.read_text())
            self._due = time.monotonic() + LOOK_SECONDS
        return self._seconds


_ahead = _Ahead()


def _time() -> float:
    return _true_time() + _ahead.seconds()


def _time_ns() -> int:
    return int(_time() * 1_000_000_000)


def _now(kind: type[datetime], tz: tzinfo | None = None) -> datetime:
    return kind.fromtimestamp(_time(), tz)


def _utcnow(kind: type[datetime]) -> datetime:
    return kind.fromtimestamp(_time(), UTC).replace(tzinfo=None)


def plant(uuid_utils: ModuleType) -> None:
    """UUIDs that carry the time of their making carry ours."""
    make = uuid_utils.uuid7

    def uuid7() -> Any:
        milliseconds = _time_ns() // 1_000_000
        return uuid_utils.UUID(int=milliseconds << 80 | make().int & ((1 << 80) - 1))

    uuid_utils.uuid7 = uuid7


time.time = _time
time.time_ns = _time_ns
# The type itself forbids it; its dictionary is behind a proxy that refers to it.
gc.get_referents(datetime.__dict__)[0] |= {
    "now": classmethod(_now),
    "utcnow": classmethod(_utcnow),
}
pythonapi.PyType_Modified(py_object(datetime))
