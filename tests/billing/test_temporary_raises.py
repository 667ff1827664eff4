"""Temporary raises: the cap in force, and what alerts make of one."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from billing.actions import alerts, budgets, sweep
from billing.actions.budgets import Terms
from billing.models import Alert, Budget, Channel, Delivery
from billing.reports import budgets as reports
from teams.models import AuditEvent
from tests.billing.spending import fired, make, spend, total
from tests.builders import COST
from tests.conftest import NOW, Cast

UNTIL = NOW + timedelta(hours=2)
A_MOMENT = timedelta(microseconds=1)


def raise_for_now(budget: Budget, to: str, until=UNTIL) -> Budget:
    return budgets.change(
        budget=budget,
        terms=Terms.of(budget, raised_to=Decimal(to), raised_until=until),
        by="tests",
        now=NOW,
    )


def sent(budget: Budget) -> list[tuple[int, int]]:
    """The levels of each revision that were sent."""
    deliveries = Delivery.objects.filter(alert__budget=budget).order_by("pk")
    return list(deliveries.values_list("alert__revision", "alert__threshold"))


@pytest.fixture
def listening(cast: Cast) -> Channel:
    return Channel.objects.create(
        organization=cast.acme, kind="email", target="finance@acme.example", created_at=NOW
    )


def test_a_raise_holds_until_its_end_and_not_a_moment_longer(cast: Cast):
    budget = raise_for_now(make(cast, "10"), "25")

    assert budget.cap(NOW) == 25
    assert budget.cap(UNTIL - A_MOMENT) == 25
    assert budget.cap(UNTIL) == 10


def test_without_any_sweep_the_cap_that_is_shown_and_judged_falls_back(cast: Cast):
    budget = raise_for_now(make(cast, "0.0042"), "0.042")  # one record, ten
    spend(cast, 4)

    (before,) = reports.statuses([budget], now=NOW)
    (after,) = reports.statuses([budget], now=UNTIL)
    assert (before.cap, before.is_raised, before.remaining) == (
        Decimal("0.042"),
        True,
        6 * Decimal(COST),
    )
    assert (after.cap, after.is_raised, after.remaining) == (
        Decimal("0.0042"),
        False,
        -3 * Decimal(COST),
    )

    assert fired(budget) == []
    alerts.evaluate(budget, now=UNTIL)
    assert fired(budget) == [50, 80, 100]
    assert set(Alert.objects.filter(revision=2).values_list("cap", flat=True)) == {
        Decimal("0.0042")
    }


def test_the_sweep_writes_the_revision_that_says_so(cast: Cast):
    budget = raise_for_now(make(cast, "0.0042"), "0.042")
    spend(cast, 1)

    sweep.sweep(now=UNTIL - A_MOMENT)
    assert Budget.objects.get(pk=budget.pk).revision == 2
    sweep.sweep(now=UNTIL)
    sweep.sweep(now=UNTIL)

    budget.refresh_from_db()
    last = budget.revisions.get(revision=3)
    assert budget.revision == 3
    assert (budget.amount, budget.raised_to, budget.raised_until) == (
        Decimal("0.0042"),
        None,
        None,
    )
    assert (last.changed_by, last.changed_at) == ("purser", UNTIL)
    assert last.reason == "The temporary raise ended."
    assert fired(budget) == [50, 80, 100]
    assert total(budget) == Decimal(COST)
    event = AuditEvent.objects.filter(action="budget.change").latest("pk")
    assert event.before["raised_to"] == "0.042"
    assert "raised_to" not in event.after


@pytest.mark.usefixtures("as_worker")
def test_a_worker_may_end_a_raise(cast: Cast):
    budget = raise_for_now(make(cast, "10"), "25")

    assert budgets.end_raises(now=UNTIL) == 1
    assert budgets.end_raises(now=UNTIL) == 0
    assert Budget.objects.get(pk=budget.pk).cap(NOW) == 10


def test_an_ended_budget_gets_no_revision(cast: Cast):
    budget = raise_for_now(make(cast, "10"), "25")
    budgets.archive(budget=budget, by="tests", now=NOW)

    assert budgets.end_raises(now=UNTIL) == 0


def test_what_is_reached_and_was_said_is_not_said_again(cast: Cast, listening):
    budget = make(cast, "0.042")  # ten records
    spend(cast, 9)
    assert sent(budget) == [(1, 50), (1, 80)]

    budget = budgets.change(
        budget=budget, terms=Terms.of(budget, amount=Decimal("0.063")), by="tests", now=NOW
    )  # fifteen: 60 %

    assert fired(budget) == [50]
    assert sent(budget) == [(1, 50), (1, 80)]


def test_what_is_above_what_is_used_is_armed_again(cast: Cast, listening):
    budget = make(cast, "0.042")  # ten records
    spend(cast, 9)
    budgets.change(
        budget=budget, terms=Terms.of(budget, amount=Decimal("0.063")), by="tests", now=NOW
    )

    spend(cast, 3)  # twelve of fifteen
    spend(cast, 3)

    assert sent(budget) == [(1, 50), (1, 80), (2, 80), (2, 100)]


def test_a_new_threshold_below_what_is_used_is_news(cast: Cast, listening):
    budget = make(cast, "0.042", thresholds=(50,))
    spend(cast, 9)

    budgets.change(
        budget=budget, terms=Terms.of(budget, thresholds=(50, 75)), by="tests", now=NOW
    )

    assert sent(budget) == [(1, 50), (2, 75)]


def test_a_raise_arms_and_its_end_says_what_is_reached_then_once(cast: Cast, listening):
    budget = make(cast, "0.042")  # ten records
    spend(cast, 9)
    raise_for_now(budget, "0.063")  # fifteen
    spend(cast, 2)
    sweep.sweep(now=NOW)
    assert sent(budget) == [(1, 50), (1, 80)]

    # By the clock first, then with the revision that says so.
    alerts.evaluate(Budget.objects.get(pk=budget.pk), now=UNTIL)
    sweep.sweep(now=UNTIL)
    sweep.sweep(now=UNTIL + timedelta(minutes=1))

    assert sent(budget) == [(1, 50), (1, 80), (2, 80), (2, 100)]
    assert fired(Budget.objects.get(pk=budget.pk)) == [50, 80, 100]


def test_another_cap_keeps_a_raise_that_is_above_it(cast: Cast):
    budget = raise_for_now(make(cast, "10"), "25")

    higher = Terms.of(budget, amount=Decimal(20))
    above = Terms.of(budget, amount=Decimal(25))

    assert (higher.raised_to, higher.raised_until) == (25, UNTIL)
    assert (above.raised_to, above.raised_until) == (None, None)


@pytest.mark.parametrize(
    "raised",
    [
        {"raised_to": Decimal(25)},
        {"raised_until": UNTIL},
        {"raised_to": Decimal(10), "raised_until": UNTIL},
    ],
)
def test_half_a_raise_or_one_that_is_none_is_refused(raised):
    with pytest.raises(ValidationError):
        Terms(Decimal(10), **raised)


@pytest.mark.parametrize(
    "raised",
    [
        {"raised_to": Decimal(25)},
        {"raised_until": UNTIL},
        {"raised_to": Decimal(9), "raised_until": UNTIL},
    ],
)
def test_the_table_takes_no_half_a_raise(cast: Cast, raised):
    budget = make(cast, "10")

    with pytest.raises(IntegrityError):
        Budget.objects.filter(pk=budget.pk).update(**raised)
