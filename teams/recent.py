"""What a process has read a moment ago, so that it need not be read for each request."""

import time
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

# What somebody takes away (a key's revocation) is taken from every process so soon.
HELD_SECONDS = 4
# More than are in use in so short a time.
_MOST = 10_000


class Recent(Generic[Key, Value]):
    """Values by key, for some seconds each."""

    def __init__(self, seconds: float = HELD_SECONDS) -> None:
        self._seconds = seconds
        self._held: dict[Key, tuple[Value, float]] = {}

    def get(self, key: Key) -> Value | None:
        value, until = self._held.get(key, (None, 0.0))
        return value if until > time.monotonic() else None

    def keep(self, key: Key, value: Value) -> Value:
        if len(self._held) >= _MOST:
            self._held.clear()
        self._held[key] = value, time.monotonic() + self._seconds
        return value

    def forget(self) -> None:
        """All of them: in this process whoever asks next reads anew."""
        self._held.clear()
