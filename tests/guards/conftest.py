from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.guards.catalogue import Database


@pytest.fixture
def database(db: None) -> Database:
    """The test's transaction without Django around it, for statements that its guard on
    SQL would stop before the database can refuse them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT")  # the transaction has begun: a block is a savepoint
    raw: Database = connection.connection
    return raw


@contextmanager
def acting(database: Database, role: str, *teams: int) -> Iterator[None]:
    """As a service role that has named these teams; what it does is undone."""
    with database.transaction(force_rollback=True):
        database.execute(f"SET LOCAL ROLE {role}")
        if teams:
            database.execute(f"SET LOCAL purser.teams = '{','.join(map(str, teams))}'")
        yield


@contextmanager
def planted(database: Database, *statements: str) -> Iterator[None]:
    """Something wrong in the schema or the session, undone afterwards."""
    with database.transaction(force_rollback=True):
        for statement in statements:
            database.execute(statement)
        yield


@pytest.fixture
def another_connection(db: None) -> Iterator[psycopg.Connection[Any]]:
    """A session of its own on the test database."""
    with psycopg.connect(**connection.get_connection_params()) as session:
        yield session
