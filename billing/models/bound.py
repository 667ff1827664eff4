"""A cursor for statements with long parameters or long answers.

Django's own cursors write every parameter into the statement as text, an array value by
value: for a batch of records that costs more than pricing it. Here parameters travel
beside the statement, those that are marked `%b` in the driver's binary form, and so do
the rows of the answer. Their types have to be said: `%b::bigint[]`.
"""

from typing import Any

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg.pq import Format


def cursor() -> CursorWrapper:
    """A cursor of the current connection, within its transaction and its wrappers."""
    connection.ensure_connection()
    driver: Any = psycopg.Cursor(connection.connection)
    driver.format = Format.BINARY
    if connection.queries_logged:
        return connection.make_debug_cursor(driver)
    return connection.make_cursor(driver)
