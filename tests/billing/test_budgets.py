"""Budgets and their alerts: exact while counting goes on, each crossing said once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.actions import alerts, budget_totals, budgets, post, receive, sweep
from billing.actions.budgets import Terms
from billing.formats.body import split
from billing.models import Alert, Budget, BudgetRevision, BudgetTotal, Channel, Delivery
from billing.pricing.budget_periods import PeriodKind
from teams import isolation
from teams.actions import projects
from teams.models import AuditEvent
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, issue


@pytest.fixture
def spend(cast: Cast):
    """Post and count records of Claude Opus 5.5, one for each 0.0042 USD."""
    key, _ = issue(cast.acme)

    def post_and_count(records: int, project: str = "answers", **changes) -> None:
        bodies = body(*(record(project=project, **changes) for _ in range(records)))
        raws = split(bodies, "application/json", 1000)
        receive.receive(key=key, raws=raws, now=NOW)
        for team_id in post.batches_waiting():
            post.count(team_id=team_id, now=NOW)

    return post_and_count


def make(cast: Cast, amount: str, **more) -> Budget:
    more.setdefault("team", cast.search)
    if more.get("project") or more.pop("whole_organization", False):
        more["team"] = None
    thresholds = more.pop("thresholds", (50, 80))
    return budgets.create(
        organization=cast.acme,
        period=more.pop("period", PeriodKind.MONTH),
        terms=Terms(Decimal(amount), thresholds=thresholds),
        by="tests",
        now=NOW,
        **more,
    )


def fired(budget: Budget) -> list[int]:
    alerts_ = Alert.objects.filter(budget=budget, revision=budget.revision)
    return sorted(alerts_.filter(state="firing").values_list("threshold", flat=True))


def total(budget: Budget) -> Decimal:
    return sum(
        BudgetTotal.objects.filter(budget=budget).values_list("spent", flat=True), Decimal()
    )


def test_counting_adds_to_the_budgets_of_team_project_and_organization(cast: Cast, spend):
    of_team = make(cast, "1")
    of_project = make(cast, "1", project=cast.answers)
    of_all = make(cast, "1", whole_organization=True)
    of_other = make(cast, "1", team=cast.support)

    spend(2)
    spend(1, project="triage")

    cost = Decimal(COST)
    assert [total(one) for one in (of_team, of_project, of_all, of_other)] == [
        2 * cost,
        2 * cost,
        3 * cost,
        cost,
    ]


def test_a_budget_made_in_the_middle_of_a_period_starts_with_what_is_spent(cast, spend):
    spend(3)

    budget = make(cast, "0.0252")  # 3 of 6 records: half of it

    assert total(budget) == 3 * Decimal(COST)
    assert fired(budget) == [50]


@pytest.mark.parametrize(
    ("records", "expected"),
    [(4, []), (5, [50]), (7, [50]), (8, [50, 80]), (9, [50, 80]), (10, [50, 80, 100])],
)
def test_each_level_fires_when_it_is_reached(cast: Cast, spend, records, expected):
    budget = make(cast, "0.042")  # ten records

    spend(records)

    assert fired(budget) == expected


def test_a_level_fires_once_however_often_it_is_evaluated(cast: Cast, spend):
    budget = make(cast, "0.0042")
    spend(1)
    spend(1)
    alerts.evaluate(budget, now=NOW)

    assert Alert.objects.count() == 3


def test_the_cap_is_a_level_even_when_no_threshold_says_so(cast: Cast, spend):
    budget = make(cast, "0.0042", thresholds=())

    spend(1)

    assert fired(budget) == [100]
    assert Alert.objects.get().kind == "cap_reached"


def test_a_period_ends_at_midnight_of_the_reporting_zone(cast: Cast, spend):
    budget = make(cast, "1", period=PeriodKind.DAY)

    spend(1, occurred_at="2026-11-21T22:59:59Z")
    spend(1, occurred_at="2026-11-21T23:00:00Z")

    starts = BudgetTotal.objects.filter(budget=budget).values_list("period_start", "spent")
    assert {first.isoformat(): spent for first, spent in starts} == {
        "2026-11-21": Decimal(COST),
        "2026-11-22": Decimal(COST),
    }


def test_what_is_spent_in_another_period_fires_nothing_now(cast: Cast, spend):
    budget = make(cast, "0.0042")

    spend(1, occurred_at="2026-10-20T12:00:00Z")

    assert total(budget) == Decimal(COST)
    assert fired(budget) == []


def test_lowering_the_cap_fires_what_is_now_reached(cast: Cast, spend):
    budget = make(cast, "1")
    spend(1)

    budget = budgets.change(
        budget=budget, terms=Terms(Decimal("0.005")), by="finance", now=NOW, reason="cut"
    )

    assert budget.revision == 2
    assert fired(budget) == [50, 80]


def test_a_change_keeps_what_is_spent_and_is_written_down(cast: Cast, spend):
    budget = make(cast, "1")
    spend(1)

    budgets.change(
        budget=budget,
        terms=Terms(Decimal(2), hard=True),
        by="finance",
        now=NOW,
        reason="r",
    )

    assert total(budget) == Decimal(COST)
    assert list(
        BudgetRevision.objects.order_by("revision").values_list("amount", "hard")
    ) == [(1, False), (2, True)]
    event = AuditEvent.objects.get(action="budget.change")
    assert (event.actor, event.reason) == ("finance", "r")
    assert (event.before["amount"], event.after["amount"]) == ("1", "2")


def test_a_change_to_the_same_terms_is_no_revision(cast: Cast):
    budget = make(cast, "1")

    same = budgets.change(budget=budget, terms=Terms(Decimal(1)), by="x", now=NOW)

    assert same.revision == 1


@pytest.fixture
def channel(cast: Cast) -> Channel:
    return Channel.objects.create(
        organization=cast.acme, kind="email", target="lead@example.com", created_at=NOW
    )


def test_a_new_alert_goes_to_every_channel_of_its_team_and_organization(
    cast: Cast, spend, channel: Channel
):
    own = Channel.objects.create(
        organization=cast.acme, team=cast.search, kind="email", target="b@x", created_at=NOW
    )
    Channel.objects.create(
        organization=cast.acme,
        team=cast.support,
        kind="email",
        target="c@x",
        created_at=NOW,
    )
    make(cast, "0.0042", thresholds=())

    spend(1)

    assert set(Delivery.objects.values_list("channel", flat=True)) == {channel.pk, own.pk}


def test_a_level_that_was_said_is_not_said_again_under_new_terms(
    cast: Cast, spend, channel: Channel
):
    budget = make(cast, "0.0082")
    spend(1)  # 51 %

    budget = budgets.change(budget=budget, terms=Terms(Decimal("0.005")), by="x", now=NOW)

    assert fired(budget) == [50, 80]
    assert sorted(Delivery.objects.values_list("alert__threshold", flat=True)) == [50, 80]


def test_a_level_that_falls_and_is_reached_again_reopens_and_sends_nothing(
    cast: Cast, spend, channel: Channel
):
    budget = make(cast, "0.0042", thresholds=())
    spend(1)
    with isolation.visible_teams([cast.search.pk]):
        BudgetTotal.objects.filter(team=cast.search).update(spent=0)
    alerts.evaluate(budget, now=NOW)
    assert fired(budget) == []

    with isolation.visible_teams([cast.search.pk]):
        budget_totals.rederive(cast.search.pk, [budget])
    alerts.evaluate(budget, now=NOW)

    assert fired(budget) == [100]
    assert Alert.objects.get().resolved_at is None
    assert Delivery.objects.count() == 1


def test_an_archived_budget_raises_nothing(cast: Cast, spend):
    budget = make(cast, "0.0042")
    budgets.archive(budget=budget, by="tests", now=NOW)

    spend(1)

    assert not Alert.objects.exists()


def test_an_archived_budget_does_not_change(cast: Cast, spend):
    budget = make(cast, "1")
    spend(1)
    budgets.archive(budget=budget, by="tests", now=NOW)

    with pytest.raises(ValidationError, match="archived"):
        budgets.change(budget=budget, terms=Terms(Decimal("0.001")), by="x", now=NOW)

    assert not Alert.objects.exists()


def test_who_archives_second_changes_nothing(cast: Cast):
    budget, seen_before = make(cast, "1"), Budget.objects.get()
    budgets.archive(budget=budget, by="first", now=NOW)

    budgets.archive(budget=seen_before, by="second", now=NOW + timedelta(hours=1))

    assert Budget.objects.get().archived_at == NOW
    assert AuditEvent.objects.get(action="budget.archive").actor == "first"


def test_a_level_that_is_reached_while_it_is_evaluated_is_not_resolved(cast: Cast, spend):
    """Counting commits its total and its alert between two looks of the sweep."""
    budget = make(cast, "0.0042", thresholds=())

    waiting = [1]

    def count_before_alerts_are_read(execute, sql, params, many, context):
        if 'FROM "billing_alert"' in sql and waiting:
            spend(waiting.pop())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count_before_alerts_are_read):
        alerts.evaluate(budget, now=NOW)

    assert fired(budget) == [100]


def test_alerts_of_a_project_go_to_the_team_that_owns_it_now(cast: Cast, spend):
    of_search, of_support = (
        Channel.objects.create(
            organization=cast.acme, team=team, kind="email", target="a@x", created_at=NOW
        )
        for team in (cast.search, cast.support)
    )
    make(cast, "0.0042", project=cast.answers, thresholds=())
    projects.move(
        project=cast.answers,
        team=cast.support,
        effective_from=NOW + timedelta(days=7),
        by="tests",
        now=NOW,
    )

    spend(1)

    assert Delivery.objects.get().channel == of_search != of_support


def test_a_project_that_moved_counts_against_its_budget_from_both_teams(cast: Cast, spend):
    budget = make(cast, "0.0084", project=cast.answers, thresholds=())
    projects.move(
        project=cast.answers,
        team=cast.support,
        effective_from=NOW - timedelta(days=1),
        by="tests",
        now=NOW - timedelta(days=2),
    )

    spend(1, occurred_at="2026-11-20T12:00:00Z")
    assert fired(budget) == []
    spend(1, occurred_at="2026-11-22T11:00:00Z")

    assert BudgetTotal.objects.filter(budget=budget).count() == 2
    assert fired(budget) == [100]


def test_the_sweep_asks_no_more_for_many_that_are_settled(cast: Cast, spend):
    spend(1)
    asked = []
    for amount in ("0.0042", "1", "1", "1"):
        make(cast, amount)
        with CaptureQueriesContext(connection) as queries:
            sweep.sweep(now=NOW)
        asked.append(len(queries))

    assert asked[0] == asked[-1]
