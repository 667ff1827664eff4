"""Routing policies, and what their breaches cost: Opus 5.5 costs 4 in and 20 out, a batch
half of it; Sonnet 5 costs 2 in and 10 out.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import ProgrammingError, connection, transaction

from billing.actions import routing as actions
from billing.models import LanguageModel, RoutingPolicy, routing
from billing.models.routing import Tag
from billing.reports import routing as reports
from billing.reports.routing import Breach, BreachKind, RoutingBreaches
from teams import isolation
from teams.models import AuditEvent
from tests.billing import test_rerates
from tests.billing.savings import MORNING, NOVEMBER, call, count, counted, take_back
from tests.conftest import NOW, Cast, as_owner

pytestmark = pytest.mark.usefixtures("as_app")

BEFORE = datetime(2026, 11, 1, 12, tzinfo=UTC)
NIGHTLY = Tag("job", "nightly")


def policy(cast: Cast, **rules: Any) -> RoutingPolicy:
    """Of team search, from the first of November on."""
    return actions.set_policy(
        **{"team": cast.search, "by": "frank", "now": BEFORE, **rules}
    )


def ids(*names: str) -> list[int]:
    named = LanguageModel.objects.filter(name__in=names)
    return list(named.values_list("pk", flat=True))


def breaches(cast: Cast, **changes: Any) -> RoutingBreaches:
    with isolation.visible_teams([cast.search.pk]):
        return reports.breaches(team=cast.search, **{**NOVEMBER, "now": NOW, **changes})


def only(report: RoutingBreaches) -> Breach:
    (row,) = report.rows
    return row


# --- Policies -----------------------------------------------------------------------


MIDNIGHT_IN_BERLIN = datetime(2026, 11, 9, 23, tzinfo=UTC)
WHOLE = (datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC))


def test_a_policy_holds_from_its_moment_until_the_next(cast: Cast):
    first = policy(cast, max_output=1_000)
    second = policy(cast, max_output=500, effective_from=date(2026, 11, 10))
    instant = timedelta(microseconds=1)

    assert first.holds_from == BEFORE
    assert second.holds_from == MIDNIGHT_IN_BERLIN
    assert routing.in_force(cast.search, BEFORE - instant) is None
    assert routing.in_force(cast.search, BEFORE) == first
    assert routing.in_force(cast.search, MIDNIGHT_IN_BERLIN - instant) == first
    assert routing.in_force(cast.search, MIDNIGHT_IN_BERLIN) == second
    assert routing.stretches(cast.search, *WHOLE) == [
        (BEFORE, MIDNIGHT_IN_BERLIN, first),
        (MIDNIGHT_IN_BERLIN, WHOLE[1], second),
    ]
    assert routing.stretches(cast.support, *WHOLE) == []


def test_of_one_moment_the_last_that_was_made_holds(cast: Cast):
    policy(cast, max_output=1_000)
    last = policy(cast)

    assert routing.stretches(cast.search, *WHOLE) == [(BEFORE, WHOLE[1], last)]


def test_policies_from_before_hold_from_their_day_or_when_they_were_made(cast: Cast):
    of_that_day = policy(cast)
    of_a_later = policy(cast, effective_from=date(2026, 11, 10))
    migration = import_module("billing.migrations.0032_policies_hold_from_a_moment")
    with as_owner(), connection.cursor() as cursor:
        RoutingPolicy.objects.update(holds_from=NOW)
        cursor.execute(migration.FILL)

    held = dict(RoutingPolicy.objects.values_list("pk", "holds_from"))

    assert held == {of_that_day.pk: BEFORE, of_a_later.pk: MIDNIGHT_IN_BERLIN}


@pytest.mark.parametrize("day", [date(1, 1, 1), date(9999, 12, 31)])
def test_no_day_is_too_far_to_be_refused(cast: Cast, day: date):
    with pytest.raises(ValidationError):
        policy(cast, effective_from=day)


def test_a_change_is_written_down(cast: Cast):
    policy(cast, max_output=1_000)
    policy(
        cast,
        model_ids=ids("claude-sonnet-5"),
        batch_only_tags=[NIGHTLY],
        reason="Opus is for answers",
    )

    event = AuditEvent.objects.filter(action="routing_policy.set").latest("pk")
    assert (event.actor, event.reason) == ("frank", "Opus is for answers")
    assert event.before is not None
    assert event.before["max_output"] == 1_000
    assert event.after == {
        "effective_from": "2026-11-01",
        "holds_from": "2026-11-01T12:00:00+00:00",
        "models": ["claude-sonnet-5"],
        "batch_only_tags": ["job=nightly"],
        "max_output": None,
    }


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"effective_from": date(2026, 10, 31)}, "effective_from"),
        ({"effective_from": date(2200, 1, 1)}, "effective_from"),
        ({"max_output": 0}, "max_output"),
        ({"max_output": 10**9 + 1}, "max_output"),
        ({"model_ids": [10**12]}, "model_ids"),
        ({"batch_only_tags": [Tag("", "x")]}, "batch_only_tags"),
        ({"batch_only_tags": [Tag("x", "")]}, "batch_only_tags"),
        ({"batch_only_tags": [Tag("k", str(one)) for one in range(21)]}, "batch_only_tags"),
    ],
)
def test_rules_that_make_no_sense_are_refused(
    cast: Cast, rules: dict[str, Any], field: str
):
    with pytest.raises(ValidationError) as refused:
        policy(cast, **rules)

    assert list(refused.value.message_dict) == [field]
    assert not RoutingPolicy.objects.exists()


@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_policy_is_never_changed(cast: Cast, change: str):
    its = RoutingPolicy.objects.filter(pk=policy(cast).pk)

    with pytest.raises(ProgrammingError), transaction.atomic():
        its.update(reason="other") if change == "update" else its.delete()


# --- Models -------------------------------------------------------------------------


def test_without_a_policy_nothing_is_in_breach(cast: Cast):
    counted(cast, [call(input_tokens=1_000)])

    report = breaches(cast)

    assert (report.rows, report.examples, report.policies) == ([], [], [])


def test_a_model_that_may_not_be_used_costs_all_it_cost(cast: Cast):
    policy(cast, model_ids=ids("claude-sonnet-5"))
    counted(
        cast,
        [
            call(input_tokens=1_000, id="wrong"),
            call(1, input_tokens=1_000, model="claude-sonnet-5"),
            call(2, input_tokens=1_000, project="triage"),
        ],
    )

    report = breaches(cast)

    row = only(report)
    assert (row.kind, row.project, row.requests) == (BreachKind.MODEL, cast.answers, 1)
    assert row.cost == row.spent == Decimal("0.004")
    assert [(one.record_id, one.cost) for one in report.examples] == [
        ("wrong", Decimal("0.004"))
    ]


def test_a_record_is_held_against_the_policy_of_its_day(cast: Cast):
    policy(cast, model_ids=ids("claude-sonnet-5"))
    policy(cast, effective_from=date(2026, 11, 20))
    policy(cast, model_ids=ids("claude-sonnet-5"), effective_from=date(2026, 11, 22))
    day = 24 * 60
    counted(
        cast,
        [
            call(-day, input_tokens=1_000, id="on-the-19th"),
            call(-601, input_tokens=1_000, id="last-minute-of-the-19th"),
            call(-600, input_tokens=1_000, id="midnight-of-the-20th"),
            call(2 * day, input_tokens=1_000, id="on-the-22nd"),
        ],
    )

    report = breaches(cast)

    assert only(report).requests == 3
    assert {one.record_id for one in report.examples} == {
        "on-the-19th",
        "last-minute-of-the-19th",
        "on-the-22nd",
    }


TEN = MORNING + timedelta(hours=1)
NOON = MORNING + timedelta(hours=3)


def test_what_was_called_before_a_policy_of_the_same_day_is_in_no_breach(cast: Cast):
    sonnet = ids("claude-sonnet-5")
    policy(cast, now=TEN, model_ids=sonnet, batch_only_tags=[NIGHTLY], max_output=1_000)
    wrong = {"output_tokens": 1_500, "tags": {"job": "nightly"}}
    counted(cast, [call(59, id="before", **wrong), call(60, id="after", **wrong)])

    report = breaches(cast)

    # At 20 a million, half of it in a batch, 500 tokens too many.
    assert {(row.kind, row.requests, row.cost) for row in report.rows} == {
        (BreachKind.MODEL, 1, Decimal("0.03")),
        (BreachKind.NOT_BATCH, 1, Decimal("0.015")),
        (BreachKind.LONG_OUTPUT, 1, Decimal("0.01")),
    }
    assert [one.record_id for one in report.examples] == ["after"] * 3


def test_a_policy_that_is_lifted_within_a_day_held_until_then(cast: Cast):
    wrong = {"output_tokens": 1_500, "tags": {"job": "nightly"}}
    sonnet = ids("claude-sonnet-5")
    policy(cast, model_ids=sonnet, batch_only_tags=[NIGHTLY], max_output=1_000)
    policy(cast, now=TEN)
    counted(cast, [call(59, id="before", **wrong), call(60, id="after", **wrong)])

    report = breaches(cast)

    assert {row.kind: row.requests for row in report.rows} == dict.fromkeys(BreachKind, 1)
    assert {one.record_id for one in report.examples} == {"before"}


def test_of_several_policies_in_one_day_each_holds_its_hours(cast: Cast):
    """Sonnet alone from 10:00 to 12:00, then neither of the two."""
    sonnet, haiku = ids("claude-sonnet-5"), ids("claude-haiku-4-5")
    policy(cast, now=TEN, model_ids=sonnet)
    policy(cast, now=NOON, model_ids=haiku)
    both = ("claude-opus-5-5", "claude-sonnet-5")
    counted(
        cast,
        [
            call(minutes, input_tokens=1_000, model=model)
            for minutes in (0, 61, 62, 200, 1_000)
            for model in both
        ],
    )

    found = {row.model.name: row.requests for row in breaches(cast).rows}

    assert found == {"claude-opus-5-5": 4, "claude-sonnet-5": 2}


def test_what_is_taken_back_or_priced_anew_on_such_a_day_is_so_here(cast: Cast):
    policy(cast, now=TEN, model_ids=ids("claude-sonnet-5"))
    counted(cast, [call(60, input_tokens=1_000, id="a"), call(61, input_tokens=1_000)])
    take_back(cast, "a")
    test_rerates.publish()
    test_rerates.carry_out(test_rerates.plan(cast))
    count(cast)

    row = only(breaches(cast))

    # 8 a million now.
    assert (row.requests, row.cost) == (1, Decimal("0.008"))


def test_models_are_told_for_any_range_and_records_for_31_days(cast: Cast):
    policy(cast, model_ids=ids("claude-sonnet-5"), now=BEFORE - timedelta(days=31))
    counted(cast, [call(-20 * 24 * 60, input_tokens=1_000)])

    december = datetime(2026, 12, 19, 12, tzinfo=UTC)
    long = {"since": date(2026, 9, 1), "until": date(2026, 12, 20)}
    report = breaches(cast, **long, now=december)

    assert only(report).requests == 1
    assert report.records_from == date(2026, 11, 19)
    assert report.examples == []


# --- Tags that have to wait ---------------------------------------------------------


def test_what_could_have_waited_cost_more_than_in_a_batch(cast: Cast):
    policy(cast, batch_only_tags=[NIGHTLY, Tag("job", "other")])
    nightly = {"job": "nightly", "env": "prod"}
    counted(
        cast,
        [
            call(input_tokens=1_000, output_tokens=100, tags=nightly, id="at-once"),
            call(1, input_tokens=1_000, tags={"job": "answers"}),
            call(2, input_tokens=1_000),
            call(3, input_tokens=1_000, tags=nightly, service_tier="batch"),
        ],
    )

    report = breaches(cast)

    row = only(report)
    assert (row.kind, row.rule) == (BreachKind.NOT_BATCH, "job=nightly")
    assert (row.requests, row.spent, row.cost) == (1, Decimal("0.006"), Decimal("0.003"))
    assert [one.record_id for one in report.examples] == ["at-once"]


def test_searches_cost_the_same_in_a_batch(cast: Cast):
    policy(cast, batch_only_tags=[NIGHTLY])
    searching = {"server_tool_use": {"web_search_requests": 3}}
    counted(cast, [call(input_tokens=1_000, tags={"job": "nightly"}, **searching)])

    assert only(breaches(cast)).cost == Decimal("0.002")


def test_a_record_with_two_such_tags_is_one_breach(cast: Cast):
    policy(cast, batch_only_tags=[NIGHTLY, Tag("env", "test")])
    counted(cast, [call(input_tokens=1_000, tags={"job": "nightly", "env": "test"})])

    assert only(breaches(cast)).requests == 1


def test_without_a_batch_price_the_cost_is_unknown(cast: Cast):
    policy(cast, batch_only_tags=[NIGHTLY])
    counted(
        cast,
        [call(input_tokens=1_000, tags={"job": "nightly"}, speed="fast")],
    )

    row = only(breaches(cast))

    assert (row.requests, row.cost) == (1, None)


# --- Long outputs -------------------------------------------------------------------


def test_tokens_above_the_maximum_are_what_it_cost(cast: Cast):
    policy(cast, max_output=1_000)
    counted(
        cast,
        [
            call(input_tokens=1_000, output_tokens=1_500, id="too-long"),
            call(1, output_tokens=1_000),
        ],
    )

    report = breaches(cast)

    row = only(report)
    assert (row.kind, row.rule) == (BreachKind.LONG_OUTPUT, "1,000 tokens")
    assert (row.requests, row.spent) == (1, Decimal("0.034"))
    assert row.cost == 500 * Decimal("0.00002")
    assert [(one.record_id, one.output) for one in report.examples] == [("too-long", 1_500)]


def test_each_day_has_its_maximum(cast: Cast):
    policy(cast, max_output=1_000)
    policy(cast, max_output=2_000, effective_from=date(2026, 11, 21))
    day = 24 * 60
    counted(cast, [call(output_tokens=1_500), call(day, output_tokens=1_500)])

    assert only(breaches(cast)).requests == 1


def test_what_was_taken_back_is_no_breach(cast: Cast):
    policy(
        cast, max_output=1_000, model_ids=ids("claude-sonnet-5"), batch_only_tags=[NIGHTLY]
    )
    counted(cast, [call(output_tokens=1_500, tags={"job": "nightly"}, id="mistake")])
    assert {row.kind for row in breaches(cast).rows} == set(BreachKind)

    take_back(cast, "mistake")

    assert (breaches(cast).rows, breaches(cast).examples) == ([], [])


def test_what_each_kind_cost_adds_up(cast: Cast):
    policy(cast, max_output=1_000)
    counted(cast, [call(place, output_tokens=1_100) for place in range(3)])

    report = breaches(cast)

    assert report.requests == {BreachKind.LONG_OUTPUT: 3}
    assert report.costs == {BreachKind.LONG_OUTPUT: 300 * Decimal("0.00002")}


def test_examples_are_the_latest_and_as_old_as_they_must_be(cast: Cast):
    policy(cast, model_ids=ids("claude-sonnet-5"), batch_only_tags=[NIGHTLY])
    day, tags = 24 * 60, {"job": "nightly"}
    old = [call(-5 * day + at, input_tokens=9, tags=tags, id=f"old-{at}") for at in (1, 2)]
    new = [call(at, input_tokens=9, tags=tags, id=f"new-{at}") for at in range(9)]
    counted(cast, [*old, *new])

    for kind in (BreachKind.MODEL, BreachKind.NOT_BATCH):
        named = [one.record_id for one in breaches(cast).examples if one.kind is kind]
        assert named == [*(f"new-{at}" for at in reversed(range(9))), "old-2"]
