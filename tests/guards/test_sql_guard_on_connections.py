"""The guard on real connections: what the ORM and Purser itself send through it."""

import datetime
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Sum

from billing.actions import budgets, parked, post, receive, voids
from billing.actions.budgets import Limits, Terms
from billing.formats.body import split
from billing.models import (
    Alias,
    DailySpend,
    LanguageModel,
    Posting,
    UnpricedRecord,
    UsageRecord,
    recorded,
)
from billing.pricing.budget_periods import PeriodKind
from billing.reports import verification
from teams import isolation
from teams.models import ApiKey, Team
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue
from tests.guards.sql_guard import Reading, SqlGuard, Tables, guarding, read

MONTH = datetime.date(2026, 11, 1)


@pytest.fixture(autouse=True)
def sql_guard() -> None:
    """Instead of the guard on all tests: here violations are planted."""


# --- Installed ----------------------------------------------------------------------


def test_swallowed_violation_fails_in_the_end(db: None):
    with pytest.raises(AssertionError, match=r"^R8: DELETE on billing_posting"):
        _plant_and_swallow(lambda: Posting.objects.all().delete())


def test_connection_of_a_thread_is_guarded(db: None):
    with pytest.raises(AssertionError, match=r"^R8: DELETE on billing_posting"):
        _plant_and_swallow(lambda: _in_thread(Posting.objects.all().delete))


def _plant_and_swallow(violate: Callable[[], Any]) -> None:
    with guarding(), suppress(AssertionError):
        violate()


def _in_thread(violate: Callable[[], Any]) -> None:
    def run() -> None:
        try:
            with suppress(AssertionError):
                violate()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_guard_leaves_with_its_block(db: None):
    with guarding() as guard:
        pass

    assert guard not in connection.execute_wrappers


# --- The ORM ------------------------------------------------------------------------


@pytest.fixture
def guard(db: None) -> Iterator[SqlGuard]:
    """On the connection, in a block of team 1."""
    guard = SqlGuard()
    with connection.execute_wrapper(guard), isolation.visible_teams([1]):
        yield guard


def _posting(team_id: int = 1) -> Posting:
    return Posting(
        team_id=team_id,
        uid=uuid.uuid4(),
        received_at=NOW,
        record_uids=[],
        records=0,
        months=[],
    )


def _unpriced(team_id: int) -> UnpricedRecord:
    return UnpricedRecord(
        team_id=team_id,
        record_uid=uuid.uuid4(),
        month=MONTH,
        project_id=1,
        tried_at=NOW,
    )


OF_TEAM_1 = Posting.objects.filter(team_id=1)


ALLOWED: dict[str, Callable[[], Any]] = {
    "save": lambda: _posting().save(force_insert=True),
    "bulk_create of one": lambda: Posting.objects.bulk_create([_posting()]),
    "bulk_create": lambda: UnpricedRecord.objects.bulk_create([_unpriced(1), _unpriced(1)]),
    "upsert": lambda: UnpricedRecord.objects.bulk_create(
        [_unpriced(1)],
        update_conflicts=True,
        unique_fields=["team", "record_uid", "month"],
        update_fields=["detail"],
    ),
    "update_or_create": lambda: Posting.objects.update_or_create(
        team_id=1,
        uid=uuid.uuid4(),
        defaults={"received_at": NOW, "record_uids": [], "records": 0, "months": []},
    ),
    "update": lambda: OF_TEAM_1.update(records=2),
    "update by keys": lambda: Posting.objects.filter(pk__in=[(1, uuid.uuid4())]).update(
        records=2
    ),
    "bulk_update": lambda: Posting.objects.bulk_update([_posting()], ["records"]),
    "delete of many": lambda: Posting.objects.filter(team_id__in=[1], records=1).delete(),
    "delete of one": lambda: _posting().delete(),
    "lock": lambda: list(OF_TEAM_1.select_for_update(skip_locked=True)),
    "lock of some": lambda: list(
        OF_TEAM_1.select_related("team").select_for_update(of=("self",))
    ),
    "subquery": lambda: list(
        Team.objects.filter(pk__in=DailySpend.objects.values("team_id"))
    ),
}


