"""What a process has read a moment ago, so that it need not be read for each request."""

import time
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

# What somebody takes away (a key's revocation) is taken from every process so soon.
HELD_SECONDS = 4
# More than are in use in so short a time.
_MOST = 10_000


@dataclass(slots=True)
class _Held(Generic[Value]):
    value: Value
    until: float
    asked_for: bool = False


class Recent(Generic[Key, Value]):
    """Values by key, for some seconds each."""

    def __init__(self, seconds: float = HELD_SECONDS) -> None:
        self._seconds = seconds
        self._held: dict[Key, _Held[Value]] = {}

    def get(self, key: Key) -> Value | None:
        held = self._held.get(key)
        if held is None or held.until <= time.monotonic():
            return None
        held.asked_for = True
        return held.value

    def lapsed(self) -> list[Key]:
        """Those whose time is over, and that were asked for in it; none of them is held
        any more."""
        now = time.monotonic()
        over = [(key, held) for key, held in list(self._held.items()) if held.until <= now]
        for key, held in over:
            if self._held.get(key) is held:  # else another thread has just renewed it
                self._held.pop(key, None)
        return [key for key, held in over if held.asked_for]

    def keep(self, key: Key, value: Value) -> Value:
        if len(self._held) >= _MOST:
            self._held.clear()
        self._held[key] = _Held(value, time.monotonic() + self._seconds)
        return value

    def forget(self) -> None:
        """All of them: in this process whoever asks next reads anew."""
        self._held.clear()
