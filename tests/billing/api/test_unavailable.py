"""POST /usage while somebody holds what it needs."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from django.test import Client

from billing.models import UsageRecord
from tests.builders import body, record
from tests.conftest import Service, as_owner

pytestmark = pytest.mark.usefixtures("as_app")


@pytest.fixture
def lock_on_postings() -> Iterator[psycopg.Connection]:
    """An administrator's, in another session."""
    given = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: given[name] for name in names if name in given}) as admin:
        admin.execute("LOCK TABLE billing_posting IN ACCESS EXCLUSIVE MODE")
        yield admin


@pytest.mark.parametrize(
    ("lock_timeout", "statement_timeout"), [("100ms", "0"), ("0", "200ms")]
)
def test_what_takes_too_long_is_503_and_nothing_is_stored(
    alice: Service,
    lock_on_postings: psycopg.Connection,
    lock_timeout: str,
    statement_timeout: str,
):
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{lock_timeout}'")
        cursor.execute(f"SET LOCAL statement_timeout = '{statement_timeout}'")

    refused = alice.post("usage", body(record(id="msg_1")))

    lock_on_postings.rollback()
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused["retry-after"]) > 0
    with as_owner():
        assert not UsageRecord.objects.exists()
    assert alice.post("usage", body(record(id="msg_1"))).status_code == 202


def test_readiness_does_not_wait_for_a_lock_on_postings(
    client: Client, lock_on_postings: psycopg.Connection
):
    response = client.get("/readyz").json()

    assert response["backlog"] == {"full": None}
    assert not any("OperationalError" in problem for problem in response["problems"])
