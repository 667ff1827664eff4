"""How much waits to be counted, as one process knows it."""

import logging
from collections.abc import Callable
from threading import Lock

from django.db import DatabaseError, InterfaceError
from psycopg_pool import PoolTimeout

logger = logging.getLogger(__name__)

_SECOND = 1_000_000_000
# Asking takes as long as there are postings; it may have a hundredth of the time.
_SHARE = 100
_SOONEST, _LATEST = _SECOND, 30 * _SECOND


class Backlog:
    """The last figure; `look` gets a newer one when it is time to, in one thread.

    When nobody can say, the last figure stands. `clock` counts nanoseconds, forward.
    """

    def __init__(self, *, ask: Callable[[], int], clock: Callable[[], int]) -> None:
        self.records = 0
        self._ask = ask
        self._clock = clock
        self._due = clock()
        self._looking = Lock()

    def look(self) -> None:
        if self._clock() < self._due or not self._looking.acquire(blocking=False):
            return
        try:
            self._look()
        finally:
            self._looking.release()

    def _look(self) -> None:
        began = self._clock()
        try:
            self.records = self._ask()
        except (DatabaseError, InterfaceError, PoolTimeout) as error:
            logger.warning("how much waits to be counted is not known: %s", error)
        ended = self._clock()
        self._due = ended + min(max((ended - began) * _SHARE, _SOONEST), _LATEST)
