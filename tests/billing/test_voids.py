"""Records that are taken back: each once, whatever they were, in whatever order."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from billing.actions import budgets, parked, post, receive, rollups, voids
from billing.actions.budgets import Terms
from billing.formats.body import split
from billing.models import (
    Alert,
    BudgetTotal,
    Charge,
    DailySpend,
    HourlySpend,
    Posting,
    QuarantinedRecord,
    UnpricedRecord,
    UsageRecord,
    Void,
)
from billing.pricing.budget_periods import PeriodKind
from billing.reports import completeness, verification
from billing.reports.completeness import Gaps
from teams import isolation
from teams.models import AuditEvent, Team
from tests.billing.test_rerates import DEARER, TWO_MODELS, carry_out, plan, publish
from tests.billing.test_rerates import take_back as reverse
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, issue

FIRST_MONTH = datetime.fromisoformat("2026-01-15T00:00:00+00:00")


@pytest.fixture
def door(cast: Cast) -> Callable[..., list[Any]]:
    """Receive records, `answers` of the team search unless they say otherwise."""
    Team.objects.update(created_at=FIRST_MONTH)
    key, _ = issue(cast.acme, scopes=["usage:write", "import"])

    def receive_them(*records: dict[str, Any], now: datetime = NOW) -> list[Any]:
        raws = split(body(*records), "application/json", 1000)
        return receive.receive(key=key, raws=raws, now=now)

    return receive_them


@pytest.fixture
def spend(door: Any) -> Callable[..., None]:
    """Receive and count."""

    def receive_and_count(*records: dict[str, Any], now: datetime = NOW) -> None:
        door(*records, now=now)
        count_all(now)

    return receive_and_count


def count_all(now: datetime = NOW) -> None:
    for team_id in post.batches_waiting():
        while post.count(team_id=team_id, now=now):
            pass


def void(cast: Cast, *record_ids: str, now: datetime = NOW) -> list[str]:
    records = UsageRecord.objects.filter(record_id__in=record_ids)
    return voids.void(
        team=cast.search,
        uids=[one.uid for one in records],
        reason="posted twice",
        by="lead",
        now=now,
    )


def charged() -> list[tuple[Any, ...]]:
    charges = Charge.objects.order_by("revision", "leg")
    return [(one.revision, one.leg, one.input, one.cost) for one in charges]


def costs() -> dict[str, Decimal]:
    """Per day; days that come to nothing are left out."""
    found: dict[str, Decimal] = {}
    for one in DailySpend.objects.order_by("day"):
        found[f"{one.day}"] = found.get(f"{one.day}", Decimal()) + one.cost
    return {day: cost for day, cost in found.items() if cost}


def damage(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} /*fanout*/")


def faults() -> list[Any]:
    return [check for check in verification.checks() if not check.ok]


# --- Taken back ---------------------------------------------------------------------


def test_a_charged_record_is_taken_back_by_charges(cast: Cast, spend: Any):
    spend(record(id="msg_1"), record(id="msg_2"))

    assert void(cast, "msg_1") == ["msg_1"]
    count_all()

    uid = UsageRecord.objects.get(record_id="msg_1").uid
    its = Charge.objects.filter(record_uid=uid).order_by("revision")
    assert [(c.revision, c.leg, c.input, c.output, c.cost) for c in its] == [
        (0, 0, 1000, 10, Decimal(COST)),
        (1, -1, -1000, -10, -Decimal(COST)),
    ]
    day = DailySpend.objects.get()
    assert (day.requests, day.input, day.cost, day.adjustment) == (
        *(1, 1000),
        *(Decimal(COST), 0),
    )
    assert (day.input_cost, day.output_cost) == (Decimal("0.004"), Decimal("0.0002"))
    assert HourlySpend.objects.get().cost == Decimal(COST)
    assert not Posting.objects.exists()
    assert faults() == []


def test_it_says_who_when_and_why(cast: Cast, spend: Any):
    spend(record(id="msg_1"))

    void(cast, "msg_1")

    one = Void.objects.get()
    assert (one.team_id, one.record_id, one.month) == (
        *(cast.search.pk, "msg_1"),
        date(2026, 11, 1),
    )
    assert (one.voided_by, one.voided_at, one.reason) == ("lead", NOW, "posted twice")
    assert (one.corrected_by, one.correction_id) == (None, "")
    event = AuditEvent.objects.get(action="usage.void")
    assert (event.actor, event.subject, event.reason) == (
        *("lead", "team search"),
        "posted twice",
    )
    assert event.after == {"void": ["msg_1"]}


def test_the_second_time_changes_nothing(cast: Cast, spend: Any):
    spend(record(id="msg_1"))
    void(cast, "msg_1")
    count_all()
    before = charged()

    assert void(cast, "msg_1", now=NOW + timedelta(hours=1)) == []
    count_all()

    assert not Posting.objects.exists()
    assert Void.objects.get().voided_at == NOW
    assert AuditEvent.objects.filter(action="usage.void").count() == 1
    assert charged() == before


def test_counted_again_it_is_taken_back_once(cast: Cast, spend: Any):
    spend(record(id="msg_1"))
    void(cast, "msg_1")
    posting = Posting.objects.get()
    count_all()
    before = charged()

    with isolation.visible_teams([cast.search.pk]):
        posting.record_uids *= 2
        posting.save(force_insert=True)
    count_all()

    assert charged() == before
    assert costs() == {}
    assert faults() == []


def test_a_record_on_two_models_is_taken_back_leg_by_leg(cast: Cast, spend: Any):
    spend(record(id="msg_1", usage=TWO_MODELS))

    void(cast, "msg_1")
    count_all()

    assert [(c.leg, c.cost) for c in Charge.objects.filter(revision=1).order_by("leg")] == [
        (-2, Decimal("-0.0042")),
        (-1, Decimal("-0.0042")),
    ]
    assert {one.requests for one in DailySpend.objects.all()} == {0}
    assert costs() == {}
    assert faults() == []


def test_what_the_provider_did_not_bill_is_taken_back_too(cast: Cast, spend: Any):
    spend(record(id="msg_1", batch_result="errored"))
    assert DailySpend.objects.get().requests == 1

    void(cast, "msg_1")
    count_all()

    assert DailySpend.objects.get().requests == 0
    assert faults() == []


def test_one_that_was_never_charged_is_never_charged(cast: Cast, door: Any):
    door(record(id="msg_1"))
    void(cast, "msg_1")
    assert Posting.objects.count() == 2
    assert faults() == []  # while it is still to be counted

    count_all()

    assert not Charge.objects.exists()
    assert not Posting.objects.exists()
    assert faults() == []


@pytest.mark.parametrize("few", [0, 1, 2])
def test_however_many_are_void_in_a_month(cast: Cast, spend: Any, monkeypatch, few: int):
    monkeypatch.setattr(voids, "_FEW", few)
    spend(*(record(id=f"msg_{number}") for number in range(4)))

    void(cast, "msg_0", "msg_1")
    spend(record(id="msg_4"))

    assert costs() == {"2026-11-20": 3 * Decimal(COST)}
    assert faults() == []


def test_its_void_may_be_counted_before_it(cast: Cast, door: Any):
    door(record(id="msg_1"))
    first = Posting.objects.get()
    void(cast, "msg_1")
    second = Posting.objects.exclude(uid=first.uid).get()

    post.count(team_id=cast.search.pk, now=NOW, only=second.uid)
    post.count(team_id=cast.search.pk, now=NOW, only=first.uid)

    assert not Charge.objects.exists()
    assert faults() == []


def test_an_unpriced_one_leaves_the_list_and_gets_no_price(cast: Cast, spend: Any):
    spend(record(id="msg_1", model="claude-unheard-of"))
    assert gaps(cast).unpriced_records == 1

    void(cast, "msg_1")
    count_all()

    assert not UnpricedRecord.objects.exists()
    assert not gaps(cast)
    publish()
    assert parked.retry(team_id=cast.search.pk, now=NOW) == 0
    assert not Charge.objects.exists()
    assert faults() == []


def test_a_retry_of_it_that_is_under_way_finds_it_void(cast: Cast, spend: Any):
    spend(record(id="msg_1", model="claude-unheard-of"))
    publish()
    parked.retry(team_id=cast.search.pk, now=NOW)
    void(cast, "msg_1")

    count_all()

    assert not UnpricedRecord.objects.exists()
    assert faults() == []


def test_a_quarantined_one_leaves_the_list(cast: Cast, door: Any):
    door(record(id="msg_1"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_charge ADD CONSTRAINT poison CHECK (input < 1)")
    count_all()
    assert QuarantinedRecord.objects.count() == 1

    void(cast, "msg_1")
    count_all()

    assert not QuarantinedRecord.objects.exists()
    assert not Charge.objects.exists()
    assert faults() == []


def gaps(cast: Cast) -> Gaps:
    return completeness.gaps(
        team_ids=[cast.search.pk], since=date(2026, 11, 1), until=date(2026, 12, 1)
    )


def test_another_teams_record_is_not_taken_back(cast: Cast, spend: Any):
    spend(record(id="msg_1", project="triage"))

    assert void(cast, "msg_1") == []

    assert not Void.objects.exists()


def test_a_posting_of_the_same_record_stays_a_duplicate(cast: Cast, door: Any):
    posted = record(id="msg_1")
    door(posted)
    void(cast, "msg_1")

    (outcome,) = door(posted)
    count_all()

    assert outcome.status == "duplicate"
    assert not Charge.objects.exists()


# --- Budgets and sums ---------------------------------------------------------------


def test_budgets_follow_and_their_alerts_are_resolved(cast: Cast, spend: Any):
    for team in (cast.search, None):
        budgets.create(
            organization=cast.acme,
            team=team,
            project=None,
            period=PeriodKind.MONTH,
            terms=Terms(amount=Decimal(COST), hard=False, thresholds=[50]),
            reason="",
            by="tests",
            now=NOW,
        )
    spend(record(id="msg_1"))
    assert set(Alert.objects.values_list("state", flat=True)) == {"firing"}

    void(cast, "msg_1")
    count_all()

    assert set(BudgetTotal.objects.values_list("spent", flat=True)) == {Decimal()}
    assert set(Alert.objects.values_list("state", flat=True)) == {"resolved"}
    assert faults() == []


def test_rollups_are_rebuilt_to_the_same(cast: Cast, spend: Any):
    spend(record(id="msg_1"), record(occurred_at="2026-10-05T10:00:00Z"))
    void(cast, "msg_1")
    count_all()
    before = list(DailySpend.objects.order_by("pk").values())
    damage("UPDATE billing_daily_spend SET adjustment = 7, requests = 3")

    rollups.rebuild(team=cast.search, by="tests", now=NOW)

    assert list(DailySpend.objects.order_by("pk").values()) == before
    assert faults() == []


# --- Re-rates -----------------------------------------------------------------------


def test_a_re_rate_leaves_it_alone(cast: Cast, spend: Any):
    spend(record(id="msg_1"), record(id="msg_2"))
    void(cast, "msg_1")
    count_all()
    publish()

    rerate = carry_out(plan(cast))

    assert (rerate.totals.get(executed=True, team=cast.search).records) == 1
    assert costs() == {"2026-11-20": DEARER}
    assert faults() == []


def test_a_re_rated_one_is_taken_back_at_its_last_price(cast: Cast, spend: Any):
    spend(record(id="msg_1"))
    publish()
    carry_out(plan(cast))

    void(cast, "msg_1")
    count_all()

    assert charged() == [
        (0, 0, 1000, Decimal(COST)),
        (1, -1, -1000, -Decimal(COST)),
        (1, 0, 1000, DEARER),
        (2, -1, -1000, -DEARER),
    ]
    assert costs() == {}
    assert faults() == []


def test_the_reversal_of_a_re_rate_leaves_it_alone(cast: Cast, spend: Any):
    spend(record(id="msg_1"), record(id="msg_2"))
    publish()
    rerate = carry_out(plan(cast))
    void(cast, "msg_1")
    count_all()

    reverse(rerate)

    assert costs() == {"2026-11-20": Decimal(COST)}
    assert faults() == []


def test_one_that_is_not_counted_yet_is_not_re_rated_either(cast: Cast, spend: Any):
    spend(record(id="msg_1"))
    void(cast, "msg_1")
    publish()

    carry_out(plan(cast))
    count_all()

    assert charged() == [(0, 0, 1000, Decimal(COST)), (1, -1, -1000, -Decimal(COST))]
    assert faults() == []


# --- The verifier -------------------------------------------------------------------

IN_UNPRICED = """
INSERT INTO billing_unpriced_record (team_id, record_uid, month, project_id, record_id,
    provider, model_name, reason, detail, tried_at, book)
