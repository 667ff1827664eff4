"""What-if on what was posted. On Claude Opus 5.5 a call of 1,000 tokens in and 100 out
costs 1,000 × 4 + 100 × 20 per million = 0.006 USD; on Sonnet 5.5 (2 and 10) 0.003, in a
batch half of that. 5-minute writes cost 5, reads 0.20, an hour's writes 8."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.actions import post, voids
from billing.formats import what_if as formats
from billing.formats.errors import RecordError
from billing.models import DailySpend, UsageRecord
from billing.pricing.what_if import Lever
from billing.reports import what_if
from billing.reports.what_if import Answer
from teams import isolation
from tests.billing.spending import spend
from tests.conftest import NOW, Cast

USAGE = {"input_tokens": 1000, "output_tokens": 100}
CACHED = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "cache_creation_input_tokens": 500,
    "cache_read_input_tokens": 2000,
}
DAYS = {"since": "2026-11-01", "until": "2026-12-01"}

pytestmark = pytest.mark.django_db


def ask(cast: Cast, *teams: Any, **question: Any) -> Answer:
    return what_if.answer(
        formats.read(DAYS | question),
        organization=cast.acme,
        teams=teams or [cast.search],
        now=NOW,
    )


def effects(answer: Answer) -> dict[Lever, Decimal]:
    return {one.lever: one.amount.mid for one in answer.effects}


def test_nothing_is_asked_and_nothing_changes(cast: Cast) -> None:
    spend(cast, 10, usage=USAGE)
    answer = ask(cast)
    assert answer.charged == answer.before == answer.after.mid == Decimal("0.06")
    assert answer.difference == 0
    assert answer.effects == []
    assert not answer.is_empty


def test_without_days_it_is_the_last_thirty(cast: Cast) -> None:
    answer = what_if.answer(
        formats.read({}), organization=cast.acme, teams=[cast.search], now=NOW
    )
    assert (answer.since, answer.until) == (date(2026, 10, 24), date(2026, 11, 23))
    assert answer.is_empty


def test_part_of_one_model_moves_to_another(cast: Cast) -> None:
    spend(cast, 10, usage=USAGE)
    answer = ask(
        cast,
        moves=[{"model": "claude-opus-5-5", "to": "claude-sonnet-5-5", "percent": 40}],
    )
    assert effects(answer) == {Lever.MODELS: Decimal("-0.012")}
    assert answer.delta.mid == Decimal("-0.012")
    assert answer.percent == -20
    assert [(row.model.name, row.requests, row.after) for row in answer.models] == [
        ("claude-opus-5-5", 6, Decimal("0.036")),
        ("claude-sonnet-5-5", 4, Decimal("0.012")),
    ]
    (sentence, pays) = answer.effects[0].sentences
    assert sentence == (
        "4 requests of Claude Opus 5.5 would have cost $0.012 on Claude Sonnet 5.5 instead "
        "of $0.024."
    )
    assert pays.startswith(
        "Moving pays as long as Claude Sonnet 5.5 needs fewer than 2.00 times the tokens"
    )
    assert pays.endswith("Price only: quality is not judged.")


def test_each_project_has_its_row(cast: Cast) -> None:
    spend(cast, 3, usage=USAGE)
    spend(cast, 1, usage=USAGE, project="triage")
    answer = ask(cast, cast.search, cast.support, output_percent=-50)
    rows = [
        (row.team.slug, row.project.slug, row.before, row.after.mid)
        for row in answer.projects
    ]
    assert rows == [
        ("search", "answers", Decimal("0.018"), Decimal("0.015")),
        ("support", "triage", Decimal("0.006"), Decimal("0.005")),
    ]
    assert answer.delta.mid == sum(row.difference for row in answer.projects)


def test_only_what_carries_the_tag_waits(cast: Cast) -> None:
    spend(cast, 3, usage=USAGE, tags={"job": "nightly"})
    spend(cast, 2, usage=USAGE, tags={"job": "chat"})
    spend(cast, 1, usage=USAGE)
    answer = ask(cast, batch={"percent": 100, "tags": ["job=nightly", "job=weekly"]})
    assert effects(answer) == {Lever.BATCH: Decimal("-0.009")}
    assert [(row.processing, row.requests) for row in answer.models] == [
        ("standard", 3),
        ("batch", 3),
    ]


def test_a_record_that_was_taken_back_waits_no_more(cast: Cast) -> None:
    spend(cast, 2, usage=USAGE, tags={"job": "nightly"})
    record = UsageRecord.objects.filter(team_id=cast.search.pk).first()
    assert record is not None
    said = {"reason": "tried twice", "by": "tests", "now": NOW}
    voids.void(team=cast.search, uids=[record.uid], **said)
    post.count(team_id=cast.search.pk, now=NOW)
    answer = ask(cast, batch={"tags": ["job=nightly"]})
    assert answer.charged == answer.before == Decimal("0.006")
    assert effects(answer) == {Lever.BATCH: Decimal("-0.003")}


def test_all_of_a_project_waits(cast: Cast) -> None:
    spend(cast, 10, usage=USAGE)
    answer = ask(cast, batch={"percent": 30, "projects": ["answers"]})
    assert effects(answer) == {Lever.BATCH: Decimal("-0.009")}
    assert answer.effects[0].sentences == (
        "3 requests wait, for up to 24 hours: <$0.01 instead of $0.018.",
    )


def test_caching_off_on_and_for_an_hour(cast: Cast) -> None:
    spend(cast, 1000, usage=CACHED)
    # In millions: 1 at 4, 0.1 at 20, 0.5 written at 5, 2 read at 0.20.
    off = ask(cast, caching={"kind": "off"})
    assert off.before == Decimal("8.9")
    assert off.after.mid == Decimal(16)
    on = ask(
        cast, caching={"kind": "on", "share_percent": 50, "hit_percent": 80, "ttl": "1h"}
    )
    # Of 1 in, 0.5 repeat: 0.4 read, 0.1 written for an hour.
    assert effects(on) == {Lever.CACHING: Decimal("0.08") + Decimal("0.8") - 2}
    hour = ask(cast, caching={"kind": "1h"})
    assert effects(hour) == {Lever.CACHING: Decimal("1.5")}
    # 1.5 ÷ (8 − 0.20) of a million.
    assert hour.effects[0].sentences[1] == (
        "An hour pays as soon as 192,308 tokens (38\N{NARROW NO-BREAK SPACE}% of what was "
        "written) are read again instead of written again."
    )


def test_prices_of_another_day(cast: Cast) -> None:
    usage = {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 1_000_000}
    spend(cast, 1, usage=usage, model="claude-sonnet-5-5")
    answer = ask(cast, prices_on="2026-10-06")
    assert answer.before == Decimal("0.10")
    assert effects(answer) == {Lever.PRICES: Decimal("0.10")}


def test_a_day_has_its_own_prices(cast: Cast) -> None:
    usage = {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 1_000_000}
    for day in ("2026-10-29", "2026-11-20"):
        spend(cast, 1, usage=usage, occurred_at=f"{day}T10:00:00Z")
    answer = ask(cast, since="2026-10-20")
    assert answer.difference == 0
    assert answer.before == answer.charged


def test_what_was_charged_otherwise_is_a_line_of_its_own(cast: Cast) -> None:
    spend(cast, 10, usage=USAGE)
    with isolation.visible_teams([cast.search.pk]):
        rows = DailySpend.objects.filter(team_id=cast.search.pk)
        rows.update(cost=Decimal("0.05"), adjustment=Decimal("-0.01"))
    answer = ask(cast, output_percent=-100)
    assert (answer.charged, answer.before, answer.difference, answer.adjustment) == (
        Decimal("0.05"),
        Decimal("0.06"),
        Decimal("-0.01"),
        Decimal("-0.01"),
    )
    assert answer.delta.mid == Decimal("-0.02")


def test_what_has_no_price_is_apart_and_said(cast: Cast) -> None:
    spend(cast, 1, usage=USAGE)
    spend(cast, 1, usage=USAGE, project="triage")
    spend(cast, 1, model="claude-unheard-of")
    with isolation.visible_teams([cast.support.pk]):
        DailySpend.objects.filter(team_id=cast.support.pk).update(geo="moon")
    answer = ask(cast, cast.search, cast.support, prices_on="2001-01-01")
    assert [(one.model, one.requests, one.charged) for one in answer.apart] == [
        ("Claude Opus 5.5", 1, Decimal("0.006"))
    ]
    assert (answer.before, answer.after.mid) == (Decimal("0.006"), Decimal("0.006"))
    (missing,) = answer.effects[0].missing
    assert missing == (
        "There was no price then for 1 request of Claude Opus 5.5 (standard, <$0.01). They "
        "stay as they are, in both totals."
    )
    assert answer.gaps.unpriced_records == 1


def test_a_team_sees_its_own_alone(cast: Cast) -> None:
    spend(cast, 1, usage=USAGE)
    spend(cast, 5, usage=USAGE, project="triage", tags={"job": "nightly"})
    answer = ask(cast, batch={"tags": ["job=nightly"]})
    assert (answer.before, answer.delta.mid) == (Decimal("0.006"), 0)
    with pytest.raises(RecordError, match="There is no project triage here"):
        ask(cast, project="triage")


@pytest.mark.parametrize(
    ("question", "code", "pointer"),
    [
        ({"levers": []}, "unknown_field", "/levers"),
        ({"since": "2026-11-01"}, "missing_field", "/until"),
        ({"since": "2026-11-02", "until": "2026-11-02"}, "bad_time", "/until"),
        ({"since": "2025-11-01", "until": "2026-11-20"}, "out_of_range", "/until"),
        ({"since": "0001-01-01", "until": "2026-11-20"}, "bad_time", "/since"),
        ({"output_percent": -101}, "out_of_range", "/output_percent"),
        ({"batch": {}}, "missing_field", "/batch"),
        ({"batch": {"tags": ["nightly"]}}, "bad_value", "/batch/tags/0"),
        ({"caching": {"kind": "on"}}, "missing_field", "/caching/share_percent"),
        ({"caching": {"kind": "sometimes"}}, "bad_value", "/caching/kind"),
        ({"moves": [{"model": "a", "to": "b", "percent": 0}]}, "out_of_range", None),
        ({"moves": [{"model": "a", "to": "b"}] * 2}, "out_of_range", "/moves/1/percent"),
        ([], "wrong_type", ""),
    ],
    ids=str,
)
def test_what_cannot_be_asked(question: Any, code: str, pointer: str | None) -> None:
    with pytest.raises(RecordError) as found:
        formats.read(question)
    assert found.value.code == code
    assert pointer is None or found.value.pointer == pointer


def test_tags_are_asked_of_31_days(cast: Cast) -> None:
    batch = {"tags": ["job=nightly"]}
    formats.read({"since": "2026-10-01", "until": "2026-11-01", "batch": batch})
    with pytest.raises(RecordError, match="31 days at most where a tag"):
        formats.read({"since": "2026-10-01", "until": "2026-11-02", "batch": batch})


def test_a_question_is_read_again_from_what_it_says() -> None:
    question = formats.read(
        {
            **DAYS,
            "project": "answers",
            "moves": [{"model": "a", "to": "b", "percent": 5}],
            "batch": {"percent": 10, "tags": ["a=b=c"]},
            "caching": {"kind": "on", "share_percent": 3},
            "output_percent": 10,
            "prices_on": "2026-10-01",
        }
    )
    assert question.tags == [("a", "b=c")]
    assert formats.read(formats.plain(question)) == question
    assert formats.plain(formats.read({})) == {}


@pytest.mark.parametrize("place", ["model", "to"])
def test_a_model_that_nobody_knows(cast: Cast, place: str) -> None:
    move = {"model": "claude-opus-5-5", "to": "claude-sonnet-5-5", place: "gpt-nought"}
    with pytest.raises(RecordError, match="No model is known as gpt-nought") as found:
        ask(cast, moves=[move])
    assert found.value.pointer == f"/moves/0/{place}"


def test_names_of_one_model_add_up(cast: Cast) -> None:
    names = ("claude-opus-5-5", "anthropic/claude-opus-5-5")
    moves = [{"model": name, "to": "claude-sonnet-5-5", "percent": 60} for name in names]
    with pytest.raises(RecordError, match="100 percent"):
        ask(cast, moves=moves)


def test_a_name_of_several_providers(cast: Cast) -> None:
    ask(cast, moves=[{"model": "aws/claude-opus-5-5", "to": "claude-sonnet-5-5"}])
    with pytest.raises(RecordError, match="write provider/") as found:
        ask(cast, moves=[{"model": "gpt-5", "to": "claude-sonnet-5-5"}])
    assert found.value.pointer == "/moves/0/to"


def test_another_tokenizer_makes_it_a_range(cast: Cast) -> None:
    spend(cast, 10, usage=USAGE)
    moves = [{"model": "claude-opus-5-5", "to": "claude-opus-4-6"}]
    answer = ask(cast, moves=moves)
    # On Opus 4.6 (5 and 25) a call costs 0.0075, at 2/3, 20/27 and 5/6 as many tokens.
    calls = [(667, 67), (741, 74), (833, 83)]
    costs = [(tokens * 5 + out * 25) for tokens, out in calls]
    assert answer.before == Decimal("0.06")
    assert not answer.after.is_certain
    found = (answer.after.low, answer.after.mid, answer.after.high)
    for amount, cost in zip(found, costs, strict=True):
        assert abs(amount - Decimal(cost) / 100_000) < Decimal("0.0002")
    assert sorted(answer.ends) == ["high", "low", "mid"]
    assert answer.delta.low < answer.delta.mid < answer.delta.high
    pays = answer.effects[0].sentences[1]
    assert "fewer than 0.80 times the tokens: it may or may not, with 0.66 to 0.83" in pays
