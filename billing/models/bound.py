"""A cursor for statements with long parameters or long answers.

Django's own cursors write every parameter into the statement as text, an array value by
value: for a batch of records that costs more than pricing it. Here parameters travel
beside the statement, those that are marked `%b` in the driver's binary form, and so do
the rows of the answer. Their types have to be said: `%b::bigint[]`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def pipeline() -> Iterator[None]:
    """Statements that are sent at once, each executed after the one before it.

    What is asked of them waits for all of them until the first answer is read. Nobody
    else's turn comes between, neither in this process nor on the way to the server.
    """
    connection.ensure_connection()
    driver: Any = connection.connection
    with driver.pipeline():
        yield