SELECT team_id, uid, month, project_id, record_id, provider, model_name, 'unknown_model',
    '', received_at, '' FROM billing_usage_record
"""
IN_QUARANTINE = """
INSERT INTO billing_quarantined_record (team_id, record_uid, month, project_id, record_id,
    detail, quarantined_at)
SELECT team_id, uid, month, project_id, record_id, '', received_at
FROM billing_usage_record
"""


@pytest.mark.parametrize(
    ("statement", "found_by"),
    [
        (
            "DELETE FROM billing_charge WHERE leg = -1",
            "a void record's charges come to nothing",
        ),
        (IN_UNPRICED, "a void record's charges come to nothing"),
        (IN_QUARANTINE, "a void record's charges come to nothing"),
        (
            "UPDATE billing_void SET record_id = 'another'",
            "each void and each correction names its record",
        ),
        (
            "UPDATE billing_void SET corrected_by = record_uid",
            "each void and each correction names its record",
        ),
        (
            "UPDATE billing_void SET record_uid = gen_random_uuid()",
            "each void and each correction names its record",
        ),
        (
            "UPDATE billing_daily_spend SET adjustment = 1",
            "adjustments of a day = Σ charges for closed months",
        ),
    ],
)
def test_the_verifier_finds_damage(cast: Cast, spend: Any, statement: str, found_by: str):
    spend(record(id="msg_1"))
    void(cast, "msg_1")
    count_all()
    assert faults() == []

    damage(statement)

    assert found_by in {check.name for check in faults()}


def test_the_verifier_finds_one_that_nobody_will_count(cast: Cast, spend: Any):
    spend(record(id="msg_1"))
    void(cast, "msg_1")
    damage("DELETE FROM billing_posting")

    assert {check.name for check in faults()} == {"a void record's charges come to nothing"}
