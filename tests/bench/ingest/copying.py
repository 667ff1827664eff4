"""What the server takes when nothing is asked of it: plain COPY of the same records."""

import time
from typing import Any

import psycopg

_BYTES_AT_ONCE = 1_000_000

_TABLE = """
CREATE TABLE plain_copy (LIKE billing_usage_record);
ALTER TABLE plain_copy ADD PRIMARY KEY (team_id, project_id, record_id, month);
"""


def rows_per_second(connection: psycopg.Connection[Any], rows: int) -> float:
    """Over one connection, in one statement, into a logged table with one primary key."""
    connection.execute(_TABLE)
    source = f"SELECT * FROM billing_usage_record LIMIT {rows}"
    with connection.cursor() as cursor, cursor.copy(f"COPY ({source}) TO STDOUT") as copy:
        data = b"".join(bytes(part) for part in copy)
    with connection.cursor() as cursor:
        began = time.monotonic()
        with cursor.copy("COPY plain_copy FROM STDIN") as copy:
            for start in range(0, len(data), _BYTES_AT_ONCE):
                copy.write(data[start : start + _BYTES_AT_ONCE])
        seconds = time.monotonic() - began
        return cursor.rowcount / seconds
