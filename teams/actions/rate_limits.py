"""How many usage records a key may post in a minute, over all web processes.

Each process decides by buckets of its own and asks nobody. About once a second it tells
a row per key what was taken from its bucket, and learns what is missing by all. So
processes together may let through more than the limit for a second; they owe it then.
A process that cannot reach the row goes on by itself.
"""

import logging
from threading import Lock

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg_pool import PoolTimeout

from teams.models import ApiKey, ApiKeyBucket
from teams.token_buckets import SECOND, Level, TokenBucket

logger = logging.getLogger(__name__)

_EVERY = SECOND

# What is told may be lost in a crash of the server, and whoever holds a row for longer
# is not waited for: neither is worth a client's time.
_IN_PASSING = "SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '100ms'"

# By the server's clock alone: those of the processes may differ. However wrong it was for
# a while, nobody is shut out for longer than an hour by what others took.
_TELL = f"""
INSERT INTO {ApiKeyBucket._meta.db_table} AS held (key_id, told_at, full_at)
SELECT key_id, statement_timestamp(),
    statement_timestamp() + taken * interval '1 microsecond'
FROM unnest(%s::bigint[], %s::bigint[]) AS told (key_id, taken)
JOIN {ApiKey._meta.db_table} AS known ON known.id = key_id
ORDER BY key_id
ON CONFLICT (key_id) DO UPDATE SET told_at = EXCLUDED.told_at, full_at =
    least(greatest(held.full_at, EXCLUDED.told_at), EXCLUDED.told_at + interval '1 hour')
    + (EXCLUDED.full_at - EXCLUDED.told_at)
RETURNING key_id, (extract(epoch FROM full_at - told_at) * 1000000)::bigint
"""


def limit_of(key: ApiKey) -> int:
    """Records a minute."""
    return key.records_per_minute or int(settings.RATE_LIMIT)


class RateLimits:
    """The buckets of one process, for all of its threads.

    `at` is the time in nanoseconds by a clock that only goes forward.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, TokenBucket] = {}
        self._telling = Lock()
        self._told_at: int | None = None

    def take(self, *, key: ApiKey, records: int, at: int) -> Level:
        """Take so many records from the key's bucket, or none (`wait`)."""
        return self._bucket(key).take(records, limit=limit_of(key), at=at)

    def look(self, *, key: ApiKey, at: int) -> Level:
        return self._bucket(key).look(limit=limit_of(key), at=at)

    def reconcile(self, *, at: int) -> None:
        """Tell the rows, and learn from them, if a second has gone by.

        Does without them where the database does not answer: what is not told now is told
        the next time.
        """
        if not self._telling.acquire(blocking=False):
            return
        try:
            if self._told_at is None or at - self._told_at >= _EVERY:
                self._told_at = at
                self._reconcile(at)
        finally:
            self._telling.release()

    def _bucket(self, key: ApiKey) -> TokenBucket:
        return self._buckets.get(key.pk) or self._buckets.setdefault(key.pk, TokenBucket())

    def _reconcile(self, at: int) -> None:
        told = {pk: bucket.tell() for pk, bucket in list(self._buckets.items())}
        told = {pk: taken for pk, taken in told.items() if taken}
        if not told:
            return
        try:
            missing = _tell(told)
        except (DatabaseError, InterfaceError, PoolTimeout) as error:
            logger.warning("limits of API keys go by this process alone: %s", error)
            for pk, taken in told.items():
                self._buckets[pk].untell(taken)
        else:
            for pk, by_all in missing.items():
                self._buckets[pk].agree(by_all, at=at)


def _tell(told: dict[int, int]) -> dict[int, int]:
    """What each key took, in nanoseconds of its bucket; what is missing there by all."""
    taken = [nanoseconds // 1_000 for nanoseconds in told.values()]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_IN_PASSING)
        cursor.execute(_TELL, [list(told), taken])
        return {key_id: missing * 1_000 for key_id, missing in cursor.fetchall()}
