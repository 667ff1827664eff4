"""Token buckets: how much may be taken at once, and when there is more. Plain Python.

A bucket holds what a window of one minute allows, and fills up again steadily. All that
is kept is the moment at which it will be full (the generic cell rate algorithm), so
nothing has to run while nobody asks. Moments and durations are whole nanoseconds of a
clock that only goes forward; it is read by who asks.
"""

from dataclasses import dataclass
from threading import Lock

SECOND = 1_000_000_000
WINDOW_SECONDS = 60
WINDOW = WINDOW_SECONDS * SECOND


@dataclass(frozen=True, slots=True)
class Level:
    """What is in a bucket at a moment, and whether what was asked for has been taken.

    `wait` is how long until as much can be taken, if nobody else takes any; 0 when it
    was taken.
    """

    limit: int
    left: int
    full_in: int
    wait: int = 0


class TokenBucket:
    """One bucket, for any number of threads. It is full to begin with.

    What is asked for has to be there, or the bucket full: more than a whole window can
    be taken at once, and is then owed. `limit` is how many tokens a window allows; it
    may be another one each time.
    """

    __slots__ = ("_full_at", "_lock", "_untold")

    def __init__(self) -> None:
        self._lock = Lock()
        self._full_at = 0
        self._untold = 0  # of what is missing: what `tell` has not handed on

    def take(self, tokens: int, *, limit: int, at: int) -> Level:
        """Take all of them or none."""
        with self._lock:
            missing = self._missing(at)
            needed = min(tokens, limit) * WINDOW // limit
            wait = max(missing + needed - WINDOW, 0)
            if not wait:
                taken = tokens * WINDOW // limit
                missing += taken
                self._full_at = at + missing
                self._untold += taken
        return _level(limit, missing, wait)

    def look(self, *, limit: int, at: int) -> Level:
        with self._lock:
            return _level(limit, self._missing(at))

    def tell(self) -> int:
        """What was taken since it was told last, as the time it takes to fill up again."""
        with self._lock:
            told, self._untold = self._untold, 0
        return told

    def untell(self, told: int) -> None:
        """It could not be handed on: tell it again."""
        with self._lock:
            self._untold += told

    def agree(self, missing: int, *, at: int) -> None:
        """So much was missing at that moment, by all who take from it and have told."""
        with self._lock:
            self._full_at = at + missing + self._untold

    def _missing(self, at: int) -> int:
        return max(self._full_at - at, 0)


def _level(limit: int, missing: int, wait: int = 0) -> Level:
    left = max(WINDOW - missing, 0) * limit // WINDOW
    return Level(limit=limit, left=left, full_in=missing, wait=wait)
