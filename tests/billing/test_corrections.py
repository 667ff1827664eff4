"""A record that corrects another: both are facts, one of them counts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from billing.actions import corrections, post, receive, voids
from billing.actions.receive import Outcome
from billing.formats.body import split
from billing.formats.posted import PostedRecord
from billing.models import Charge, DailySpend, Posting, UsageRecord, Void
from billing.reports import verification
from teams import isolation
from teams.actions import projects
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, issue

# 2,000 tokens in and 10 out.
CORRECTED = Decimal("0.0082")
MORE = {"input_tokens": 2000, "output_tokens": 10}

Door = Callable[..., list[Outcome]]


@pytest.fixture
def door(cast: Cast) -> Door:
    key, _ = issue(cast.acme, scopes=["usage:write", "import"])

    def receive_them(*records: dict[str, Any], now: datetime = NOW) -> list[Outcome]:
        raws = split(body(*records), "application/json", 1000)
        return receive.receive(key=key, raws=raws, now=now)

    return receive_them


def count_all(now: datetime = NOW) -> None:
    for team_id in post.batches_waiting():
        while post.count(team_id=team_id, now=now):
            pass


def said(outcomes: list[Outcome]) -> list[tuple[str, str | None, str | None]]:
    return [(str(one.status), one.code, one.pointer) for one in outcomes]


def spent() -> tuple[int, Decimal]:
    days = list(DailySpend.objects.all())
    return sum(one.requests for one in days), sum((one.cost for one in days), Decimal())


def faults() -> list[Any]:
    return [check for check in verification.checks() if not check.ok]


ACCEPTED = ("accepted", None, None)
DUPLICATE = ("duplicate", "already_recorded", None)


# --- Taken --------------------------------------------------------------------------


def test_the_new_record_counts_and_the_old_one_is_void(door: Door):
    door(record(id="msg_1"))
    count_all()

    assert said(door(record(id="msg_2", corrects="msg_1", usage=MORE))) == [ACCEPTED]
    count_all()

    assert spent() == (1, CORRECTED)
    old, new = UsageRecord.objects.order_by("record_id")
    void = Void.objects.get()
    assert (void.record_uid, void.record_id) == (old.uid, "msg_1")
    assert (void.corrected_by, void.correction_id) == (new.uid, "msg_2")
    assert (void.voided_at, void.reason) == (NOW, "Corrected")
    assert "purser_" in void.voided_by
    assert not Posting.objects.exists()
    assert faults() == []


def test_both_in_one_batch_in_either_order(door: Door):
    old, new = record(id="msg_1"), record(id="msg_2", corrects="msg_1", usage=MORE)
    last = record(id="msg_3", corrects="msg_4")

    assert said(door(old, new)) == [ACCEPTED] * 2
    assert said(door(last, record(id="msg_4"))) == [ACCEPTED] * 2
    count_all()

    assert Charge.objects.count() == 2
    assert spent() == (2, CORRECTED + Decimal(COST))
    assert faults() == []


def test_one_that_waits_to_be_counted_is_never_charged(door: Door):
    door(record(id="msg_1"))
    door(record(id="msg_2", corrects="msg_1", usage=MORE))
    assert faults() == []

    count_all()

    assert Charge.objects.count() == 1
    assert spent() == (1, CORRECTED)
    assert faults() == []


def test_a_correction_is_corrected_in_turn(door: Door):
    first = record(id="msg_1")
    second = record(id="msg_2", corrects="msg_1")
    third = record(id="msg_3", corrects="msg_2", usage=MORE)

    assert said(door(third, second, first)) == [ACCEPTED] * 3
    count_all()

    assert set(Void.objects.values_list("record_id", flat=True)) == {"msg_1", "msg_2"}
    assert spent() == (1, CORRECTED)
    assert said(door(first, second, third)) == [DUPLICATE] * 3
    assert faults() == []


def test_the_old_record_may_lie_in_another_month(door: Door):
    door(record(id="msg_1", occurred_at="2026-09-20T10:00:00Z"))
    count_all()

    door(record(id="msg_2", corrects="msg_1", usage=MORE))
    count_all()

    assert sum(one.cost for one in DailySpend.objects.all()) == CORRECTED
    assert faults() == []


def test_of_an_id_in_two_months_the_latest_is_corrected(door: Door):
    door(record(id="msg_1", occurred_at="2026-10-20T10:00:00Z"), record(id="msg_1"))
    count_all()

    door(record(id="msg_2", corrects="msg_1", usage=MORE))
    count_all()

    assert [f"{one.month}" for one in Void.objects.all()] == ["2026-11-01"]
    assert spent() == (2, CORRECTED + Decimal(COST))
    assert faults() == []  # no id is there twice any more


def test_a_repeat_is_a_duplicate_and_changes_nothing(door: Door):
    old, new = record(id="msg_1"), record(id="msg_2", corrects="msg_1", usage=MORE)
    door(old, new)
    count_all()

    assert said(door(new)) == [DUPLICATE]
    assert said(door(new, old)) == [DUPLICATE] * 2
    assert said(door(old, new, new)) == [DUPLICATE] * 3

    assert not Posting.objects.filter(records__gt=0).exists()
    assert Void.objects.count() == 1
    assert spent() == (1, CORRECTED)


def test_what_it_corrects_is_part_of_what_it_says(door: Door):
    door(record(id="msg_1"), record(id="msg_2"))
    door(record(id="msg_3", corrects="msg_1"))

    (other,) = door(record(id="msg_3", corrects="msg_2"))
    (plain,) = door(record(id="msg_3"))

    assert said([other, plain]) == [("conflict", "id_conflict", "/id")] * 2
    assert Void.objects.get().record_id == "msg_1"


# --- Refused ------------------------------------------------------------------------


def test_what_is_not_there_cannot_be_corrected(door: Door):
    outcomes = door(record(id="msg_2", corrects="msg_1"), record(id="msg_3"))

    assert said(outcomes) == [("rejected", "unknown_record", "/corrects"), ACCEPTED]
    assert list(UsageRecord.objects.values_list("record_id", flat=True)) == ["msg_3"]
    assert not Void.objects.exists()


def test_nor_what_another_project_has(door: Door):
    door(record(id="msg_1", project="triage"))

    outcomes = door(record(id="msg_2", corrects="msg_1"))

    assert said(outcomes) == [("rejected", "unknown_record", "/corrects")]


def test_nor_what_the_project_used_under_another_team(door: Door, cast: Cast):
    door(record(id="msg_1"))
    later = NOW.replace(hour=13)
    projects.move(
        project=cast.answers,
        team=cast.support,
        effective_from=later,
        by="tests",
        now=NOW,
    )

    moved = record(id="msg_2", corrects="msg_1", occurred_at=later.isoformat())
    raws = split(body(moved), "application/json", 1)
    key, _ = issue(cast.acme)  # owners are remembered for a moment, by key
    outcomes = receive.receive(key=key, raws=raws, now=later.replace(hour=14))

    assert said(outcomes) == [("rejected", "unknown_record", "/corrects")]


def test_a_record_cannot_correct_itself(door: Door):
    outcomes = door(record(id="msg_1", corrects="msg_1"))

    assert said(outcomes) == [("rejected", "corrects_itself", "/corrects")]


def test_nor_can_two_correct_each_other(door: Door):
    outcomes = door(
        record(id="msg_1", corrects="msg_2"), record(id="msg_2", corrects="msg_1")
    )

    assert said(outcomes) == [("rejected", "unknown_record", "/corrects")] * 2
    assert not UsageRecord.objects.exists()
    assert not Void.objects.exists()


def test_a_record_is_corrected_once(door: Door):
    door(record(id="msg_1"))
    door(record(id="msg_2", corrects="msg_1"))

    (outcome,) = door(record(id="msg_3", corrects="msg_1"))

    assert said([outcome]) == [("conflict", "already_corrected", "/corrects")]
    assert "'msg_2'" in (outcome.detail or "")
    assert UsageRecord.objects.count() == 2


def test_the_first_of_two_in_one_batch_corrects_it(door: Door):
    door(record(id="msg_1"))

    outcomes = door(
        record(id="msg_3", corrects="msg_1"), record(id="msg_2", corrects="msg_1")
    )

    conflict = ("conflict", "already_corrected", "/corrects")
    assert said(outcomes) == [ACCEPTED, conflict]
    assert Void.objects.get().correction_id == "msg_3"
    count_all()
    assert faults() == []


def test_what_was_taken_back_cannot_be_corrected(door: Door, cast: Cast):
    door(record(id="msg_1"))
    voids.void(
        team=cast.search,
        uids=[UsageRecord.objects.get().uid],
        reason="a test",
        by="lead",
        now=NOW,
    )

    outcomes = door(record(id="msg_2", corrects="msg_1"))

    assert said(outcomes) == [("conflict", "already_void", "/corrects")]
    assert UsageRecord.objects.count() == 1


def test_a_chain_that_is_too_long_is_taken_in_parts(door: Door):
    """Its end finds what it corrects when it is sent again."""
    links = range(1, corrections._LONGEST_CHAIN + 3)
    chain = [
        record(id="msg_0"),
        *(record(id=f"msg_{one}", corrects=f"msg_{one - 1}") for one in links),
    ]

    first, second = door(*chain), door(*chain)
    count_all()

    assert said(first)[-1] == ("rejected", "unknown_record", "/corrects")
    assert said(second) == [DUPLICATE] * (len(chain) - 1) + [ACCEPTED]
    assert spent() == (1, Decimal(COST))
    assert faults() == []


# --- At the same time ---------------------------------------------------------------


def test_one_that_is_recorded_meanwhile_is_noticed(door: Door, cast: Cast):
    """Between the look at what is held and the insert another request had it stored."""
    door(record(id="msg_1"))
    posted = PostedRecord(
        id="msg_2",
        occurred_at=NOW,
        provider="anthropic",
        model="claude-opus-5-5",
        usage=msgspec.Raw(b"{}"),
        corrects="msg_1",
    )

    with (
        pytest.raises(corrections.Overtaken),
        isolation.visible_teams([cast.search.pk]),
    ):
        corrections.store(
            team_id=cast.search.pk,
            corrections=[Arrived(str(uuid4()), posted, cast.answers.pk)],
            insert=lambda ones: set(),
            held=lambda ones: (),
            by="tests",
            now=NOW,
        )

    assert not Void.objects.exists()


@dataclass
class Arrived:
    uid: str
    posted: PostedRecord
    project_id: int

    @property
    def identity(self) -> corrections.Identity:
        return self.project_id, self.posted.id, NOW.date().replace(day=1)
