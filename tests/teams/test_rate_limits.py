"""Limits of keys over several processes: each has buckets of its own, and one row."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from teams.actions import api_keys
from teams.actions.rate_limits import RateLimits
from teams.models import ApiKey, ApiKeyBucket, AuditEvent
from teams.token_buckets import SECOND
from tests.conftest import NOW, Cast, issue

START = 5_000 * SECOND


def limited(cast: Cast, limit: int | None) -> ApiKey:
    return issue(cast.acme, records_per_minute=limit)[0]


def left(process: RateLimits, key: ApiKey, seconds: int = 0) -> int:
    return process.look(key=key, at=START + seconds * SECOND).left


def test_each_key_has_a_bucket_of_its_own(cast: Cast):
    process, one, other = RateLimits(), limited(cast, 60), limited(cast, 60)

    process.take(key=one, records=60, at=START)

    assert (left(process, one), left(process, other)) == (0, 60)


def test_a_key_without_a_limit_has_that_of_the_installation(cast: Cast, settings):
    settings.RATE_LIMIT = 77

    assert left(RateLimits(), limited(cast, None)) == 77


@pytest.mark.usefixtures("as_app")
def test_processes_learn_of_each_other(cast: Cast):
    one, other, key = RateLimits(), RateLimits(), limited(cast, 6_000)
    one.take(key=key, records=2_000, at=START)
    other.take(key=key, records=1_000, at=START)

    one.reconcile(at=START)
    other.reconcile(at=START)

    # The row goes by the server's clock: a second of it is 100 records.
    assert 3_000 <= left(other, key) < 3_100
    assert left(one, key) == 4_000
    one.take(key=key, records=1, at=START + SECOND)
    one.reconcile(at=START + SECOND)
    assert 2_999 <= left(one, key, seconds=1) < 3_100


@pytest.mark.usefixtures("as_app")
def test_what_processes_took_together_over_the_limit_is_owed(cast: Cast):
    one, other, key = RateLimits(), RateLimits(), limited(cast, 60)
    one.take(key=key, records=60, at=START)
    other.take(key=key, records=60, at=START)

    one.reconcile(at=START)
    other.reconcile(at=START)

    level = other.take(key=key, records=1, at=START)
    assert 59 * SECOND < level.wait <= 61 * SECOND


@pytest.mark.usefixtures("as_app")
def test_rows_are_asked_once_a_second_and_not_without_reason(cast: Cast):
    process, key = RateLimits(), limited(cast, 6_000)

    def statements(at: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            process.reconcile(at=at)
        return sum("teams_apikeybucket" in query["sql"] for query in queries)

    process.take(key=key, records=1, at=START)
    assert statements(START) == 1
    process.take(key=key, records=1, at=START)
    assert statements(START + SECOND - 1) == 0
    assert statements(START + SECOND) == 1
    assert statements(START + 3 * SECOND) == 0


@pytest.mark.usefixtures("as_app")
def test_one_statement_is_enough_for_all_keys(cast: Cast):
    process, keys = RateLimits(), [limited(cast, 60) for _ in range(5)]
    for key in keys:
        process.take(key=key, records=1, at=START)

    with CaptureQueriesContext(connection) as queries:
        process.reconcile(at=START)

    assert sum("teams_apikeybucket" in query["sql"] for query in queries) == 1
    assert ApiKeyBucket.objects.count() == 5


@pytest.mark.usefixtures("as_app")
def test_a_process_that_cannot_reach_the_row_goes_on_and_tells_it_later(cast: Cast):
    process, key = RateLimits(), limited(cast, 60)
    process.take(key=key, records=20, at=START)
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("REVOKE INSERT ON teams_apikeybucket FROM purser_app")
        cursor.execute("SET LOCAL ROLE purser_app")

    process.reconcile(at=START)

    assert left(process, key) == 40
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("GRANT INSERT ON teams_apikeybucket TO purser_app")
        cursor.execute("SET LOCAL ROLE purser_app")
    process.reconcile(at=START + SECOND)
    assert missing(key) == timedelta(seconds=20)


@pytest.mark.usefixtures("as_app")
def test_a_row_from_the_future_shuts_nobody_out_for_long(cast: Cast):
    process, key = RateLimits(), limited(cast, 60)
    ApiKeyBucket.objects.create(key=key, told_at=NOW, full_at=NOW + timedelta(days=40_000))
    process.take(key=key, records=1, at=START)

    process.reconcile(at=START)

    assert missing(key) == timedelta(hours=1, seconds=1)


@pytest.mark.usefixtures("as_app")
def test_a_key_that_is_gone_is_no_error(cast: Cast):
    process, key, other = RateLimits(), limited(cast, 60), limited(cast, 60)
    process.take(key=key, records=1, at=START)
    process.take(key=other, records=1, at=START)
    ApiKey.objects.filter(pk=key.pk).delete()

    process.reconcile(at=START)

    assert missing(other) == timedelta(seconds=1)


def missing(key: ApiKey) -> timedelta:
    row = ApiKeyBucket.objects.get(key=key)
    return row.full_at - row.told_at


# --- The limit itself ---------------------------------------------------------------


def test_a_limit_is_changed_and_taken_away_and_both_are_audited(cast: Cast):
    key, _ = issue(cast.acme)

    api_keys.limit(key=key, records_per_minute=60, by="ada", now=NOW, reason="runaway")
    api_keys.limit(key=key, records_per_minute=None, by="ada", now=NOW)

    key.refresh_from_db()
    assert key.records_per_minute is None
    events = AuditEvent.objects.filter(action="api_key.limit").order_by("pk")
    changes = [(event.before, event.after, event.reason) for event in events]
    assert changes == [
        ({"records_per_minute": None}, {"records_per_minute": 60}, "runaway"),
        ({"records_per_minute": 60}, {"records_per_minute": None}, ""),
    ]


@pytest.mark.parametrize("limit", [0, -1, 60_000_001])
def test_a_limit_that_is_none_is_refused(cast: Cast, limit: int):
    key, _ = issue(cast.acme)

    with pytest.raises(ValidationError):
        api_keys.limit(key=key, records_per_minute=limit, by="ada", now=NOW)
    with pytest.raises(ValidationError):
        issue(cast.acme, records_per_minute=limit)
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(records_per_minute=limit)
