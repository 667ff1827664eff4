"""Who is at work: a row per kind of process, which it touches itself."""

from datetime import datetime

from django.db import connection

from billing.models import Heartbeat

# Not at each tick; and at once when a clock was set back.
_SECONDS = 10
_TABLE = Heartbeat._meta.db_table
_TOUCH = f"""
INSERT INTO {_TABLE} AS known (name, at) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET at = EXCLUDED.at
WHERE abs(extract(epoch FROM EXCLUDED.at - known.at)) >= {_SECONDS}
"""


def touch(name: Heartbeat.Name, *, now: datetime) -> None:
    """One of these processes did its work a moment ago."""
    with connection.cursor() as cursor:
        cursor.execute(_TOUCH, [name, now])
