"""Receipts: each record received is accepted, a duplicate, a conflict or rejected."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.actions import parked, post, receive
from billing.formats.body import split
from billing.models import Posting, Receipt, UnpricedRecord
from billing.reports import verification
from teams import isolation
from teams.models import ApiKey
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

RECEIVED = "received = accepted + duplicates + conflicts + rejected"
ACCEPTED = "what was accepted is recorded, and nothing else"


@pytest.fixture
def key(cast: Cast) -> ApiKey:
    return issue(cast.acme)[0]


def send(key: ApiKey, *records: dict[str, Any], **given: Any) -> None:
    raws = split(body(*records), "application/json", 1000)
    receive.receive(key=key, raws=raws, now=NOW, **given)


def count_all() -> None:
    for team_id in post.batches_waiting():
        post.count(team_id=team_id, now=NOW)


def receipts(**its: Any) -> list[tuple[int, ...]]:
    """Received, accepted, duplicates, conflicts and rejected of each receipt."""
    columns = ("received", "accepted", "duplicates", "conflicts", "rejected")
    return list(Receipt.objects.filter(**its).order_by("team_id").values_list(*columns))


def verified(name: str) -> bool:
    (check,) = (check for check in verification.checks() if check.name == name)
    return check.ok


def bad(**changes: Any) -> dict[str, Any]:
    return record(occurred_at="yesterday", **changes)


def test_each_record_of_a_request_is_one_of_four(cast: Cast, key: ApiKey):
    first = record()
    send(key, first)

    send(key, record(), first, {**first, "model": "claude-opus-5"}, bad(), record())
    count_all()

    assert receipts() == [(6, 3, 1, 1, 1)]
    assert not Posting.objects.exists()
    assert verified(RECEIVED)
    assert verified(ACCEPTED)


def test_what_waits_is_counted_in(cast: Cast, key: ApiKey):
    send(key, record(), record(), bad())

    assert receipts() == []
    assert verified(RECEIVED)
    assert verified(ACCEPTED)


def test_where_nothing_was_accepted_nothing_is_looked_for(cast: Cast, key: ApiKey):
    send(key, bad())

    with CaptureQueriesContext(connection) as asked:
        count_all()

    assert receipts() == [(1, 0, 0, 0, 1)]
    assert not [one["sql"] for one in asked if "billing_void" in one["sql"]]


def test_the_same_record_twice_in_a_request_is_received_twice(cast: Cast, key: ApiKey):
    one = record()

    send(key, one, one)
    count_all()

    assert receipts() == [(2, 1, 1, 0, 0)]


def test_a_request_of_duplicates_alone_has_its_receipt(cast: Cast, key: ApiKey):
    one = record()
    send(key, one)
    count_all()

    send(key, one)
    count_all()

    assert receipts() == [(2, 1, 1, 0, 0)]


def test_each_team_has_its_own_and_the_first_what_had_none(cast: Cast, key: ApiKey):
    send(key, record(project="triage"), bad(), record(), record())
    count_all()

    assert receipts(team_id=cast.search.pk) == [(3, 2, 0, 0, 1)]
    assert receipts(team_id=cast.support.pk) == [(1, 1, 0, 0, 0)]


def test_where_nothing_could_be_read_the_first_team_of_the_key_has_it(cast: Cast):
    key, _ = issue(cast.acme, team=cast.support)

    send(key, bad(), bad())
    count_all()

    assert receipts(team_id=cast.support.pk) == [(2, 0, 0, 0, 2)]


def test_keys_routes_and_hours_are_told_apart(cast: Cast, key: ApiKey):
    other, _ = issue(cast.acme)
    send(key, record())
    send(key, record(), route="otlp")
    send(other, record())
    raws = split(body(record()), "application/json", 1000)
    receive.receive(key=key, raws=raws, now=NOW + timedelta(hours=1))

    count_all()

    assert receipts() == [(1, 1, 0, 0, 0)] * 4


def test_a_record_that_nobody_accepted_is_found(cast: Cast, key: ApiKey):
    send(key, record(), record())
    count_all()

    with isolation.visible_teams([cast.search.pk]), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_receipt SET accepted = accepted - 1 WHERE team_id = %s",
            [cast.search.pk],
        )

    assert not verified(RECEIVED)
    assert not verified(ACCEPTED)


def test_a_posting_of_code_without_receipts_received_its_records(cast: Cast, key: ApiKey):
    send(key, record(), record())
    with isolation.visible_teams([cast.search.pk]), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_posting SET received = NULL, accepted = NULL"
            " WHERE team_id = %s",
            [cast.search.pk],
        )

    assert verified(ACCEPTED)
    count_all()

    assert receipts() == [(2, 2, 0, 0, 0)]
    assert verified(ACCEPTED)


def test_what_is_posted_again_is_not_received_again(cast: Cast, key: ApiKey):
    send(key, record(model="claude-nobody-published"))
    count_all()

    post_again(cast)
    count_all()

    assert receipts() == [(1, 1, 0, 0, 0)]
    assert verified(ACCEPTED)


def post_again(cast: Cast) -> None:
    """As when prices have changed."""
    with isolation.visible_teams([cast.search.pk]):
        UnpricedRecord.objects.filter(team_id=cast.search.pk).update(book="of before")
    assert parked.retry(team_id=cast.search.pk, now=NOW) == 1
