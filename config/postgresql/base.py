"""Django's PostgreSQL, but for how a pooled connection is looked at before its use."""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    """A server that went away has closed its end, and the socket knows it.

    To ask the server itself, as Django would, takes a fifth of the time of a request that
    asks it one thing.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Raises PoolTimeout, once the pool finds none that is there."""
        while True:
            connection = super().get_new_connection(conn_params)
            if self.pool is None or _is_there(connection):
                return connection
            connection.close()
            self.pool.putconn(connection)  # which has another made in its place


def _is_there(connection: psycopg.Connection[Any]) -> bool:
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return True
    # Mostly its end; but it may be a notice.
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.Error:
        return False
    return True