@pytest.mark.parametrize("use", ALLOWED.values(), ids=ALLOWED.keys())
def test_statement_of_the_orm_passes(guard: SqlGuard, use: Callable[[], Any]):
    use()

    assert guard.violations == []


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "delete of all": (Posting.objects.all().delete, "R8: DELETE on billing_posting"),
    "delete by another table": (
        lambda: Posting.objects.filter(team__slug="search").delete(),
        "R8: DELETE on billing_posting",
    ),
    "update of every team": (
        lambda: Posting.objects.filter(records=1).update(records=2),
        "R8: UPDATE on billing_posting",
    ),
    "lock of every team": (
        lambda: list(
            Posting.objects.filter(Q(team_id=1) | Q(records=1)).select_for_update()
        ),
        "R8: SELECT … FOR on billing_posting",
    ),
    "save": (
        lambda: _posting(team_id=2).save(force_insert=True),
        "R7: INSERT on billing_posting for team 2",
    ),
    "delete": (
        lambda: _posting(team_id=2).delete(),
        "R7: DELETE on billing_posting for team 2",
    ),
    "bulk_create": (
        lambda: UnpricedRecord.objects.bulk_create([_unpriced(1), _unpriced(2)]),
        "R7: INSERT on billing_unpriced_record for team 2",
    ),
    "correlated subquery": (
        lambda: list(Team.objects.annotate(cost=Subquery(_costs()))),
        "R9: a correlated subquery from teams_team into billing_daily_spend",
    ),
    "exists": (
        lambda: list(Team.objects.filter(Exists(_costs()))),
        "R9: a correlated subquery from teams_team into billing_daily_spend",
    ),
}


@pytest.mark.parametrize(("use", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_violation_made_with_the_orm_is_refused(
    guard: SqlGuard, use: Callable[[], Any], complaint: str
):
    with pytest.raises(AssertionError) as raised, transaction.atomic():
        use()

    assert str(raised.value).startswith(complaint)


def _costs() -> QuerySet[DailySpend, Any]:
    of_team = DailySpend.objects.filter(team_id=OuterRef("pk")).values("team_id")
    return of_team.annotate(total=Sum("cost")).values("total")


# --- Purser's own statements --------------------------------------------------------


def test_posting_and_counting_obey_every_rule(cast: Cast):
    guard = SqlGuard()
    written: set[str] = set()

    def note_writes(execute: Any, sql: str, *rest: Any) -> Any:
        written.update(write.table for write in read(sql, Tables.of_models()).writes)
        return execute(sql, *rest)

    with connection.execute_wrapper(guard), connection.execute_wrapper(note_writes):
        _post_count_retry_and_quarantine(cast)

    assert guard.violations == []
    assert written == Tables.of_models().distributed


def _post_count_retry_and_quarantine(cast: Cast) -> None:
    key, _ = issue(cast.acme)
    for limits in (Limits(), Limits(tag_key="env", tag_values=("prod",))):
        budgets.create(
            organization=cast.acme,
            period=PeriodKind.MONTH,
            terms=Terms(Decimal(1)),
            limits=limits,
            by="tests",
            now=NOW,
        )
    posted = body(
        record(tags={"env": "prod"}),
        record(project="triage"),
        record(model="claude-unheard-of"),
    )
    receive.receive(key=key, raws=split(posted, "application/json", 10), now=NOW)
    for team_id in post.batches_waiting():
        post.count(team_id=team_id, now=NOW)
    known = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    Alias.objects.create(provider="anthropic", name="claude-unheard-of", model=known)
    for team_id in parked.teams_with_unpriced():
        parked.retry(team_id=team_id, now=NOW)
        post.count(team_id=team_id, now=NOW)
    with isolation.visible_teams([cast.search.pk]):
        uids = list(UsageRecord.objects.filter(team=cast.search).values_list("uid"))
        kept = recorded.read(cast.search.pk, [uid for (uid,) in uids], [MONTH])
        parked.quarantine(cast.search.pk, kept[0], ValueError("planted"), NOW)
    _correct_and_void(cast, key)


def _correct_and_void(cast: Cast, key: ApiKey) -> None:
    """Also of a closed month, which is adjusted."""
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    old = record(occurred_at="2026-10-20T10:00:00Z")
    posted = body(old, record(corrects=old["id"]), record(id="msg_void"))
    receive.receive(key=key, raws=split(posted, "application/json", 10), now=NOW)
    uid = UsageRecord.objects.get(record_id="msg_void").uid
    for _ in range(2):
        post.count(team_id=cast.search.pk, now=NOW)
        voids.void(team=cast.search, uids=[uid], reason="planted", by="tests", now=NOW)


@pytest.mark.parametrize("check", verification._CHECKS, ids=lambda check: check[0])
def test_verification_obeys_every_rule(check: tuple[str, str, str]):
    _, agrees, differs = check

    assert read(agrees, Tables.of_models()) == Reading()
    assert read(differs, Tables.of_models()) == Reading()
